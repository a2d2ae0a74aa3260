#include "proxy/engine/known_head.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    PLACES = 128,
    SIGHTINGS = 1024,
    KEPT_MAX = 4 * 1024 /* of a head, and of what became of it: longer ones are rare */
};

/* A head without the digits of its Content-Length: the bytes before and behind them. */
struct skeleton {
    struct span front, back, digits;
};

struct place {
    uint64_t hash;
    size_t front;          /* of the skeleton */
    size_t credential;     /* its offset in the skeleton; blanked in `bytes` */
    size_t credential_len; /* no other length is alike */
    struct field *field;   /* the one that carries it */
    struct known_head known;
    struct span skeleton; /* in `bytes` */
    char bytes[];
};

struct known_heads {
    uint64_t seed; /* so that nobody can aim at a place */
    struct place *places[PLACES];
    uint64_t
        seen[SIGHTINGS]; /* hashes of heads that came once: only a second one pays */
};

struct known_heads *known_heads_new(void)
{
    struct known_heads *heads = calloc(1, sizeof *heads);

    if (heads != NULL &&
        getrandom(&heads->seed, sizeof heads->seed, 0) != (ssize_t)sizeof heads->seed) {
        free(heads);
        return NULL;
    }
    return heads;
}

struct known_heads *known_heads_free(struct known_heads *heads)
{
    for (size_t i = 0; heads != NULL && i < PLACES; i++) {
        free(heads->places[i]);
    }
    free(heads);
    return NULL;
}

/* ---- what is alike --------------------------------------------------------------- */

/* The digits of the first line that begins with Content-Length; empty, at the end of
 * the head, if none does. */
static struct span length_digits(struct span raw)
{
    const struct span name = SPAN("content-length:");
    struct span rest = raw;

    while (rest.len > 0) {
        if ((rest.at[0] | 0x20) == 'c' && span_starts_nocase(rest, name)) {
            size_t len = 0;

            rest = span_after(rest, name.len);
            while (rest.len > 0 && (rest.at[0] == ' ' || rest.at[0] == '\t')) {
                rest = span_after(rest, 1);
            }
            while (len < rest.len && rest.at[len] >= '0' && rest.at[len] <= '9') {
                len++;
            }
            return span_of(rest.at, len);
        }
        rest = span_after(rest, span_find(rest, '\n'));
        rest = span_after(rest, rest.len > 0);
    }
    return rest;
}

static struct skeleton skeleton_of(struct span raw)
{
    struct span digits = length_digits(raw);
    size_t front = (size_t)(digits.at - raw.at);

    return (struct skeleton){
        .front = span_of(raw.at, front),
        .back = span_after(raw, front + digits.len),
        .digits = digits,
    };
}

static uint64_t hash_of(const struct known_heads *heads, const struct skeleton *bones)
{
    uint64_t front =
        XXH3_64bits_withSeed(bones->front.at, bones->front.len, heads->seed);

    return XXH3_64bits_withSeed(bones->back.at, bones->back.len, front);
}

/* Is [from, to) of the skeleton the same in both? */
static bool same_part(const struct place *place, const struct skeleton *bones,
                      size_t from, size_t to)
{
    size_t front = place->front;
    size_t middle = front < from ? from : front > to ? to : front;
    const char *kept = place->skeleton.at;

    return memcmp(kept + from, bones->front.at + from, middle - from) == 0 &&
           memcmp(kept + middle, bones->back.at + (middle - front), to - middle) == 0;
}

static bool is_like(const struct place *place, const struct skeleton *bones)
{
    size_t behind = place->credential + place->credential_len;

    return place->front == bones->front.len &&
           place->skeleton.len == bones->front.len + bones->back.len &&
           same_part(place, bones, 0, place->credential) &&
           same_part(place, bones, behind, place->skeleton.len);
}

/* The rule that head_parse_request() has for a length that announces a body: no leading
 * zero, at most 2^63-1. Empty digits are no length: 0. */
static bool read_length(struct span digits, uint64_t *length)
{
    *length = 0;
    return digits.len == 0 || (digits.at[0] != '0' && span_decimal(digits, length) &&
                               *length <= INT64_MAX);
}

const struct known_head *known_heads_find(struct known_heads *heads, struct span raw)
{
    struct skeleton bones = skeleton_of(raw);
    uint64_t hash = hash_of(heads, &bones);
    struct place *place = heads->places[hash % PLACES];
    uint64_t length;

    if (place == NULL || place->hash != hash || !is_like(place, &bones) ||
        !read_length(bones.digits, &length) ||
        (bones.digits.len > 0) != (place->known.head.length > 0)) {
        return NULL;
    }
    place->known.head.length = length;
    place->field->value.at = place->credential < place->front
                                 ? bones.front.at + place->credential
                                 : bones.back.at + (place->credential - place->front);
    return &place->known;
}

/* ---- keeping --------------------------------------------------------------------- */

/* Where a part of the raw head lies in its skeleton. Content-Length's own value has no
 * place there; nobody reads it as a text. */
static struct span moved(const struct skeleton *bones, const struct span *skeleton,
                         struct span part)
{
    const char *behind = bones->back.at;
    size_t at;

    if (part.at >= bones->digits.at && part.at < behind) {
        return span_of(NULL, 0);
    }
    at = part.at < bones->digits.at ? (size_t)(part.at - bones->front.at)
                                    : (size_t)(part.at - behind) + bones->front.len;
    return span_of(skeleton->at + at, part.len);
}

static struct span append(char **end, struct span bytes)
{
    struct span copy = span_of(*end, bytes.len);

    if (bytes.len > 0) {
        memcpy(*end, bytes.at, bytes.len);
        *end += bytes.len;
    }
    return copy;
}

static void keep_fields(struct place *place, const struct skeleton *bones,
                        const struct head *head, enum field_name credential)
{
    struct head *kept = &place->known.head;

    for (size_t i = 0; i < head->field_count; i++) {
        kept->fields[i] = head->fields[i];
        kept->fields[i].name = moved(bones, &place->skeleton, head->fields[i].name);
        kept->fields[i].value = moved(bones, &place->skeleton, head->fields[i].value);
        if (head->fields[i].id == credential) {
            place->field = &kept->fields[i];
        }
    }
}

/* Nothing of the credential stays here. */
static void blank_credential(struct place *place)
{
    struct span value = place->field->value;

    place->credential = (size_t)(value.at - place->skeleton.at);
    place->credential_len = value.len;
    memset(place->bytes + place->credential, 0, value.len);
}

static void keep_rest(struct place *place, char *end, const struct skeleton *bones,
                      const struct route *route, const struct caller *caller,
                      const struct exchange *x)
{
    struct known_head *known = &place->known;

    known->route = *route;
    known->route.target = moved(bones, &place->skeleton, route->target);
    known->claims = *x->claims;
    text_store(known->caller, sizeof known->caller, span_text(caller->name));
    text_store(known->key_id, sizeof known->key_id, span_text(caller->key_id));
    known->forwarded = append(&end, x->head);
    known->accept = append(&end, x->accept);
    known->encoding = append(&end, x->encoding);
}

static struct place *place_new(const struct skeleton *bones, const struct head *head,
                               const struct route *route, const struct caller *caller,
                               const struct exchange *x)
{
    size_t size = bones->front.len + bones->back.len + x->head.len + x->accept.len +
                  x->encoding.len;
    struct place *place = size > KEPT_MAX ? NULL : calloc(1, sizeof *place + size);
    char *end;

    if (place == NULL) {
        return NULL;
    }
    end = place->bytes;
    place->front = bones->front.len;
    place->skeleton.at = end;
    place->skeleton.len =
        append(&end, bones->front).len + append(&end, bones->back).len;
    memcpy(&place->known.head, head, offsetof(struct head, fields));
    place->known.head.target = moved(bones, &place->skeleton, head->target);
    keep_fields(place, bones, head, caller->credential);
    blank_credential(place);
    keep_rest(place, end, bones, route, caller, x);
    return place;
}

static bool seen_before(struct known_heads *heads, uint64_t hash)
{
    uint64_t *last = &heads->seen[hash % SIGHTINGS];
    bool seen = *last == hash;

    *last = hash;
    return seen;
}

void known_heads_add(struct known_heads *heads, struct span raw,
                     const struct head *head, const struct route *route,
                     const struct caller *caller, const struct exchange *exchange)
{
    struct skeleton bones = skeleton_of(raw);
    uint64_t hash = hash_of(heads, &bones);
    struct place *place;

    if (caller->credential == FIELD_OTHER ||
        (head->framing == FRAMING_LENGTH && head->length == 0) ||
        !seen_before(heads, hash)) {
        return;
    }
    place = place_new(&bones, head, route, caller, exchange);
    if (place == NULL) {
        return;
    }
    place->hash = hash;
    free(heads->places[place->hash % PLACES]);
    heads->places[place->hash % PLACES] = place;
}

#include "proxy/engine/known_head.h"

#define XXH_INLINE_ALL
#include <stdlib.h>
#include <sys/random.h>
#include <xxhash.h>

enum {
    PLACES = 128,
    SIGHTINGS = 1024,
    KEPT_MAX = 4 * 1024 /* of what became of a head: more is rare */
};

struct place {
    uint64_t hash; /* of the head whose form it is */
    struct head_form *form;
    struct known_head known;
    char bytes[];
};

struct known_heads {
    uint64_t seed; /* so that nobody can aim at a place */
    struct place *places[PLACES];
    /* Hashes of heads that came once: only a second one pays. */
    uint64_t seen[SIGHTINGS];
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

static void place_free(struct place *place)
{
    if (place != NULL) {
        head_form_free(place->form);
        free(place);
    }
}

struct known_heads *known_heads_free(struct known_heads *heads)
{
    for (size_t i = 0; heads != NULL && i < PLACES; i++) {
        place_free(heads->places[i]);
    }
    free(heads);
    return NULL;
}

/* ---- finding --------------------------------------------------------------------- */

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

/* Of the bytes before and behind the digits of Content-Length. */
static uint64_t hash_of(const struct known_heads *heads, struct span raw)
{
    struct span digits = length_digits(raw);
    size_t front = (size_t)(digits.at - raw.at);
    struct span back = span_after(raw, front + digits.len);

    return XXH3_64bits_withSeed(back.at, back.len,
                                XXH3_64bits_withSeed(raw.at, front, heads->seed));
}

const struct known_head *known_heads_again(struct known_heads *heads, uint64_t hash,
                                           struct span bytes, size_t *size)
{
    struct place *place = heads->places[hash % PLACES];

    if (place == NULL || place->hash != hash) {
        return NULL;
    }
    place->known.head = head_form_read(place->form, bytes, size);
    return place->known.head == NULL ? NULL : &place->known;
}

const struct known_head *known_heads_find(struct known_heads *heads, struct span raw,
                                          uint64_t *hash)
{
    size_t size;

    *hash = hash_of(heads, raw);
    return known_heads_again(heads, *hash, raw, &size);
}

/* ---- keeping --------------------------------------------------------------------- */

static struct span append(char **end, struct span bytes)
{
    struct span copy = span_of(*end, bytes.len);

    if (bytes.len > 0) {
        memcpy(*end, bytes.at, bytes.len);
        *end += bytes.len;
    }
    return copy;
}

static struct place *place_new(const struct route *route, const struct caller *caller,
                               const struct exchange *x)
{
    size_t size = route->target.len + x->head.len + x->accept.len + x->encoding.len;
    struct place *place = size > KEPT_MAX ? NULL : malloc(sizeof *place + size);
    char *end;

    if (place == NULL) {
        return NULL;
    }
    end = place->bytes;
    place->known.route = *route;
    place->known.route.target = append(&end, route->target);
    place->known.claims = *x->claims;
    text_store(place->known.caller, sizeof place->known.caller,
               span_text(caller->known->name));
    text_store(place->known.key_id, sizeof place->known.key_id,
               span_text(caller->known->key_id));
    place->known.forwarded = append(&end, x->head);
    place->known.accept = append(&end, x->accept);
    place->known.encoding = append(&end, x->encoding);
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
    uint64_t hash = hash_of(heads, raw);
    struct place *place;

    if (caller->credential == FIELD_OTHER || !seen_before(heads, hash)) {
        return;
    }
    place = place_new(route, caller, exchange);
    if (place == NULL) {
        return;
    }
    place->hash = hash;
    place->form = head_form_new(raw, head, caller->credential);
    if (place->form == NULL) {
        place_free(place);
        return;
    }
    place_free(heads->places[hash % PLACES]);
    heads->places[hash % PLACES] = place;
}

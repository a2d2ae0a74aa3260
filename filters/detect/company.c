#include "filters/detect/company.h"

#include "filters/detect/echo.h"
#include "filters/detect/large_pages.h"
#include "filters/detect/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MS_PER_HOUR = 3600 * 1000,
    CIRCLE_HOURS = WEEK_HOURS,
    ECHO_HOURS = 24,
    CIRCLE_CHARACTERS = 40, /* shorter prompts are shared by chance */
    CIRCLE_BOTTOM_MIN = 6,
    CIRCLE_COMMON = 2,       /* identities that form another circle, too */
    CIRCLE_JOIN = 2,         /* of a prompt's phrases that are the circle's */
    WAYS = 4,                /* of the two sets of entries */
    CIRCLE_DRAIN_HOURS = 48, /* that outweigh one turn */
    TAKEN_IN = 8,            /* circles that took in one another */
    HAND_STEPS = 16,         /* circles that are looked at for a place */
    BUSY = 8192,             /* responses; they were at 98,304 places */
    TOGETHER = 256           /* items that are looked at together when saving */
};

/* Of a person's prompts, how many resemble another person's; and of a ring's. */
#define CIRCLE_P0 .01
#define CIRCLE_Q  .50

/* A phrase of a circle's prompts. */
struct phrase {
    uint32_t tag; /* 0: the entry is free */
    uint32_t circle;
    uint32_t generation;
};

/* A sample of a response. */
struct echo_sample {
    uint32_t sample;
    uint32_t identity; /* 0: the entry is free */
    uint32_t hour;
};

struct company_table {
    struct circle *circles;
    struct phrase *phrases;
    struct echo_sample *samples;
    size_t circle_mask;
    size_t phrase_mask; /* of sets */
    size_t sample_mask; /* of sets */
    size_t hand;
    uint32_t responses; /* taken in; stops at BUSY */
};

/* What a table consists of. */
struct part {
    void *items;
    size_t size; /* of one */
    size_t count;
};

enum { PARTS = 3 };

static void parts_of(const struct company_table *table, struct part parts[PARTS])
{
    parts[0] =
        (struct part){ table->circles, sizeof *table->circles, table->circle_mask + 1 };
    parts[1] = (struct part){ table->phrases, sizeof *table->phrases,
                              (table->phrase_mask + 1) * WAYS };
    parts[2] = (struct part){ table->samples, sizeof *table->samples,
                              (table->sample_mask + 1) * WAYS };
}

struct company_table *company_table_free(struct company_table *table)
{
    if (table != NULL) {
        struct part parts[PARTS];

        parts_of(table, parts);
        for (unsigned i = 0; i < PARTS; i++) {
            large_pages_free(parts[i].items, parts[i].size * parts[i].count);
        }
        free(table);
    }
    return NULL;
}

struct company_table *company_table_new(unsigned prompts_log2, unsigned samples_log2)
{
    struct company_table *table = calloc(1, sizeof(*table));
    size_t circles = (size_t)1 << prompts_log2;
    size_t samples = (size_t)1 << samples_log2;

    CHECK(prompts_log2 >= 4 && prompts_log2 < 32 && samples_log2 >= 4);
    if (table == NULL) {
        return NULL;
    }
    table->circles = large_pages_new(circles * sizeof(*table->circles));
    table->phrases = large_pages_new(circles * SKETCH_BOTTOM * sizeof(*table->phrases));
    table->samples = large_pages_new(samples * sizeof(*table->samples));
    table->circle_mask = circles - 1;
    table->phrase_mask = circles * SKETCH_BOTTOM / WAYS - 1;
    table->sample_mask = samples / WAYS - 1;
    if (table->circles == NULL || table->phrases == NULL || table->samples == NULL) {
        return company_table_free(table);
    }
    return table;
}

static uint32_t hour_of(const struct turn *turn)
{
    return (uint32_t)(turn->begin_ms / MS_PER_HOUR);
}

uint32_t company_week(const struct turn *turn)
{
    return hour_of(turn) / WEEK_HOURS;
}

/* ---- circles ------------------------------------------------------------------------ */

static uint64_t scattered(uint64_t value)
{
    return value * UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t tag_of(uint64_t value)
{
    uint32_t tag = (uint32_t)value;

    return tag == 0 ? 1 : tag;
}

static struct phrase *phrase_set(struct company_table *table, uint64_t value)
{
    return &table->phrases[(scattered(value) >> 24 & table->phrase_mask) * WAYS];
}

/* The circle that a phrase belongs to now, be it through others that took its own in; NULL
 * if it is gone. */
static struct circle *owner_of(const struct company_table *table,
                               const struct phrase *phrase, uint32_t hour)
{
    struct circle *circle = &table->circles[phrase->circle];
    uint32_t generation = phrase->generation;

    for (unsigned i = 0; i < TAKEN_IN && circle->generation == generation &&
                         circle->count == 0 && circle->into_generation != 0;
         i++) {
        generation = circle->into_generation;
        circle = &table->circles[circle->into];
    }
    return phrase->tag != 0 && circle->generation == generation && circle->count > 0 &&
                   hour - circle->hour <= CIRCLE_HOURS
               ? circle
               : NULL;
}

/* The entry of a phrase, or NULL. */
static struct phrase *find_phrase(struct company_table *table, uint64_t value,
                                  uint32_t hour)
{
    struct phrase *set = phrase_set(table, value);

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].tag == tag_of(value) && owner_of(table, &set[i], hour) != NULL) {
            return &set[i];
        }
    }
    return NULL;
}

/* The phrase's own entry or a void one, else that of the circle that was quiet longest. */
static struct phrase *phrase_place(struct company_table *table, uint64_t value,
                                   uint32_t hour)
{
    struct phrase *place = find_phrase(table, value, hour);
    struct phrase *set = phrase_set(table, value);
    struct circle *owner;

    if (place != NULL) {
        return place;
    }
    place = set;
    owner = owner_of(table, place, hour);
    for (unsigned i = 1; i < WAYS && owner != NULL; i++) {
        struct circle *other = owner_of(table, &set[i], hour);

        if (other == NULL || other->hour < owner->hour) {
            place = &set[i];
            owner = other;
        }
    }
    return place;
}

/* The phrase is this circle's from now on: circles that grow together become one. */
static void put_phrase(struct company_table *table, uint64_t value, size_t circle,
                       uint32_t hour)
{
    *phrase_place(table, value, hour) =
        (struct phrase){ tag_of(value), (uint32_t)circle,
                         table->circles[circle].generation };
}

/* The circle that most of the phrases belong to; NULL if fewer than CIRCLE_JOIN do. */
static struct circle *circle_of(struct company_table *table,
                                const struct prompt_sketch *prompt, uint32_t hour)
{
    struct circle *found[SKETCH_BOTTOM], *circle = NULL;
    unsigned best = 0;

    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        const struct phrase *phrase = find_phrase(table, prompt->bottom[i], hour);
        unsigned same = 0;

        found[i] = phrase == NULL ? NULL : owner_of(table, phrase, hour);
        for (unsigned j = 0; j <= i && found[i] != NULL; j++) {
            same += found[j] == found[i];
        }
        if (same > best) {
            best = same;
            circle = found[i];
        }
    }
    return best >= CIRCLE_JOIN ? circle : NULL;
}

/* Goes round the slots; passes over circles that are shared and not yet stale. */
static struct circle *new_circle(struct company_table *table, uint32_t hour)
{
    struct circle *circle = NULL;
    uint32_t generation;

    for (unsigned i = 0; i < HAND_STEPS; i++) {
        circle = &table->circles[table->hand++ & table->circle_mask];
        if (circle->count < 2 || hour - circle->hour > CIRCLE_HOURS) {
            break;
        }
    }
    generation = circle->generation + 1;
    *circle = (struct circle){ .generation = generation, .hour = hour };
    return circle;
}

static void forget_quiet(struct circle *circle, uint32_t hour)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < circle->count; i++) {
        if ((uint16_t)(hour - circle->hours[i]) <= CIRCLE_HOURS) {
            circle->members[kept] = circle->members[i];
            circle->hours[kept] = circle->hours[i];
            circle->turns[kept] = circle->turns[i];
            kept++;
        }
    }
    circle->count = (uint8_t)kept;
}

/* The identity's place; a new one if there is room. */
static unsigned member_of(struct circle *circle, uint64_t identity)
{
    unsigned i = 0;

    while (i < circle->count && circle->members[i] != identity) {
        i++;
    }
    if (i == circle->count && i < CIRCLE_MEMBERS) {
        circle->members[i] = identity;
        circle->turns[i] = (struct lately){ 0 };
        circle->hours[i] = 0;
        circle->count++;
    }
    return i;
}

/* A turn in a circle of others is evidence; time without one is against it. */
static void weigh(struct circle *circle, uint32_t hour)
{
    float gain = (float)log(CIRCLE_Q / CIRCLE_P0);

    circle->nats -= (float)(hour - circle->hour) * gain / (float)CIRCLE_DRAIN_HOURS;
    circle->nats = circle->nats > 0 ? circle->nats : 0;
    circle->nats += circle->count > 1 ? gain : 0;
}

static void join(struct circle *circle, uint64_t identity, uint32_t hour)
{
    unsigned member;

    forget_quiet(circle, hour);
    member = member_of(circle, identity);
    if (member < CIRCLE_MEMBERS) {
        circle->hours[member] = (uint16_t)hour;
        lately_count(&circle->turns[member], hour / WEEK_HOURS);
    }
    circle->current = (uint8_t)member;
    weigh(circle, hour);
    circle->hour = hour;
}

static bool is_lone(const struct circle *circle)
{
    return circle->count == 1;
}

/* How many of the prompt's phrases are the circle's. */
static unsigned phrases_of(struct company_table *table, const struct circle *circle,
                           const struct prompt_sketch *prompt, uint32_t hour)
{
    unsigned count = 0;

    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        const struct phrase *phrase = find_phrase(table, prompt->bottom[i], hour);

        count += phrase != NULL && owner_of(table, phrase, hour) == circle;
    }
    return count;
}

/* 0 is none. */
static uint16_t later_hour(uint16_t a, uint16_t b)
{
    return a == 0 || (int16_t)(b - a) > 0 ? b : a;
}

/* What others sent before resembles the circle through this prompt: they were of it all
 * along. */
static void absorb(struct company_table *table, struct circle *circle,
                   struct circle *other, uint32_t hour)
{
    if (circle->count + other->count > CIRCLE_MEMBERS) {
        return;
    }
    for (unsigned i = 0; i < other->count; i++) {
        unsigned member = member_of(circle, other->members[i]);

        circle->turns[member] =
            lately_sum(circle->turns[member], other->turns[i], hour / WEEK_HOURS);
        circle->hours[member] = later_hour(circle->hours[member], other->hours[i]);
    }
    circle->nats += other->nats;
    weigh(circle, hour);
    *other = (struct circle){ .generation = other->generation,
                              .hour = other->hour,
                              .into = (uint32_t)(circle - table->circles),
                              .into_generation = circle->generation };
}

/* How many phrases of one prompt make two circles one: a single one, if the same identities
 * form both. */
static unsigned phrases_between(const struct circle *circle, const struct circle *other)
{
    unsigned common = 0;

    for (unsigned i = 0; i < circle->count; i++) {
        for (unsigned j = 0; j < other->count; j++) {
            common += circle->members[i] == other->members[j];
        }
    }
    return common >= CIRCLE_COMMON ? 1 : CIRCLE_JOIN;
}

/* The circle takes the prompt's phrases that are nobody's, or a lone identity's. */
static void take_phrases(struct company_table *table, struct circle *circle,
                         const struct prompt_sketch *prompt, uint32_t hour)
{
    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        const struct phrase *phrase = find_phrase(table, prompt->bottom[i], hour);
        struct circle *owner = phrase == NULL ? NULL : owner_of(table, phrase, hour);

        if (owner != NULL && owner != circle && !is_lone(circle) &&
            phrases_of(table, owner, prompt, hour) >= phrases_between(circle, owner)) {
            absorb(table, circle, owner, hour);
        }
        if (owner == NULL || owner->count == 0 ||
            (is_lone(owner) && !is_lone(circle))) {
            put_phrase(table, prompt->bottom[i], (size_t)(circle - table->circles),
                       hour);
        }
    }
}

/* Did the circle have a prompt of this template lately? From now on it did. */
static bool knows_shape(struct circle *circle, uint32_t shape)
{
    for (unsigned i = 0; i < CIRCLE_SHAPES; i++) {
        if (circle->shapes[i] == shape) {
            return true;
        }
    }
    circle->shapes[circle->shape_head++ % CIRCLE_SHAPES] = shape;
    return false;
}

static void find_circle(struct company_table *table, const struct turn *turn,
                        struct company *company)
{
    const struct prompt_sketch *prompt = &turn->prompt;
    uint32_t hour = hour_of(turn);
    struct circle *circle = circle_of(table, prompt, hour);

    if (circle == NULL) {
        circle = new_circle(table, hour);
    } else if (circle->last_ms == turn->begin_ms &&
               circle->last_whole == prompt->whole) {
        return; /* one call under two names */
    }
    join(circle, turn->identity, hour);
    circle->last_ms = turn->begin_ms;
    circle->last_whole = prompt->whole;
    take_phrases(table, circle, prompt, hour);
    company->circle = circle;
    company->copied = knows_shape(circle, (uint32_t)prompt->shape);
}

/* ---- echoes ------------------------------------------------------------------------- */

static struct echo_sample *sample_set(struct company_table *table, uint32_t sample)
{
    return &table->samples[(scattered(sample) >> 32 & table->sample_mask) * WAYS];
}

/* Each set is one or two cache lines from memory; this asks for all of them at once. */
static void fetch_samples(struct company_table *table, const uint32_t *samples,
                          unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct echo_sample *set = sample_set(table, samples[i]);

        __builtin_prefetch(&set[0]);
        __builtin_prefetch(&set[WAYS - 1]);
    }
}

static void fetch_phrases(struct company_table *table,
                          const struct prompt_sketch *prompt)
{
    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        const struct phrase *set = phrase_set(table, prompt->bottom[i]);

        __builtin_prefetch(&set[0]);
        __builtin_prefetch(&set[WAYS - 1]);
    }
}

static bool others_got(struct company_table *table, uint32_t sample, uint32_t identity,
                       uint32_t hour)
{
    const struct echo_sample *set = sample_set(table, sample);
    bool others = false;

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].sample == sample && set[i].identity != 0 &&
            hour - set[i].hour <= ECHO_HOURS) {
            others |= set[i].identity != identity;
        }
    }
    return others;
}

static void find_echo(struct company_table *table, const struct turn *turn,
                      const uint32_t *samples, unsigned count, struct company *company)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        found += others_got(table, samples[i], tag_of(turn->identity), hour_of(turn));
    }
    company->compared = count >= ECHO_MIN;
    company->echoed = company->compared && 2 * found >= count;
}

void company_expect(struct company_table *table, const struct turn *turn)
{
    fetch_samples(table, turn->response.samples, turn->response.count);
    if (turn->kind == TURN_PROMPT) {
        fetch_phrases(table, &turn->prompt);
    }
}

void company_expect_circles(struct company_table *table, const struct turn *turn)
{
    if (turn->kind != TURN_PROMPT) {
        return;
    }
    for (unsigned i = 0; i < turn->prompt.bottom_count; i++) {
        const struct phrase *set = phrase_set(table, turn->prompt.bottom[i]);

        for (unsigned way = 0; way < WAYS; way++) {
            __builtin_prefetch(&table->circles[set[way].circle].generation);
        }
    }
}

struct company company_of(struct company_table *table, const struct turn *turn)
{
    struct company company = { .circle = NULL };
    uint32_t samples[ECHO_SAMPLES];
    unsigned count = echo_samples(&turn->prompt, samples);

    fetch_samples(table, samples, count);
    if (turn->prompt.characters >= CIRCLE_CHARACTERS &&
        turn->prompt.bottom_count >= CIRCLE_BOTTOM_MIN) {
        find_circle(table, turn, &company);
    }
    find_echo(table, turn, samples, count, &company);
    return company;
}

/* Takes the place of the identity's own entry, else of the oldest. */
static void put_sample(struct company_table *table, uint32_t sample, uint32_t identity,
                       uint32_t hour)
{
    struct echo_sample *set = sample_set(table, sample), *place = set;

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].sample == sample && set[i].identity == identity) {
            place = &set[i];
            break;
        }
        if (set[i].hour < place->hour) {
            place = &set[i];
        }
    }
    *place = (struct echo_sample){ sample, identity, hour };
}

/* Much of the tables is in use by now. */
static void use_large_pages(const struct company_table *table)
{
    struct part parts[PARTS];

    parts_of(table, parts);
    for (unsigned i = 0; i < PARTS; i++) {
        large_pages_use(parts[i].items, parts[i].size * parts[i].count);
    }
}

void company_respond(struct company_table *table, const struct turn *turn)
{
    if (table->responses < BUSY && ++table->responses == BUSY) {
        use_large_pages(table);
    }
    for (unsigned i = 0; i < turn->response.count; i++) {
        put_sample(table, turn->response.samples[i], tag_of(turn->identity),
                   hour_of(turn));
    }
}

/* ---- saving -------------------------------------------------------------------------- */

static bool is_zero(const char *bytes, size_t len)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

static void save_items(const struct part *part, size_t first, size_t count,
                       void (*put)(void *self, const void *bytes, size_t len),
                       void *self)
{
    for (size_t n = first; n < first + count; n++) {
        const char *item = (const char *)part->items + n * part->size;
        const uint32_t place = (uint32_t)n;

        if (!is_zero(item, part->size)) {
            put(self, &place, sizeof place);
            put(self, item, part->size);
        }
    }
}

/* Items that are not all zero, each after its place; no place ends a part. Most are free,
 * so that many are looked at together; counts are powers of two. */
void company_save(const struct company_table *table,
                  void (*put)(void *self, const void *bytes, size_t len), void *self)
{
    const uint32_t end = UINT32_MAX;
    const uint64_t hand = table->hand;
    struct part parts[PARTS];

    parts_of(table, parts);
    put(self, &hand, sizeof hand);
    for (unsigned i = 0; i < PARTS; i++) {
        size_t together = parts[i].count < TOGETHER ? parts[i].count : TOGETHER;

        for (size_t n = 0; n < parts[i].count; n += together) {
            if (!is_zero((const char *)parts[i].items + n * parts[i].size,
                         together * parts[i].size)) {
                save_items(&parts[i], n, together, put, self);
            }
        }
        put(self, &end, sizeof end);
    }
}

static bool take(struct span *from, void *to, size_t len)
{
    if (len > from->len) {
        return false;
    }
    memcpy(to, from->at, len);
    *from = span_after(*from, len);
    return true;
}

static bool restore_part(const struct part *part, struct span *saved)
{
    uint32_t n = 0;

    while (take(saved, &n, sizeof n) && n != UINT32_MAX) {
        if (n >= part->count ||
            !take(saved, (char *)part->items + n * part->size, part->size)) {
            return false;
        }
    }
    return n == UINT32_MAX;
}

static bool is_legal(const struct company_table *table)
{
    for (size_t i = 0; i <= table->circle_mask; i++) {
        if (table->circles[i].count > CIRCLE_MEMBERS ||
            table->circles[i].current > CIRCLE_MEMBERS ||
            table->circles[i].into > table->circle_mask) {
            return false;
        }
    }
    for (size_t i = 0; i < (table->phrase_mask + 1) * WAYS; i++) {
        if (table->phrases[i].circle > table->circle_mask) {
            return false;
        }
    }
    return true;
}

bool company_restore(struct company_table *table, struct span saved)
{
    struct part parts[PARTS];
    uint64_t hand = 0;
    bool good = take(&saved, &hand, sizeof hand);

    parts_of(table, parts);
    for (unsigned i = 0; good && i < PARTS; i++) {
        good = restore_part(&parts[i], &saved);
    }
    table->hand = (size_t)hand;
    if (good && saved.len == 0 && is_legal(table)) {
        return true;
    }
    for (unsigned i = 0; i < PARTS; i++) {
        memset(parts[i].items, 0, parts[i].count * parts[i].size);
    }
    return false;
}

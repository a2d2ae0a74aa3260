#include "proxy/meter/price.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include "proxy/meter/price_table.h"

#include <xxhash.h>

enum { TABLE_BUDGET = 64 << 20, FIRST_PLACES = 256 };

/* ---- the table ------------------------------------------------------------------- */

struct price_table *price_table_new(void)
{
    struct price_table *table = calloc(1, sizeof *table);

    CHECK(table != NULL);
    arena_pool_init(&table->pool, 0);
    arena_init(&table->arena, &table->pool, TABLE_BUDGET);
    table->places = FIRST_PLACES;
    table->names = calloc(table->places, sizeof *table->names);
    CHECK(table->names != NULL);
    return table;
}

struct price_table *price_table_free(struct price_table *table)
{
    if (table == NULL) {
        return NULL;
    }
    arena_done(&table->arena);
    arena_pool_done(&table->pool);
    free(table->names);
    free(table);
    return NULL;
}

size_t price_table_count(const struct price_table *table)
{
    return table->row_count;
}

static uint64_t name_hash(struct span provider, struct span model)
{
    uint64_t seed = provider.len == 0 ? 0 : XXH3_64bits(provider.at, provider.len);

    return XXH3_64bits_withSeed(model.at, model.len, seed);
}

static void place_name(struct price_table *table, struct price_name name)
{
    size_t at = name.hash & (table->places - 1);

    while (table->names[at].row != NULL) {
        at = (at + 1) & (table->places - 1);
    }
    table->names[at] = name;
}

static void grow(struct price_table *table)
{
    struct price_name *old = table->names;
    size_t count = table->places;

    table->places *= 2;
    table->names = calloc(table->places, sizeof *table->names);
    CHECK(table->names != NULL);
    for (size_t i = 0; i < count; i++) {
        if (old[i].row != NULL) {
            place_name(table, old[i]);
        }
    }
    free(old);
}

static bool is_name(const struct price_name *name, uint64_t hash, struct span provider,
                    struct span model)
{
    return name->hash == hash && span_equal(name->model, model) &&
           span_equal(name->row->provider, provider);
}

const struct price_row *price_table_add(struct price_table *table, struct span model,
                                        const struct price_row *row)
{
    uint64_t hash = name_hash(row->provider, model);
    size_t at = hash & (table->places - 1);

    for (; table->names[at].row != NULL; at = (at + 1) & (table->places - 1)) {
        const struct price_row *other = table->names[at].row;

        if (is_name(&table->names[at], hash, row->provider, model) &&
            row->from_ns < other->until_ns && other->from_ns < row->until_ns) {
            return other;
        }
    }
    if (table->name_count * 2 >= table->places) {
        grow(table);
    }
    place_name(table, (struct price_name){ model, row, hash });
    table->name_count++;
    return NULL;
}

/* ---- finding --------------------------------------------------------------------- */

static const struct price_row *find_named(const struct price_table *table,
                                          struct span provider, struct span model,
                                          uint64_t at_unix_ns)
{
    uint64_t hash = name_hash(provider, model);
    size_t at = hash & (table->places - 1);

    for (; table->names[at].row != NULL; at = (at + 1) & (table->places - 1)) {
        const struct price_row *row = table->names[at].row;

        if (is_name(&table->names[at], hash, provider, model) &&
            row->from_ns <= at_unix_ns && at_unix_ns < row->until_ns) {
            return row;
        }
    }
    return NULL;
}

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9') {
            return false;
        }
    }
    return true;
}

/* Cuts "-2024-08-06", "-20250929" or "@20250929" off the end. */
static bool cut_date(struct span *model)
{
    struct span date;

    if (model->len > 11) {
        date = span_after(*model, model->len - 11);
        if (date.at[0] == '-' && date.at[5] == '-' && date.at[8] == '-' &&
            all_digits(span_of(date.at + 1, 4)) &&
            all_digits(span_of(date.at + 6, 2)) &&
            all_digits(span_of(date.at + 9, 2))) {
            model->len -= date.len;
            return true;
        }
    }
    if (model->len > 9) {
        date = span_after(*model, model->len - 9);
        if ((date.at[0] == '-' || date.at[0] == '@') &&
            all_digits(span_after(date, 1))) {
            model->len -= date.len;
            return true;
        }
    }
    return false;
}

/* The provider's own price of a name wins over a general one, and the whole name over
 * that without its date. */
static const struct price_row *find_model(const struct price_table *table,
                                          const struct price_key *key,
                                          struct span model)
{
    const struct price_row *row;

    do {
        row = find_named(table, key->provider, model, key->at_unix_ns);
        if (row == NULL && key->provider.len > 0) {
            row = find_named(table, SPAN(""), model, key->at_unix_ns);
        }
    } while (row == NULL && cut_date(&model));
    return row;
}

static const struct price_row *find_row(const struct price_table *table,
                                        const struct price_key *key)
{
    const struct price_row *row = find_model(table, key, key->model);

    for (size_t i = 0; row == NULL && i < table->prefix_count; i++) {
        if (span_starts(key->model, table->prefixes[i])) {
            row =
                find_model(table, key, span_after(key->model, table->prefixes[i].len));
        }
    }
    return row;
}

/* Words for the price that is charged when nothing special was agreed. */
static bool is_standard(struct span service_tier)
{
    return service_tier.len == 0 || span_equal(service_tier, SPAN("default")) ||
           span_equal(service_tier, SPAN("standard")) ||
           span_equal(service_tier, SPAN("auto"));
}

static int64_t part(int64_t rate, int64_t percent)
{
    return rate == PRICE_UNSET ? PRICE_UNSET : (rate * percent + 50) / 100;
}

static void take_part(struct price_rates *rates, int64_t percent)
{
#define RATE(name) rates->name = part(rates->name, percent);
    PRICE_RATES(RATE)
#undef RATE
}

static const struct price_row *stand_in_row(const struct price_table *table,
                                            const struct price_key *key)
{
    struct price_key as = *key;

    for (const struct price_stand_in *stand_in = table->stand_ins; stand_in != NULL;
         stand_in = stand_in->next) {
        if (span_equal(stand_in->provider, key->provider)) {
            as.model = stand_in->model;
            return find_row(table, &as);
        }
    }
    return NULL;
}

bool price_table_stand_in(struct price_table *table, struct span provider,
                          struct span model, uint64_t at_unix_ns)
{
    const struct price_key key = { .provider = provider,
                                   .model = model,
                                   .at_unix_ns = at_unix_ns };
    struct price_stand_in *stand_in = arena_take(&table->arena, sizeof *stand_in);

    if (stand_in == NULL || find_row(table, &key) == NULL) {
        return false;
    }
    stand_in->provider = arena_copy(&table->arena, provider);
    stand_in->model = arena_copy(&table->arena, model);
    stand_in->next = table->stand_ins;
    table->stand_ins = stand_in;
    return stand_in->provider.at != NULL && stand_in->model.at != NULL;
}

bool price_find(const struct price_table *table, const struct price_key *key,
                struct price_rates *rates)
{
    const struct price_row *row = find_row(table, key);
    const struct price_long *longer;
    const struct price_tier *tier;

    row = row == NULL ? stand_in_row(table, key) : row;
    if (row == NULL) {
        return false;
    }
    longer = row->longs;
    while (longer != NULL && key->input_tokens <= longer->over) {
        longer = longer->next;
    }
    *rates = longer == NULL ? row->rates : longer->rates;
    if (is_standard(key->service_tier)) {
        return true;
    }
    tier = row->tiers;
    while (tier != NULL && !span_equal(tier->name, key->service_tier)) {
        tier = tier->next;
    }
    if (tier == NULL) {
        return false; /* some price was agreed, but nobody wrote it down */
    }
    if (tier->percent == 0) {
        *rates = tier->rates;
    } else {
        take_part(rates, tier->percent);
    }
    return true;
}

/* ---- cost ------------------------------------------------------------------------ */

/* Wide enough for any count at any rate. */
__extension__ typedef unsigned __int128 pico_dollars;

static int64_t either(int64_t rate, int64_t otherwise)
{
    return rate == PRICE_UNSET ? otherwise : rate;
}

/* Charges up to `count` of the *left tokens of a class at a rate of their own. */
static pico_dollars charge(uint64_t *left, uint64_t count, int64_t rate)
{
    uint64_t tokens = count < *left ? count : *left;

    *left -= tokens;
    return (pico_dollars)tokens * (uint64_t)rate;
}

/* Is the audio charged by its length? */
static bool is_timed(const struct price_rates *rates, const struct usage *usage)
{
    return rates->audio_minute != PRICE_UNSET && usage->audio_ms > 0;
}

static pico_dollars length_cost(const struct price_rates *rates,
                                const struct usage *usage)
{
    const unsigned pico_per_micro = 1000 * 1000, ms_per_minute = 60 * 1000;

    return is_timed(rates, usage)
               ? (pico_dollars)usage->audio_ms * (uint64_t)rates->audio_minute *
                     pico_per_micro / ms_per_minute
               : 0;
}

/* Input that is not text is taken from what is neither read from nor written to a
 * cache: providers do not report the overlap, and cached prompts are text first. */
static pico_dollars input_cost(const struct price_rates *rates,
                               const struct usage *usage)
{
    uint64_t left = usage->tokens[TOKENS_INPUT];
    pico_dollars cost = 0;

    cost +=
        charge(&left, usage->modality[MODALITY_INPUT_AUDIO],
               is_timed(rates, usage) ? 0 : either(rates->input_audio, rates->input));
    cost += charge(&left, usage->modality[MODALITY_INPUT_IMAGE],
                   either(rates->input_image, rates->input));
    cost += charge(&left, usage->modality[MODALITY_INPUT_VIDEO],
                   either(rates->input_video, rates->input));
    return cost + charge(&left, left, rates->input);
}

static pico_dollars cache_cost(const struct price_rates *rates,
                               const struct usage *usage)
{
    uint64_t read = usage->tokens[TOKENS_CACHE_READ];
    uint64_t left = usage->tokens[TOKENS_CACHE_WRITE];
    int64_t write = either(rates->cache_write, rates->input);
    pico_dollars cost = charge(&read, read, either(rates->cache_read, rates->input));

    cost += charge(&left, usage->cache_write[LIFETIME_12H],
                   either(rates->cache_write_12h, write));
    cost += charge(&left, usage->cache_write[LIFETIME_1H],
                   either(rates->cache_write_1h, write));
    cost += charge(&left, usage->cache_write[LIFETIME_30M],
                   either(rates->cache_write_30m, write));
    return cost + charge(&left, left, write);
}

static pico_dollars output_cost(const struct price_rates *rates,
                                const struct usage *usage)
{
    uint64_t hidden = usage->tokens[TOKENS_REASONING];
    uint64_t left = usage->tokens[TOKENS_OUTPUT];
    pico_dollars cost =
        charge(&hidden, hidden, either(rates->reasoning, rates->output));

    cost += charge(&left, usage->modality[MODALITY_OUTPUT_AUDIO],
                   either(rates->output_audio, rates->output));
    cost += charge(&left, usage->modality[MODALITY_OUTPUT_IMAGE],
                   either(rates->output_image, rates->output));
    return cost + charge(&left, left, rates->output);
}

static bool has_token_rates(const struct price_rates *rates)
{
    return rates->input != PRICE_UNSET && rates->output != PRICE_UNSET;
}

bool price_covers(const struct price_rates *rates, const struct usage *usage)
{
    if (!has_token_rates(rates)) {
        return is_timed(rates, usage);
    }
    return usage->known_tokens != 0 || usage->audio_ms == 0 || is_timed(rates, usage);
}

static pico_dollars token_cost(const struct price_rates *rates,
                               const struct usage *usage)
{
    uint64_t input = usage->billed_input, output = usage->billed_output;

    if (!has_token_rates(rates)) {
        return 0;
    }
    if (input > 0 || output > 0) {
        return charge(&input, input, rates->input) +
               charge(&output, output, rates->output);
    }
    return input_cost(rates, usage) + cache_cost(rates, usage) +
           output_cost(rates, usage);
}

int64_t price_cost(const struct price_rates *rates, const struct usage *usage)
{
    pico_dollars cost = token_cost(rates, usage) + length_cost(rates, usage);
    pico_dollars nano = (cost + 500) / 1000;

    return nano > INT64_MAX ? INT64_MAX : (int64_t)nano;
}

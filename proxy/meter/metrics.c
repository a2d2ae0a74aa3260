#include "proxy/meter/metrics.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include "proxy/meter/metrics_shard.h"

#include <xxhash.h>

/* Bounds as in OpenTelemetry's semantic conventions for generative AI. */
static const uint64_t token_bounds[] = {
    1,     4,     16,     64,      256,     1024,     4096,
    16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
};

static const uint64_t duration_bounds_us[] = {
    10000,   20000,   40000,   80000,    160000,   320000,   640000,
    1280000, 2560000, 5120000, 10240000, 20480000, 40960000, 81920000,
};

static const uint64_t first_bounds_us[] = {
    1000,   5000,   10000,  20000,   40000,   60000,   80000,   100000,
    250000, 500000, 750000, 1000000, 2500000, 5000000, 7500000, 10000000,
};

static const uint64_t overhead_bounds_us[] = {
    10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 1000000,
};

#define INIT(histogram, bounds)                                                        \
    histogram_init(histogram, bounds, sizeof(bounds) / sizeof(bounds)[0])

/* The only writer needs no locked instruction. */
static void add(atomic_uint_least64_t *counter, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

static void add_signed(atomic_int_least64_t *counter, int64_t amount)
{
    int64_t value = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, value + amount, memory_order_relaxed);
}

/* ---- rows ------------------------------------------------------------------------ */

static struct metrics_row *new_row(struct metrics_shard *shard,
                                   const struct metrics_labels *labels, uint64_t hash)
{
    uint32_t number = atomic_load_explicit(&shard->row_count, memory_order_relaxed);
    struct metrics_row *row;

    if (number % METRICS_CHUNK == 0) {
        row = calloc(METRICS_CHUNK, sizeof *row);
        if (row == NULL) {
            return NULL;
        }
        shard->chunks[number / METRICS_CHUNK] = row;
    }
    row = metrics_row(shard, number);
    row->labels = *labels;
    row->hash = hash;
    INIT(&row->input, token_bounds);
    INIT(&row->output, token_bounds);
    INIT(&row->duration, duration_bounds_us);
    INIT(&row->first, first_bounds_us);
    atomic_store_explicit(&shard->row_count, number + 1, memory_order_release);
    return row;
}

struct metrics_shard *metrics_shard_new(size_t series_limit)
{
    static const struct metrics_labels other = {
        "_other", "_other", "_other",      "_other",      "_other",
        "_other", 0,        METRICS_OTHER, METRICS_OTHER, METRICS_OTHER,
    };
    struct metrics_shard *shard = aligned_alloc(64, sizeof *shard);
    size_t places = 16;

    CHECK(series_limit > 0 && series_limit <= 1 << 20);
    if (shard == NULL) {
        return NULL;
    }
    while (places < 2 * series_limit) {
        places *= 2;
    }
    memset(shard, 0, sizeof *shard);
    shard->limit = (uint32_t)series_limit;
    shard->mask = (uint32_t)places - 1;
    shard->index = calloc(places, sizeof *shard->index);
    shard->models = calloc(places, sizeof *shard->models);
    shard->chunks =
        calloc(series_limit / METRICS_CHUNK + 1, sizeof(struct metrics_row *));
    INIT(&shard->overhead, overhead_bounds_us);
    if (shard->index == NULL || shard->models == NULL || shard->chunks == NULL ||
        new_row(shard, &other, 0) == NULL) {
        return metrics_shard_free(shard);
    }
    CHECK(getrandom(&shard->seed, sizeof shard->seed, 0) == sizeof shard->seed);
    return shard;
}

struct metrics_shard *metrics_shard_free(struct metrics_shard *shard)
{
    if (shard == NULL) {
        return NULL;
    }
    for (size_t i = 0; shard->chunks != NULL && i <= shard->limit / METRICS_CHUNK;
         i++) {
        free(shard->chunks[i]);
    }
    free(shard->chunks);
    free(shard->models);
    free(shard->index);
    free(shard);
    return NULL;
}

/* ---- labels ---------------------------------------------------------------------- */

enum {
    CALLED = offsetof(struct entry, provider),
    CALLED_END = offsetof(struct entry, response_model) +
                 sizeof(((struct entry *)NULL)->response_model),
    LABELS_CALLED = offsetof(struct metrics_labels, provider),
    LABELS_CALLED_END = offsetof(struct metrics_labels, status_class)
};
static_assert(CALLED_END - CALLED == LABELS_CALLED_END - LABELS_CALLED,
              "the labels of an entry lie side by side, as in struct metrics_labels");

static void labels_of(struct metrics_labels *labels, const struct entry *entry)
{
    memcpy(labels->team, entry->team, sizeof labels->team);
    memcpy((char *)labels + LABELS_CALLED, (const char *)entry + CALLED,
           CALLED_END - CALLED);
    labels->status_class = (uint8_t)(entry->status < 1000 ? entry->status / 100 : 0);
    labels->outcome = entry->outcome;
    labels->source = entry->usage.source;
    labels->grade = entry->grade;
}

static uint64_t labels_hash(const struct metrics_shard *shard,
                            const struct metrics_labels *labels)
{
    return XXH3_64bits_withSeed(labels, sizeof *labels, shard->seed);
}

/* The row of these labels, or NULL and in *place where it belongs in the index. */
static struct metrics_row *find_row(struct metrics_shard *shard,
                                    const struct metrics_labels *labels, uint64_t hash,
                                    uint32_t *place)
{
    uint32_t at = (uint32_t)hash & shard->mask;

    for (; shard->index[at] != 0; at = (at + 1) & shard->mask) {
        struct metrics_row *row = metrics_row(shard, shard->index[at]);

        if (row->hash == hash && memcmp(&row->labels, labels, sizeof *labels) == 0) {
            return row;
        }
    }
    *place = at;
    return NULL;
}

/* Where a model's name stands in models[], or would stand. */
static uint32_t model_place(const struct metrics_shard *shard, const char *model,
                            uint64_t *hash)
{
    uint32_t at;

    *hash = XXH3_64bits_withSeed(model, strlen(model), shard->seed) | 1;
    at = (uint32_t)*hash & shard->mask;
    while (shard->models[at] != 0 && shard->models[at] != *hash) {
        at = (at + 1) & shard->mask;
    }
    return at;
}

static void rename_to_other(char *name, size_t size)
{
    if (name[0] != '\0') {
        memset(name, 0, size);
        memcpy(name, "_other", sizeof "_other");
    }
}

/* The name of a model becomes a label once a call to it was served: names that clients
 * make up are refused by every provider, and so never use up the limit. */
static void check_model(struct metrics_shard *shard, struct metrics_labels *labels)
{
    uint64_t hash;

    if (labels->status_class != 2 &&
        shard->models[model_place(shard, labels->request_model, &hash)] != hash) {
        rename_to_other(labels->request_model, sizeof labels->request_model);
        rename_to_other(labels->response_model, sizeof labels->response_model);
    }
}

static void remember_model(struct metrics_shard *shard,
                           const struct metrics_labels *labels)
{
    uint64_t hash;
    uint32_t place = model_place(shard, labels->request_model, &hash);

    if (labels->status_class == 2) {
        shard->models[place] = hash;
    }
}

/* Labels that were not seen before. Row 0 takes what exceeds the limit. */
static struct metrics_row *add_row(struct metrics_shard *shard,
                                   struct metrics_labels *labels)
{
    uint32_t number = atomic_load_explicit(&shard->row_count, memory_order_relaxed);
    struct metrics_row *row;
    uint32_t place = 0;
    uint64_t hash;

    check_model(shard, labels);
    hash = labels_hash(shard, labels);
    row = find_row(shard, labels, hash, &place);
    if (row != NULL) {
        return row;
    }
    row = number > shard->limit ? NULL : new_row(shard, labels, hash);
    if (row == NULL) {
        add(&shard->overflow, 1);
        return metrics_row(shard, 0);
    }
    shard->index[place] = number;
    remember_model(shard, labels);
    return row;
}

static struct metrics_row *row_of(struct metrics_shard *shard,
                                  struct metrics_labels *labels)
{
    struct metrics_row *row;
    uint32_t place = 0;

    row = find_row(shard, labels, labels_hash(shard, labels), &place);
    return row != NULL ? row : add_row(shard, labels);
}

/* ---- counting -------------------------------------------------------------------- */

static void count_sizes(struct metrics_row *row, const struct entry *entry)
{
    const unsigned input =
        1U << TOKENS_INPUT | 1U << TOKENS_CACHE_READ | 1U << TOKENS_CACHE_WRITE;
    const unsigned output = 1U << TOKENS_OUTPUT | 1U << TOKENS_REASONING;

    if ((entry->usage.known_tokens & input) != 0) {
        histogram_count(&row->input, entry_input(entry));
    }
    if ((entry->usage.known_tokens & output) != 0) {
        histogram_count(&row->output, entry_output(entry));
    }
}

static void count_usage(struct metrics_row *row, const struct usage *usage,
                        const int64_t *cost, bool free)
{
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        add(&row->tokens[of], usage->tokens[of]);
    }
    if (cost != NULL) {
        add(&row->cost_nanousd, (uint64_t)*cost);
    } else if (!free) {
        add(&row->unpriced_tokens, usage_total(usage));
    }
}

/* Each under its own model. */
static void count_lines(struct metrics_shard *shard, const struct entry *entry)
{
    for (uint8_t i = 0; i < entry->line_count; i++) {
        const struct line *line = &entry->lines[i];
        struct metrics_labels labels;

        labels_of(&labels, entry);
        memset(labels.response_model, 0, sizeof labels.response_model);
        text_store(labels.response_model, sizeof labels.response_model,
                   line->model[0] == '\0' ? SPAN("_unknown") : span_text(line->model));
        count_usage(row_of(shard, &labels), &line->usage,
                    line->priced ? &line->cost_nanousd : NULL, entry->free);
    }
}

/* What the call's own model is billed for, and the lines. */
static void count_tokens(struct metrics_shard *shard, struct metrics_row *row,
                         const struct entry *entry)
{
    const int64_t *cost = entry->priced ? &entry->cost_nanousd : NULL;

    if (entry->line_count == 0) {
        count_usage(row, &entry->usage, cost, entry->free);
    } else {
        struct usage own = entry_own_usage(entry);

        count_usage(row, &own, cost, entry->free);
        count_lines(shard, entry);
    }
}

void metrics_count(struct metrics_shard *shard, const struct entry *entry)
{
    struct metrics_labels labels;
    struct metrics_row *row;

    CHECK(entry->fault < FAULT_COUNT);
    labels_of(&labels, entry);
    row = row_of(shard, &labels);
    add(&row->requests, 1);
    add(&shard->faults[entry->fault], 1);
    if (entry->overhead_us > 0) {
        histogram_count(&shard->overhead, entry->overhead_us);
    }
    if (entry->outcome == OUTCOME_REFUSED) {
        return;
    }
    histogram_count(&row->duration, entry->duration_us);
    if (entry->stream && entry->ttft_us > 0) {
        histogram_count(&row->first, entry->ttft_us);
    }
    if (entry->usage.known_tokens == 0 && entry->line_count == 0) {
        return;
    }
    count_sizes(row, entry);
    if (entry->local_output > 0) {
        add(&row->reported, entry->usage.tokens[TOKENS_OUTPUT]);
        add(&row->counted, entry->local_output);
    }
    count_tokens(shard, row, entry);
}

void metrics_in_flight(struct metrics_shard *shard, unsigned state, int change)
{
    CHECK(state < METRICS_STATES_MAX);
    add_signed(&shard->in_flight[state], change);
}

void metrics_add(struct metrics_shard *shard, enum metric metric, int64_t amount)
{
    CHECK((unsigned)metric < METRIC_COUNT);
    add_signed(&shard->plain[metric], amount);
}

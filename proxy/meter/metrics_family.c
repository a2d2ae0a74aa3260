/* The families of metrics that are sums over rows. */
#include <inttypes.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include "proxy/base/check.h"
#include "proxy/meter/metrics_text.h"

#include <xxhash.h>

/* Room for all labels of a series, each character escaped. */
enum { LABELS_SIZE = 1536 };

/* ---- sums ------------------------------------------------------------------------ */

/* What all rows with the same labels in a family come to. */
struct series {
    char *labels;
    size_t labels_len;
    uint64_t value, divisor;
    const struct histogram *shape; /* of a histogram: one with its bounds */
    struct histogram_copy histogram;
};

struct sums {
    struct series *series;
    size_t count, room;
    uint32_t *index; /* open addressing: number in series[], from 1; 0: empty */
    size_t mask;
};

/* Room for one series per row and variant, the most there can be. */
static void sums_init(struct sums *sums, size_t most)
{
    size_t places = 64;

    while (places < 2 * most) {
        places *= 2;
    }
    *sums = (struct sums){ .room = 64, .mask = places - 1 };
    sums->series = calloc(sums->room, sizeof *sums->series);
    sums->index = calloc(places, sizeof *sums->index);
    CHECK(sums->series != NULL && sums->index != NULL);
}

static void sums_done(struct sums *sums)
{
    for (size_t i = 0; i < sums->count; i++) {
        free(sums->series[i].labels);
    }
    free(sums->series);
    free(sums->index);
}

static struct series *sums_new(struct sums *sums, struct span labels)
{
    struct series *series;

    if (sums->count == sums->room) {
        sums->room *= 2;
        sums->series = reallocarray(sums->series, sums->room, sizeof *sums->series);
        CHECK(sums->series != NULL);
    }
    series = &sums->series[sums->count++];
    *series =
        (struct series){ .labels = malloc(labels.len + 1), .labels_len = labels.len };
    CHECK(series->labels != NULL);
    memcpy(series->labels, labels.at, labels.len);
    return series;
}

static struct series *sums_at(struct sums *sums, struct span labels)
{
    size_t at = XXH3_64bits(labels.at, labels.len) & sums->mask;

    for (; sums->index[at] != 0; at = (at + 1) & sums->mask) {
        struct series *series = &sums->series[sums->index[at] - 1];

        if (span_equal(span_of(series->labels, series->labels_len), labels)) {
            return series;
        }
    }
    sums->index[at] = (uint32_t)sums->count + 1;
    return sums_new(sums, labels);
}

/* ---- families -------------------------------------------------------------------- */

/* A family of metrics over the rows. A row has one series per variant of the family (a
 * token class, say), or none where `labels` adds none. */
struct family {
    const char *name, *type, *help;
    unsigned variants;
    /* Writes the labels of a variant; false if the row has no part in it. */
    bool (*labels)(const struct metrics_row *row, unsigned variant,
                   struct text *labels);
    /* One of the two. */
    const atomic_uint_least64_t *(*value)(const struct metrics_row *row,
                                          unsigned variant);
    const struct histogram *(*histogram)(const struct metrics_row *row,
                                         unsigned variant);
    bool seconds; /* the histogram counts microseconds, and shows seconds */
    /* What the value is divided by, where it is a ratio; else NULL. */
    const atomic_uint_least64_t *(*divisor)(const struct metrics_row *row);
};

static const char *status_name(const struct metrics_labels *labels)
{
    static const char *const names[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };

    return labels->status_class < sizeof names / sizeof names[0]
               ? names[labels->status_class]
               : "other";
}

static const char *outcome_label(const struct metrics_labels *labels)
{
    return labels->outcome < OUTCOMES ? outcome_name(labels->outcome) : "_other";
}

static const char *source_label(const struct metrics_labels *labels)
{
    return labels->source < USAGE_SOURCES ? usage_source_name(labels->source)
                                          : "_other";
}

/* The model that is paid for. */
static const char *model_label(const struct metrics_labels *labels)
{
    return labels->response_model[0] != '\0' ? labels->response_model
                                             : labels->request_model;
}

static void put_payer(const struct metrics_labels *labels, struct text *text)
{
    metrics_put_label(text, "team", labels->team);
    metrics_put_label(text, "provider", labels->provider);
    metrics_put_label(text, "model", model_label(labels));
}

static bool request_labels(const struct metrics_row *row, unsigned variant,
                           struct text *text)
{
    const struct metrics_labels *labels = &row->labels;

    (void)variant;
    metrics_put_label(text, "team", labels->team);
    metrics_put_label(text, "provider", labels->provider);
    metrics_put_label(text, "dialect", labels->dialect);
    metrics_put_label(text, "model", model_label(labels));
    metrics_put_label(text, "status", status_name(labels));
    metrics_put_label(text, "outcome", outcome_label(labels));
    metrics_put_label(text, "usage_source", source_label(labels));
    return true;
}

static bool token_labels(const struct metrics_row *row, unsigned variant,
                         struct text *text)
{
    put_payer(&row->labels, text);
    metrics_put_label(text, "class", token_class_name(variant));
    metrics_put_label(text, "grade",
                      row->labels.grade == METRICS_OTHER
                          ? "_other"
                          : grade_name(row->labels.grade));
    return true;
}

static bool cost_labels(const struct metrics_row *row, unsigned variant,
                        struct text *text)
{
    (void)variant;
    put_payer(&row->labels, text);
    return true;
}

static bool called_labels(const struct metrics_row *row, unsigned variant,
                          struct text *text)
{
    (void)variant;
    metrics_put_label(text, "provider", row->labels.provider);
    metrics_put_label(text, "model", model_label(&row->labels));
    return true;
}

/* OpenTelemetry's attributes. Calls that are no operation on a model have no part. */
static bool operation_labels(const struct metrics_row *row, unsigned variant,
                             struct text *text)
{
    (void)variant;
    metrics_put_label(text, "gen_ai_operation_name", row->labels.operation);
    metrics_put_label(text, "gen_ai_provider_name", row->labels.provider);
    metrics_put_label(text, "gen_ai_request_model", row->labels.request_model);
    metrics_put_label(text, "gen_ai_response_model", row->labels.response_model);
    return row->labels.operation[0] != '\0';
}

static bool token_type_labels(const struct metrics_row *row, unsigned variant,
                              struct text *text)
{
    bool part = operation_labels(row, variant, text);

    metrics_put_label(text, "gen_ai_token_type", variant == 0 ? "input" : "output");
    return part;
}

static bool duration_labels(const struct metrics_row *row, unsigned variant,
                            struct text *text)
{
    const struct metrics_labels *labels = &row->labels;
    bool part = operation_labels(row, variant, text);

    if (labels->outcome != OUTCOME_COMPLETE) {
        metrics_put_label(text, "error_type", outcome_label(labels));
    } else if (labels->status_class >= 4) {
        metrics_put_label(text, "error_type", status_name(labels));
    }
    return part;
}

static const atomic_uint_least64_t *requests(const struct metrics_row *row,
                                             unsigned variant)
{
    (void)variant;
    return &row->requests;
}

static const atomic_uint_least64_t *tokens(const struct metrics_row *row,
                                           unsigned variant)
{
    return &row->tokens[variant];
}

static const atomic_uint_least64_t *cost(const struct metrics_row *row,
                                         unsigned variant)
{
    (void)variant;
    return &row->cost_nanousd;
}

static const atomic_uint_least64_t *unpriced(const struct metrics_row *row,
                                             unsigned variant)
{
    (void)variant;
    return &row->unpriced_tokens;
}

static const atomic_uint_least64_t *reported(const struct metrics_row *row,
                                             unsigned variant)
{
    (void)variant;
    return &row->reported;
}

static const atomic_uint_least64_t *counted(const struct metrics_row *row)
{
    return &row->counted;
}

static const struct histogram *token_usage(const struct metrics_row *row,
                                           unsigned variant)
{
    return variant == 0 ? &row->input : &row->output;
}

static const struct histogram *duration(const struct metrics_row *row, unsigned variant)
{
    (void)variant;
    return &row->duration;
}

static const struct histogram *first(const struct metrics_row *row, unsigned variant)
{
    (void)variant;
    return &row->first;
}

static const struct family families[] = {
    { "assay_requests_total", "counter", "Exchanges, refused ones included.", 1,
      request_labels, requests, NULL, false, NULL },
    { "assay_tokens_total", "counter", "Tokens by class; classes are disjoint.",
      TOKEN_CLASSES, token_labels, tokens, NULL, false, NULL },
    { "assay_cost_nanousd_total", "counter",
      "Cost of priced calls in nano-dollars (10^-9 USD).", 1, cost_labels, cost, NULL,
      false, NULL },
    { "assay_unpriced_tokens_total", "counter", "Tokens of models that have no price.",
      1, called_labels, unpriced, NULL, false, NULL },
    { "assay_count_drift_ratio", "gauge",
      "Output tokens that providers reported, by those counted here of the same text.",
      1, called_labels, reported, NULL, false, counted },
    { "gen_ai_client_token_usage", "histogram",
      "Tokens of a call where they are known, cached ones included.", 2,
      token_type_labels, NULL, token_usage, false, NULL },
    { "gen_ai_client_operation_duration", "histogram", "Duration of calls in seconds.",
      1, duration_labels, NULL, duration, true, NULL },
    { "gen_ai_client_operation_time_to_first_chunk", "histogram",
      "Time to the first event of a stream in seconds.", 1, operation_labels, NULL,
      first, true, NULL },
    { "gen_ai_server_time_to_first_token", "histogram",
      "Time to the first event of a stream in seconds, as seen by assay.", 1,
      operation_labels, NULL, first, true, NULL },
};

static void add_row(const struct family *family, const struct metrics_row *row,
                    unsigned variant, struct sums *sums)
{
    struct histogram_copy copy = { 0 };
    char memory[LABELS_SIZE];
    struct text labels = text_over(memory, sizeof memory);
    struct series *series;
    uint64_t value = 0;

    if (family->value != NULL) {
        value = atomic_load_explicit(family->value(row, variant), memory_order_relaxed);
    } else {
        histogram_read(family->histogram(row, variant), &copy);
    }
    if ((value == 0 && copy.count == 0) || !family->labels(row, variant, &labels)) {
        return;
    }
    series = sums_at(sums, text_span(&labels));
    series->value += value;
    if (family->divisor != NULL) {
        series->divisor +=
            atomic_load_explicit(family->divisor(row), memory_order_relaxed);
    }
    if (family->histogram != NULL) {
        series->shape = family->histogram(row, variant);
        histogram_read(series->shape, &series->histogram);
    }
}

/* With three decimals. */
static void put_ratio(struct text *text, uint64_t value, uint64_t divisor)
{
    uint64_t per_mille = divisor == 0 || value > UINT64_MAX / 1000
                             ? 0
                             : (value * 1000 + divisor / 2) / divisor;

    text_printf(text, "%" PRIu64 ".%03u", per_mille / 1000,
                (unsigned)(per_mille % 1000));
}

static void put_series(struct metrics_writer *out, const struct family *family,
                       const struct series *series)
{
    struct span labels = span_of(series->labels, series->labels_len);
    struct text *text;

    if (family->histogram != NULL) {
        metrics_put_histogram(out, family->name, labels, series->shape,
                              &series->histogram, family->seconds);
        return;
    }
    text = metrics_line(out);
    metrics_put_name(text, family->name, "", labels);
    if (family->divisor == NULL) {
        text_put_u64(text, series->value);
    } else {
        put_ratio(text, series->value, series->divisor);
    }
    text_put_char(text, '\n');
}

static void put_family(struct metrics_writer *out, const struct family *family,
                       struct metrics_shard *const *shards, size_t count)
{
    struct sums sums;
    size_t rows = 0;

    for (size_t i = 0; i < count; i++) {
        rows += shards[i]->limit + 1;
    }
    sums_init(&sums, rows * family->variants);
    for (size_t i = 0; i < count; i++) {
        uint32_t end =
            atomic_load_explicit(&shards[i]->row_count, memory_order_acquire);

        for (uint32_t k = 0; k < end; k++) {
            for (unsigned variant = 0; variant < family->variants; variant++) {
                add_row(family, metrics_row(shards[i], k), variant, &sums);
            }
        }
    }
    metrics_put_head(out, family->name, family->type, family->help);
    for (size_t i = 0; i < sums.count; i++) {
        put_series(out, family, &sums.series[i]);
    }
    sums_done(&sums);
}

void metrics_put_families(struct metrics_writer *out,
                          struct metrics_shard *const *shards, size_t count)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        put_family(out, &families[i], shards, count);
    }
}

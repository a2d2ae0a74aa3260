#include "proxy/meter/metrics_text.h"

static void flush(struct metrics_writer *out)
{
    if (out->text.len > 0) {
        out->write(out->self, text_span(&out->text));
        out->text.len = 0;
    }
}

struct text *metrics_line(struct metrics_writer *out)
{
    if (out->text.cap - out->text.len < METRICS_LINE) {
        flush(out);
    }
    return &out->text;
}

void metrics_put_head(struct metrics_writer *out, const char *name, const char *type,
                      const char *help)
{
    text_printf(metrics_line(out), "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                type);
}

/* ---- labels ---------------------------------------------------------------------- */

/* The length of the UTF-8 character that `s` begins with; 0 if it does
 * not (RFC 3629). */
static size_t character(struct span s)
{
    const unsigned char *b = (const unsigned char *)s.at;
    size_t len = b[0] < 0x80   ? 1
                 : b[0] < 0xc2 ? 0
                 : b[0] < 0xe0 ? 2
                 : b[0] < 0xf0 ? 3
                               : 4;

    if (len == 0 || b[0] > 0xf4 || len > s.len || (b[0] == 0xe0 && b[1] < 0xa0) ||
        (b[0] == 0xed && b[1] > 0x9f) || (b[0] == 0xf0 && b[1] < 0x90) ||
        (b[0] == 0xf4 && b[1] > 0x8f)) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Adds name="value". Bytes that would break a line or are not UTF-8 become "?"; a label
 * without a value is left out, which means the same to Prometheus. */
void metrics_put_label(struct text *labels, const char *name, const char *value)
{
    struct span rest = span_text(value);

    if (rest.len == 0) {
        return;
    }
    text_put(labels, labels->len == 0 ? SPAN("") : SPAN(","));
    text_put(labels, span_text(name));
    text_put(labels, SPAN("=\""));
    while (rest.len > 0) {
        size_t len = character(rest);

        if (len == 0 || (len == 1 && (rest.at[0] < ' ' || rest.at[0] == 0x7f))) {
            text_put_char(labels, '?');
        } else {
            text_put(labels,
                     rest.at[0] == '"' || rest.at[0] == '\\' ? SPAN("\\") : SPAN(""));
            text_put(labels, span_of(rest.at, len));
        }
        rest = span_after(rest, len == 0 ? 1 : len);
    }
    text_put_char(labels, '"');
}

/* ---- numbers --------------------------------------------------------------------- */

static void put_seconds(struct text *text, uint64_t us)
{
    unsigned fraction = (unsigned)(us % 1000000);
    int places = 6;

    text_put_u64(text, us / 1000000);
    if (fraction == 0) {
        return;
    }
    while (fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    text_printf(text, ".%0*u", places, fraction);
}

static void put_amount(struct text *text, uint64_t amount, bool seconds)
{
    if (seconds) {
        put_seconds(text, amount);
    } else {
        text_put_u64(text, amount);
    }
}

void metrics_put_name(struct text *text, const char *name, const char *suffix,
                      struct span labels)
{
    text_put(text, span_text(name));
    text_put(text, span_text(suffix));
    if (labels.len > 0) {
        text_put_char(text, '{');
        text_put(text, labels);
        text_put_char(text, '}');
    }
    text_put_char(text, ' ');
}

void metrics_put_histogram(struct metrics_writer *out, const char *name,
                           struct span labels, const struct histogram *shape,
                           const struct histogram_copy *copy, bool seconds)
{
    uint64_t below = 0;
    struct text *text;

    for (size_t i = 0; i <= shape->bound_count; i++) {
        text = metrics_line(out);
        below += copy->buckets[i];
        text_put(text, span_text(name));
        text_put(text, SPAN("_bucket{"));
        text_put(text, labels);
        text_put(text, labels.len == 0 ? SPAN("le=\"") : SPAN(",le=\""));
        if (i < shape->bound_count) {
            put_amount(text, shape->bounds[i], seconds);
        } else {
            text_put(text, SPAN("+Inf"));
        }
        text_put(text, SPAN("\"} "));
        text_put_u64(text, below);
        text_put_char(text, '\n');
    }
    text = metrics_line(out);
    metrics_put_name(text, name, "_sum", labels);
    put_amount(text, copy->sum, seconds);
    text_put_char(text, '\n');
    text = metrics_line(out);
    metrics_put_name(text, name, "_count", labels);
    text_put_u64(text, below);
    text_put_char(text, '\n');
}

/* ---- what has no rows ------------------------------------------------------------ */

static void put_plain(struct metrics_writer *out, struct metrics_shard *const *shards,
                      size_t count)
{
    enum { COUNTER, GAUGE };
    static const char *const types[] = { "counter", "gauge" };
    static const struct {
        const char *name, *help;
        int type;
    } metrics[] = {
#define METRIC(identifier, name, type, help) { name, help, type },
#include "proxy/meter/metrics.def"
#undef METRIC
    };

    for (size_t i = 0; i < METRIC_COUNT; i++) {
        int64_t sum = 0;

        for (size_t k = 0; k < count; k++) {
            sum += atomic_load_explicit(&shards[k]->plain[i], memory_order_relaxed);
        }
        metrics_put_head(out, metrics[i].name, types[metrics[i].type], metrics[i].help);
        text_printf(metrics_line(out), "%s %lld\n", metrics[i].name, (long long)sum);
    }
}

static void put_in_flight(struct metrics_writer *out,
                          struct metrics_shard *const *shards, size_t count,
                          const char *const *state_names)
{
    const char *name = "assay_exchanges_in_flight";

    metrics_put_head(out, name, "gauge", "Exchanges now in each state.");
    for (size_t i = 0; i < METRICS_STATES_MAX && state_names[i] != NULL; i++) {
        int64_t sum = 0;

        for (size_t k = 0; k < count; k++) {
            sum += atomic_load_explicit(&shards[k]->in_flight[i], memory_order_relaxed);
        }
        text_printf(metrics_line(out), "%s{state=\"%s\"} %lld\n", name, state_names[i],
                    (long long)sum);
    }
}

static void put_faults(struct metrics_writer *out, struct metrics_shard *const *shards,
                       size_t count)
{
    const char *name = "assay_faults_total";

    metrics_put_head(out, name, "counter", "Exchanges that failed, by fault.");
    for (enum fault fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        uint64_t sum = 0;

        for (size_t k = 0; k < count; k++) {
            sum +=
                atomic_load_explicit(&shards[k]->faults[fault], memory_order_relaxed);
        }
        text_printf(metrics_line(out), "%s{fault=\"%s\"} %llu\n", name,
                    fault_row(fault)->name, (unsigned long long)sum);
    }
}

static void put_overhead(struct metrics_writer *out,
                         struct metrics_shard *const *shards, size_t count)
{
    const char *name = "assay_overhead_seconds";
    struct histogram_copy copy = { 0 };

    for (size_t i = 0; i < count; i++) {
        histogram_read(&shards[i]->overhead, &copy);
    }
    metrics_put_head(out, name, "histogram",
                     "Time that assay itself held request heads.");
    metrics_put_histogram(out, name, SPAN(""), &shards[0]->overhead, &copy, true);
}

static void put_overflow(struct metrics_writer *out,
                         struct metrics_shard *const *shards, size_t count)
{
    const char *name = "assay_series_overflow_total";
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += atomic_load_explicit(&shards[i]->overflow, memory_order_relaxed);
    }
    metrics_put_head(out, name, "counter",
                     "Exchanges counted under _other for want of series.");
    text_printf(metrics_line(out), "%s %llu\n", name, (unsigned long long)sum);
}

void metrics_write(struct metrics_shard *const *shards, size_t count,
                   const char *const *state_names,
                   void (*write)(void *self, struct span piece), void *self)
{
    struct metrics_writer out;

    CHECK(count > 0);
    out.write = write;
    out.self = self;
    out.text = text_over(out.memory, sizeof out.memory);
    put_plain(&out, shards, count);
    put_in_flight(&out, shards, count, state_names);
    put_faults(&out, shards, count);
    put_overhead(&out, shards, count);
    put_overflow(&out, shards, count);
    metrics_put_families(&out, shards, count);
    flush(&out);
}

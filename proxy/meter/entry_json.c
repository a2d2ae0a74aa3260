/* An entry as one line of JSON. */
#include "proxy/base/clock.h"
#include "proxy/base/date.h"
#include "proxy/base/fault.h"
#include "proxy/meter/entry.h"

/* A number with leading zeros, at most 4 digits wide. */
static void put_digits(struct text *out, uint64_t value, unsigned width)
{
    char decimal[4];

    for (unsigned i = width; i > 0; i--) {
        decimal[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    text_put(out, span_of(decimal, width));
}

static void put_date(struct text *out, uint64_t days)
{
    struct date date = date_of_days((int64_t)days);

    put_digits(out, (uint64_t)date.year, 4);
    text_put_char(out, '-');
    put_digits(out, date.month, 2);
    text_put_char(out, '-');
    put_digits(out, date.day, 2);
}

static void put_time(struct text *out, uint64_t unix_ns)
{
    uint64_t ms = unix_ns / NS_PER_MS;
    uint64_t s = ms / 1000 % 86400;

    put_date(out, ms / 86400000);
    text_put_char(out, 'T');
    put_digits(out, s / 3600, 2);
    text_put_char(out, ':');
    put_digits(out, s / 60 % 60, 2);
    text_put_char(out, ':');
    put_digits(out, s % 60, 2);
    text_put_char(out, '.');
    put_digits(out, ms % 1000, 3);
    text_put_char(out, 'Z');
}

/* Microseconds as milliseconds with as many decimals as it takes. */
static void put_ms(struct text *out, uint64_t us)
{
    uint64_t fraction = us % 1000;
    unsigned places = 3;

    text_put_u64(out, us / 1000);
    if (fraction == 0) {
        return;
    }
    while (fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    text_put_char(out, '.');
    put_digits(out, fraction, places);
}

static void put_name(struct text *out, const char *name)
{
    text_put(out, SPAN(",\""));
    text_put(out, span_text(name));
    text_put(out, SPAN("\":"));
}

static void put_string(struct text *out, const char *name, const char *value)
{
    put_name(out, name);
    if (value[0] == '\0') {
        text_put(out, SPAN("null"));
    } else {
        text_put_json(out, span_text(value));
    }
}

static void put_bool(struct text *out, const char *name, bool value)
{
    put_name(out, name);
    text_put(out, value ? SPAN("true") : SPAN("false"));
}

static void put_number(struct text *out, const char *name, uint64_t value)
{
    put_name(out, name);
    text_put_u64(out, value);
}

/* A number whose 0 means that there was none. */
static void put_number_or_null(struct text *out, const char *name, uint64_t value)
{
    put_name(out, name);
    if (value == 0) {
        text_put(out, SPAN("null"));
    } else {
        text_put_u64(out, value);
    }
}

static void put_ms_or_null(struct text *out, const char *name, uint64_t us)
{
    put_name(out, name);
    if (us == 0) {
        text_put(out, SPAN("null"));
    } else {
        put_ms(out, us);
    }
}

static void put_tokens(struct text *out, const struct usage *usage)
{
    text_put(out, SPAN(",\"tokens\":{"));
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        text_put(out, of == 0 ? SPAN("\"") : SPAN(",\""));
        text_put(out, span_text(token_class_name(of)));
        text_put(out, SPAN("\":"));
        if (usage_knows(usage, of)) {
            text_put_u64(out, usage->tokens[of]);
        } else {
            text_put(out, SPAN("null"));
        }
    }
    for (enum cache_lifetime life = 0; life < CACHE_LIFETIMES; life++) {
        if ((usage->known_lifetimes >> life & 1) != 0) {
            text_put(out, SPAN(",\"cache_write_"));
            text_put(out, span_text(cache_lifetime_name(life)));
            text_put(out, SPAN("\":"));
            text_put_u64(out, usage->cache_write[life]);
        }
    }
    text_put_char(out, '}');
}

static void put_modality(struct text *out, const struct usage *usage)
{
    const char *separator = "\"";

    text_put(out, SPAN(",\"modality\":{"));
    for (enum modality modality = 0; modality < MODALITIES; modality++) {
        if ((usage->known_modalities >> modality & 1) != 0) {
            text_put(out, span_text(separator));
            text_put(out, span_text(modality_name(modality)));
            text_put(out, SPAN("\":"));
            text_put_u64(out, usage->modality[modality]);
            separator = ",\"";
        }
    }
    text_put_char(out, '}');
}

static void put_flags(struct text *out, unsigned flags)
{
    const char *separator = "";

    text_put(out, SPAN(",\"flags\":["));
    for (unsigned bit = 0; bit < USAGE_FLAGS; bit++) {
        if ((flags >> bit & 1) != 0) {
            text_put(out, span_text(separator));
            text_put_json(out, span_text(usage_flag_name(bit)));
            separator = ",";
        }
    }
    text_put_char(out, ']');
}

static void put_cost(struct text *out, int64_t cost, bool known, bool priced)
{
    text_put(out, SPAN(",\"cost_nanousd\":"));
    if (known) {
        text_put_i64(out, cost);
    } else {
        text_put(out, SPAN("null"));
    }
    put_bool(out, "priced", priced);
}

static void put_line(struct text *out, const struct line *line)
{
    text_put(out, SPAN("{\"kind\":"));
    text_put_json(out, span_text(line_kind_name(line->kind)));
    put_string(out, "model", line->model);
    put_bool(out, "within", line->within);
    put_tokens(out, &line->usage);
    put_modality(out, &line->usage);
    put_cost(out, line->cost_nanousd, line->priced, line->priced);
    text_put_char(out, '}');
}

static void put_lines(struct text *out, const struct entry *entry)
{
    text_put(out, SPAN(",\"lines\":["));
    for (uint8_t i = 0; i < entry->line_count; i++) {
        text_put(out, i == 0 ? SPAN("") : SPAN(","));
        put_line(out, &entry->lines[i]);
    }
    text_put_char(out, ']');
}

/* "ci,nightly" as a list */
static void put_tags(struct text *out, const char *tags)
{
    const char *separator = "";

    text_put(out, SPAN(",\"tags\":["));
    while (tags[0] != '\0') {
        size_t len = strcspn(tags, ",");

        if (len > 0) {
            text_put(out, span_text(separator));
            text_put_json(out, span_of(tags, len));
            separator = ",";
        }
        tags += len + (tags[len] == ',');
    }
    text_put_char(out, ']');
}

static void put_who_and_what(struct text *out, const struct entry *entry)
{
    put_string(out, "team", entry->team);
    put_string(out, "caller", entry->caller);
    put_string(out, "key", entry->key);
    put_string(out, "tool", entry->tool);
    put_string(out, "mode", entry->mode);
    put_string(out, "session", entry->session);
    put_string(out, "provider", entry->provider);
    put_string(out, "dialect", entry->dialect);
    put_string(out, "operation", entry->operation);
    put_string(out, "request_model", entry->request_model);
    put_string(out, "response_model", entry->response_model);
}

static void put_further(struct text *out, const struct entry *entry)
{
    put_string(out, "tool_version", entry->tool_version);
    put_string(out, "agent", entry->agent);
    put_number(out, "retry", entry->retry);
    put_string(out, "fault",
               entry->fault == FAULT_NONE ? "" : fault_row(entry->fault)->name);
    put_string(out, "service_tier", entry->service_tier);
    put_number(out, "events", entry->events);
    put_bool(out, "free", entry->free);
    put_bool(out, "drained", entry->drained);
    put_flags(out, entry->usage.flags);
    put_ms_or_null(out, "ttft_ms", entry->ttft_us);
    put_ms_or_null(out, "overhead_ms", entry->overhead_us);
    put_number_or_null(out, "max_output", entry->max_output);
    put_number_or_null(out, "reserved_input", entry->reserved_input);
    put_number_or_null(out, "reserved_output", entry->reserved_output);
    put_number(out, "web_searches", entry->usage.web_searches);
    put_name(out, "reported_nanousd");
    if (entry->usage.reported_nanousd < 0) {
        text_put(out, SPAN("null"));
    } else {
        text_put_i64(out, entry->usage.reported_nanousd);
    }
    put_tags(out, entry->tags);
    put_bool(out, "service", entry->service);
    put_string(out, "grade", grade_name(entry->grade));
    put_string(out, "turn", turn_class_name(entry->turn));
    put_number_or_null(out, "input_text_bytes", entry->input_text_bytes);
    put_number_or_null(out, "output_text_bytes", entry->output_text_bytes);
    put_number_or_null(out, "local_input", entry->local_input);
    put_number_or_null(out, "local_output", entry->local_output);
    put_number_or_null(out, "audio_ms", entry->usage.audio_ms);
    put_number_or_null(out, "billed_input", entry->usage.billed_input);
    put_number_or_null(out, "billed_output", entry->usage.billed_output);
    put_lines(out, entry);
}

void entry_json(const struct entry *entry, struct text *out)
{
    char id[ENTRY_ID_SIZE];

    entry_id_text(entry->id, id);
    text_put(out, SPAN("{\"id\":\""));
    text_put(out, span_text(id));
    text_put(out, SPAN("\",\"time\":\""));
    put_time(out, entry->started_ns);
    text_put_char(out, '"');
    put_who_and_what(out, entry);
    put_bool(out, "stream", entry->stream);
    put_number_or_null(out, "status", entry->status);
    put_string(out, "outcome", outcome_name(entry->outcome));
    put_string(out, "usage_source", usage_source_name(entry->usage.source));
    put_tokens(out, &entry->usage);
    put_modality(out, &entry->usage);
    put_cost(out, entry_cost(entry), entry->priced, entry_priced(entry));
    put_name(out, "duration_ms");
    put_ms(out, entry->duration_us);
    put_ms_or_null(out, "ttfb_ms", entry->ttfb_us);
    put_number(out, "request_bytes", entry->request_bytes);
    put_number(out, "response_bytes", entry->response_bytes);
    put_further(out, entry);
    text_put_char(out, '}');
}

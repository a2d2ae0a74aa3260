#include "filters/dialect/openai_shape.h"

#include "filters/dialect/balance.h"

/* The numbers of one report, as they stand. */
struct report {
    uint64_t input, output, total, read, write, reasoning;
    uint64_t beyond; /* of the total beyond input and output */
    bool short_of;   /* the total is less than input and output */
    bool knows_input, knows_output, knows_total;
    bool knows_read, knows_write, knows_reasoning;
};

static uint64_t count_of(const struct tally *tally, enum count count, bool *known)
{
    *known = tally_has(tally, count);
    return *known ? tally->value[count] : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A missing side follows from the total and the other side; one that stood there as
 * nonsense makes the total doubtful too. */
static void infer_side(struct report *report, const struct tally *tally,
                       struct usage *usage)
{
    const uint32_t sides = UINT32_C(1) << COUNT_INPUT | UINT32_C(1) << COUNT_OUTPUT;

    if (!report->knows_total || (tally->bad & sides) != 0 ||
        report->knows_input == report->knows_output) {
        return;
    }
    if (!report->knows_input && report->total >= report->output) {
        report->input = report->total - report->output;
        report->knows_input = true;
        usage->flags |= USAGE_INFERRED;
    } else if (!report->knows_output && report->total >= report->input) {
        report->output = report->total - report->input;
        report->knows_output = true;
        usage->flags |= USAGE_INFERRED;
    }
}

static struct report read_report(const struct tally *tally, struct usage *usage)
{
    struct report report = { 0 };

    report.input = count_of(tally, COUNT_INPUT, &report.knows_input);
    report.output = count_of(tally, COUNT_OUTPUT, &report.knows_output);
    report.total = count_of(tally, COUNT_TOTAL, &report.knows_total);
    report.read = count_of(tally, COUNT_CACHED, &report.knows_read);
    report.write = count_of(tally, COUNT_CACHE_WRITE, &report.knows_write);
    report.reasoning = count_of(tally, COUNT_REASONING, &report.knows_reasoning);
    infer_side(&report, tally, usage);
    if (report.knows_total && report.knows_input && report.knows_output) {
        uint64_t stated = report.input + report.output; /* counts are below 2^63 */

        report.short_of = report.total < stated;
        report.beyond = report.short_of ? 0 : report.total - stated;
    }
    return report;
}

/* Is d = 0: does the total, if there is one, agree with input and output? */
static bool agrees(const struct report *report)
{
    return report->beyond == 0 && !report->short_of;
}

static void balance_input(struct report *report, struct usage *usage)
{
    uint64_t cache = report->read + report->write;
    uint64_t fresh = report->input;

    if (cache > 0 && report->beyond == cache && report->beyond != report->reasoning) {
        report->beyond = 0;
        usage->flags |= cache <= report->input ? USAGE_INFERRED : 0;
    } else if (cache <= report->input) {
        fresh -= cache;
    } else if (report->knows_total && agrees(report)) {
        report->read = least(report->read, report->input);
        report->write = least(report->write, report->input - report->read);
        fresh -= report->read + report->write;
        usage->flags |= USAGE_ANOMALY;
    } else if (report->knows_input) {
        report->beyond -= report->beyond >= cache ? cache : 0;
        usage->flags |= USAGE_ANOMALY;
    }
    if (report->knows_input) {
        usage_set(usage, TOKENS_INPUT, fresh);
    }
    if (report->knows_read) {
        usage_set(usage, TOKENS_CACHE_READ, report->read);
    }
    if (report->knows_write) {
        usage_set(usage, TOKENS_CACHE_WRITE, report->write);
    }
}

/* The total tells of tokens that no count has. */
static void place_hidden(struct report *report, const struct tally *tally,
                         struct usage *usage)
{
    usage->flags |= USAGE_INFERRED;
    if (tally_has(tally, COUNT_AUDIO_SECONDS)) {
        usage_set(usage, TOKENS_INPUT, usage->tokens[TOKENS_INPUT] + report->beyond);
        usage->modality[MODALITY_INPUT_AUDIO] = report->beyond;
        usage->known_modalities |= 1U << MODALITY_INPUT_AUDIO;
    } else {
        report->reasoning = report->beyond;
        report->knows_reasoning = true;
        report->output += report->beyond;
    }
}

static void balance_output(struct report *report, const struct tally *tally,
                           struct usage *usage)
{
    if (!report->knows_output) {
        return;
    }
    if (report->beyond > 0 && report->reasoning == 0) {
        place_hidden(report, tally, usage);
    } else if (report->beyond > 0) {
        report->output += report->beyond;
        usage->flags |= report->beyond == report->reasoning ? 0 : USAGE_ANOMALY;
    } else if (report->short_of) {
        usage->flags |= USAGE_ANOMALY;
    }
    if (report->reasoning > report->output) {
        report->reasoning = report->output;
        usage->flags |= USAGE_ANOMALY;
    }
    usage_set(usage, TOKENS_OUTPUT, report->output - report->reasoning);
    if (report->knows_reasoning) {
        usage_set(usage, TOKENS_REASONING, report->reasoning);
    }
}

void openai_balance(const struct tally *tally, struct usage *usage)
{
    struct report report = read_report(tally, usage);

    balance_lifetimes(tally, usage);
    balance_modality(tally, usage);
    balance_searches(tally, usage);
    if (tally_has(tally, COUNT_AUDIO_SECONDS)) {
        usage->audio_ms = tally->value[COUNT_AUDIO_SECONDS];
    }
    balance_input(&report, usage);
    balance_output(&report, tally, usage);
}

void openai_balance_backed(const struct tally *tally, struct usage *usage)
{
    struct tally backed;

    if (tally_has(tally, COUNT_BACKUP_INPUT) || tally_has(tally, COUNT_BACKUP_OUTPUT)) {
        backed = balance_backup(tally);
        tally = &backed;
    }
    openai_balance(tally, usage);
}

void openai_balance_input(const struct tally *tally, struct usage *usage)
{
    balance_class(tally, COUNT_TOTAL, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_INPUT, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_OUTPUT, TOKENS_OUTPUT, usage);
    balance_modality(tally, usage);
}

/* ---- events ---------------------------------------------------------------------- */

enum socket_event openai_event(struct span type)
{
    if (span_equal(type, SPAN("error"))) {
        return EVENT_ERROR;
    }
    if (!span_starts(type, SPAN("response."))) {
        return EVENT_NONE;
    }
    if (span_equal(type, SPAN("response.created"))) {
        return EVENT_CREATED;
    }
    return span_ends(type, SPAN("audio.delta")) ? EVENT_AUDIO : EVENT_PART;
}

/* ---- refusals -------------------------------------------------------------------- */

static struct span type_of(enum fault fault, int status)
{
    if (fault == FAULT_QUOTA_EXCEEDED) {
        return SPAN("insufficient_quota");
    }
    return status >= 500 ? SPAN("server_error") : SPAN("invalid_request_error");
}

static bool is_credential(enum fault fault)
{
    return fault == FAULT_NO_CREDENTIAL || fault == FAULT_BAD_CREDENTIAL ||
           fault == FAULT_MANY_CREDENTIALS;
}

static struct span code_of(enum fault fault)
{
    /* What OpenAI itself answers, and its tools know as final. */
    if (fault == FAULT_QUOTA_EXCEEDED) {
        return SPAN("insufficient_quota");
    }
    return is_credential(fault) ? SPAN("invalid_api_key")
                                : span_text(fault_row(fault)->name);
}

void openai_refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    refusal_put_id(refusal, SPAN("x-request-id"), lines);
    text_put(body, SPAN("{\"error\":{\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN(",\"type\":"));
    text_put_json(body, type_of(refusal->fault, refusal->status));
    text_put(body, SPAN(",\"param\":null,\"code\":"));
    text_put_json(body, code_of(refusal->fault));
    text_put(body, SPAN("}}"));
}

void openai_cut(const struct refusal *refusal, uint64_t events, struct text *out)
{
    char memory[256];
    struct text lines = text_over(memory, sizeof memory);

    (void)events;
    text_put(out, SPAN("data: "));
    openai_refuse(refusal, &lines, out);
    text_put(out, SPAN("\n\ndata: [DONE]\n\n"));
}

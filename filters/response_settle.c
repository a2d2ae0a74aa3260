/* What a response comes to: counts made disjoint, and estimates for
 * what nobody counted. */
#include "filters/count/tokens.h"
#include "filters/response.h"

static uint64_t without(uint64_t count, uint64_t part)
{
    return count > part ? count - part : 0;
}

static void estimate_input(struct span model, uint64_t text_bytes, struct usage *usage)
{
    uint64_t cached =
        usage->tokens[TOKENS_CACHE_READ] + usage->tokens[TOKENS_CACHE_WRITE];

    if (text_bytes > 0) {
        usage_set(usage, TOKENS_INPUT,
                  without(tokens_estimate(model, text_bytes), cached));
    }
}

/* Tokens of the text that was seen; 0 if it cannot be counted (yet). */
static uint64_t count_text(const struct response_watch *watch, struct span model,
                           uint64_t tools)
{
    uint64_t tokens = tokens_count(model, &watch->text, tools, watch->thought);

    return tokens > 0 && watch->dialect->counts_end ? tokens + 1 : tokens;
}

static uint64_t count_output(const struct response_watch *watch, struct span model)
{
    uint64_t tokens = count_text(watch, model, watch->tools);

    return tokens > 0 ? tokens : tokens_estimate(model, watch->text.bytes);
}

/* ... of what came after the provider's last word. */
static uint64_t count_unsaid(const struct response_watch *watch, struct span model)
{
    uint64_t bytes = watch->text.bytes, unsaid = bytes - watch->said_bytes;

    return unsaid == 0 ? 0 : count_output(watch, model) * unsaid / bytes;
}

/* Did the provider count the output by itself? Else what is known of it was inferred
 * from a total, which has the text in it. */
static bool is_output_counted(const struct tally *tally)
{
    return tally_has(tally, COUNT_OUTPUT) || tally_has(tally, COUNT_BACKUP_OUTPUT);
}

/* What the provider said last, and what came after that. */
static void estimate_output(const struct response_watch *watch, struct span model,
                            const struct facts *facts, struct usage *usage)
{
    const struct tally *tally = &watch->tallier.tally;
    uint64_t unsaid = count_unsaid(watch, model);
    uint64_t count = usage_output(usage);

    if (facts->per_mille != 0) {
        unsaid = (unsaid * facts->per_mille + 500) / 1000;
    }
    count += is_output_counted(tally) ? unsaid
                                      : without(unsaid, usage->tokens[TOKENS_OUTPUT]);
    if (tally_has(tally, COUNT_OUTPUT_START) &&
        count < tally->value[COUNT_OUTPUT_START]) {
        count = tally->value[COUNT_OUTPUT_START];
    }
    usage_set(usage, TOKENS_OUTPUT, without(count, usage->tokens[TOKENS_REASONING]));
}

/* Was the generated text seen, as far as it came? */
static bool is_readable(const struct response_watch *watch)
{
    if (watch->input_only || watch->no_text) {
        return false;
    }
    return watch->frames == FRAMES_UNSETTLED ? watch->reading
                                             : watch->frames != FRAMES_NONE;
}

/* Only the sum of both sides is known: what is not output was input. */
static bool estimate_sides(const struct response_watch *watch, struct span model,
                           const struct facts *facts, struct usage *usage)
{
    const struct tally *tally = &watch->tallier.tally;
    uint64_t total = tally->value[COUNT_TOTAL];

    if (!tally_has(tally, COUNT_TOTAL) || total == 0 || tally->bad != 0 ||
        !is_readable(watch)) {
        return false;
    }
    estimate_output(watch, model, facts, usage);
    if (usage->tokens[TOKENS_OUTPUT] > total) {
        usage_set(usage, TOKENS_OUTPUT, total);
    }
    usage_set(usage, TOKENS_INPUT, total - usage->tokens[TOKENS_OUTPUT]);
    usage->flags |= USAGE_INFERRED;
    return true;
}

/* Fills what the provider did not report, and says how far the numbers are its own. */
static void complete_usage(const struct response_watch *watch, bool cut,
                           struct span model, const struct facts *facts,
                           uint64_t input_text_bytes, struct usage *usage)
{
    bool reported = usage->known_tokens != 0;
    bool input = usage_knows(usage, TOKENS_INPUT);
    bool output = usage_knows(usage, TOKENS_OUTPUT) || watch->input_only;

    if (input && output && !cut && !watch->dialect->guessed) {
        usage->source = USAGE_REPORTED;
        return;
    }
    if (!input && !output && estimate_sides(watch, model, facts, usage)) {
        usage->source = USAGE_PARTIAL;
        return;
    }
    if (!input) {
        estimate_input(model, input_text_bytes, usage);
    }
    if ((!output || cut) && is_readable(watch)) {
        estimate_output(watch, model, facts, usage);
    }
    if (reported) {
        usage->source = USAGE_PARTIAL;
    } else if (usage->known_tokens != 0) {
        usage->source = USAGE_ESTIMATED;
    }
}

/* An error in place of an answer costs nothing, nor does a guardrail's, which comes whole:
 * what is cut was the model's. An answer in the background is counted when it comes. */
static bool is_unbilled(const struct response_watch *watch, bool cut,
                        const struct usage *usage)
{
    return usage->known_tokens == 0 && ((watch->error && watch->text.bytes == 0) ||
                                        watch->later || (watch->blocked && !cut));
}

/* A guardrail that stopped the prompt answered in the model's place; where it stopped the
 * answer, the input is counted. */
static void settle_block(struct usage *usage)
{
    if (usage->known_tokens != 0 && usage_input(usage) == 0) {
        usage_set(usage, TOKENS_OUTPUT, usage->tokens[TOKENS_OUTPUT]);
    }
}

static void settle_usage(struct response_watch *watch, bool whole,
                         const struct facts *facts, uint64_t input_text_bytes,
                         struct usage *usage)
{
    struct tally *tally = &watch->tallier.tally;
    const char *model = watch->model[0] != '\0' ? watch->model : facts->model;
    bool cut = !whole && !watch->finished && !watch->told_ahead;

    if (tally_has(tally, COUNT_COST)) {
        usage->reported_nanousd = (int64_t)tally->value[COUNT_COST];
    }
    tally->model = model;
    if (watch->line_reader != NULL && watch->line_reader->summed) {
        *usage = watch->line_reader->sum;
    } else {
        watch->dialect->balance(tally, usage);
    }
    usage->flags |= watch->flags;
    usage->flags |= watch->error ? USAGE_ERROR : 0;
    if (tally->bad != 0 || tally->anomalous) {
        usage->flags |= USAGE_ANOMALY;
    }
    if (watch->blocked) {
        settle_block(usage);
    }
    if (!is_unbilled(watch, cut, usage)) {
        complete_usage(watch, cut, span_text(model), facts, input_text_bytes, usage);
    }
}

void response_watch_settle(struct response_watch *watch, bool whole,
                           const struct facts *facts, uint64_t input_text_bytes,
                           struct entry *entry)
{
    entry->usage = (struct usage){ .reported_nanousd = -1 };
    if (watch->counted) {
        /* The tables of tokens are wanted soon: begins to load them. */
        (void)bpe_ready(ENCODING_O200K_BASE);
        response_end(watch, whole);
        settle_usage(watch, whole, facts, input_text_bytes, &entry->usage);
    }
    if (watch->answer != NULL) {
        answer_end(watch->answer);
    }
    line_reader_settle(watch->line_reader,
                       watch->model[0] != '\0' ? watch->model : facts->model, entry);
    text_store(entry->response_model, sizeof(entry->response_model),
               span_text(watch->model));
    text_store(entry->service_tier, sizeof(entry->service_tier),
               span_text(watch->batch ? "batch" : watch->service_tier));
    entry->events = response_watch_events(watch);
    entry->stream = response_is_streamed(watch);
}

/* ---- beside the provider's count ------------------------------------------------- */

enum { COMPARABLE_LEAST = 160 }; /* bytes of text that can be compared */

/* Is all output the text that was seen? */
static bool is_text_only(const struct response_watch *watch, const struct entry *entry)
{
    const struct usage *usage = &entry->usage;

    return watch->tools == 0 && entry->line_count == 0 &&
           usage->tokens[TOKENS_REASONING] == 0 &&
           usage->modality[MODALITY_OUTPUT_AUDIO] == 0 &&
           usage->modality[MODALITY_OUTPUT_IMAGE] == 0 &&
           usage->modality[MODALITY_OUTPUT_REJECTED] == 0;
}

uint64_t response_watch_count(const struct response_watch *watch,
                              const struct entry *entry)
{
    const char *model =
        entry->response_model[0] != '\0' ? entry->response_model : entry->request_model;

    if (entry->usage.source != USAGE_REPORTED || watch->text.bytes < COMPARABLE_LEAST ||
        !is_readable(watch) || !is_text_only(watch, entry)) {
        return 0;
    }
    return count_text(watch, span_text(model), 0);
}

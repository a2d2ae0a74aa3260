#include "filters/dialect/gemini_shape.h"

#include "filters/dialect/balance.h"

static uint64_t count_of(const struct tally *tally, enum count count)
{
    return tally_has(tally, count) ? tally->value[count] : 0;
}

void gemini_balance(const struct tally *tally, struct usage *usage)
{
    uint64_t prompt = count_of(tally, COUNT_INPUT);
    uint64_t cached = count_of(tally, COUNT_CACHED);
    uint64_t tools = count_of(tally, COUNT_TOOL_INPUT);
    uint64_t output = count_of(tally, COUNT_OUTPUT);
    uint64_t reasoning = count_of(tally, COUNT_REASONING);
    uint64_t total = count_of(tally, COUNT_TOTAL);
    uint64_t rest = tools + output + reasoning; /* counts are below 2^63 */
    bool totalled = tally_has(tally, COUNT_TOTAL);

    if (!tally_has(tally, COUNT_INPUT) && total > rest) {
        prompt = total - rest;
        usage->flags |= USAGE_INFERRED;
    } else if (totalled && total != prompt + rest) {
        usage->flags |= USAGE_ANOMALY;
    }
    if (cached > prompt) {
        cached = prompt;
        usage->flags |= USAGE_ANOMALY;
    }
    if (tally_has(tally, COUNT_INPUT) || totalled) {
        usage_set(usage, TOKENS_INPUT, prompt - cached + tools);
        usage_set(usage, TOKENS_OUTPUT, output);
    } else {
        balance_class(tally, COUNT_OUTPUT, TOKENS_OUTPUT, usage);
    }
    if (tally_has(tally, COUNT_CACHED)) {
        usage_set(usage, TOKENS_CACHE_READ, cached);
    }
    balance_class(tally, COUNT_REASONING, TOKENS_REASONING, usage);
    balance_modality(tally, usage);
}

/* ---- refusals -------------------------------------------------------------------- */

static struct span status_of(int status)
{
    switch (status) {
    case 401:
        return SPAN("UNAUTHENTICATED");
    case 403:
        return SPAN("PERMISSION_DENIED");
    case 404:
        return SPAN("NOT_FOUND");
    case 429:
        return SPAN("RESOURCE_EXHAUSTED");
    case 408:
    case 504:
        return SPAN("DEADLINE_EXCEEDED");
    case 502:
    case 503:
        return SPAN("UNAVAILABLE");
    default:
        return status >= 500 ? SPAN("INTERNAL") : SPAN("INVALID_ARGUMENT");
    }
}

/* What Google's own clients decide by: to wait, or to give up where that is long. */
static void put_details(const struct refusal *refusal, struct text *body)
{
    text_put(body, SPAN(",\"details\":[{\"@type\":\"type.googleapis.com/"
                        "google.rpc.QuotaFailure\",\"violations\":[{\"description\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}]}"));
    if (refusal->retry_after_s > 0) {
        text_put(body, SPAN(",{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                            "\"retryDelay\":\""));
        text_put_u64(body, refusal->retry_after_s);
        text_put(body, SPAN("s\"}"));
    }
    text_put(body, SPAN("]"));
}

void gemini_refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"error\":{\"code\":"));
    text_put_u64(body, (uint64_t)refusal->status);
    text_put(body, SPAN(",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN(",\"status\":"));
    text_put_json(body, status_of(refusal->status));
    if (refusal->fault == FAULT_QUOTA_EXCEEDED) {
        put_details(refusal, body);
    }
    text_put(body, SPAN("}}"));
}

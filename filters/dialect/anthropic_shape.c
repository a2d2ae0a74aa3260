#include "filters/dialect/anthropic_shape.h"

#include "filters/dialect/balance.h"

static void balance_writes(const struct tally *tally, struct usage *usage)
{
    uint64_t listed;

    balance_class(tally, COUNT_CACHE_WRITE, TOKENS_CACHE_WRITE, usage);
    balance_lifetimes(tally, usage);
    listed = usage->cache_write[LIFETIME_5M] + usage->cache_write[LIFETIME_1H];
    if (!usage_knows(usage, TOKENS_CACHE_WRITE) && usage->known_lifetimes != 0) {
        usage_set(usage, TOKENS_CACHE_WRITE, listed);
    } else if (listed > usage->tokens[TOKENS_CACHE_WRITE]) {
        usage->flags |= USAGE_ANOMALY;
    }
}

void anthropic_balance(const struct tally *tally, struct usage *usage)
{
    balance_class(tally, COUNT_INPUT, TOKENS_INPUT, usage);
    balance_class(tally, COUNT_CACHED, TOKENS_CACHE_READ, usage);
    balance_writes(tally, usage);
    balance_searches(tally, usage);
    if (tally_has(tally, COUNT_OUTPUT)) {
        balance_reasoning(tally, tally->value[COUNT_OUTPUT], usage);
    }
}

/* ---- refusals -------------------------------------------------------------------- */

static struct span type_of(int status)
{
    switch (status) {
    case 401:
        return SPAN("authentication_error");
    case 402:
        return SPAN("billing_error");
    case 403:
        return SPAN("permission_error");
    case 404:
        return SPAN("not_found_error");
    case 413:
        return SPAN("request_too_large");
    case 429:
        return SPAN("rate_limit_error");
    case 503:
        return SPAN("overloaded_error");
    case 504:
        return SPAN("timeout_error");
    default:
        return status >= 500 ? SPAN("api_error") : SPAN("invalid_request_error");
    }
}

void anthropic_refuse(const struct refusal *refusal, struct text *lines,
                      struct text *body)
{
    refusal_put_id(refusal, SPAN("request-id"), lines);
    text_put(body, SPAN("{\"type\":\"error\",\"error\":{\"type\":"));
    text_put_json(body, type_of(refusal->status));
    text_put(body, SPAN(",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("},\"request_id\":"));
    if (refusal->id.len > 0) {
        text_put_json(body, refusal->id);
    } else {
        text_put(body, SPAN("null"));
    }
    text_put(body, SPAN("}"));
}

void anthropic_cut(const struct refusal *refusal, uint64_t events, struct text *out)
{
    char memory[256];
    struct text lines = text_over(memory, sizeof memory);

    (void)events;
    text_put(out, SPAN("event: error\ndata: "));
    anthropic_refuse(refusal, &lines, out);
    text_put(out, SPAN("\n\n"));
}

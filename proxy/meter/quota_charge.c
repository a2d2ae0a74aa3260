#include "proxy/meter/quota_charge.h"

static struct price_key price_key_of(const struct entry *call)
{
    return (struct price_key){
        .provider = span_text(call->provider),
        .model = span_text(call->response_model[0] != '\0' ? call->response_model
                                                           : call->request_model),
        .service_tier = span_text(call->service_tier),
        .at_unix_ns = call->started_ns,
    };
}

/* What is unpriced costs nothing here, for nobody knows better. */
static uint64_t cost_of(const struct price_table *prices, const struct entry *call,
                        const struct usage *usage)
{
    struct price_key key = price_key_of(call);
    struct price_rates rates;
    int64_t cost;

    key.input_tokens = usage_input(usage);
    if (!price_find(prices, &key, &rates)) {
        return 0;
    }
    cost = price_cost(&rates, usage);
    return cost < 0 ? 0 : (uint64_t)cost;
}

static uint64_t bounded(uint64_t amount)
{
    return amount < LIMIT_MOST ? amount : LIMIT_MOST;
}

/* Rounded up once per call: nothing is free. */
static uint64_t weighted_tokens(uint64_t hundredths)
{
    return bounded(hundredths / 100 + (hundredths % 100 > 0));
}

/* In units that need no table: tokens, or calls. */
static uint64_t counted(enum config_limit_unit unit, uint64_t input, uint64_t output)
{
    switch (unit) {
    case LIMIT_TOKENS:
        return bounded(input + output);
    case LIMIT_INPUT:
        return input;
    case LIMIT_OUTPUT:
        return output;
    case LIMIT_WEIGHTED:
    case LIMIT_NANOUSD:
    case LIMIT_REQUESTS:
    case LIMIT_CONCURRENT:
        break;
    }
    return 1;
}

static uint64_t listed_cost(const struct price_table *prices, const struct entry *call,
                            uint64_t input, uint64_t output)
{
    struct usage usage = { .reported_nanousd = -1 };

    usage_set(&usage, TOKENS_INPUT, input);
    usage_set(&usage, TOKENS_OUTPUT, output);
    return cost_of(prices, call, &usage);
}

uint64_t quota_reserved(const struct quota_policy *policy,
                        const struct price_table *prices, const struct entry *call,
                        uint64_t output)
{
    enum config_limit_unit unit = policy->rule.limit.unit;
    uint64_t input = bounded(call->reserved_input);

    output = bounded(output);
    if (unit == LIMIT_WEIGHTED) {
        return weighted_tokens(weight_at_most(&policy->weights, call, input, output));
    }
    if (unit == LIMIT_NANOUSD) {
        return bounded(listed_cost(prices, call, input, output));
    }
    return counted(unit, input, output);
}

/* A call without any usage. reserved_input is never 0 once a call was let through. */
static uint64_t charge_unreported(const struct quota_policy *policy,
                                  const struct price_table *prices,
                                  const struct entry *call)
{
    /* An answer that comes later is charged as reserved until it shows: see
     * quota_take_back(). */
    if (call->object != 0 || call->outcome == OUTCOME_UNKNOWN) {
        return call->reserved_input == 0
                   ? 0
                   : quota_reserved(policy, prices, call, call->reserved_output);
    }
    switch ((enum outcome)call->outcome) {
    case OUTCOME_CLIENT_ABORT:
    case OUTCOME_UPSTREAM_CUT:
    case OUTCOME_TIMEOUT:
    case OUTCOME_QUOTA_CUT:
        return call->reserved_input == 0 ? 0 : quota_reserved(policy, prices, call, 0);
    case OUTCOME_COMPLETE:
        return policy->rule.limit.unit == LIMIT_REQUESTS && call->status < 400 ? 1 : 0;
    case OUTCOME_UNKNOWN:
    case OUTCOME_REFUSED:
        break;
    }
    return 0;
}

uint64_t quota_charge(const struct quota_policy *policy,
                      const struct price_table *prices, const struct entry *call)
{
    enum config_limit_unit unit = policy->rule.limit.unit;

    if (call->free || call->outcome == OUTCOME_REFUSED || unit == LIMIT_CONCURRENT) {
        return 0;
    }
    if (call->usage.known_tokens == 0 && call->line_count == 0) {
        return charge_unreported(policy, prices, call);
    }
    if (unit == LIMIT_NANOUSD) {
        int64_t cost = entry_cost(call);

        return cost > 0 ? bounded((uint64_t)cost) : 0;
    }
    if (unit == LIMIT_WEIGHTED) {
        return weighted_tokens(weight_of_call(&policy->weights, call));
    }
    return counted(unit, bounded(entry_input(call)), bounded(entry_output(call)));
}

#include "filters/dialect/bedrock_shape.h"

#include "filters/dialect/balance.h"

static uint64_t count_of(const struct tally *tally, enum count count)
{
    return tally_has(tally, count) ? tally->value[count] : 0;
}

/* "openai.gpt-x", or "us.openai.gpt-x" of an inference profile. */
static bool is_openai(const char *model)
{
    return model != NULL &&
           (strncmp(model, "openai.", 7) == 0 || strstr(model, ".openai.") != NULL);
}

void bedrock_balance(const struct tally *tally, struct usage *usage)
{
    uint64_t input = count_of(tally, COUNT_INPUT);
    uint64_t output = count_of(tally, COUNT_OUTPUT);
    uint64_t total = count_of(tally, COUNT_TOTAL);
    uint64_t cache = count_of(tally, COUNT_CACHED) + count_of(tally, COUNT_CACHE_WRITE);

    if (cache > 0 && cache <= input && is_openai(tally->model)) {
        input -= cache;
        usage->flags |= USAGE_ANOMALY;
    } else if (tally_has(tally, COUNT_TOTAL) && total != input + cache + output) {
        usage->flags |= USAGE_ANOMALY;
    }
    if (tally_has(tally, COUNT_INPUT)) {
        usage_set(usage, TOKENS_INPUT, input);
    }
    balance_class(tally, COUNT_CACHED, TOKENS_CACHE_READ, usage);
    balance_class(tally, COUNT_CACHE_WRITE, TOKENS_CACHE_WRITE, usage);
    balance_lifetimes(tally, usage);
    balance_class(tally, COUNT_OUTPUT, TOKENS_OUTPUT, usage);
}

/* ---- refusals -------------------------------------------------------------------- */

/* docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */
int bedrock_refusal_status(enum fault fault)
{
    const struct fault_row *row = fault_row(fault);

    if (fault == FAULT_QUOTA_EXCEEDED) {
        return 400;
    }
    if (row->status >= 500) {
        return row->retry ? 503 : (row->status == 504 ? 408 : 424);
    }
    switch (row->status) {
    case 401:
    case 403:
        return 403;
    case 404:
        return 404;
    case 408:
        return 503; /* the client's own time-outs: 408 is the model's */
    default:
        return 400;
    }
}

static struct span exception_of(const struct refusal *refusal)
{
    if (refusal->fault == FAULT_QUOTA_EXCEEDED) {
        return SPAN("ServiceQuotaExceededException");
    }
    switch (refusal->status) {
    case 403:
        return fault_row(refusal->fault)->status == 401
                   ? SPAN("UnrecognizedClientException")
                   : SPAN("AccessDeniedException");
    case 404:
        return SPAN("ResourceNotFoundException");
    case 408:
        return SPAN("ModelTimeoutException");
    case 424:
        return SPAN("ModelErrorException");
    case 503:
        return SPAN("ServiceUnavailableException");
    default:
        return SPAN("ValidationException");
    }
}

void bedrock_refuse(const struct refusal *refusal, struct text *lines,
                    struct text *body)
{
    text_put(lines, SPAN("x-amzn-errortype: "));
    text_put(lines, exception_of(refusal));
    text_put(lines, SPAN("\r\n"));
    refusal_put_id(refusal, SPAN("x-amzn-requestid"), lines);
    text_put(body, SPAN("{\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}"));
}

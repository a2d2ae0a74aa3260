#include "filters/dialect/cohere_shape.h"

#include "filters/dialect/openai_shape.h"

void cohere_balance(const struct tally *tally, struct usage *usage)
{
    openai_balance_backed(tally, usage);
    if (tally_has(tally, COUNT_BACKUP_INPUT)) {
        usage->billed_input = tally->value[COUNT_BACKUP_INPUT];
    }
    if (tally_has(tally, COUNT_BACKUP_OUTPUT)) {
        usage->billed_output = tally->value[COUNT_BACKUP_OUTPUT];
    }
}

int cohere_refusal_status(enum fault fault)
{
    return fault == FAULT_QUOTA_EXCEEDED ? 402 : fault_row(fault)->status;
}

void cohere_refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"id\":"));
    text_put_json(body, refusal->id);
    text_put(body, SPAN(",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}"));
}

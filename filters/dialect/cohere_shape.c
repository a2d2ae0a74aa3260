#include "filters/dialect/cohere_shape.h"

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

#include "filters/dialect/cohere_shape.h"

void cohere_refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"id\":"));
    text_put_json(body, refusal->id);
    text_put(body, SPAN(",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}"));
}

#include "filters/dialect/ollama_shape.h"

void ollama_refuse(const struct refusal *refusal, struct text *lines, struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"error\":"));
    text_put_json(body, refusal->words);
    text_put(body, SPAN("}"));
}

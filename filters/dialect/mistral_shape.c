#include "filters/dialect/mistral_shape.h"

void mistral_refuse(const struct refusal *refusal, struct text *lines,
                    struct text *body)
{
    (void)lines;
    text_put(body, SPAN("{\"object\":\"error\",\"message\":"));
    text_put_json(body, refusal->words);
    text_put(body, refusal->status >= 500
                       ? SPAN(",\"type\":\"internal_error\"")
                       : SPAN(",\"type\":\"invalid_request_error\""));
    text_put(body, SPAN(",\"param\":null,\"code\":"));
    text_put_json(body, span_text(fault_row(refusal->fault)->name));
    text_put(body, SPAN("}"));
}

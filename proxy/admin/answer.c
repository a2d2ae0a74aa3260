#include "proxy/admin/answer.h"

#include "proxy/base/check.h"
#include "proxy/base/text.h"

#include <event2/buffer.h>
#include <event2/http.h>

void answer(struct evhttp_request *request, int status, const char *reason,
            const char *type, struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_send_reply(request, status, reason, body);
}

void answer_text(struct evhttp_request *request, int status, const char *reason,
                 const char *words)
{
    struct evbuffer *body = evbuffer_new();

    CHECK(body != NULL);
    evbuffer_add_printf(body, "%s\n", words);
    answer(request, status, reason, "text/plain; charset=utf-8", body);
    evbuffer_free(body);
}

void answer_put_text(struct evbuffer *body, const char *name, const char *value)
{
    char memory[1024];
    struct text text = text_over(memory, sizeof memory);

    text_put_json(&text, span_text(value));
    evbuffer_add_printf(body, "\"%s\":%.*s,", name, (int)text.len, text.at);
}

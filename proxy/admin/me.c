#include "proxy/admin/me.h"

#include "proxy/base/clock.h"
#include "proxy/identity/peer.h"

#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <sys/queue.h>

static bool read_fields(struct evhttp_request *request, struct head *head)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const struct evkeyval *header;

    head->field_count = 0;
    TAILQ_FOREACH(header, headers, next)
    {
        struct span name = span_text(header->key);

        if (head->field_count == HEAD_FIELDS_MAX) {
            return false;
        }
        head->fields[head->field_count++] =
            (struct field){ .id = field_name_of(name),
                            .name = name,
                            .value = span_trim(span_text(header->value)) };
    }
    return true;
}

enum fault me_verify(struct evhttp_request *request, const struct config_words *names,
                     me_verifier *verify, void *self, struct known_caller *caller)
{
    struct bufferevent *stream =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    const SSL *ssl = bufferevent_openssl_get_ssl(stream);
    char name[PEER_NAME_MAX + 1] = "";
    SCRATCH struct head head;
    struct evidence evidence = { .head = &head, .now_unix_ns = clock_unix_ns() };

    if (!read_fields(request, &head)) {
        return FAULT_MANY_CREDENTIALS;
    }
    if (ssl != NULL && peer_certificate_name(ssl, names, name)) {
        evidence.certificate = span_text(name);
    }
    return verify(self, &evidence, caller);
}

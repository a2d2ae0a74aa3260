/* Both halves of a WebSocket's handshake: heads of arbitrary bytes are judged
 * alike twice, what is written for the other side is a head again, and what is
 * agreed was offered. */
#include "proxy/base/check.h"
#include "proxy/http/handshake.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ROOM = 128 * 1024 };

/* What a request becomes is a good request for the same key, with nothing
 * to leave out. */
static void check_request(const struct handshake *handshake, const struct head *head)
{
    static char memory[ROOM];
    static struct head again;
    struct handshake second;
    struct text out = text_over(memory, sizeof memory);

    text_put(&out, SPAN("GET / HTTP/1.1\r\nhost: h\r\n"));
    handshake_put_request(handshake, head, &out);
    text_put(&out, SPAN("\r\n"));
    CHECK(!out.full);
    if (out.len > HEAD_SIZE_MAX) {
        return;
    }
    CHECK(head_parse_request(text_span(&out), &again) == FAULT_NONE);
    CHECK(handshake_request(&again, true, &second) == FAULT_NONE);
    CHECK(memcmp(second.accept, handshake->accept, HANDSHAKE_ACCEPT) == 0);
    CHECK(second.deflate == handshake->deflate &&
          second.client_bits == handshake->client_bits &&
          second.protocols_len == handshake->protocols_len);
    CHECK(handshake_credential(&again).len == 0);
}

static void check_response(const struct handshake *handshake,
                           const struct handshake_terms *terms)
{
    static char memory[ROOM];
    static struct head again;
    struct handshake_terms second;
    struct text out = text_over(memory, sizeof memory);

    CHECK(!terms->deflate || handshake->deflate);
    CHECK(terms->client_bits == 0 || handshake->client_bits);
    text_put(&out, SPAN("HTTP/1.1 101 Switching Protocols\r\n"));
    handshake_put_response(handshake, terms, &out);
    text_put(&out, SPAN("\r\n"));
    CHECK(!out.full);
    CHECK(head_parse_response(text_span(&out), METHOD_GET, &again) == FAULT_NONE);
    CHECK(handshake_response(handshake, &again, &second));
    CHECK(second.deflate == terms->deflate &&
          second.server_keeps == terms->server_keeps &&
          second.server_bits == terms->server_bits &&
          second.client_bits == terms->client_bits &&
          second.protocol.len == terms->protocol.len);
}

/* A request head, then a response head. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct head head;
    struct span input = span_of((const char *)bytes, size);
    struct handshake_terms terms;
    struct handshake handshake;
    size_t scanned = 0, length = 0;

    if (head_find_end(input, &scanned, &length) != FAULT_NONE || length == 0 ||
        head_parse_request(span_of(input.at, length), &head) != FAULT_NONE ||
        handshake_request(&head, false, &handshake) != FAULT_NONE) {
        return 0;
    }
    CHECK(handshake_asked(&head));
    check_request(&handshake, &head);
    input = span_after(input, length);
    if (input.len > 0 && head_parse_response(input, METHOD_GET, &head) == FAULT_NONE &&
        handshake_response(&handshake, &head, &terms)) {
        check_response(&handshake, &terms);
    }
    return 0;
}

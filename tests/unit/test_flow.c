#include "proxy/engine/flow.h"
#include "tests/unit/streaming.h"

#include <stdio.h>

/* A flow's sink: a stream over a socket that the test reads. */
struct sink {
    struct rig rig;
    struct end end;
    int peer;
};

static int sink_open(void **state)
{
    struct sink *sink = calloc(1, sizeof *sink);
    int sockets[2];

    socket_pair(sockets);
    rig_open(&sink->rig);
    end_open(&sink->end, &sink->rig, sockets[0], NULL);
    sink->peer = sockets[1];
    *state = sink;
    return 0;
}

static int sink_close(void **state)
{
    struct sink *sink = *state;

    end_close(&sink->end);
    rig_close(&sink->rig);
    close(sink->peer);
    free(sink);
    return 0;
}

static void assert_sent(struct sink *sink, const char *want)
{
    char bytes[512];
    ssize_t n;

    stream_flush(&sink->end.stream);
    n = recv(sink->peer, bytes, sizeof bytes, 0);
    assert_int_equal(n < 0 ? 0 : n, strlen(want));
    assert_memory_equal(bytes, want, strlen(want));
}

static struct flow flow_of(enum framing source, uint64_t length, enum framing sink)
{
    const struct head head = { .framing = source, .length = length };
    struct flow flow;

    flow_begin(&flow, &head, sink);
    return flow;
}

static void bodies_end_by_their_framing(void **state)
{
    static const struct {
        enum framing source;
        uint64_t length;
        const char *input, *body, *rest;
        bool ended, closes; /* at the input's end; when its connection then closes */
    } cases[] = {
        { FRAMING_NONE, 0, "GET", "", "GET", true, true },
        { FRAMING_LENGTH, 0, "GET", "", "GET", true, true },
        { FRAMING_LENGTH, 3, "abcGET", "abc", "GET", true, true },
        { FRAMING_LENGTH, 9, "abc", "abc", "", false, false },
        { FRAMING_CHUNKED, 0, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", "abcde", "GET",
          true, true },
        { FRAMING_CHUNKED, 0, "3\r\nabc\r\n2\r\nd", "abcd", "", false, false },
        { FRAMING_CHUNKED, 0, "0\r\n\r\n", "", "", true, true },
        { FRAMING_CLOSE, 0, "abc", "abc", "", false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t cut = 0; cut <= strlen(cases[i].input); cut++) {
            struct flow flow =
                flow_of(cases[i].source, cases[i].length, FRAMING_CHUNKED);
            struct span inputs[] = { span_of(cases[i].input, cut),
                                     span_text(cases[i].input + cut) };
            char body[64];
            size_t len = 0, rest = 0;

            for (size_t part = 0; part < 2; part++) {
                struct span data;

                do {
                    assert_int_equal(flow_next(&flow, &inputs[part], &data),
                                     FAULT_NONE);
                    memcpy(body + len, data.len > 0 ? data.at : "", data.len);
                    len += data.len;
                } while (inputs[part].len > 0 && !flow.ended);
                rest += inputs[part].len;
            }
            assert_true(span_equal(span_of(body, len), span_text(cases[i].body)));
            assert_int_equal(flow.bytes, len);
            assert_int_equal(rest, strlen(cases[i].rest));
            assert_int_equal(flow.ended, cases[i].ended);
            assert_int_equal(flow_source_closed(&flow), cases[i].closes);
            assert_int_equal(flow.ended, cases[i].closes);
        }
    }
}

static void broken_chunks_are_a_fault(void **state)
{
    struct flow flow = flow_of(FRAMING_CHUNKED, 0, FRAMING_CHUNKED);
    struct span input = SPAN("3\r\nabcX\r\n"), data;

    (void)state;
    assert_int_equal(flow_next(&flow, &input, &data), FAULT_NONE);
    assert_true(span_equal(data, SPAN("abc")));
    assert_int_equal(flow_next(&flow, &input, &data), FAULT_BAD_FRAMING);
    assert_int_equal(data.len, 0);
    assert_false(flow_source_closed(&flow));
}

/* A length close to the greatest there is neither wraps nor ends early. */
static void lengths_do_not_wrap(void **state)
{
    struct flow flow = flow_of(FRAMING_LENGTH, INT64_MAX, FRAMING_LENGTH);
    struct span input = SPAN("abc"), data;

    (void)state;
    assert_int_equal(flow_next(&flow, &input, &data), FAULT_NONE);
    assert_int_equal(data.len, 3);
    assert_false(flow.ended);
    assert_int_equal(flow.left, (uint64_t)INT64_MAX - 3);
}

static void pieces_leave_in_the_sinks_framing(void **state)
{
    static const struct span pieces[] = { { "0123456789", 10 },
                                          { "", 0 },
                                          { "abcdef", 6 } };
    struct sink *sink = *state;
    struct flow chunked = flow_of(FRAMING_CLOSE, 0, FRAMING_CHUNKED);
    struct flow plain = flow_of(FRAMING_LENGTH, 16, FRAMING_LENGTH);

    flow_send_spans(&chunked, &sink->end.stream, pieces, 3);
    assert_sent(sink, "10\r\n0123456789abcdef\r\n");
    flow_send(&chunked, &sink->end.stream, SPAN("x"));
    flow_send(&chunked, &sink->end.stream, SPAN("y"));
    flow_send_end(&chunked, &sink->end.stream);
    assert_sent(sink, "1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
    flow_send_spans(&plain, &sink->end.stream, pieces, 3);
    flow_send_end(&plain, &sink->end.stream);
    assert_sent(sink, "0123456789abcdef");
}

/* An empty chunk would end the body. */
static void nothing_is_not_sent(void **state)
{
    struct sink *sink = *state;
    struct flow chunked = flow_of(FRAMING_CLOSE, 0, FRAMING_CHUNKED);

    flow_send(&chunked, &sink->end.stream, SPAN(""));
    flow_send_spans(&chunked, &sink->end.stream, NULL, 0);
    assert_sent(sink, "");
}

int main(void)
{
#define SINK(name) cmocka_unit_test_setup_teardown(name, sink_open, sink_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_end_by_their_framing),
        cmocka_unit_test(broken_chunks_are_a_fault),
        cmocka_unit_test(lengths_do_not_wrap),
        SINK(pieces_leave_in_the_sinks_framing),
        SINK(nothing_is_not_sent),
    };
#undef SINK

    return cmocka_run_group_tests(tests, NULL, NULL);
}

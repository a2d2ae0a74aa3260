#include "proxy/net/stream.h"
#include "tests/unit/streaming.h"

enum { FULL = 64 * 1024 * 1024 };

struct pair {
    struct rig rig;
    struct end end;
    int peer; /* the other side, a plain non-blocking socket */
};

static int pair_open(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    int sockets[2];

    socket_pair(sockets);
    rig_open(&pair->rig);
    end_open(&pair->end, &pair->rig, sockets[0], NULL);
    pair->peer = sockets[1];
    turn(&pair->rig, 1);
    *state = pair;
    return 0;
}

/* The same over TCP, with the end as the one that connected. */
static int tcp_open(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);

    rig_open(&pair->rig);
    pair->peer = end_connect(&pair->end, &pair->rig, NULL);
    TURN_UNTIL(&pair->rig, pair->end.ready == 1);
    *state = pair;
    return 0;
}

static int pair_close(void **state)
{
    struct pair *pair = *state;

    end_close(&pair->end);
    rig_close(&pair->rig);
    assert_int_equal(pair->end.freed, 1);
    if (pair->peer >= 0) {
        close(pair->peer);
    }
    free(pair);
    return 0;
}

static void assert_peer_gets(struct pair *pair, const char *want)
{
    char bytes[256];
    ssize_t n = recv(pair->peer, bytes, sizeof bytes, 0);

    assert_int_equal(n, strlen(want));
    assert_memory_equal(bytes, want, strlen(want));
}

static void assert_peer_waits(struct pair *pair)
{
    char byte;

    assert_int_equal(recv(pair->peer, &byte, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Fills the socket and lets `queued` bytes wait. Returns how many were sent in all. */
static size_t fill(struct pair *pair, size_t queued)
{
    static char bytes[64 * 1024];
    size_t sent = 0;

    while (stream_queued(&pair->end.stream) < queued && sent < FULL) {
        size_t size = stream_queued(&pair->end.stream) == 0 ? sizeof bytes : 1024;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = byte_at(sent + i);
        }
        stream_send(&pair->end.stream, span_of(bytes, size));
        stream_flush(&pair->end.stream);
        sent += size;
    }
    return sent;
}

/* Reads at most `limit` bytes and compares them; returns how many came. */
static size_t drain(struct pair *pair, size_t place, size_t limit)
{
    static char bytes[16 * 1024];
    size_t seen = 0;
    ssize_t n;

    while (seen < limit && (n = recv(pair->peer, bytes, sizeof bytes, 0)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            assert_int_equal(bytes[i], byte_at(place + seen + (size_t)i));
        }
        seen += (size_t)n;
    }
    return seen;
}

static void drain_all(struct pair *pair, size_t total)
{
    size_t seen = 0;

    while (seen < total) {
        seen += drain(pair, seen, SIZE_MAX);
        turn(&pair->rig, 1);
    }
    assert_int_equal(seen, total);
}

static void reset_peer(struct pair *pair)
{
    const struct linger now = { .l_onoff = 1 };

    assert_int_equal(setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                     0);
    close(pair->peer);
    pair->peer = -1;
}

/* ---- sending --------------------------------------------------------------------- */

static void what_is_sent_is_gathered(void **state)
{
    struct pair *pair = *state;
    char text[] = "two, ";

    stream_send(&pair->end.stream, SPAN("one, "));
    stream_send_copy(&pair->end.stream, span_of(text, 5));
    memset(text, '!', sizeof text);
    stream_send(&pair->end.stream, SPAN(""));
    stream_send(&pair->end.stream, SPAN("three"));
    assert_peer_waits(pair);
    stream_flush(&pair->end.stream);
    assert_peer_gets(pair, "one, two, three");
    assert_int_equal(pair->end.stream.sent, 15);
}

static void a_callbacks_output_leaves_when_it_returns(void **state)
{
    struct pair *pair = *state;

    pair->end.reply = SPAN("pong");
    assert_int_equal(send(pair->peer, "ping", 4, 0), 4);
    TURN_UNTIL(&pair->rig, pair->end.bytes == 4);
    assert_peer_gets(pair, "pong");
    assert_memory_equal(pair->end.kept, "ping", 4);
}

static void many_pieces_stay_in_order(void **state)
{
    struct pair *pair = *state;
    size_t want = 0, seen = 0;
    char bytes[8192];

    /* More pieces than one gathering holds, and more text than fits beside them. */
    for (unsigned i = 0; i < 3 * LOOP_GATHER_SPANS; i++) {
        char text[1000];

        memset(text, 'a' + (char)(i % 26), sizeof text);
        stream_send_copy(&pair->end.stream, span_of(text, i % 1000));
        stream_send(&pair->end.stream, SPAN("."));
        want += i % 1000 + 1;
    }
    stream_flush(&pair->end.stream);
    for (unsigned i = 0, left = 0; seen < want;) {
        ssize_t n = recv(pair->peer, bytes, sizeof bytes, 0);

        for (ssize_t at = 0; at < n; at++) {
            bool dot = left == i % 1000;

            assert_int_equal(bytes[at], dot ? '.' : 'a' + (char)(i % 26));
            left = dot ? 0 : left + 1;
            i += dot;
        }
        seen += n > 0 ? (size_t)n : 0;
        turn(&pair->rig, n > 0 ? 0 : 1);
    }
    assert_int_equal(seen, want);
}

static void two_streams_may_send_in_turn(void **state)
{
    struct pair *pair = *state;
    struct end other;
    char bytes[8];
    int sockets[2];

    socket_pair(sockets);
    end_open(&other, &pair->rig, sockets[0], NULL);
    stream_send_copy(&pair->end.stream, SPAN("a1"));
    stream_send_copy(&other.stream, SPAN("b1"));
    stream_send_copy(&pair->end.stream, SPAN("a2"));
    stream_flush_gathered(pair->rig.loop);
    assert_peer_gets(pair, "a1a2");
    assert_int_equal(recv(sockets[1], bytes, sizeof bytes, 0), 2);
    end_close(&other);
    close(sockets[1]);
    turn(&pair->rig, 1);
    assert_int_equal(other.freed, 1);
}

static void what_the_socket_refuses_is_queued(void **state)
{
    struct pair *pair = *state;
    size_t total = fill(pair, 1000);

    assert_true(total < FULL);
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.drained, 0);
    drain_all(pair, total);
    assert_int_equal(pair->end.drained, 1);
    assert_int_equal(stream_queued(&pair->end.stream), 0);
    assert_int_equal(pair->end.stream.sent, total);
}

static void a_high_queue_is_drained_at_its_low_mark(void **state)
{
    struct pair *pair = *state;
    size_t total = fill(pair, STREAM_HIGH + 1), seen = 0;

    while (pair->end.drained == 0) {
        assert_true(stream_queued(&pair->end.stream) > STREAM_LOW);
        seen += drain(pair, seen, 4096);
        turn(&pair->rig, 1);
    }
    assert_true(stream_queued(&pair->end.stream) <= STREAM_LOW);
    while (seen < total) {
        seen += drain(pair, seen, SIZE_MAX);
        turn(&pair->rig, 1);
    }
    assert_in_range(pair->end.drained, 1, 2);
    assert_int_equal(stream_queued(&pair->end.stream), 0);
}

static void shutdown_waits_for_the_queue(void **state)
{
    struct pair *pair = *state;
    size_t total = fill(pair, 200000);
    char byte;

    stream_shutdown(&pair->end.stream);
    stream_send(&pair->end.stream, SPAN("too late"));
    stream_send_copy(&pair->end.stream, SPAN("too late"));
    drain_all(pair, total);
    TURN_UNTIL(&pair->rig, recv(pair->peer, &byte, 1, 0) == 0);
    /* The other direction lives on. */
    assert_int_equal(send(pair->peer, "still here", 10, 0), 10);
    TURN_UNTIL(&pair->rig, pair->end.bytes == 10);
    stream_send_copy(&pair->end.stream, SPAN("too late"));
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.ends[STREAM_RESET], 0);
}

static void sending_into_a_reset_fails_later(void **state)
{
    struct pair *pair = *state;

    reset_peer(pair);
    stream_send_copy(&pair->end.stream, SPAN("lost"));
    stream_flush(&pair->end.stream);
    assert_int_equal(pair->end.ends[STREAM_RESET], 0);
    stream_send_copy(&pair->end.stream, SPAN("lost too"));
    pair->end.closes = &pair->end;
    pair->end.closing_on = ON_ENDED;
    TURN_UNTIL(&pair->rig, pair->end.ends[STREAM_RESET] == 1);
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.freed, 1);
}

/* ---- reading --------------------------------------------------------------------- */

static void a_paused_stream_reads_nothing(void **state)
{
    struct pair *pair = *state;

    stream_pause(&pair->end.stream);
    assert_int_equal(send(pair->peer, "abc", 3, 0), 3);
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.bytes, 0);
    stream_resume(&pair->end.stream);
    turn(&pair->rig, 1);
    assert_int_equal(pair->end.bytes, 3);
    /* Paused in its own callback, with more bytes and the end behind. */
    pair->end.pauses = true;
    assert_int_equal(send(pair->peer, "def", 3, 0), 3);
    TURN_UNTIL(&pair->rig, pair->end.bytes == 6);
    assert_int_equal(send(pair->peer, "ghi", 3, 0), 3);
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.bytes, 6);
    assert_int_equal(pair->end.ends[STREAM_EOF], 0);
    while (pair->end.ends[STREAM_EOF] == 0) {
        stream_resume(&pair->end.stream);
        turn(&pair->rig, 1);
    }
    assert_memory_equal(pair->end.kept, "abcdefghi", 9);
}

static void a_half_closed_peer_still_reads(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(send(pair->peer, "last", 4, 0), 4);
    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    TURN_UNTIL(&pair->rig, pair->end.ends[STREAM_EOF] == 1);
    assert_int_equal(pair->end.bytes, 4);
    stream_send(&pair->end.stream, SPAN("reply"));
    stream_flush(&pair->end.stream);
    assert_peer_gets(pair, "reply");
    turn(&pair->rig, 2);
    assert_int_equal(pair->end.ends[STREAM_EOF], 1);
    assert_int_equal(pair->end.ends[STREAM_RESET], 0);
}

static void data_before_a_reset_arrives(void **state)
{
    struct pair *pair = *state;

    pair->end.closes = &pair->end;
    pair->end.closing_on = ON_ENDED;
    assert_int_equal(send(pair->peer, "before", 6, 0), 6);
    reset_peer(pair);
    TURN_UNTIL(&pair->rig, pair->end.ends[STREAM_RESET] == 1);
    assert_memory_equal(pair->end.kept, "before", 6);
    assert_int_equal(pair->end.ends[STREAM_EOF], 0);
}

/* A peer that closes looks half-closed at first; the reset that answers our next bytes
 * tells that it is gone, without waiting for further ones. */
static void a_reset_after_the_end_is_noticed(void **state)
{
    struct pair *pair = *state;

    close(pair->peer);
    pair->peer = -1;
    TURN_UNTIL(&pair->rig, pair->end.ends[STREAM_EOF] == 1);
    stream_send(&pair->end.stream, SPAN("anybody?"));
    stream_flush(&pair->end.stream);
    pair->end.closes = &pair->end;
    pair->end.closing_on = ON_ENDED;
    TURN_UNTIL(&pair->rig, pair->end.ends[STREAM_RESET] == 1);
}

/* ---- connecting ------------------------------------------------------------------ */

static void a_refused_connection_ends(void **state)
{
    struct sockaddr_in address;
    struct rig rig;
    struct end end = { .ready = 0 };

    (void)state;
    rig_open(&rig);
    close(tcp_listen(&address));
    end.closes = &end;
    end.closing_on = ON_ENDED;
    if (stream_connect(&end.stream, rig.loop, (struct sockaddr *)&address,
                       sizeof address, NULL, &end_events, &end)) {
        TURN_UNTIL(&rig, end.ends[STREAM_REFUSED] == 1);
        turn(&rig, 1);
        assert_int_equal(end.freed, 1);
    }
    assert_int_equal(end.ready, 0);
    assert_true(end.stream.closed);
    rig_close(&rig);
}

/* The bytes and the end that come with the connection itself are not lost. */
static void a_server_may_speak_first(void **state)
{
    struct rig rig;
    struct end end;
    int peer;

    (void)state;
    rig_open(&rig);
    peer = end_connect(&end, &rig, NULL);
    assert_int_equal(send(peer, "busy", 4, 0), 4);
    close(peer);
    TURN_UNTIL(&rig, end.ends[STREAM_EOF] == 1);
    assert_int_equal(end.ready, 1);
    assert_memory_equal(end.kept, "busy", 4);
    end_close(&end);
    rig_close(&rig);
}

static void a_connecting_stream_may_be_closed(void **state)
{
    struct rig rig;
    struct end end;

    (void)state;
    rig_open(&rig);
    close(end_connect(&end, &rig, NULL));
    end_close(&end);
    turn(&rig, 2);
    assert_int_equal(end.ready, 0);
    assert_int_equal(end.freed, 1);
    rig_close(&rig);
}

static void ready_may_close(void **state)
{
    struct rig rig;
    struct end end;
    int peer;

    (void)state;
    rig_open(&rig);
    peer = end_connect(&end, &rig, NULL);
    assert_int_equal(send(peer, "busy", 4, 0), 4);
    end.closes = &end;
    end.closing_on = ON_READY;
    TURN_UNTIL(&rig, end.freed == 1);
    assert_int_equal(end.bytes, 0);
    close(peer);
    rig_close(&rig);
}

/* ---- closing --------------------------------------------------------------------- */

static void closing_sends_what_is_gathered(void **state)
{
    struct pair *pair = *state;
    char byte;

    stream_send_copy(&pair->end.stream, SPAN("bye"));
    stream_close(&pair->end.stream, CLOSE_ORDERLY, end_freed);
    assert_peer_gets(pair, "bye");
    assert_int_equal(recv(pair->peer, &byte, 1, 0), 0);
    assert_int_equal(pair->end.freed, 0);
    turn(&pair->rig, 1);
    assert_int_equal(pair->end.freed, 1);
}

static void a_reset_is_seen_as_one(void **state)
{
    struct pair *pair = *state;
    char byte;

    stream_send_copy(&pair->end.stream, SPAN("never sent"));
    stream_close(&pair->end.stream, CLOSE_RESET, end_freed);
    turn(&pair->rig, 1);
    assert_int_equal(recv(pair->peer, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void every_callback_may_close(void **state)
{
    const enum end_event events[] = { ON_READABLE, ON_ENDED };

    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        for (int reset = 0; reset <= 1; reset++) {
            struct pair *pair;
            void *opened;

            assert_int_equal(pair_open(&opened), 0);
            pair = opened;
            pair->end.reply = SPAN("bye");
            pair->end.closes = &pair->end;
            pair->end.closes_how = reset == 1 ? CLOSE_RESET : CLOSE_ORDERLY;
            pair->end.closing_on = events[i];
            assert_int_equal(send(pair->peer, "hello", 5, 0), 5);
            assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
            TURN_UNTIL(&pair->rig, pair->end.freed == 1);
            assert_int_equal(pair->end.bytes, 5);
            assert_int_equal(pair_close(&opened), 0);
        }
    }
}

static void drained_may_close(void **state)
{
    struct pair *pair = *state;
    size_t total = fill(pair, 1000), seen = 0;

    pair->end.closes = &pair->end;
    pair->end.closing_on = ON_DRAINED;
    while (pair->end.freed == 0) {
        seen += drain(pair, seen, SIZE_MAX);
        turn(&pair->rig, 1);
    }
    seen += drain(pair, seen, SIZE_MAX);
    assert_int_equal(seen, total);
}

/* Streams with events in the same turn close each other, woken ones too. */
static void a_stream_may_close_another(void **state)
{
    static char bytes[512 * 1024];
    const int sizes[] = { 5, 512 * 1024 };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct end first, second;
        int one[2], two[2];
        int room = 4 * 1024 * 1024;

        rig_open(&rig);
        socket_pair(one);
        socket_pair(two);
        end_open(&first, &rig, one[0], NULL);
        end_open(&second, &rig, two[0], NULL);
        turn(&rig, 1);
        stream_pause(&first.stream);
        stream_pause(&second.stream);
        setsockopt(one[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
        setsockopt(two[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
        assert_true(send(one[1], bytes, (size_t)sizes[i], 0) > 0);
        assert_true(send(two[1], bytes, (size_t)sizes[i], 0) > 0);
        turn(&rig, 2);
        /* Both are woken now; whoever is served first closes the other. */
        first.closes = &second;
        second.closes = &first;
        first.closing_on = ON_READABLE;
        second.closing_on = ON_READABLE;
        stream_resume(&first.stream);
        stream_resume(&second.stream);
        turn(&rig, 3);
        assert_int_equal(first.stream.closed + second.stream.closed, 1);
        assert_true(first.bytes == 0 || second.bytes == 0);
        end_close(&first);
        end_close(&second);
        close(one[1]);
        close(two[1]);
        rig_close(&rig);
    }
}

static void events_of_a_closed_stream_are_dropped(void **state)
{
    struct rig rig;
    struct end first, second;
    int one[2], two[2];

    (void)state;
    rig_open(&rig);
    socket_pair(one);
    socket_pair(two);
    end_open(&first, &rig, one[0], NULL);
    end_open(&second, &rig, two[0], NULL);
    first.closes = &second;
    second.closes = &first;
    first.closing_on = ON_READABLE;
    second.closing_on = ON_READABLE;
    assert_int_equal(send(one[1], "x", 1, 0), 1);
    assert_int_equal(send(two[1], "x", 1, 0), 1);
    turn(&rig, 2);
    assert_int_equal(first.bytes + second.bytes, 1);
    end_close(&first);
    end_close(&second);
    close(one[1]);
    close(two[1]);
    rig_close(&rig);
}

static void its_deadline_goes_with_it(void **state)
{
    struct pair *pair = *state;

    pair->end.stream.deadline.expired = rig_hangs;
    stream_deadline(&pair->end.stream, 1);
    end_close(&pair->end);
    turn(&pair->rig, 3);
}

int main(void)
{
#define PLAIN(name) cmocka_unit_test_setup_teardown(name, pair_open, pair_close)
#define TCP(name)   cmocka_unit_test_setup_teardown(name, tcp_open, pair_close)
    const struct CMUnitTest tests[] = {
        PLAIN(what_is_sent_is_gathered),
        PLAIN(a_callbacks_output_leaves_when_it_returns),
        PLAIN(many_pieces_stay_in_order),
        PLAIN(two_streams_may_send_in_turn),
        PLAIN(what_the_socket_refuses_is_queued),
        TCP(what_the_socket_refuses_is_queued),
        PLAIN(a_high_queue_is_drained_at_its_low_mark),
        PLAIN(shutdown_waits_for_the_queue),
        TCP(shutdown_waits_for_the_queue),
        TCP(sending_into_a_reset_fails_later),
        PLAIN(a_paused_stream_reads_nothing),
        TCP(a_paused_stream_reads_nothing),
        PLAIN(a_half_closed_peer_still_reads),
        TCP(a_half_closed_peer_still_reads),
        TCP(data_before_a_reset_arrives),
        TCP(a_reset_after_the_end_is_noticed),
        cmocka_unit_test(a_refused_connection_ends),
        cmocka_unit_test(a_server_may_speak_first),
        cmocka_unit_test(a_connecting_stream_may_be_closed),
        cmocka_unit_test(ready_may_close),
        PLAIN(closing_sends_what_is_gathered),
        TCP(a_reset_is_seen_as_one),
        cmocka_unit_test(every_callback_may_close),
        PLAIN(drained_may_close),
        cmocka_unit_test(a_stream_may_close_another),
        cmocka_unit_test(events_of_a_closed_stream_are_dropped),
        PLAIN(its_deadline_goes_with_it),
    };
#undef TCP
#undef PLAIN

    return cmocka_run_group_tests(tests, NULL, NULL);
}

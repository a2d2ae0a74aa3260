/* What the tests of streams and the loop share: a loop that cannot hang, ends of
 * connections that remember what happened to them, and what they do about it. */
#ifndef ASSAY_TESTS_UNIT_STREAMING_H
#define ASSAY_TESTS_UNIT_STREAMING_H

#include "proxy/base/clock.h"
#include "proxy/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { GUARD_S = 60, KEPT_BYTES = 4096 };

/* A loop with a limit of time, so that a lost event fails its test. */
struct rig {
    struct loop *loop;
    struct deadline guard;
};

enum end_event { ON_READY, ON_READABLE, ON_DRAINED, ON_ENDED };

/* One end of a connection. */
struct end {
    struct stream stream;
    unsigned ready, drained, freed;
    unsigned ends[STREAM_NO_MEMORY + 1]; /* how often it ended so */
    uint64_t bytes;                      /* that came */
    char kept[KEPT_BYTES];               /* the first of them */
    bool corrupt;                        /* something else came than byte_at() says */
    bool patterned;                      /* byte_at() says what comes */
    struct span reply;                   /* sent at the first bytes */
    struct end *closes;                  /* closed at the next event of `closing_on` */
    enum stream_closing closes_how;
    enum end_event closing_on;
    bool pauses; /* after each piece */
};

static inline char byte_at(uint64_t place)
{
    return (char)(place * 31 + place / 4093);
}

static inline void end_freed(void *self)
{
    struct end *end = self;

    end->freed++;
}

static inline void end_acts(struct end *end, enum end_event event)
{
    struct end *closes = end->closes;

    if (closes != NULL && end->closing_on == event) {
        end->closes = NULL;
        stream_close(&closes->stream, end->closes_how, end_freed);
    }
}

static inline void end_ready(void *self)
{
    struct end *end = self;

    end->ready++;
    end_acts(end, ON_READY);
}

static inline void end_readable(void *self, struct span bytes)
{
    struct end *end = self;

    assert_true(bytes.len > 0);
    assert_false(end->stream.closed || end->stream.paused);
    for (size_t i = 0; i < bytes.len; i++) {
        if (end->bytes + i < KEPT_BYTES) {
            end->kept[end->bytes + i] = bytes.at[i];
        }
        end->corrupt |= end->patterned && bytes.at[i] != byte_at(end->bytes + i);
    }
    end->bytes += bytes.len;
    stream_send(&end->stream, end->reply);
    end->reply = span_of(NULL, 0);
    if (end->pauses) {
        stream_pause(&end->stream);
    }
    end_acts(end, ON_READABLE);
}

static inline void end_drained(void *self)
{
    struct end *end = self;

    end->drained++;
    end_acts(end, ON_DRAINED);
}

static inline void end_ended(void *self, enum stream_end how)
{
    struct end *end = self;

    assert_false(end->stream.closed);
    end->ends[how]++;
    end_acts(end, ON_ENDED);
}

static const struct stream_events end_events = {
    .ready = end_ready,
    .readable = end_readable,
    .drained = end_drained,
    .ended = end_ended,
};

static inline void rig_hangs(void *self)
{
    (void)self;
    fail_msg("nothing happened for %d s", GUARD_S);
}

static inline void rig_open(struct rig *rig)
{
    *rig = (struct rig){ .loop = loop_new(), .guard = { .expired = rig_hangs } };
    assert_non_null(rig->loop);
    assert_true(deadline_set(&rig->loop->deadlines, &rig->guard, rig->loop->now_ns,
                             (uint64_t)GUARD_S * NS_PER_S));
}

static inline void rig_close(struct rig *rig)
{
    deadline_clear(&rig->guard);
    rig->loop = loop_free(rig->loop);
}

/* Turns the loop until it is so. */
#define TURN_UNTIL(rig, condition)                                                     \
    while (!(condition)) {                                                             \
        loop_turn((rig)->loop);                                                        \
    }

static inline void turn(struct rig *rig, int times)
{
    static struct deadline soon;

    for (int i = 0; i < times; i++) {
        soon.expired = end_freed;
        soon.owner = &(struct end){ 0 };
        assert_true(deadline_set(&rig->loop->deadlines, &soon, clock_monotonic_ns(),
                                 NS_PER_MS));
        loop_turn(rig->loop);
        deadline_clear(&soon);
    }
}

static inline void end_close(struct end *end)
{
    if (!end->stream.closed) {
        stream_close(&end->stream, CLOSE_ORDERLY, end_freed);
    }
}

/* An end over one side of a socket; `ssl` may be NULL. */
static inline void end_open(struct end *end, struct rig *rig, int fd, SSL *ssl)
{
    *end = (struct end){ .ready = 0 };
    assert_true(stream_accept(&end->stream, rig->loop, fd, ssl, &end_events, end));
}

static inline void socket_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

/* A listening socket on loopback, and its address. */
static inline int tcp_listen(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    *address = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

/* Connects an end to a listener; returns the accepted socket. */
static inline int end_connect(struct end *end, struct rig *rig, SSL *ssl)
{
    struct sockaddr_in address;
    int listener = tcp_listen(&address), fd;

    *end = (struct end){ .ready = 0 };
    assert_true(stream_connect(&end->stream, rig->loop, (struct sockaddr *)&address,
                               sizeof address, ssl, &end_events, end));
    do {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    } while (fd < 0 && errno == EAGAIN);
    assert_true(fd >= 0);
    close(listener);
    return fd;
}

#endif

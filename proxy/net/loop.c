#include "proxy/net/loop.h"

#include "proxy/base/clock.h"
#include "proxy/net/stream.h"

#include <stdlib.h>
#include <unistd.h>

/* Spare blocks kept per loop: 64 of 16 KiB. */
enum { IDLE_BLOCKS = 64 };

static bool loop_init(struct loop *loop)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    block_pool_init(&loop->blocks, IDLE_BLOCKS);
    loop->received.bytes = malloc(LOOP_READ_BYTES);
    loop->decrypted.bytes = malloc(LOOP_PLAIN_BYTES);
    loop->scratch.bytes = malloc(LOOP_SCRATCH_BYTES);
    loop->record.bytes = malloc(LOOP_RECORD_BYTES);
    loop->cipher_buffer = malloc(LOOP_CIPHER_BYTES);
    loop->now_ns = clock_monotonic_ns();
    return loop->epoll_fd >= 0 && loop->received.bytes != NULL &&
           loop->decrypted.bytes != NULL && loop->scratch.bytes != NULL &&
           loop->record.bytes != NULL && loop->cipher_buffer != NULL;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop != NULL && !loop_init(loop)) {
        return loop_free(loop);
    }
    return loop;
}

static void loop_bury(struct loop *loop)
{
    while (loop->dead != NULL) {
        struct stream *stream = loop->dead;

        loop->dead = stream->next_dead;
        if (stream->freed != NULL) {
            stream->freed(stream->owner);
        }
    }
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    loop_bury(loop);
    deadlines_done(&loop->deadlines);
    block_pool_done(&loop->blocks);
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    free(loop->received.bytes);
    free(loop->decrypted.bytes);
    free(loop->scratch.bytes);
    free(loop->record.bytes);
    free(loop->cipher_buffer);
    free(loop);
    return NULL;
}

bool loop_watch(struct loop *loop, int fd, uint32_t events, struct loop_watch *watch)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void loop_unwatch(struct loop *loop, int fd, struct loop_watch *watch)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    for (size_t i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

bool loop_input_waits(const struct loop *loop, const struct loop_watch *watch)
{
    for (size_t i = loop->event_next; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch &&
            (loop->events[i].events & ~(uint32_t)EPOLLOUT) != 0) {
            return true;
        }
    }
    return false;
}

/* Milliseconds until the next deadline, rounded up; -1: there is none. Counted from the
 * turn's beginning, so that a deadline may be late by what the turn took. */
static int wait_ms(const struct loop *loop)
{
    uint64_t due_ns = deadlines_due(&loop->deadlines);
    uint64_t now_ns = loop->now_ns;

    if (loop->woken != NULL || due_ns <= now_ns) {
        return 0;
    }
    if (due_ns == UINT64_MAX) {
        return -1;
    }
    due_ns = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return due_ns > INT32_MAX ? INT32_MAX : (int)due_ns;
}

static void loop_serve(struct loop *loop)
{
    loop->event_next = 0;
    while (loop->event_next < loop->event_count) {
        const struct epoll_event *event = &loop->events[loop->event_next++];
        struct loop_watch *watch = event->data.ptr;

        if (watch != NULL) {
            watch->happened(watch->owner, event->events);
            stream_flush_gathered(loop);
        }
    }
}

static void buffer_wipe(struct loop_buffer *buffer)
{
    if (buffer->dirty > 0) {
        explicit_bzero(buffer->bytes, buffer->dirty);
        buffer->dirty = 0;
    }
}

static void loop_wipe(struct loop *loop)
{
    buffer_wipe(&loop->received);
    buffer_wipe(&loop->decrypted);
    buffer_wipe(&loop->scratch);
    buffer_wipe(&loop->record);
}

void loop_turn(struct loop *loop)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS, wait_ms(loop));

    loop->now_ns = clock_monotonic_ns();
    loop->event_count = count > 0 ? (size_t)count : 0;
    loop_serve(loop);
    stream_serve_woken(loop);
    deadlines_expire(&loop->deadlines, loop->now_ns);
    stream_flush_gathered(loop);
    loop_wipe(loop);
    loop_bury(loop);
}

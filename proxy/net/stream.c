#include "proxy/net/stream.h"

#include "proxy/net/stream_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum {
    SEND_MERGED = 4096, /* smaller pieces are copied behind what is copied already */
    READS_PER_TURN = 4, /* full buffers from one socket, before others get a turn */
    QUEUE_SPANS = 16,   /* of one send from the queue */
    /* What a TLS peer may make us say (answers to key updates) while
     * it reads nothing. */
    ANSWERS_MAX = 64 * 1024
};

/* The loop serves this stream again in its next turn, whatever the kernel says. */
static void stream_wake(struct stream *stream)
{
    if (!stream->woken) {
        stream->woken = true;
        stream->next_woken = stream->loop->woken;
        stream->loop->woken = stream;
    }
}

/* The owner learns of it from the loop, not from within its own call. */
static void stream_fail(struct stream *stream)
{
    if (!stream->failed) {
        stream->failed = true;
        block_clear(&stream->queue, &stream->loop->blocks);
        stream_wake(stream);
    }
}

/* ---- sending --------------------------------------------------------------------- */

/* Returns how many bytes the socket took; fails the stream if it is broken. */
static size_t socket_write(struct stream *stream, const struct iovec *spans,
                           size_t count)
{
    struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)spans,
                              .msg_iovlen = count };
    ssize_t n;

    do {
        n = count == 1 ? send(stream->fd, spans->iov_base, spans->iov_len, MSG_NOSIGNAL)
                       : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        stream->sent += (size_t)n;
        return (size_t)n;
    }
    if (errno != EAGAIN) {
        stream_fail(stream);
    }
    return 0;
}

static void queue_put(struct stream *stream, struct span bytes)
{
    if (stream->failed) {
        return;
    }
    if (!block_put(&stream->queue, &stream->loop->blocks, bytes)) {
        stream_fail(stream);
    }
    if (stream->queue.bytes > STREAM_HIGH) {
        stream->was_high = true;
    }
}

/* Queues what a write of `spans` left behind. */
static void queue_rest(struct stream *stream, const struct iovec *spans, size_t count,
                       size_t written)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = spans[i].iov_len;

        if (written >= len) {
            written -= len;
            continue;
        }
        queue_put(stream,
                  span_of((const char *)spans[i].iov_base + written, len - written));
        written = 0;
    }
}

/* Sends wire bytes now, or queues them behind those that wait. */
static void wire_send(struct stream *stream, const struct iovec *spans, size_t count)
{
    size_t written = 0;

    if (stream->queue.bytes == 0) {
        written = socket_write(stream, spans, count);
    }
    queue_rest(stream, spans, count, written);
}

static void cipher_send(struct stream *stream)
{
    struct loop *loop = stream->loop;
    struct iovec span = { loop->cipher_buffer, loop->cipher_used };

    loop->cipher_used = 0;
    if (span.iov_len > 0 && !stream->failed) {
        wire_send(stream, &span, 1);
    }
}

static void tls_send(struct stream *stream, struct iovec *spans, size_t count)
{
    while (count > 0 && !stream->failed) {
        ssize_t taken = stream_tls_write(stream, spans, count);

        if (taken < 0) {
            stream->loop->cipher_used = 0;
            stream_fail(stream);
            return;
        }
        cipher_send(stream);
        while (count > 0 && (size_t)taken >= spans->iov_len) {
            taken -= (ssize_t)spans->iov_len;
            spans++;
            count--;
        }
        if (count > 0) {
            spans->iov_base = (char *)spans->iov_base + taken;
            spans->iov_len -= (size_t)taken;
        }
    }
}

void stream_flush(struct stream *stream)
{
    struct loop *loop = stream->loop;
    size_t count = loop->gathered;

    if (loop->gather != stream) {
        return;
    }
    loop->gather = NULL;
    loop->gathered = 0;
    loop->scratch_used = 0;
    if (stream->failed) {
        return;
    }
    if (stream->ssl != NULL) {
        tls_send(stream, loop->spans, count);
    } else {
        wire_send(stream, loop->spans, count);
    }
}

static void gather_begin(struct stream *stream)
{
    struct loop *loop = stream->loop;

    if (loop->gather != NULL &&
        (loop->gather != stream || loop->gathered == LOOP_GATHER_SPANS)) {
        stream_flush(loop->gather);
    }
    loop->gather = stream;
}

/* Adds bytes to the last span of the gathered ones, if that ends the scratch. */
static bool scratch_extend(struct loop *loop, struct span bytes)
{
    char *end = loop->scratch.bytes + loop->scratch_used;
    struct iovec *last;

    if (loop->gathered == 0 || bytes.len > LOOP_SCRATCH_BYTES - loop->scratch_used) {
        return false;
    }
    last = &loop->spans[loop->gathered - 1];
    if ((char *)last->iov_base + last->iov_len != end) {
        return false;
    }
    memcpy(end, bytes.at, bytes.len);
    last->iov_len += bytes.len;
    loop->scratch_used += bytes.len;
    loop_dirties(&loop->scratch, loop->scratch_used);
    return true;
}

void stream_send(struct stream *stream, struct span bytes)
{
    struct loop *loop = stream->loop;

    if (bytes.len == 0 || stream->failed || stream->write_shut) {
        return;
    }
    CHECK(!stream->connecting && !stream->handshaking && !stream->closed);
    if (bytes.len <= SEND_MERGED && loop->gather == stream &&
        scratch_extend(loop, bytes)) {
        return;
    }
    gather_begin(stream);
    loop->spans[loop->gathered++] =
        (struct iovec){ (void *)(uintptr_t)bytes.at, bytes.len };
}

void stream_send_copy(struct stream *stream, struct span bytes)
{
    struct loop *loop = stream->loop;
    char *copy;

    if (bytes.len == 0 || stream->failed || stream->write_shut) {
        return;
    }
    CHECK(bytes.len <= LOOP_SCRATCH_BYTES);
    if (loop->gather == stream && scratch_extend(loop, bytes)) {
        return;
    }
    gather_begin(stream);
    if (bytes.len > LOOP_SCRATCH_BYTES - loop->scratch_used) {
        stream_flush(stream);
        gather_begin(stream);
    }
    copy = loop->scratch.bytes + loop->scratch_used;
    memcpy(copy, bytes.at, bytes.len);
    loop->scratch_used += bytes.len;
    loop_dirties(&loop->scratch, loop->scratch_used);
    stream_send(stream, span_of(copy, bytes.len));
}

static void queue_send(struct stream *stream)
{
    while (stream->queue.bytes > 0 && !stream->failed) {
        struct span waiting[QUEUE_SPANS];
        struct iovec spans[QUEUE_SPANS];
        size_t count = block_spans(&stream->queue, waiting, QUEUE_SPANS);
        size_t total = 0, written;

        for (size_t i = 0; i < count; i++) {
            spans[i] =
                (struct iovec){ (void *)(uintptr_t)waiting[i].at, waiting[i].len };
            total += waiting[i].len;
        }
        written = socket_write(stream, spans, count);
        if (stream->failed) {
            return;
        }
        block_drop(&stream->queue, &stream->loop->blocks, written);
        if (written < total) {
            return;
        }
    }
}

static void writing_ends(struct stream *stream)
{
    if (stream->write_shut && stream->queue.bytes == 0 && !stream->failed) {
        shutdown(stream->fd, SHUT_WR);
    }
}

static void stream_writable(struct stream *stream)
{
    if (stream->queue.bytes == 0) {
        return;
    }
    queue_send(stream);
    if (stream->failed || stream->queue.bytes > STREAM_LOW) {
        return;
    }
    if (stream->was_high || stream->queue.bytes == 0) {
        stream->was_high = false;
        writing_ends(stream);
        stream->events->drained(stream->owner);
    }
}

void stream_shutdown(struct stream *stream)
{
    if (stream->write_shut || stream->failed) {
        return;
    }
    stream_flush(stream);
    if (stream->ssl != NULL && !stream->handshaking) {
        stream_tls_shutdown(stream);
        cipher_send(stream);
    }
    stream->write_shut = true;
    writing_ends(stream);
}

/* ---- reading --------------------------------------------------------------------- */

static void reading_ends(struct stream *stream, enum stream_end how)
{
    if (!stream->read_ended) {
        stream->read_ended = true;
        stream->events->ended(stream->owner, how);
    }
}

static void handshake_step(struct stream *stream)
{
    enum stream_tls_state state = stream_tls_handshake(stream);

    cipher_send(stream); /* an alert goes out also when the handshake failed */
    if (state != STREAM_TLS_OK) {
        stream->failed = true;
        stream->events->ended(stream->owner, STREAM_BAD_TLS);
    } else if (!stream->handshaking) {
        stream->events->ready(stream->owner);
    }
}

/* Sends what TLS itself has to say to what was read. */
static void answers_send(struct stream *stream)
{
    stream->answers =
        stream->queue.bytes == 0 ? 0 : stream->answers + stream->loop->cipher_used;
    cipher_send(stream);
}

static void cipher_arrived(struct stream *stream)
{
    enum stream_tls_state state;
    struct span plain;

    if (stream->handshaking) {
        handshake_step(stream);
        if (stream->closed || stream->failed || stream->handshaking) {
            return;
        }
    }
    state = stream_tls_read(stream, &plain);
    stream->loop->cipher_input.len = 0;
    answers_send(stream);
    if (plain.len > 0) {
        stream->events->readable(stream->owner, plain);
    }
    if (stream->closed) {
        return;
    }
    if (state == STREAM_TLS_CLOSED) {
        reading_ends(stream, STREAM_EOF);
    } else if (state == STREAM_TLS_FAILED || stream->answers > ANSWERS_MAX) {
        stream->failed = true;
        stream->events->ended(stream->owner, STREAM_BAD_TLS);
    }
}

static void bytes_arrived(struct stream *stream, struct span bytes)
{
    stream->received += bytes.len;
    if (stream->ssl == NULL) {
        stream->events->readable(stream->owner, bytes);
        return;
    }
    stream->loop->cipher_input = bytes;
    cipher_arrived(stream);
}

/* One recv. Returns true if there may be more. */
static bool socket_read(struct stream *stream)
{
    struct loop *loop = stream->loop;
    ssize_t n = recv(stream->fd, loop->received.bytes, LOOP_READ_BYTES, 0);

    if (n > 0) {
        loop_dirties(&loop->received, (size_t)n);
        bytes_arrived(stream, span_of(loop->received.bytes, (size_t)n));
        /* A short read emptied the socket; an end or reset behind it was announced. */
        if (n < LOOP_READ_BYTES && !stream->hung_up) {
            stream->unread = false;
        }
        return true;
    }
    if (n == 0) {
        stream->unread = false;
        reading_ends(stream, stream->ssl == NULL ? STREAM_EOF : STREAM_TRUNCATED);
        return false;
    }
    if (errno == EINTR) {
        return true;
    }
    stream->unread = false;
    if (errno != EAGAIN) {
        stream->failed = true;
        stream->events->ended(stream->owner, STREAM_RESET);
    }
    return false;
}

static void stream_read(struct stream *stream)
{
    for (int i = 0; i < READS_PER_TURN; i++) {
        if (stream->closed || stream->failed || stream->paused || stream->read_ended ||
            !stream->unread || !socket_read(stream)) {
            return;
        }
    }
    if (!stream->closed && stream->unread) {
        stream_wake(stream);
    }
}

/* ---- events ---------------------------------------------------------------------- */

static void connect_step(struct stream *stream)
{
    int problem = 0;
    socklen_t size = sizeof problem;

    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0 ||
        problem != 0) {
        stream->failed = true;
        stream->events->ended(stream->owner, STREAM_REFUSED);
        return;
    }
    stream->connecting = false;
    if (stream->ssl == NULL) {
        stream->events->ready(stream->owner);
        return;
    }
    stream->loop->cipher_input.len = 0;
    handshake_step(stream);
}

/* A reset behind the end of reading shows in no recv. */
static void reset_behind_end(struct stream *stream, uint32_t events)
{
    if (!stream->closed && !stream->failed && stream->read_ended &&
        (events & EPOLLERR) != 0) {
        stream->failed = true;
        stream->events->ended(stream->owner, STREAM_RESET);
    }
}

static void on_events(void *self, uint32_t events)
{
    struct stream *stream = self;

    if (stream->failed) {
        stream->events->ended(stream->owner, STREAM_RESET);
        return;
    }
    if (stream->connecting) {
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) {
            return;
        }
        connect_step(stream);
    } else if ((events & EPOLLOUT) != 0) {
        stream_writable(stream);
    }
    if (!stream->closed && (events & ~(uint32_t)EPOLLOUT) != 0) {
        bool ended = stream->read_ended;

        stream->unread = true;
        stream->hung_up |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        stream_read(stream);
        if (ended) {
            reset_behind_end(stream, events);
        }
    }
}

void stream_serve_woken(struct loop *loop)
{
    /* A stream that is woken from here on is served in the next turn. */
    loop->waking = loop->woken;
    loop->woken = NULL;
    while (loop->waking != NULL) {
        struct stream *stream = loop->waking;

        loop->waking = stream->next_woken;
        stream->woken = false;
        on_events(stream, EPOLLIN);
        stream_flush_gathered(loop);
    }
}

void stream_flush_gathered(struct loop *loop)
{
    if (loop->gather != NULL) {
        stream_flush(loop->gather);
    }
}

/* ---- life ------------------------------------------------------------------------ */

static void stream_init(struct stream *stream, struct loop *loop, int fd, SSL *ssl,
                        const struct stream_events *events, void *owner)
{
    *stream = (struct stream){
        .loop = loop,
        .events = events,
        .owner = owner,
        .ssl = ssl,
        .fd = fd,
        .handshaking = ssl != NULL,
    };
}

static bool stream_watch(struct stream *stream)
{
    const uint32_t interest = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    int on = 1;

    /* Fails harmlessly on a Unix socket. */
    (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    stream->watch = (struct loop_watch){ on_events, stream };
    return (stream->ssl == NULL || stream_tls_attach(stream)) &&
           loop_watch(stream->loop, stream->fd, interest, &stream->watch);
}

static bool stream_give_up(struct stream *stream)
{
    if (stream->ssl != NULL) {
        SSL_free(stream->ssl);
    }
    if (stream->fd >= 0) {
        close(stream->fd);
    }
    stream->closed = true;
    return false;
}

bool stream_accept(struct stream *stream, struct loop *loop, int fd, SSL *ssl,
                   const struct stream_events *events, void *owner)
{
    stream_init(stream, loop, fd, ssl, events, owner);
    return stream_watch(stream) || stream_give_up(stream);
}

bool stream_connect(struct stream *stream, struct loop *loop,
                    const struct sockaddr *address, socklen_t length, SSL *ssl,
                    const struct stream_events *events, void *owner)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    stream_init(stream, loop, fd, ssl, events, owner);
    stream->connecting = true;
    if (fd < 0 || (connect(fd, address, length) != 0 && errno != EINPROGRESS)) {
        return stream_give_up(stream);
    }
    return stream_watch(stream) || stream_give_up(stream);
}

void stream_pause(struct stream *stream)
{
    stream->paused = true;
}

void stream_resume(struct stream *stream)
{
    if (stream->paused) {
        stream->paused = false;
        if (stream->unread && !stream->closed) {
            stream_wake(stream);
        }
    }
}

static void farewell(struct stream *stream, enum stream_closing how)
{
    if (how == CLOSE_RESET) {
        struct linger now = { .l_onoff = 1, .l_linger = 0 };

        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        return;
    }
    if (!stream->failed && !stream->connecting) {
        stream_shutdown(stream);
    }
}

static bool list_forget(struct stream **list, const struct stream *stream)
{
    for (; *list != NULL; list = &(*list)->next_woken) {
        if (*list == stream) {
            *list = stream->next_woken;
            return true;
        }
    }
    return false;
}

static void wake_forget(struct stream *stream)
{
    if (stream->woken && !list_forget(&stream->loop->woken, stream)) {
        list_forget(&stream->loop->waking, stream);
    }
    stream->woken = false;
}

void stream_close(struct stream *stream, enum stream_closing how,
                  void (*freed)(void *owner))
{
    struct loop *loop = stream->loop;

    CHECK(!stream->closed);
    if (loop->gather == stream && how == CLOSE_RESET) {
        loop->gather = NULL;
        loop->gathered = 0;
        loop->scratch_used = 0;
    }
    farewell(stream, how);
    stream->closed = true;
    loop_unwatch(loop, stream->fd, &stream->watch);
    deadline_clear(&stream->deadline);
    block_clear(&stream->queue, &loop->blocks);
    if (stream->ssl != NULL) {
        /* An unclean end of the connection says nothing against its TLS session. */
        SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(stream->ssl);
        stream->ssl = NULL;
    }
    close(stream->fd);
    wake_forget(stream);
    stream->freed = freed;
    stream->next_dead = loop->dead;
    loop->dead = stream;
}

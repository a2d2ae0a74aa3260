/*
 * fakeprovider - a deterministic LLM provider for tests and measurements.
 *
 *   fakeprovider [-p port] [-t cert-and-key.pem]
 *
 * HTTP/1.1 keep-alive on 127.0.0.1, one thread, edge-triggered epoll.
 *
 *   POST /v1/chat/completions   OpenAI chat: JSON, or SSE with "stream":true
 *   POST /v1/messages           Anthropic:   JSON, or SSE with "stream":true
 *   GET  /healthz               {"ok":true,"pid":N,"streams":N}: replies under way
 *
 * Each also under any path prefix: /openai/v1/chat/completions, /a/b/v1/messages.
 *
 * Parameters, later sources win:
 *   1. the request's model name:   "model":"fake;chunks=50;delay_us=1000"
 *      (survives proxies that drop unknown headers and query strings)
 *   2. the query string:           ?chunks=50&delay_us=1000
 *   3. the header:                 x-fake: chunks=50;delay_us=1000
 * Names:
 *   stream=0|1      force JSON or SSE (else from "stream":true in the body)
 *   chunks=N        content events in a stream                    (20)
 *   bytes=N         bytes of one SSE content event, or of a JSON body
 *                   (180 for SSE, 1200 for JSON)
 *   delay_us=N      time between content events; 0 = as fast as possible
 *   ttft_us=N       time before the first event
 *   burst=N         events per write when delay_us=0               (1)
 *   status=N        answer with this HTTP status and a JSON error
 *   abort_after=N   close the connection after N content events
 *
 * Only the first KiB and the last half KiB of a request body are examined for
 * "model" and "stream", so that a 500 KB body costs little more than its copy out
 * of the kernel (some proxies re-serialise bodies and move "stream" to the end).
 *
 * Every content event carries the text ~tNNNNNNNNNNNNNNNNNNNN: the instant it
 * was written, CLOCK_MONOTONIC nanoseconds in 20 digits.
 */
#include "answers.h"
#include "rig.h"

#include <openssl/err.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEEK = 1024, TAIL = 512, RDBUF = 256 * 1024, EVENTS = 512, HEAD_MAX = 65536 };

struct params {
    int stream; /* -1: look at the body */
    unsigned chunks, bytes, delay_us, ttft_us, burst, status, abort_after;
};

struct conn {
    int fd;
    SSL *ssl;
    bool handshaking, in_body, close_after, streaming, in_ready, blocked, dead;
    enum endpoint endpoint;
    struct params par;
    struct body body;
    char *hold; /* bytes not yet processed: partial head, or pipelined input */
    size_t hold_len, hold_cap;
    char *out; /* bytes not yet accepted by the socket */
    size_t out_len, out_off, out_cap;
    const struct answer *t;
    unsigned sent;   /* content events sent */
    uint64_t due;    /* next event, ns */
    size_t heap_pos; /* 1-based; 0 = not in the heap */
    struct conn *ready_next;
    unsigned peek_len, tail_len; /* the body's first KiB and last half KiB */
    char peek[PEEK], tail[TAIL];
};

static int ep;
static SSL_CTX *tls;
static struct conn *ready_head, *ready_tail;
static struct conn **heap;
static size_t heap_n, heap_cap;
static uint64_t n_requests, n_events, n_conns, n_streams;
static volatile sig_atomic_t stop;

/* ---- timers: a binary heap of streams by due time -------------------------------- */

static void heap_put(size_t i, struct conn *c)
{
    heap[i] = c;
    c->heap_pos = i + 1;
}

static void heap_up(size_t i)
{
    struct conn *c = heap[i];
    while (i > 0 && heap[(i - 1) / 2]->due > c->due) {
        heap_put(i, heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(i, c);
}

static void heap_down(size_t i)
{
    struct conn *c = heap[i];
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= heap_n) {
            break;
        }
        if (k + 1 < heap_n && heap[k + 1]->due < heap[k]->due) {
            k++;
        }
        if (heap[k]->due >= c->due) {
            break;
        }
        heap_put(i, heap[k]);
        i = k;
    }
    heap_put(i, c);
}

static void heap_push(struct conn *c)
{
    if (heap_n == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = realloc(heap, heap_cap * sizeof *heap);
        if (!heap) {
            die("realloc");
        }
    }
    heap[heap_n] = c;
    heap_up(heap_n++);
}

static void heap_remove(struct conn *c)
{
    size_t i = c->heap_pos - 1;
    c->heap_pos = 0;
    struct conn *last = heap[--heap_n];
    if (last == c) {
        return;
    }
    heap[i] = last;
    last->heap_pos = i + 1;
    heap_up(i);
    heap_down(last->heap_pos - 1);
}

/* ---- parameters ------------------------------------------------------------------ */

static void parse_params(struct params *p, const char *s, const char *end)
{
    static const struct {
        const char *name;
        size_t off;
    } names[] = {
        { "stream", offsetof(struct params, stream) },
        { "chunks", offsetof(struct params, chunks) },
        { "bytes", offsetof(struct params, bytes) },
        { "delay_us", offsetof(struct params, delay_us) },
        { "ttft_us", offsetof(struct params, ttft_us) },
        { "burst", offsetof(struct params, burst) },
        { "status", offsetof(struct params, status) },
        { "abort_after", offsetof(struct params, abort_after) },
    };
    while (s < end) {
        while (s < end && (*s == '&' || *s == ';' || *s == '?' || *s == ' ')) {
            s++;
        }
        const char *e = s;
        while (e < end && *e != '&' && *e != ';' && *e != ' ') {
            e++;
        }
        const char *eq = memchr(s, '=', (size_t)(e - s));
        if (eq) {
            for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                if (strlen(names[i].name) == (size_t)(eq - s) &&
                    memcmp(names[i].name, s, (size_t)(eq - s)) == 0) {
                    unsigned v = 0;
                    for (const char *d = eq + 1; d < e && *d >= '0' && *d <= '9'; d++) {
                        v = v * 10u + (unsigned)(*d - '0');
                    }
                    memcpy((char *)p + names[i].off, &v, sizeof v);
                }
            }
        }
        s = e;
    }
}

/* ---- connections ----------------------------------------------------------------- */

static void buf_add(char **b, size_t *len, size_t *cap, const void *p, size_t n)
{
    if (*len + n > *cap) {
        size_t c = *cap ? *cap : 512;
        while (c < *len + n) {
            c *= 2;
        }
        *b = realloc(*b, c);
        if (!*b) {
            die("realloc");
        }
        *cap = c;
    }
    memcpy(*b + *len, p, n);
    *len += n;
}

static void stream_begin(struct conn *c)
{
    c->streaming = true;
    c->sent = 0;
    n_streams++;
}

static void stream_end(struct conn *c)
{
    if (c->streaming) {
        n_streams--;
    }
    c->streaming = false;
}

static void conn_kill(struct conn *c)
{
    if (c->dead) {
        return;
    }
    c->dead = true;
    stream_end(c);
    if (c->heap_pos) {
        heap_remove(c);
    }
    if (c->ssl) {
        SSL_free(c->ssl);
        ERR_clear_error();
    }
    close(c->fd);
    n_conns--;
    free(c->hold);
    free(c->out);
    c->hold = c->out = NULL;
    c->ssl = NULL;
    if (!c->in_ready) {
        free(c); /* else the ready list frees it */
    }
}

/* Queue or send; false when the connection died. */
static bool conn_send(struct conn *c, const char *p, size_t n)
{
    if (c->out_len == c->out_off) {
        long r;
        while ((r = io_write(c->fd, c->ssl, p, n)) > 0) {
            if ((size_t)r == n) {
                return true;
            }
            p += r; /* short write: TLS writes one record at a time */
            n -= (size_t)r;
        }
        if (r != -1) {
            conn_kill(c);
            return false;
        }
        c->out_len = c->out_off = 0;
    }
    buf_add(&c->out, &c->out_len, &c->out_cap, p, n);
    c->blocked = true;
    return true;
}

static void ready_add(struct conn *c)
{
    if (c->in_ready) {
        return;
    }
    c->in_ready = true;
    c->ready_next = NULL;
    if (ready_tail) {
        ready_tail->ready_next = c;
    } else {
        ready_head = c;
    }
    ready_tail = c;
}

static bool conn_input(struct conn *c, const char *p, size_t n);

/* A reply is complete: go on with pipelined input, if any. */
static bool conn_reply_done(struct conn *c)
{
    stream_end(c);
    if (c->close_after && c->out_len == c->out_off) {
        conn_kill(c);
        return false;
    }
    if (c->hold_len) {
        char *h = c->hold;
        size_t n = c->hold_len;
        c->hold = NULL;
        c->hold_len = c->hold_cap = 0;
        bool ok = conn_input(c, h, n);
        free(h);
        return ok;
    }
    return true;
}

/* Send up to `k` events of the stream; false when the connection died. */
static bool stream_step(struct conn *c, unsigned k)
{
    char buf[65536];
    size_t n = 0;
    const struct answer *t = c->t;
    uint64_t now = rig_now_ns();
    if (c->sent == 0) {
        memcpy(buf, t->head, t->head_len);
        n = t->head_len;
    }
    while (k-- && c->sent < c->par.chunks) {
        if (n + t->len > sizeof buf) {
            if (!conn_send(c, buf, n)) {
                return false;
            }
            n = 0;
            if (t->len > sizeof buf) { /* oversized event: send it unstamped */
                if (!conn_send(c, t->data, t->len)) {
                    return false;
                }
                c->sent++;
                n_events++;
                continue;
            }
        }
        memcpy(buf + n, t->data, t->len);
        char *d = buf + n + t->stamp + 20;
        for (uint64_t v = now, i = 0; i < 20; i++, v /= 10) {
            *--d = (char)('0' + v % 10);
        }
        n += t->len;
        c->sent++;
        n_events++;
        if (c->par.abort_after && c->sent >= c->par.abort_after) {
            if (conn_send(c, buf, n)) {
                conn_kill(c);
            }
            return false;
        }
    }
    bool last = c->sent >= c->par.chunks;
    if (last && n + t->tail_len <= sizeof buf) {
        memcpy(buf + n, t->tail, t->tail_len);
        n += t->tail_len;
        return conn_send(c, buf, n) && conn_reply_done(c);
    }
    if (!conn_send(c, buf, n)) {
        return false;
    }
    return !last || (conn_send(c, t->tail, t->tail_len) && conn_reply_done(c));
}

static bool memhas(const char *p, size_t n, const char *needle)
{
    return memmem(p, n, needle, strlen(needle)) != NULL;
}

static bool respond_health(struct conn *c)
{
    char body[96], msg[256];
    int n = snprintf(body, sizeof body, "{\"ok\":true,\"pid\":%d,\"streams\":%llu}",
                     (int)getpid(), (unsigned long long)n_streams);
    int m = snprintf(msg, sizeof msg,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     n, body);
    return conn_send(c, msg, (size_t)m) && conn_reply_done(c);
}

/* The request is complete: answer it. */
static bool conn_respond(struct conn *c)
{
    if (c->endpoint == ENDPOINT_HEALTH) {
        return respond_health(c);
    }
    n_requests++;
    struct params body_par = { .stream = -1, .chunks = 20, .burst = 1, .status = 200 };
    const char *area[2] = { c->peek, c->tail };
    size_t area_len[2] = { c->peek_len, c->tail_len };
    bool want_stream = false;
    for (int i = 0; i < 2; i++) {
        const char *end = area[i] + area_len[i];
        const char *m = memmem(area[i], area_len[i], "\"fake;", 6);
        const char *e = m ? memchr(m + 1, '"', (size_t)(end - m - 1)) : NULL;
        if (e) {
            parse_params(&body_par, m + 6, e);
        }
        want_stream = want_stream || memhas(area[i], area_len[i], "\"stream\":true") ||
                      memhas(area[i], area_len[i], "\"stream\": true");
    }
    /* par holds what query and header said; UINT_MAX-marked fields were unset */
    struct params *q = &c->par;
    if (q->stream < 0) {
        q->stream = body_par.stream;
    }
    if (q->stream < 0) {
        q->stream = want_stream;
    }
#define INHERIT(f)                                                                     \
    if (q->f == UINT32_MAX)                                                            \
    q->f = body_par.f
    INHERIT(chunks);
    INHERIT(bytes);
    INHERIT(delay_us);
    INHERIT(ttft_us);
    INHERIT(burst);
    INHERIT(status);
    INHERIT(abort_after);
#undef INHERIT
    if (q->bytes > 16u << 20) {
        q->bytes = 16u << 20;
    }
    if (q->burst < 1) {
        q->burst = 1;
    }
    if (q->status < 100 || q->status > 599) {
        q->status = 200;
    }
    bool sse = q->stream &&
               (c->endpoint == ENDPOINT_CHAT || c->endpoint == ENDPOINT_MESSAGES) &&
               q->status < 400;
    c->t = answer_for(c->endpoint, sse, q->bytes, q->status);
    if (!sse && q->ttft_us == 0) {
        return conn_send(c, c->t->data, c->t->len) && conn_reply_done(c);
    }
    stream_begin(c);
    c->due = rig_now_ns() + (uint64_t)q->ttft_us * 1000u;
    if (!sse || q->ttft_us || q->delay_us) {
        heap_push(c);
    } else {
        ready_add(c);
    }
    return true;
}

static bool head_is(const char *p, const char *e, const char *name)
{
    size_t n = strlen(name);
    return (size_t)(e - p) > n && strncasecmp(p, name, n) == 0;
}

/* The endpoint a path ends with, whatever prefix it has. */
static enum endpoint path_kind(const char *path, size_t len)
{
    static const struct {
        const char *end;
        enum endpoint endpoint;
    } endpoints[] = {
        { "/v1/chat/completions", ENDPOINT_CHAT },
        { "/v1/messages", ENDPOINT_MESSAGES },
        { "/healthz", ENDPOINT_HEALTH },
    };
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        size_t n = strlen(endpoints[i].end);
        if (len >= n && memcmp(path + len - n, endpoints[i].end, n) == 0) {
            return endpoints[i].endpoint;
        }
    }
    return ENDPOINT_NONE;
}

/* Parse a complete request head; false on a bad one. */
static bool conn_head(struct conn *c, const char *p, size_t n)
{
    const char *end = p + n;
    const char *eol = memchr(p, '\r', n);
    const char *sp = eol ? memchr(p, ' ', (size_t)(eol - p)) : NULL;
    if (!sp) {
        return false;
    }
    const char *path = sp + 1;
    const char *pe = memchr(path, ' ', (size_t)(eol - path));
    if (!pe) {
        return false;
    }
    const char *qm = memchr(path, '?', (size_t)(pe - path));
    const char *path_end = qm ? qm : pe;
    c->endpoint = path_kind(path, (size_t)(path_end - path));
    memset(&c->par, 0xff, sizeof c->par); /* all "unset" (-1 / UINT32_MAX) */
    if (qm) {
        parse_params(&c->par, qm + 1, pe);
    }
    c->close_after = false;
    c->peek_len = c->tail_len = 0;
    body_begin_fixed(&c->body, 0);
    for (p = eol + 2; p < end; p = eol + 2) {
        eol = memchr(p, '\r', (size_t)(end - p));
        if (!eol || eol == p) {
            break;
        }
        switch (*p | 0x20) {
        case 'c':
            if (head_is(p, eol, "content-length:")) {
                body_begin_fixed(&c->body, strtoull(p + 15, NULL, 10));
            } else if (head_is(p, eol, "connection:") &&
                       memhas(p, (size_t)(eol - p), "lose")) {
                c->close_after = true;
            }
            break;
        case 't':
            if (head_is(p, eol, "transfer-encoding:")) {
                body_begin_chunked(&c->body);
            }
            break;
        case 'e':
            if (head_is(p, eol, "expect:") &&
                !conn_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) {
                return false;
            }
            break;
        case 'x':
            if (head_is(p, eol, "x-fake:")) {
                parse_params(&c->par, p + 7, eol);
            }
            break;
        }
    }
    return true;
}

/* Feed received bytes; false when the connection died. */
static bool conn_input(struct conn *c, const char *p, size_t n)
{
    while (n > 0) {
        if (c->streaming) { /* pipelined: keep for later */
            if (c->hold_len + n > (1u << 22)) {
                conn_kill(c);
                return false;
            }
            buf_add(&c->hold, &c->hold_len, &c->hold_cap, p, n);
            return true;
        }
        if (!c->in_body) {
            const char *head = p;
            size_t head_avail = n, old = c->hold_len;
            if (old) {
                buf_add(&c->hold, &c->hold_len, &c->hold_cap, p, n);
                head = c->hold;
                head_avail = c->hold_len;
            }
            const char *e = memmem(head, head_avail, "\r\n\r\n", 4);
            if (!e) {
                if (head_avail > HEAD_MAX) {
                    conn_kill(c);
                    return false;
                }
                if (!old) {
                    buf_add(&c->hold, &c->hold_len, &c->hold_cap, p, n);
                }
                return true;
            }
            size_t used = (size_t)(e + 4 - head);
            if (!conn_head(c, head, used)) {
                if (!c->dead) {
                    conn_kill(c);
                }
                return false;
            }
            p += used - old;
            n -= used - old;
            c->hold_len = 0;
            c->in_body = true;
        }
        while (n > 0 && c->body.st != BODY_DONE) {
            const char *pay;
            size_t pl;
            size_t k = body_next(&c->body, p, n, &pay, &pl);
            if (c->body.st == BODY_ERROR) {
                conn_kill(c);
                return false;
            }
            if (pl && c->peek_len < PEEK) {
                size_t take = pl < PEEK - c->peek_len ? pl : PEEK - c->peek_len;
                memcpy(c->peek + c->peek_len, pay, take);
                c->peek_len += (unsigned)take;
            }
            if (pl >= TAIL) {
                memcpy(c->tail, pay + pl - TAIL, TAIL);
                c->tail_len = TAIL;
            } else if (pl) {
                size_t keep = c->tail_len + pl > TAIL ? TAIL - pl : c->tail_len;
                memmove(c->tail, c->tail + c->tail_len - keep, keep);
                memcpy(c->tail + keep, pay, pl);
                c->tail_len = (unsigned)(keep + pl);
            }
            p += k;
            n -= k;
        }
        if (c->body.st != BODY_DONE) {
            return true;
        }
        c->in_body = false;
        if (!conn_respond(c)) {
            return false;
        }
    }
    return true;
}

static bool conn_flush(struct conn *c)
{
    while (c->out_off < c->out_len) {
        long r = io_write(c->fd, c->ssl, c->out + c->out_off, c->out_len - c->out_off);
        if (r == -1) {
            return true;
        }
        if (r <= 0) {
            conn_kill(c);
            return false;
        }
        c->out_off += (size_t)r;
    }
    c->blocked = false;
    c->out_len = c->out_off = 0;
    if (c->streaming && c->t->sse && !c->par.delay_us && !c->heap_pos) {
        ready_add(c);
    } else if (!c->streaming && c->close_after) {
        conn_kill(c);
        return false;
    }
    return true;
}

static void conn_event(struct conn *c, uint32_t ev)
{
    static char rd[RDBUF];
    if (c->dead) {
        return;
    }
    if (c->handshaking) {
        int r = SSL_accept(c->ssl);
        if (r != 1) {
            int e = SSL_get_error(c->ssl, r);
            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
                conn_kill(c);
            }
            return;
        }
        c->handshaking = false;
        ev |= EPOLLIN;
    }
    if ((ev & EPOLLOUT) && c->blocked && !conn_flush(c)) {
        return;
    }
    if (ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        for (;;) {
            long r = io_read(c->fd, c->ssl, rd, sizeof rd);
            if (r == -1) {
                break;
            }
            if (r <= 0) {
                conn_kill(c);
                return;
            }
            if (!conn_input(c, rd, (size_t)r)) {
                return;
            }
            /* a short plain read has drained the socket; with TLS loop on */
            if (!c->ssl && (size_t)r < sizeof rd && !(ev & (EPOLLRDHUP | EPOLLHUP))) {
                break;
            }
        }
    }
}

static void do_accept(int lfd)
{
    for (;;) {
        int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        set_nodelay(fd);
        struct conn *c = calloc(1, sizeof *c);
        if (!c) {
            die("calloc");
        }
        c->fd = fd;
        n_conns++;
        if (tls) {
            c->ssl = SSL_new(tls);
            SSL_set_fd(c->ssl, fd);
            SSL_set_accept_state(c->ssl);
            c->handshaking = true;
        }
        struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = c };
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) {
            die("epoll_ctl");
        }
    }
}

static void run_timers(void)
{
    uint64_t now = rig_now_ns();
    while (heap_n && heap[0]->due <= now) {
        struct conn *c = heap[0];
        heap_remove(c);
        if (!c->t->sse) {
            if (conn_send(c, c->t->data, c->t->len)) {
                conn_reply_done(c);
            }
            continue;
        }
        if (c->par.delay_us == 0) {
            ready_add(c);
            continue;
        }
        c->due += (uint64_t)c->par.delay_us * 1000u;
        if (c->due < now) { /* fell behind: do not bunch up */
            c->due = now;
        }
        if (stream_step(c, 1) && c->streaming) {
            heap_push(c);
        }
    }
}

/* One burst for every stream that is as-fast-as-possible and not blocked. */
static void run_ready(void)
{
    struct conn *c = ready_head;
    ready_head = ready_tail = NULL;
    while (c) {
        struct conn *next = c->ready_next;
        c->in_ready = false;
        if (c->dead) {
            free(c);
        } else if (c->streaming && !c->blocked && stream_step(c, c->par.burst) &&
                   c->streaming && !c->blocked) {
            ready_add(c);
        }
        c = next;
    }
}

static void on_signal(int s)
{
    (void)s;
    stop = 1;
}

int main(int argc, char **argv)
{
    int port = 9000, o;
    const char *cert = NULL;
    while ((o = getopt(argc, argv, "p:t:")) != -1) {
        if (o == 'p') {
            port = atoi(optarg);
        } else if (o == 't') {
            cert = optarg;
        } else {
            fprintf(stderr, "usage: %s [-p port] [-t cert-and-key.pem]\n", argv[0]);
            return 2;
        }
    }
    raise_fd_limit();
    prctl(PR_SET_TIMERSLACK, 1000ul);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (cert) {
        tls = SSL_CTX_new(TLS_server_method());
        if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, cert, SSL_FILETYPE_PEM) != 1) {
            ERR_print_errors_fp(stderr);
            return 1;
        }
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_id_context(tls, (const unsigned char *)"fake", 4);
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    int lfd = listen_loopback(port);
    struct epoll_event le = { .events = EPOLLIN, .data.ptr = NULL };
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &le);

    struct epoll_event evs[EVENTS];
    while (!stop) {
        struct timespec ts = { .tv_sec = 1 }, *to = &ts;
        if (ready_head) {
            ts.tv_sec = 0;
        } else if (heap_n) {
            uint64_t now = rig_now_ns(), due = heap[0]->due;
            uint64_t d = due > now ? due - now : 0;
            if (d < 1000000000u) {
                ts = (struct timespec){ .tv_nsec = (long)d };
            }
        }
        int n = epoll_pwait2(ep, evs, EVENTS, to, NULL);
        if (n < 0 && errno != EINTR) {
            die("epoll_pwait2");
        }
        for (int i = 0; i < n; i++) {
            if (!evs[i].data.ptr) {
                do_accept(lfd);
            } else {
                conn_event(evs[i].data.ptr, evs[i].events);
            }
        }
        if (heap_n) {
            run_timers();
        }
        if (ready_head) {
            run_ready();
        }
    }
    fprintf(stderr, "fakeprovider: %llu requests, %llu events, %llu open\n",
            (unsigned long long)n_requests, (unsigned long long)n_events,
            (unsigned long long)n_conns);
    return 0;
}

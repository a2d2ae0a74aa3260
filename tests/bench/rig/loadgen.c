/*
 * loadgen - closed-loop and open-loop HTTP/1.1 load generator for LLM traffic.
 *
 *   loadgen [options]              (always to 127.0.0.1)
 *
 *   -p PORT     port to load                                        (9000)
 *   -u PATH     request target (/v1/chat/completions); one that ends with
 *               /v1/messages gets a body of that shape
 *   -c N        connections                                            (64)
 *   -d SEC      measured seconds                                        (5)
 *   -w SEC      warm-up seconds, not measured                           (1)
 *   -R RATE     open loop: RATE requests/s at constant spacing. A request's
 *               latency counts from the instant it was due, so a stalled
 *               proxy cannot hide queueing (no coordinated omission).
 *               Default: closed loop, a new request after each reply.
 *   -b BYTES    request body size                                    (1024)
 *   -s          ask for SSE ("stream":true)
 *   -m PARAMS   provider parameters put in the model name, e.g.
 *               chunks=200;delay_us=1000  (see fakeprovider)
 *   -H HEADER   extra request header; repeatable
 *   -x N        count a stream as an error unless it had N events
 *   -r RATE     open connections at RATE per second              (20000)
 *   -t          TLS
 *   -P PID      sample this process, its threads and descendants; repeatable
 *   -C CPU      report busy time of this CPU
 *   -q          do not start requests beyond one per connection (idle streams)
 *
 * Prints one line of JSON. Times are in microseconds unless named otherwise.
 */
#include "request.h"
#include "rig.h"

#include <openssl/err.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RDBUF = 256 * 1024,
    EVENTS = 1024,
    HDR_MAX = 4096,
    STAMP_LEN = 22,
    MAX_PIDS = 16
};
enum cstate { C_CLOSED, C_CONNECTING, C_HANDSHAKE, C_IDLE, C_BUSY };

struct conn {
    int fd;
    enum cstate st;
    SSL *ssl;
    size_t out_off;
    uint64_t t_start; /* when the request was due (open loop) or sent */
    bool in_head, got_payload, close_after;
    struct body body;
    unsigned hdr_len, carry_len, stamps;
    int status;
    char carry[STAMP_LEN + 2];
    struct conn *idle_next;
    char hdr[HDR_MAX];
};

static struct {
    int port, conns;
    const char *path, *params;
    double secs, warm, rate, ramp;
    size_t body;
    bool sse, tls, once;
    unsigned expect;
    int pids[MAX_PIDS], npids, cpu;
    char extra[4096];
} opt = { .port = 9000,
          .conns = 64,
          .path = "/v1/chat/completions",
          .params = "",
          .secs = 5,
          .warm = 1,
          .ramp = 20000,
          .body = 1024,
          .cpu = -1 };

static int ep;
static struct conn *conns, *idle;
static int n_open, n_started;
static SSL_CTX *tls;
static char *req;
static size_t req_len;

static bool measuring;
static uint64_t m_reqs, m_chunks, m_bytes, m_errors, m_reads;
static uint64_t all_errors, n_busy;
static struct hist h_lat, h_first, h_chunk;

/* open loop: arrivals not yet given to a connection */
static uint64_t t0_arrivals, n_arrivals, n_taken;

/* ---- connections ----------------------------------------------------------------- */

static void conn_open(struct conn *c);

static void conn_close(struct conn *c)
{
    if (c->st == C_CLOSED) {
        return;
    }
    if (c->st == C_BUSY) {
        n_busy--;
    }
    c->st = C_CLOSED;
    if (c->ssl) {
        SSL_free(c->ssl);
        ERR_clear_error();
        c->ssl = NULL;
    }
    close(c->fd);
    n_open--;
}

static void count_error(void)
{
    all_errors++;
    m_errors += measuring;
}

static void conn_fail(struct conn *c)
{
    count_error();
    conn_close(c);
    if (all_errors < 1000000) {
        conn_open(c);
    }
}

static void conn_write(struct conn *c)
{
    while (c->out_off < req_len) {
        long r = io_write(c->fd, c->ssl, req + c->out_off, req_len - c->out_off);
        if (r == -1) {
            return;
        }
        if (r <= 0) {
            conn_fail(c);
            return;
        }
        c->out_off += (size_t)r;
    }
}

static void conn_start(struct conn *c, uint64_t due)
{
    c->st = C_BUSY;
    n_busy++;
    c->out_off = 0;
    c->in_head = true;
    c->got_payload = c->close_after = false;
    c->hdr_len = c->carry_len = c->stamps = 0;
    c->t_start = due;
    conn_write(c);
}

/* A connection can take a request. */
static void conn_ready(struct conn *c)
{
    if (opt.rate > 0) {
        if (n_taken < n_arrivals) {
            uint64_t due = t0_arrivals + (uint64_t)((double)n_taken++ * 1e9 / opt.rate);
            conn_start(c, due);
            return;
        }
        c->st = C_IDLE;
        c->idle_next = idle;
        idle = c;
        return;
    }
    conn_start(c, rig_now_ns());
}

static void conn_finish(struct conn *c, uint64_t now)
{
    bool bad = c->status != 200 || (opt.expect && c->stamps != opt.expect);
    if (bad) {
        all_errors++;
    }
    if (measuring) {
        m_reqs++;
        if (bad) {
            m_errors++;
        }
        hist_add(&h_lat, now - c->t_start);
    }
    n_busy--;
    c->st = C_IDLE;
    if (c->close_after) {
        conn_close(c);
        conn_open(c);
    } else if (!opt.once) {
        conn_ready(c);
    }
}

static uint64_t stamp_value(const char *p)
{
    uint64_t v = 0;
    for (int i = 2; i < STAMP_LEN; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    return v;
}

static void on_stamp(struct conn *c, const char *p, uint64_t now)
{
    uint64_t t = stamp_value(p);
    if (t == 0) {
        return;
    }
    c->stamps++;
    if (measuring) {
        m_chunks++;
        hist_add(&h_chunk, now > t ? now - t : 0);
    }
}

/* Look for ~t<20 digits>, also across payload boundaries. */
static void on_payload(struct conn *c, const char *p, size_t n, uint64_t now)
{
    if (!c->got_payload) {
        c->got_payload = true;
        if (measuring) {
            hist_add(&h_first, now - c->t_start);
        }
    }
    if (measuring) {
        m_bytes += n;
    }
    if (!opt.sse) {
        return;
    }
    const char *end = p + n;
    while (c->carry_len && p < end) {
        if (c->carry_len == 1 && *p != 't') {
            c->carry_len = 0;
            break;
        }
        c->carry[c->carry_len++] = *p++;
        if (c->carry_len == STAMP_LEN) {
            on_stamp(c, c->carry, now);
            c->carry_len = 0;
        }
    }
    while (p < end && (p = memchr(p, '~', (size_t)(end - p)))) {
        size_t left = (size_t)(end - p);
        if (left < STAMP_LEN) {
            if (left == 1 || p[1] == 't') {
                memcpy(c->carry, p, left);
                c->carry_len = (unsigned)left;
            }
            break;
        }
        if (p[1] == 't') {
            on_stamp(c, p, now);
            p += STAMP_LEN;
        } else {
            p++;
        }
    }
}

static bool head_parse(struct conn *c, const char *p, size_t n)
{
    const char *end = p + n;
    if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0) {
        return false;
    }
    c->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    c->body = (struct body){ .st = BODY_UNTIL_CLOSE };
    bool have = false;
    const char *eol = memchr(p, '\n', n);
    for (p = eol ? eol + 1 : end; p < end; p = eol + 1) {
        eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol) {
            break;
        }
        if (eol - p > 15 && strncasecmp(p, "content-length:", 15) == 0 && !have) {
            body_begin_fixed(&c->body, strtoull(p + 15, NULL, 10));
            have = true;
        } else if (eol - p > 18 && strncasecmp(p, "transfer-encoding:", 18) == 0) {
            body_begin_chunked(&c->body);
            have = true;
        } else if (eol - p > 11 && strncasecmp(p, "connection:", 11) == 0) {
            if (memmem(p, (size_t)(eol - p), "lose", 4)) {
                c->close_after = true;
            }
        }
    }
    return true;
}

/* Returns false when the connection must not be read further. */
static bool on_bytes(struct conn *c, const char *p, size_t n, uint64_t now)
{
    if (c->st != C_BUSY) { /* bytes outside of a reply */
        conn_fail(c);
        return false;
    }
    while (n > 0) {
        if (c->in_head) {
            const char *h = p;
            size_t hn = n, old = c->hdr_len;
            if (old) {
                size_t take = n < HDR_MAX - old ? n : HDR_MAX - old;
                memcpy(c->hdr + old, p, take);
                h = c->hdr;
                hn = old + take;
            }
            const char *e = memmem(h, hn, "\r\n\r\n", 4);
            if (!e) {
                if (hn >= HDR_MAX) {
                    conn_fail(c);
                    return false;
                }
                if (!old) {
                    memcpy(c->hdr, p, n);
                }
                c->hdr_len = (unsigned)hn;
                return true;
            }
            size_t used = (size_t)(e + 4 - h);
            if (!head_parse(c, h, used)) {
                conn_fail(c);
                return false;
            }
            p += used - old;
            n -= used - old;
            c->hdr_len = 0;
            if (c->status == 100) {
                continue;
            }
            c->in_head = false;
        }
        while (n > 0 && c->body.st != BODY_DONE) {
            const char *pay = NULL;
            size_t pl = 0, k = body_next(&c->body, p, n, &pay, &pl);
            if (c->body.st == BODY_ERROR) {
                conn_fail(c);
                return false;
            }
            if (pl) {
                on_payload(c, pay, pl, now);
            }
            p += k;
            n -= k;
        }
        if (c->body.st == BODY_DONE) {
            if (n > 0) { /* more than the reply: a framing error */
                conn_fail(c);
                return false;
            }
            conn_finish(c, now);
            return c->st == C_BUSY || c->st == C_IDLE;
        }
    }
    return true;
}

static void conn_open(struct conn *c)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = c };

    c->fd = connect_loopback(opt.port);
    if (c->fd < 0) {
        count_error();
        c->st = C_CLOSED;
        return;
    }
    n_open++;
    c->st = C_CONNECTING;
    if (opt.tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
    }
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &event) < 0) {
        die("epoll_ctl");
    }
}

/* False until the connection is there. */
static bool conn_connected(struct conn *c, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_fail(c);
        return false;
    }
    if (!(events & EPOLLOUT)) {
        return false;
    }
    c->st = C_HANDSHAKE;
    if (c->ssl == NULL) {
        conn_ready(c);
        return false;
    }
    return true;
}

/* False until a request is under way. */
static bool conn_shake_hands(struct conn *c)
{
    int result = SSL_connect(c->ssl);

    if (result != 1) {
        int reason = SSL_get_error(c->ssl, result);

        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
            conn_fail(c);
        }
        return false;
    }
    conn_ready(c);
    return c->st != C_CLOSED;
}

/* The peer has ended the connection, or it broke. */
static void conn_ended(struct conn *c, bool orderly)
{
    if (orderly && c->st == C_BUSY && !c->in_head && c->body.st == BODY_UNTIL_CLOSE) {
        c->close_after = true;
        conn_finish(c, rig_now_ns());
    } else if (c->st == C_IDLE) {
        struct conn **place = &idle;

        while (*place != NULL && *place != c) {
            place = &(*place)->idle_next;
        }
        if (*place != NULL) {
            *place = c->idle_next;
        }
        conn_close(c);
        conn_open(c);
    } else {
        conn_fail(c);
    }
}

static void conn_read(struct conn *c, bool hangs_up)
{
    static char bytes[RDBUF];
    int fd = c->fd;

    for (;;) {
        long len = io_read(c->fd, c->ssl, bytes, sizeof(bytes));

        if (len == -1) {
            return;
        }
        if (len <= 0) {
            conn_ended(c, len == 0);
            return;
        }
        m_reads += measuring;
        if (!on_bytes(c, bytes, (size_t)len, rig_now_ns()) || c->fd != fd ||
            c->st == C_CONNECTING || c->st == C_CLOSED) {
            return;
        }
        /* A short plain read has drained the socket. */
        if (c->ssl == NULL && (size_t)len < sizeof(bytes) && !hangs_up) {
            return;
        }
    }
}

static void conn_event(struct conn *c, uint32_t events)
{
    if (c->st == C_CLOSED || (c->st == C_CONNECTING && !conn_connected(c, events))) {
        return;
    }
    if (c->st == C_HANDSHAKE) {
        if (!conn_shake_hands(c)) {
            return;
        }
        events |= EPOLLIN;
    }
    if ((events & EPOLLOUT) && c->st == C_BUSY && c->out_off < req_len) {
        conn_write(c);
        if (c->st == C_CLOSED || c->st == C_CONNECTING) {
            return;
        }
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        conn_read(c, (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
    }
}

/* Open loop: take the arrivals that have come due. */
static void take_arrivals(uint64_t now)
{
    double due = (double)(now - t0_arrivals) * opt.rate / 1e9;
    n_arrivals = (uint64_t)due + 1;
    while (n_taken < n_arrivals && idle) {
        struct conn *c = idle;
        idle = c->idle_next;
        conn_start(c, t0_arrivals + (uint64_t)((double)n_taken++ * 1e9 / opt.rate));
    }
}

/* ---- reporting ------------------------------------------------------------------- */

/* What is known at the beginning, when the measuring begins, and at its end. */
struct marks {
    struct proc_sample idle, begin, end;
    uint64_t peak_rss, begin_ns;
    double seconds, busy;
};

static void sample_all(struct proc_sample *sample, bool pss)
{
    memset(sample, 0, sizeof(*sample));
    for (int i = 0; i < opt.npids; i++) {
        proc_sample(opt.pids[i], pss, sample);
    }
}

static void raise_peak(struct marks *marks, const struct proc_sample *sample)
{
    if (sample->rss_kib > marks->peak_rss) {
        marks->peak_rss = sample->rss_kib;
    }
}

static void put_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%" PRIu64 ",\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,"
           "\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
           name, h->count, hist_mean(h) / 1e3, (double)hist_quantile(h, .5) / 1e3,
           (double)hist_quantile(h, .9) / 1e3, (double)hist_quantile(h, .99) / 1e3,
           (double)hist_quantile(h, .999) / 1e3, (double)h->max / 1e3);
}

static void put_processes(const struct marks *marks)
{
    double cpu = marks->end.cpu_s - marks->begin.cpu_s;

    printf(",\"cpu_s\":%.3f,\"cpu_pct\":%.1f,\"user_s\":%.2f,\"sys_s\":%.2f", cpu,
           100.0 * cpu / marks->seconds, marks->end.user_s - marks->begin.user_s,
           marks->end.sys_s - marks->begin.sys_s);
    if (m_reqs > 0) {
        printf(",\"cpu_us_req\":%.2f", cpu * 1e6 / (double)m_reqs);
    }
    if (m_chunks > 0) {
        printf(",\"cpu_us_chunk\":%.3f", cpu * 1e6 / (double)m_chunks);
    }
    printf(",\"rss0_kib\":%" PRIu64 ",\"rss_kib\":%" PRIu64 ",\"rss_peak_kib\":%" PRIu64
           ",\"pss0_kib\":%" PRIu64 ",\"pss_kib\":%" PRIu64 ",\"nproc\":%u",
           marks->idle.rss_kib, marks->end.rss_kib, marks->peak_rss,
           marks->idle.pss_kib, marks->end.pss_kib, marks->end.nproc);
}

static void report(const struct marks *marks)
{
    printf("{\"conns\":%d,\"open\":%d,\"busy\":%" PRIu64 ",\"secs\":%.3f,"
           "\"reqs\":%" PRIu64 ",\"rps\":%.1f,\"errors\":%" PRIu64
           ",\"all_errors\":%" PRIu64 ",\"chunks\":%" PRIu64
           ",\"cps\":%.1f,\"mib_s\":%.2f,\"reads\":%" PRIu64,
           opt.conns, n_open, n_busy, marks->seconds, m_reqs,
           (double)m_reqs / marks->seconds, m_errors, all_errors, m_chunks,
           (double)m_chunks / marks->seconds,
           (double)m_bytes / marks->seconds / 1048576.0, m_reads);
    put_hist("lat", &h_lat);
    put_hist("first", &h_first);
    if (opt.sse) {
        put_hist("chunk_delay", &h_chunk);
    }
    if (opt.npids > 0) {
        put_processes(marks);
    }
    if (opt.cpu >= 0) {
        printf(",\"core_busy_pct\":%.1f", 100.0 * marks->busy / marks->seconds);
    }
    printf("}\n");
}

/* ---- the run --------------------------------------------------------------------- */

static void add_field(const char *line)
{
    size_t used = strlen(opt.extra);

    if (used + strlen(line) + 3 >= sizeof(opt.extra)) {
        fprintf(stderr, "loadgen: too many headers\n");
        exit(2);
    }
    (void)snprintf(opt.extra + used, sizeof(opt.extra) - used, "%s\r\n", line);
}

static void add_pid(const char *number)
{
    if (opt.npids < MAX_PIDS) {
        opt.pids[opt.npids++] = (int)strtol(number, NULL, 10);
    }
}

/* False: there is no such option. */
static bool take_option(int name, const char *value)
{
    switch (name) {
    case 'p':
        opt.port = (int)strtol(value, NULL, 10);
        return true;
    case 'u':
        opt.path = value;
        return true;
    case 'c':
        opt.conns = (int)strtol(value, NULL, 10);
        return true;
    case 'd':
        opt.secs = strtod(value, NULL);
        return true;
    case 'w':
        opt.warm = strtod(value, NULL);
        return true;
    case 'R':
        opt.rate = strtod(value, NULL);
        return true;
    case 'b':
        opt.body = strtoul(value, NULL, 10);
        return true;
    case 's':
        opt.sse = true;
        return true;
    case 'm':
        opt.params = value;
        return true;
    case 'H':
        add_field(value);
        return true;
    case 'x':
        opt.expect = (unsigned)strtoul(value, NULL, 10);
        return true;
    case 'r':
        opt.ramp = strtod(value, NULL);
        return true;
    case 't':
        opt.tls = true;
        return true;
    case 'P':
        add_pid(value);
        return true;
    case 'C':
        opt.cpu = (int)strtol(value, NULL, 10);
        return true;
    case 'q':
        opt.once = true;
        return true;
    default:
        return false;
    }
}

static void set_up(void)
{
    struct request_options options = { opt.path, opt.params, opt.extra,
                                       opt.body, opt.port,   opt.sse };

    raise_fd_limit();
    prctl(PR_SET_TIMERSLACK, 1000UL);
    signal(SIGPIPE, SIG_IGN);
    req = request_build(&options, &req_len);
    if (opt.tls) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.conns, sizeof(*conns));
    if (ep < 0 || conns == NULL) {
        die("set up");
    }
}

static void open_more(uint64_t since_start)
{
    int want = 1 + (int)((double)since_start * opt.ramp / 1e9);

    while (n_started < opt.conns && n_started < want) {
        conn_open(&conns[n_started++]);
    }
}

static void begin_measuring(struct marks *marks)
{
    sample_all(&marks->begin, false);
    marks->busy = opt.cpu >= 0 ? cpu_busy_s(opt.cpu) : 0;
    measuring = true;
    marks->begin_ns = rig_now_ns();
}

/* Starts what is due; nanoseconds until more will be. */
static uint64_t next_wait(uint64_t now)
{
    uint64_t wait = n_started < opt.conns ? 200000 : 10000000;

    if (opt.rate > 0 && now >= t0_arrivals) {
        uint64_t due;

        take_arrivals(now);
        due = t0_arrivals + (uint64_t)((double)n_arrivals * 1e9 / opt.rate);
        due = due > now ? due - now : 0;
        wait = due < wait ? due : wait;
    }
    return wait;
}

static void wait_for_events(uint64_t nanoseconds)
{
    static struct epoll_event events[EVENTS];
    struct timespec wait = { .tv_nsec = (long)nanoseconds };
    int found = epoll_pwait2(ep, events, EVENTS, &wait, NULL);

    if (found < 0 && errno != EINTR) {
        die("epoll_pwait2");
    }
    for (int i = 0; i < found; i++) {
        conn_event(events[i].data.ptr, events[i].events);
    }
}

static void run(struct marks *marks)
{
    uint64_t start = rig_now_ns(), now, next_sample = start;
    uint64_t begin = start + (uint64_t)(opt.warm * 1e9);
    uint64_t end = begin + (uint64_t)(opt.secs * 1e9);

    t0_arrivals = start + 50000000; /* let the connections open first */
    while ((now = rig_now_ns()) < end) {
        open_more(now - start);
        if (!measuring && now >= begin) {
            begin_measuring(marks);
        }
        if (opt.npids > 0 && now >= next_sample) {
            struct proc_sample sample;

            sample_all(&sample, false);
            raise_peak(marks, &sample);
            next_sample = now + 500000000;
        }
        wait_for_events(next_wait(now));
    }
    marks->seconds = (double)(rig_now_ns() - marks->begin_ns) / 1e9;
    marks->busy = opt.cpu >= 0 ? cpu_busy_s(opt.cpu) - marks->busy : 0;
    sample_all(&marks->end, true);
    raise_peak(marks, &marks->end);
}

int main(int argc, char **argv)
{
    struct marks marks = { 0 };
    int name;

    while ((name = getopt(argc, argv, "p:u:c:d:w:R:b:sm:H:x:r:tP:C:q")) != -1) {
        if (!take_option(name, optarg)) {
            fprintf(stderr, "usage: see the head of loadgen.c\n");
            return 2;
        }
    }
    if (opt.conns < 1 || opt.conns > 60000 || opt.secs <= 0 || opt.secs > 600) {
        fprintf(stderr, "loadgen: bad -c or -d\n");
        return 2;
    }
    set_up();
    sample_all(&marks.idle, true);
    run(&marks);
    report(&marks);
    return 0;
}

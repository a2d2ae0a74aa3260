/*
 * loadgen - closed-loop and open-loop HTTP/1.1 load generator for LLM traffic.
 *
 *   loadgen [options]              (always to 127.0.0.1)
 *
 *   -p PORT     port to load                                        (9000)
 *   -u PATH     request target (/v1/chat/completions); one that ends with
 *               /v1/messages or /v1/embeddings gets a body of that shape
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
 *   -L          put "model" and "stream" last in the request body instead of
 *               first (then give the parameters in -u or -H as well)
 *   -H HEADER   extra request header; repeatable. Authorization replaces the
 *               one that is sent otherwise.
 *   -x N        count a stream as an error unless it had N events
 *   -r RATE     open connections at RATE per second              (20000)
 *   -n          a new connection for every request
 *   -t          TLS;  -T  TLS with session resumption (for -n)
 *   -P PID      sample this process, its threads and descendants; repeatable
 *   -C CPU      report busy time of this CPU
 *   -l LABEL    label in the result
 *   -q          do not start requests beyond one per connection (idle streams)
 *
 * Prints one line of JSON. Times are in microseconds unless named otherwise.
 */
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
    int port, conns, ncpu;
    const char *path, *label, *params;
    double secs, warm, rate, ramp;
    size_t body;
    bool sse, tls, resume, newconn, once, model_last, own_auth;
    unsigned expect;
    int pids[MAX_PIDS], npids, cpu;
    char extra[4096];
} opt = { .port = 9000,
          .conns = 64,
          .path = "/v1/chat/completions",
          .label = "",
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
static SSL_SESSION *session;
static char *req;
static size_t req_len;

static bool measuring;
static uint64_t m_reqs, m_chunks, m_bytes, m_errors, m_conns, m_resumed, m_reads;
static uint64_t all_errors, n_busy;
static struct hist h_lat, h_first, h_chunk;

/* open loop: arrivals not yet given to a connection */
static uint64_t t0_arrivals, n_arrivals, n_taken;

/* ---- the request ------------------------------------------------------- */

/* Deterministic chat text: prose and code with the escapes real bodies have. */
static void add_text(char *b, size_t *o, size_t n)
{
    static const char *const piece[] = {
        "Please read the following file and explain what the function does. ",
        "static int parse_header(struct ctx *c, const char *p, size_t n)\\n{\\n    ",
        "if (n < 4 || memcmp(p, \\\"HTTP\\\", 4) != 0)\\n        return -1;\\n",
        "The quick brown fox jumps over the lazy dog; pack my box with five dozen "
        "jugs. ",
        "def handler(event, context):\\n\\treturn {\\\"statusCode\\\": 200}\\n",
        "Gr\xc3\xbc\xc3\x9f"
        "e aus K\xc3\xb6ln, "
        "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c. ",
        "for (size_t i = 0; i < len; i++) sum += weights[i] * inputs[i];\\n",
    };
    uint32_t seed = 12345;
    size_t end = *o + n;
    while (*o < end) {
        seed = seed * 1664525u + 1013904223u;
        const char *s = piece[(seed >> 16) % (sizeof piece / sizeof *piece)];
        size_t l = strlen(s);
        if (*o + l > end) {
            memset(b + *o, 'x', end - *o);
            *o = end;
            return;
        }
        memcpy(b + *o, s, l);
        *o += l;
    }
}

/* What an endpoint's body looks like around and between its pieces of text. */
struct shape {
    const char *path_end, *stream, *limit, *first, *piece[2], *piece_end;
};

static const struct shape shapes[] = {
    { "/v1/chat/completions",
      ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
      ",\"max_tokens\":1024",
      "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful "
      "assistant.\"}",
      { ",{\"role\":\"user\",\"content\":\"",
        ",{\"role\":\"assistant\",\"content\":\"" },
      "\"}" },
    { "/v1/messages",
      ",\"stream\":true",
      ",\"max_tokens\":1024",
      "\"system\":\"You are a helpful assistant.\","
      "\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}",
      { ",{\"role\":\"assistant\",\"content\":\"",
        ",{\"role\":\"user\",\"content\":\"" },
      "\"}" },
    { "/v1/embeddings", "", "", "\"input\":[\"Hello.\"", { ",\"", ",\"" }, "\"" },
};

/* By the end of the path, so that a prefix such as /openai does not matter. */
static const struct shape *shape_of(const char *path)
{
    size_t len = strcspn(path, "?");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t n = strlen(shapes[i].path_end);
        if (len >= n && memcmp(path + len - n, shapes[i].path_end, n) == 0) {
            return &shapes[i];
        }
    }
    return &shapes[0];
}

static void build_request(void)
{
    const struct shape *sh = shape_of(opt.path);
    char *body = malloc(opt.body + 8192);
    if (!body) {
        die("malloc");
    }
    size_t o = 0;
    char ms[1024];
    int msn = snprintf(ms, sizeof ms, "\"model\":\"fake;%s\"%s%s", opt.params,
                       opt.sse ? sh->stream : "", sh->limit);
    if (msn < 0 || (size_t)msn >= sizeof ms) {
        fprintf(stderr, "loadgen: -m is too long\n");
        exit(2);
    }
    o += (size_t)sprintf(body, "{%s%s%s", opt.model_last ? "" : ms,
                         opt.model_last ? "" : ",", sh->first);
    size_t tail = 8 + (opt.model_last ? (size_t)msn : 0);
    /* pieces of about 8 KB each, alternating roles */
    for (unsigned i = 0; i == 0 || o + tail + 64 < opt.body; i++) {
        size_t left = opt.body > o + tail + 40 ? opt.body - o - tail - 40 : 1;
        size_t n = left > 8192 + 512 ? 8192 : left;
        o += (size_t)sprintf(body + o, "%s", sh->piece[i % 2]);
        add_text(body, &o, n);
        o += (size_t)sprintf(body + o, "%s", sh->piece_end);
    }
    o += (size_t)sprintf(body + o, "]");
    if (opt.model_last) {
        o += (size_t)sprintf(body + o, ",%s", ms);
    }
    o += (size_t)sprintf(body + o, "}");

    req = malloc(o + 8192);
    if (!req) {
        die("malloc");
    }
    req_len = (size_t)snprintf(
        req, 8192,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: loadgen/1\r\n"
        "Accept: %s\r\nContent-Type: application/json\r\n"
        "%s%sContent-Length: %zu\r\n\r\n",
        opt.path, opt.port, opt.sse ? "text/event-stream" : "application/json",
        opt.own_auth
            ? ""
            : "Authorization: Bearer sk-fake-0123456789abcdef0123456789abcdef\r\n",
        opt.extra, o);
    memcpy(req + req_len, body, o);
    req_len += o;
    free(body);
}

/* ---- connections ------------------------------------------------------- */

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
        if (opt.newconn) {
            SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(c->ssl);
        ERR_clear_error();
        c->ssl = NULL;
    }
    close(c->fd);
    n_open--;
}

static void conn_fail(struct conn *c)
{
    all_errors++;
    if (measuring) {
        m_errors++;
    }
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
    if (opt.newconn || c->close_after) {
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

static int on_new_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    if (session) {
        SSL_SESSION_free(session);
    }
    session = s;
    return 1;
}

static void conn_open(struct conn *c)
{
    c->fd = connect_loopback(opt.port);
    if (c->fd < 0) {
        all_errors++;
        if (measuring) {
            m_errors++;
        }
        c->st = C_CLOSED;
        return;
    }
    n_open++;
    c->st = C_CONNECTING;
    if (opt.newconn && opt.rate <= 0) {
        c->t_start = rig_now_ns();
    }
    if (opt.tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_connect_state(c->ssl);
        if (opt.resume && session) {
            SSL_set_session(c->ssl, session);
        }
    }
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             .data.ptr = c };
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e) < 0) {
        die("epoll_ctl");
    }
}

static void conn_event(struct conn *c, uint32_t ev)
{
    static char rd[RDBUF];
    if (c->st == C_CLOSED) {
        return;
    }
    if (c->st == C_CONNECTING) {
        if (ev & (EPOLLERR | EPOLLHUP)) {
            conn_fail(c);
            return;
        }
        if (!(ev & EPOLLOUT)) {
            return;
        }
        if (measuring) {
            m_conns++;
        }
        c->st = C_HANDSHAKE;
        if (!c->ssl) {
            uint64_t t = c->t_start;
            conn_ready(c);
            if (opt.newconn && opt.rate <= 0) {
                c->t_start = t;
            }
            return;
        }
    }
    if (c->st == C_HANDSHAKE) {
        int r = SSL_connect(c->ssl);
        if (r != 1) {
            int e = SSL_get_error(c->ssl, r);
            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
                conn_fail(c);
            }
            return;
        }
        if (measuring && SSL_session_reused(c->ssl)) {
            m_resumed++;
        }
        uint64_t t = c->t_start;
        conn_ready(c);
        if (opt.newconn && opt.rate <= 0) {
            c->t_start = t;
        }
        if (c->st == C_CLOSED) {
            return;
        }
        ev |= EPOLLIN;
    }
    if ((ev & EPOLLOUT) && c->st == C_BUSY && c->out_off < req_len) {
        conn_write(c);
        if (c->st == C_CLOSED || c->st == C_CONNECTING) {
            return;
        }
    }
    if (ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        int fd = c->fd;
        for (;;) {
            long r = io_read(c->fd, c->ssl, rd, sizeof rd);
            if (r == -1) {
                return;
            }
            if (r <= 0) {
                if (r == 0 && c->st == C_BUSY && !c->in_head &&
                    c->body.st == BODY_UNTIL_CLOSE) {
                    c->close_after = true;
                    conn_finish(c, rig_now_ns());
                } else if (c->st == C_IDLE) { /* idle keep-alive closed by peer */
                    for (struct conn **q = &idle; *q; q = &(*q)->idle_next) {
                        if (*q == c) {
                            *q = c->idle_next;
                            break;
                        }
                    }
                    conn_close(c);
                    conn_open(c);
                } else {
                    conn_fail(c);
                }
                return;
            }
            uint64_t now = rig_now_ns();
            if (measuring) {
                m_reads++;
            }
            if (!on_bytes(c, rd, (size_t)r, now)) {
                return;
            }
            if (c->fd != fd || c->st == C_CONNECTING || c->st == C_CLOSED) {
                return;
            }
            if (!c->ssl && (size_t)r < sizeof rd && !(ev & (EPOLLRDHUP | EPOLLHUP))) {
                return;
            }
        }
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

/* ---- reporting --------------------------------------------------------- */

static void sample_all(struct proc_sample *s, bool pss)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < opt.npids; i++) {
        proc_sample(opt.pids[i], pss, s);
    }
}

static void put_hist(const char *name, const struct hist *h)
{
    printf(",\"%s\":{\"n\":%llu,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
           "\"p999\":%.1f,\"max\":%.1f}",
           name, (unsigned long long)h->count, hist_mean(h) / 1e3,
           (double)hist_quantile(h, .5) / 1e3, (double)hist_quantile(h, .9) / 1e3,
           (double)hist_quantile(h, .99) / 1e3, (double)hist_quantile(h, .999) / 1e3,
           (double)h->max / 1e3);
}

int main(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "p:u:c:d:w:R:b:sm:LH:x:r:ntTP:C:l:q")) != -1) {
        switch (o) {
        case 'p':
            opt.port = atoi(optarg);
            break;
        case 'u':
            opt.path = optarg;
            break;
        case 'c':
            opt.conns = atoi(optarg);
            break;
        case 'd':
            opt.secs = atof(optarg);
            break;
        case 'w':
            opt.warm = atof(optarg);
            break;
        case 'R':
            opt.rate = atof(optarg);
            break;
        case 'b':
            opt.body = (size_t)atol(optarg);
            break;
        case 's':
            opt.sse = true;
            break;
        case 'm':
            opt.params = optarg;
            break;
        case 'L':
            opt.model_last = true;
            break;
        case 'H':
            if (strlen(opt.extra) + strlen(optarg) + 3 >= sizeof opt.extra) {
                fprintf(stderr, "loadgen: too many headers\n");
                return 2;
            }
            strcat(opt.extra, optarg);
            strcat(opt.extra, "\r\n");
            if (strncasecmp(optarg, "authorization:", 14) == 0) {
                opt.own_auth = true;
            }
            break;
        case 'x':
            opt.expect = (unsigned)atoi(optarg);
            break;
        case 'r':
            opt.ramp = atof(optarg);
            break;
        case 'n':
            opt.newconn = true;
            break;
        case 't':
            opt.tls = true;
            break;
        case 'T':
            opt.tls = opt.resume = true;
            break;
        case 'P':
            if (opt.npids < MAX_PIDS) {
                opt.pids[opt.npids++] = atoi(optarg);
            }
            break;
        case 'C':
            opt.cpu = atoi(optarg);
            break;
        case 'l':
            opt.label = optarg;
            break;
        case 'q':
            opt.once = true;
            break;
        default:
            fprintf(stderr, "see the comment at the top of loadgen.c for usage\n");
            return 2;
        }
    }
    if (opt.conns < 1 || opt.conns > 60000 || opt.secs <= 0 || opt.secs > 600) {
        fprintf(stderr, "loadgen: bad -c or -d\n");
        return 2;
    }
    raise_fd_limit();
    prctl(PR_SET_TIMERSLACK, 1000ul);
    signal(SIGPIPE, SIG_IGN);
    build_request();
    if (opt.tls) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(tls, on_new_session);
    }
    ep = epoll_create1(EPOLL_CLOEXEC);
    conns = calloc((size_t)opt.conns, sizeof *conns);
    if (!conns) {
        die("calloc");
    }

    struct proc_sample base, s0, s1, tmp;
    sample_all(&base, true);
    uint64_t mem0 = tcp_mem_pages(), peak_rss = base.rss_kib;

    uint64_t start = rig_now_ns();
    uint64_t t_warm = start + (uint64_t)(opt.warm * 1e9);
    uint64_t t_end = t_warm + (uint64_t)(opt.secs * 1e9);
    uint64_t next_rss = start;
    double busy0 = 0;
    uint64_t t_m0 = 0;
    t0_arrivals = start + 50000000u; /* let the connections open first */
    struct epoll_event evs[EVENTS];
    for (;;) {
        uint64_t now = rig_now_ns();
        if (n_started < opt.conns) {
            int want = 1 + (int)((double)(now - start) * opt.ramp / 1e9);
            while (n_started < opt.conns && n_started < want) {
                conn_open(&conns[n_started++]);
            }
        }
        if (!measuring && now >= t_warm) {
            sample_all(&s0, false);
            busy0 = opt.cpu >= 0 ? cpu_busy_s(opt.cpu) : 0;
            measuring = true;
            t_m0 = rig_now_ns();
        }
        if (now >= t_end) {
            break;
        }
        if (opt.npids && now >= next_rss) {
            sample_all(&tmp, false);
            if (tmp.rss_kib > peak_rss) {
                peak_rss = tmp.rss_kib;
            }
            next_rss = now + 500000000u;
        }
        uint64_t wait = 10000000u;
        if (n_started < opt.conns) {
            wait = 200000u;
        }
        if (opt.rate > 0 && now >= t0_arrivals) {
            take_arrivals(now);
            uint64_t due =
                t0_arrivals + (uint64_t)((double)n_arrivals * 1e9 / opt.rate);
            uint64_t d = due > now ? due - now : 0;
            if (d < wait) {
                wait = d;
            }
        }
        struct timespec ts = { .tv_nsec = (long)wait };
        int n = epoll_pwait2(ep, evs, EVENTS, &ts, NULL);
        if (n < 0 && errno != EINTR) {
            die("epoll_pwait2");
        }
        for (int i = 0; i < n; i++) {
            conn_event(evs[i].data.ptr, evs[i].events);
        }
    }
    double secs = (double)(rig_now_ns() - t_m0) / 1e9;
    double busy1 = opt.cpu >= 0 ? cpu_busy_s(opt.cpu) : 0;
    sample_all(&s1, true);
    uint64_t mem1 = tcp_mem_pages();
    if (s1.rss_kib > peak_rss) {
        peak_rss = s1.rss_kib;
    }

    double cpu = s1.cpu_s - s0.cpu_s;
    double us = s1.user_s - s0.user_s, sy = s1.sys_s - s0.sys_s;
    printf("{\"label\":\"%s\",\"conns\":%d,\"open\":%d,\"busy\":%llu,\"secs\":%.3f,"
           "\"reqs\":%llu,\"rps\":%.1f,\"errors\":%llu,\"all_errors\":%llu,"
           "\"chunks\":%llu,\"cps\":%.1f,\"mib_s\":%.2f,\"reads\":%llu",
           opt.label, opt.conns, n_open, (unsigned long long)n_busy, secs,
           (unsigned long long)m_reqs, (double)m_reqs / secs,
           (unsigned long long)m_errors, (unsigned long long)all_errors,
           (unsigned long long)m_chunks, (double)m_chunks / secs,
           (double)m_bytes / secs / 1048576.0, (unsigned long long)m_reads);
    if (opt.newconn) {
        printf(",\"conns_s\":%.1f,\"resumed\":%.3f", (double)m_conns / secs,
               m_conns ? (double)m_resumed / (double)m_conns : 0.0);
    }
    put_hist("lat", &h_lat);
    put_hist("first", &h_first);
    if (opt.sse) {
        put_hist("chunk_delay", &h_chunk);
    }
    if (opt.npids) {
        printf(",\"cpu_s\":%.3f,\"cpu_pct\":%.1f,\"user_s\":%.2f,\"sys_s\":%.2f", cpu,
               100.0 * cpu / secs, us, sy);
        if (m_reqs) {
            printf(",\"cpu_us_req\":%.2f", cpu * 1e6 / (double)m_reqs);
        }
        if (m_chunks) {
            printf(",\"cpu_us_chunk\":%.3f", cpu * 1e6 / (double)m_chunks);
        }
        printf(",\"rss0_kib\":%llu,\"rss_kib\":%llu,\"rss_peak_kib\":%llu,"
               "\"pss0_kib\":%llu,\"pss_kib\":%llu,\"nproc\":%u",
               (unsigned long long)base.rss_kib, (unsigned long long)s1.rss_kib,
               (unsigned long long)peak_rss, (unsigned long long)base.pss_kib,
               (unsigned long long)s1.pss_kib, s1.nproc);
    }
    if (opt.cpu >= 0) {
        printf(",\"core_busy_pct\":%.1f", 100.0 * (busy1 - busy0) / secs);
    }
    printf(",\"tcp_mem_pages\":%lld}\n", (long long)mem1 - (long long)mem0);
    return 0;
}

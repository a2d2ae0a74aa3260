/* rig.c - see rig.h */
#include "rig.h"

#include <openssl/err.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

_Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t rig_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- histogram ------------------------------------------------------------------- */

static unsigned hist_index(uint64_t v)
{
    if (v < HIST_SUB) {
        return (unsigned)v;
    }
    unsigned top = 63u - (unsigned)__builtin_clzll(v);
    unsigned shift = top - HIST_SUB_BITS;
    return (shift + 1u) * HIST_SUB + (unsigned)((v >> shift) - HIST_SUB);
}

static uint64_t hist_value(unsigned i)
{
    if (i < HIST_SUB) {
        return i;
    }
    unsigned shift = i / HIST_SUB - 1u;
    uint64_t low = (uint64_t)(i % HIST_SUB + HIST_SUB) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

void hist_add(struct hist *h, uint64_t v)
{
    h->count++;
    h->sum += v;
    if (v > h->max) {
        h->max = v;
    }
    h->slot[hist_index(v)]++;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0) {
        return 0;
    }
    uint64_t want = (uint64_t)(q * (double)h->count + 0.5), seen = 0;
    if (want < 1) {
        want = 1;
    }
    for (unsigned i = 0; i < HIST_SLOTS; i++) {
        seen += h->slot[i];
        if (seen >= want) {
            return hist_value(i) < h->max ? hist_value(i) : h->max;
        }
    }
    return h->max;
}

double hist_mean(const struct hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0.0;
}

/* ---- HTTP message bodies --------------------------------------------------------- */

void body_begin_fixed(struct body *b, uint64_t length)
{
    *b = (struct body){ .st = length ? BODY_FIXED : BODY_DONE, .left = length };
}

void body_begin_chunked(struct body *b)
{
    *b = (struct body){ .st = BODY_SIZE };
}

size_t body_next(struct body *b, const char *p, size_t n, const char **payload,
                 size_t *payload_len)
{
    size_t i = 0;
    *payload_len = 0;
    while (i < n) {
        switch (b->st) {
        case BODY_FIXED:
        case BODY_DATA: {
            size_t take = n - i < b->left ? n - i : (size_t)b->left;
            *payload = p + i;
            *payload_len = take;
            b->left -= take;
            if (b->left == 0) {
                b->st = b->st == BODY_FIXED ? BODY_DONE : BODY_DATA_END;
            }
            return i + take;
        }
        case BODY_UNTIL_CLOSE:
            *payload = p + i;
            *payload_len = n - i;
            return n;
        case BODY_SIZE:
        case BODY_EXT: {
            char c = p[i++];
            if (c == '\n') {
                b->st = b->left ? BODY_DATA : BODY_TRAILER;
                b->line = 0;
            } else if (c == ';' || c == '\r' || b->st == BODY_EXT) {
                b->st = BODY_EXT;
            } else {
                unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                             : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                             : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                    : 16u;
                if (d > 15u || b->left > (UINT64_C(1) << 40)) {
                    b->st = BODY_ERROR;
                    return i;
                }
                b->left = b->left * 16u + d;
            }
            break;
        }
        case BODY_DATA_END:
            if (p[i++] == '\n') {
                b->st = BODY_SIZE;
                b->left = 0;
            }
            break;
        case BODY_TRAILER: {
            char c = p[i++];
            if (c == '\n') {
                if (b->line == 0) {
                    b->st = BODY_DONE;
                    return i;
                }
                b->line = 0;
            } else if (c != '\r') {
                b->line++;
            }
            break;
        }
        case BODY_DONE:
        case BODY_ERROR:
            return i;
        }
    }
    return i;
}

/* ---- processes ------------------------------------------------------------------- */

static size_t slurp(const char *path, char *buf, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    size_t n = 0;
    ssize_t r;
    while (n + 1 < cap && (r = read(fd, buf + n, cap - 1 - n)) > 0) {
        n += (size_t)r;
    }
    close(fd);
    buf[n] = '\0';
    return n;
}

static uint64_t field_kib(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

void proc_sample(int pid, bool want_pss, struct proc_sample *out)
{
    char path[128], text[8192];

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!slurp(path, text, sizeof text)) {
        return;
    }
    out->nproc++;
    const char *p = strrchr(text, ')');
    unsigned long long ut = 0, st = 0;
    double hz = (double)sysconf(_SC_CLK_TCK);
    if (p && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &ut,
                    &st) == 2) {
        out->user_s += (double)ut / hz;
        out->sys_s += (double)st / hz;
    }
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (slurp(path, text, sizeof text)) {
        out->rss_kib += field_kib(text, "VmRSS:");
    }
    if (want_pss) {
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
        if (slurp(path, text, sizeof text)) {
            out->pss_kib += field_kib(text, "\nPss:");
        }
    }

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (!d) {
        return;
    }
    bool have_schedstat = false;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        int tid = atoi(e->d_name);
        if (tid <= 0) {
            continue;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, tid);
        if (slurp(path, text, sizeof text)) {
            out->cpu_s += (double)strtoull(text, NULL, 10) / 1e9;
            have_schedstat = true;
        }
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, tid);
        if (slurp(path, text, sizeof text)) {
            char *q = text, *end;
            for (;;) {
                long child = strtol(q, &end, 10);
                if (end == q) {
                    break;
                }
                proc_sample((int)child, want_pss, out);
                q = end;
            }
        }
    }
    closedir(d);
    if (!have_schedstat) { /* a kernel without it: the coarse clock is all there is */
        out->cpu_s += (double)(ut + st) / hz;
    }
}

double cpu_busy_s(int cpu)
{
    char text[16384], name[16];
    if (!slurp("/proc/stat", text, sizeof text)) {
        return 0;
    }
    snprintf(name, sizeof name, "\ncpu%d ", cpu);
    const char *p = strstr(text, name);
    unsigned long long u, n, s, id, io, irq, sirq;
    if (!p || sscanf(p + strlen(name), "%llu %llu %llu %llu %llu %llu %llu", &u, &n, &s,
                     &id, &io, &irq, &sirq) != 7) {
        return 0;
    }
    return (double)(u + n + s + irq + sirq) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- sockets --------------------------------------------------------------------- */

void set_nodelay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int listen_loopback(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        die("bind");
    }
    if (listen(fd, 4096) < 0) {
        die("listen");
    }
    return fd;
}

int connect_loopback(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    set_nodelay(fd);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

void raise_fd_limit(void)
{
    struct rlimit r = { .rlim_cur = 200000, .rlim_max = 200000 };
    if (setrlimit(RLIMIT_NOFILE, &r) < 0) {
        getrlimit(RLIMIT_NOFILE, &r);
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static long tls_result(SSL *ssl, int r)
{
    switch (SSL_get_error(ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        return -2;
    }
}

long io_read(int fd, SSL *ssl, void *buf, size_t n)
{
    if (ssl) {
        int r = SSL_read(ssl, buf, (int)n);
        return r > 0 ? r : tls_result(ssl, r);
    }
    ssize_t r = read(fd, buf, n);
    if (r >= 0) {
        return r;
    }
    return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

long io_write(int fd, SSL *ssl, const void *buf, size_t n)
{
    if (ssl) {
        int r = SSL_write(ssl, buf, n > (1u << 30) ? 1 << 30 : (int)n);
        return r > 0 ? r : tls_result(ssl, r);
    }
    ssize_t r = send(fd, buf, n, MSG_NOSIGNAL);
    if (r >= 0) {
        return r;
    }
    return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

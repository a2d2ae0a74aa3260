/*
 * rig.h - what the measurement rig's programs share.
 *
 * The rig is self-contained C17 + epoll; OpenSSL is the only library that
 * fakeprovider and loadgen need.  Every program listens on, and connects to,
 * 127.0.0.1 only: the address is not configurable on purpose.
 */
#ifndef RIG_H
#define RIG_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- time ------------------------------------------------------------------------ */

uint64_t rig_now_ns(void); /* CLOCK_MONOTONIC; comparable between processes */

/* ---- histogram ------------------------------------------------------------------- */

/*
 * Log-linear histogram in the manner of HdrHistogram: 128 linear steps per
 * power of two, so a recorded value is kept to better than 0.8 %.
 */
#define HIST_SUB_BITS 7
#define HIST_SUB      (1u << HIST_SUB_BITS)
#define HIST_SLOTS    ((64u - HIST_SUB_BITS + 1u) * HIST_SUB)

struct hist {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t slot[HIST_SLOTS];
};

void hist_add(struct hist *h, uint64_t v);
uint64_t hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h);

/* ---- HTTP message bodies --------------------------------------------------------- */

enum body_state {
    BODY_FIXED,    /* `left` bytes to go                       */
    BODY_SIZE,     /* reading a chunk-size line                */
    BODY_EXT,      /* skipping a chunk extension               */
    BODY_DATA,     /* `left` bytes of this chunk to go         */
    BODY_DATA_END, /* CRLF after chunk data                    */
    BODY_TRAILER,  /* trailer section, up to an empty line     */
    BODY_UNTIL_CLOSE,
    BODY_DONE,
    BODY_ERROR
};

struct body {
    enum body_state st;
    uint64_t left;
    uint32_t line; /* characters seen on the current trailer line */
};

void body_begin_fixed(struct body *b, uint64_t length);
void body_begin_chunked(struct body *b);

/*
 * Consume some of p[0..n); at most one payload slice is handed out per call.
 * Returns the number of bytes consumed (always > 0 when n > 0 and the body is
 * neither done nor in error).
 */
size_t body_next(struct body *b, const char *p, size_t n, const char **payload,
                 size_t *payload_len);

/* ---- processes ------------------------------------------------------------------- */

struct proc_sample {
    double cpu_s;     /* run time by the scheduler's own clock, all threads */
    double user_s;    /* utime, 10 ms resolution                            */
    double sys_s;     /* stime, 10 ms resolution                            */
    uint64_t rss_kib; /* sum of VmRSS                                       */
    uint64_t pss_kib; /* sum of Pss (shared pages counted once)             */
    unsigned nproc;
};

/* Sample a process and all its descendants. pss is costly: ask for it rarely. */
void proc_sample(int pid, bool want_pss, struct proc_sample *out);

/* Busy seconds of one CPU from /proc/stat (user+nice+system+irq+softirq). */
double cpu_busy_s(int cpu);

/* ---- sockets --------------------------------------------------------------------- */

int listen_loopback(int port);
int connect_loopback(int port); /* non-blocking; -1 on error */
void set_nodelay(int fd);
void raise_fd_limit(void);

/*
 * read/write over plain TCP or TLS with one convention:
 *   > 0  bytes moved,  0  orderly end,  -1  would block,  -2  error.
 */
long io_read(int fd, SSL *ssl, void *buf, size_t n);
long io_write(int fd, SSL *ssl, const void *buf, size_t n);

_Noreturn void die(const char *what);

#endif

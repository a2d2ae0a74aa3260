#include "proxy/base/log.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 256 * 1024,
    WORDS_BYTES = 1024,
    LINE_BYTES = 8 * 1024, /* WORDS_BYTES, each escaped to six, and the rest */
    CLOSE_SECONDS = 2,
    POLL_MS = 100
};

struct buffer {
    size_t len;
    char bytes[BUFFER_BYTES];
};

/* One of two buffers is filled by callers while the writer empties the other. `lock`
 * guards `filling`, what it points to and the wishes; it is never held during I/O. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t writer;
    struct buffer buffers[2];
    struct buffer *filling;
    bool open;
    bool stop_wanted;
    bool reopen_wanted;
    uint64_t dropped_told; /* the writer's: how many drops the log speaks of */

    /* Set by log_open() before the writer starts. */
    char *path;
    int file; /* from then on the writer's */
    bool is_regular;
    enum log_format format;
    enum log_level least;
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static atomic_uint_least64_t dropped;
static atomic_bool abandoned; /* log_close() no longer waits for the writer */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void put_time(struct text *line, uint64_t unix_ns)
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm day;

    CHECK(gmtime_r(&seconds, &day) != NULL);
    text_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", day.tm_year + 1900,
                day.tm_mon + 1, day.tm_mday, day.tm_hour, day.tm_min, day.tm_sec,
                (unsigned)(unix_ns % NS_PER_S / NS_PER_US));
}

static void put_as_json(struct text *line, enum log_level level, const char *event,
                        struct span words)
{
    text_put(line, SPAN("{\"time\":\""));
    put_time(line, clock_unix_ns());
    text_put(line, SPAN("\",\"level\":\""));
    text_put(line, span_text(level_names[level]));
    text_put(line, SPAN("\",\"event\":"));
    text_put_json(line, span_text(event));
    text_put(line, SPAN(",\"message\":"));
    text_put_json(line, words);
    text_put(line, SPAN("}\n"));
}

static void put_as_text(struct text *line, enum log_level level, const char *event,
                        struct span words)
{
    char escaped[LINE_BYTES];
    struct text quoted = text_over(escaped, sizeof escaped);

    put_time(line, clock_unix_ns());
    text_put_char(line, ' ');
    text_put(line, span_text(level_names[level]));
    text_put_char(line, ' ');
    text_put(line, span_text(event));
    text_put(line, SPAN(": "));
    text_put_json(&quoted, words);
    text_put(line, span_of(quoted.at + 1, quoted.len - 2));
    text_put_char(line, '\n');
}

static void put_line(struct text *line, enum log_format format, enum log_level level,
                     const char *event, struct span words)
{
    if (format == LOG_JSON) {
        put_as_json(line, level, event, words);
    } else {
        put_as_text(line, level, event, words);
    }
    CHECK(!line->full);
}

/* ---- callers --------------------------------------------------------------------- */

/* With the lock held. `newline`: the line has none yet. */
static void append(struct span line, bool newline)
{
    struct buffer *buffer = sink.filling;

    if (line.len + newline > sizeof buffer->bytes - buffer->len) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
        return;
    }
    if (buffer->len == 0) {
        pthread_cond_signal(&sink.wake);
    }
    memcpy(buffer->bytes + buffer->len, line.at, line.len);
    buffer->len += line.len;
    if (newline) {
        buffer->bytes[buffer->len] = '\n';
        buffer->len++;
    }
}

/* Returns false if the log is not open. */
static bool hand_over(struct span line, bool newline)
{
    bool open;

    CHECK(pthread_mutex_lock(&sink.lock) == 0);
    open = sink.open;
    if (open) {
        append(line, newline);
    }
    CHECK(pthread_mutex_unlock(&sink.lock) == 0);
    return open;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    char words[WORDS_BYTES];
    char memory[LINE_BYTES];
    struct text line = text_over(memory, sizeof memory);
    va_list arguments;
    int length;

    if (level < sink.least) {
        return;
    }
    va_start(arguments, format);
    length = vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    put_line(&line, sink.format, level, event, span_text(words));
    if (!hand_over(text_span(&line), false)) {
        line.len = 0;
        put_line(&line, LOG_TEXT, level, event, span_text(words));
        /* Nobody is left to tell if standard error is gone. */
        (void)!write(STDERR_FILENO, line.at, line.len);
    }
}

void log_entry(struct span json_line)
{
    if (!hand_over(json_line, true)) {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
}

uint64_t log_dropped(void)
{
    return atomic_load_explicit(&dropped, memory_order_relaxed);
}

/* ---- the writer ------------------------------------------------------------------ */

/* Writes a part without ever blocking on a pipe whose reader stopped: a pipe that polls
 * as writable has room for PIPE_BUF bytes. Standard error may be shared with others, so
 * O_NONBLOCK is not ours to set. */
static bool write_some(struct span *rest)
{
    struct pollfd ready = { .fd = sink.file, .events = POLLOUT };
    ssize_t n;

    if (poll(&ready, 1, POLL_MS) <= 0) {
        return true;
    }
    n = write(sink.file, rest->at,
              sink.is_regular || rest->len < PIPE_BUF ? rest->len : PIPE_BUF);
    if (n >= 0) {
        *rest = span_after(*rest, (size_t)n);
        return true;
    }
    return errno == EINTR || errno == EAGAIN;
}

/* Returns how many lines of the span could not be written. */
static size_t write_lines(struct span lines)
{
    size_t lost = 0;

    while (lines.len > 0 && !atomic_load(&abandoned)) {
        if (!write_some(&lines)) {
            break;
        }
    }
    while (lines.len > 0) {
        lines = span_after(lines, span_find(lines, '\n') + 1);
        lost++;
    }
    return lost;
}

static void write_event(enum log_level level, const char *event, struct span words)
{
    char memory[LINE_BYTES];
    struct text line = text_over(memory, sizeof memory);

    put_line(&line, sink.format, level, event, words);
    (void)write_lines(text_span(&line));
}

static void empty_buffer(struct buffer *buffer)
{
    size_t lost = write_lines(span_of(buffer->bytes, buffer->len));
    uint64_t count = atomic_fetch_add_explicit(&dropped, lost, memory_order_relaxed);

    buffer->len = 0;
    if (lost == 0 && count > sink.dropped_told) {
        char memory[64];
        struct text words = text_over(memory, sizeof memory);

        text_put_u64(&words, count - sink.dropped_told);
        text_put(&words, SPAN(" lines were dropped before this one"));
        write_event(LOG_WARN, "log_lines_dropped", text_span(&words));
        sink.dropped_told = count;
    }
}

static bool is_stderr(const char *path)
{
    return strcmp(path, "-") == 0;
}

static int open_file(const char *path)
{
    return is_stderr(path)
               ? STDERR_FILENO
               : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void use_file(int file)
{
    struct stat status;

    sink.file = file;
    sink.is_regular = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
}

static void reopen_file(void)
{
    int file = open_file(sink.path);

    if (file < 0) {
        write_event(LOG_ERROR, "log_reopen_failed", span_text(strerrordesc_np(errno)));
    } else if (file != sink.file) {
        (void)close(sink.file);
        use_file(file);
    }
}

/* Waits for work; returns the buffer that callers had filled. */
static struct buffer *swap_buffers(bool *reopen, bool *stop)
{
    struct buffer *full;

    CHECK(pthread_mutex_lock(&sink.lock) == 0);
    while (sink.filling->len == 0 && !sink.stop_wanted && !sink.reopen_wanted) {
        CHECK(pthread_cond_wait(&sink.wake, &sink.lock) == 0);
    }
    full = sink.filling;
    sink.filling = full == &sink.buffers[0] ? &sink.buffers[1] : &sink.buffers[0];
    *reopen = sink.reopen_wanted;
    *stop = sink.stop_wanted;
    sink.reopen_wanted = false;
    CHECK(pthread_mutex_unlock(&sink.lock) == 0);
    return full;
}

static void *run_writer(void *unused)
{
    bool reopen;
    bool stop;

    (void)unused;
    do {
        struct buffer *full = swap_buffers(&reopen, &stop);

        /* Lines from before a rotation belong to the old file. */
        empty_buffer(full);
        if (reopen) {
            reopen_file();
        }
    } while (!stop);
    return NULL;
}

/* Signals are for the main thread. */
static void start_writer(void)
{
    sigset_t all;
    sigset_t before;

    CHECK(sigfillset(&all) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&sink.writer, NULL, run_writer, NULL) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

/* ---- life ------------------------------------------------------------------------ */

static void set(bool *flag, bool value)
{
    CHECK(pthread_mutex_lock(&sink.lock) == 0);
    *flag = value;
    CHECK(pthread_cond_signal(&sink.wake) == 0);
    CHECK(pthread_mutex_unlock(&sink.lock) == 0);
}

bool log_open(const char *path, enum log_format format, enum log_level least,
              struct error *error)
{
    int file = open_file(path);

    if (file < 0) {
        error_add(error, (struct error_place){ .file = path },
                  "cannot open the log: %s", strerrordesc_np(errno));
        return false;
    }
    CHECK(!sink.open);
    use_file(file);
    sink.path = strdup(path);
    CHECK(sink.path != NULL);
    sink.format = format;
    sink.least = least;
    sink.filling = &sink.buffers[0];
    sink.stop_wanted = false;
    sink.reopen_wanted = false;
    atomic_store(&abandoned, false);
    start_writer();
    set(&sink.open, true);
    return true;
}

void log_reopen(void)
{
    set(&sink.reopen_wanted, true);
}

void log_close(void)
{
    struct timespec deadline;

    if (!sink.open) {
        return;
    }
    set(&sink.open, false); /* no line comes after the stop */
    set(&sink.stop_wanted, true);
    CHECK(clock_gettime(CLOCK_REALTIME, &deadline) == 0);
    deadline.tv_sec += CLOSE_SECONDS;
    if (pthread_timedjoin_np(sink.writer, NULL, &deadline) != 0) {
        atomic_store(&abandoned, true);
        CHECK(pthread_join(sink.writer, NULL) == 0);
    }
    if (!is_stderr(sink.path)) {
        (void)close(sink.file);
    }
    free(sink.path);
    sink.path = NULL;
}

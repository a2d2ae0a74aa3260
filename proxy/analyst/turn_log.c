#include "proxy/analyst/turn_log.h"

#include "proxy/base/date.h"
#include "proxy/base/span.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    PATH_SIZE = 4096,
    DAY_SIZE = 11, /* "2026-11-21" */
    MS_PER_DAY = 24 * 3600 * 1000,
    BUFFER_SIZE = 64 * 1024,
    ROW_MAX = 1024
};

/* What every file begins with; another layout of rows has another. */
static const char magic[8] = { 'a', 's', 's', 'a', 'y', 't', 'n', '1' };

/* In front of each row. */
struct row_head {
    uint32_t length; /* of what follows */
    uint32_t checksum;
};

enum row_flag {
    ROW_RETRY = 1 << 0,
    ROW_HARNESS = 1 << 1,
    ROW_PROMPT = 1 << 2,
    ROW_WORDS = 1 << 3
};

/* The part of a row that every row has; lists and names follow. */
struct row_body {
    uint64_t number, identity, session;
    int64_t at_ms, begin_ms, end_ms;
    uint64_t input_tokens, output_tokens;
    uint64_t whole, shape, similar;
    uint32_t characters;
    uint32_t loop;
    uint8_t kind, flags;
    uint8_t bottoms, samples, responses;
    uint8_t model, tool; /* lengths */
    uint8_t unused[1];
};

static_assert(sizeof(struct row_body) == 104, "no padding is written");

struct turn_log {
    char folder[PATH_SIZE];
    char day[DAY_SIZE]; /* of the open file; "": none */
    int fd;
    uint64_t number; /* of the last row */
    int64_t at_ms;   /* the same */
    off_t end;       /* of what is whole in the open file */
    bool failed;     /* since the last flush */
    size_t used;
    char buffer[BUFFER_SIZE];
};

static bool fail(struct error *error, const char *path, const char *why)
{
    error_add(error, (struct error_place){ 0 }, "turns %s: %s", path, why);
    return false;
}

static void day_of(int64_t unix_ms, char day[DAY_SIZE])
{
    struct date date = date_of_days(unix_ms / MS_PER_DAY);

    (void)snprintf(day, DAY_SIZE, "%04u-%02u-%02u", (unsigned)date.year % 10000,
                   (unsigned)date.month % 100, (unsigned)date.day % 100);
}

static bool is_day(const char *name)
{
    static const char shape[] = "dddd-dd-dd";

    for (size_t i = 0; i < sizeof shape; i++) {
        if (shape[i] == 'd' ? name[i] < '0' || name[i] > '9' : name[i] != shape[i]) {
            return false;
        }
    }
    return true;
}

static bool make_path(char path[PATH_SIZE], const char *folder, const char *name)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);

    return length > 0 && length < PATH_SIZE;
}

/* ---- rows ------------------------------------------------------------------------ */

static void append(char **at, const void *bytes, size_t len)
{
    memcpy(*at, bytes, len);
    *at += len;
}

static struct row_body body_of(const struct turn_row *row)
{
    const struct turn *turn = &row->turn;
    const struct prompt_sketch *prompt = &turn->prompt;
    unsigned flags = (turn->retry ? ROW_RETRY : 0U) |
                     (turn->harness ? ROW_HARNESS : 0U) |
                     (turn->has_prompt ? ROW_PROMPT : 0U) |
                     (turn->has_prompt && prompt->has_words ? ROW_WORDS : 0U);

    return (struct row_body){
        .number = row->number,
        .identity = turn->identity,
        .session = turn->session,
        .at_ms = row->at_ms,
        .begin_ms = turn->begin_ms,
        .end_ms = turn->end_ms,
        .input_tokens = turn->input_tokens,
        .output_tokens = turn->output_tokens,
        .whole = prompt->whole,
        .shape = prompt->shape,
        .similar = prompt->similar,
        .characters = prompt->characters,
        .loop = turn->loop,
        .kind = (uint8_t)turn->kind,
        .flags = (uint8_t)flags,
        .bottoms = turn->has_prompt ? prompt->bottom_count : 0,
        .samples = turn->has_prompt ? prompt->sample_count : 0,
        .responses = turn->response.count,
        .model = (uint8_t)strnlen(row->model, sizeof row->model - 1),
        .tool = (uint8_t)strnlen(row->tool, sizeof row->tool - 1),
    };
}

/* Returns the length. */
static size_t write_row(const struct turn_row *row, char bytes[ROW_MAX])
{
    const struct turn *turn = &row->turn;
    struct row_body body = body_of(row);
    struct row_head head;
    char *at = bytes + sizeof head;

    append(&at, &body, sizeof body);
    append(&at, turn->prompt.bottom, body.bottoms * sizeof turn->prompt.bottom[0]);
    append(&at, turn->prompt.samples, body.samples * sizeof turn->prompt.samples[0]);
    append(&at, turn->response.samples,
           body.responses * sizeof turn->response.samples[0]);
    append(&at, turn->prompt.words, body.flags & ROW_WORDS ? SKETCH_WORDS : 0);
    append(&at, row->model, body.model);
    append(&at, row->tool, body.tool);
    head.length = (uint32_t)((size_t)(at - bytes) - sizeof head);
    head.checksum = (uint32_t)XXH3_64bits(bytes + sizeof head, head.length);
    memcpy(bytes, &head, sizeof head);
    return (size_t)(at - bytes);
}

static_assert(sizeof(struct row_head) + sizeof(struct row_body) +
                      sizeof(struct prompt_sketch) + sizeof(struct response_sketch) +
                      sizeof(((struct turn_row *)NULL)->model) +
                      sizeof(((struct turn_row *)NULL)->tool) <=
                  ROW_MAX,
              "every row has room");

static bool take(struct span *from, void *to, size_t len)
{
    if (len > from->len) {
        return false;
    }
    memcpy(to, from->at, len);
    *from = span_after(*from, len);
    return true;
}

static bool is_legal(const struct row_body *body)
{
    return body->kind <= TURN_SUBAGENT && body->bottoms <= SKETCH_BOTTOM &&
           body->samples <= SKETCH_PROMPT && body->responses <= SKETCH_RESPONSE &&
           body->model < sizeof(((struct turn_row *)NULL)->model) &&
           body->tool < sizeof(((struct turn_row *)NULL)->tool);
}

static bool read_body(struct span bytes, struct turn_row *row)
{
    struct turn *turn = &row->turn;
    struct row_body body;

    if (!take(&bytes, &body, sizeof body) || !is_legal(&body)) {
        return false;
    }
    *row = (struct turn_row){ .number = body.number, .at_ms = body.at_ms };
    *turn = (struct turn){
        .identity = body.identity,
        .session = body.session,
        .begin_ms = body.begin_ms,
        .end_ms = body.end_ms,
        .input_tokens = body.input_tokens,
        .output_tokens = body.output_tokens,
        .loop = body.loop,
        .kind = body.kind,
        .retry = (body.flags & ROW_RETRY) != 0,
        .harness = (body.flags & ROW_HARNESS) != 0,
        .has_prompt = (body.flags & ROW_PROMPT) != 0,
        .prompt = { .whole = body.whole,
                    .shape = body.shape,
                    .similar = body.similar,
                    .characters = body.characters,
                    .bottom_count = body.bottoms,
                    .sample_count = body.samples,
                    .has_words = (body.flags & ROW_WORDS) != 0 },
        .response.count = body.responses,
    };
    return take(&bytes, turn->prompt.bottom,
                body.bottoms * sizeof turn->prompt.bottom[0]) &&
           take(&bytes, turn->prompt.samples,
                body.samples * sizeof turn->prompt.samples[0]) &&
           take(&bytes, turn->response.samples,
                body.responses * sizeof turn->response.samples[0]) &&
           take(&bytes, turn->prompt.words,
                turn->prompt.has_words ? SKETCH_WORDS : 0) &&
           take(&bytes, row->model, body.model) && take(&bytes, row->tool, body.tool);
}

/* Takes the first row off the bytes; false at their end, or where it is torn. */
static bool next_row(struct span *bytes, struct turn_row *row)
{
    struct span rest = *bytes;
    struct row_head head;
    struct span body;

    if (!take(&rest, &head, sizeof head) || head.length > rest.len) {
        return false;
    }
    body = span_of(rest.at, head.length);
    if ((uint32_t)XXH3_64bits(body.at, body.len) != head.checksum ||
        !read_body(body, row)) {
        return false;
    }
    *bytes = span_after(rest, head.length);
    return true;
}

/* ---- files ----------------------------------------------------------------------- */

/* The days there are, ascending: days_free() frees them. Names that are no
 * day are not. */
static int list_days(const char *folder, struct dirent ***days)
{
    int count = scandir(folder, days, NULL, alphasort);
    int kept = 0;

    for (int i = 0; i < count; i++) {
        if (is_day((*days)[i]->d_name)) {
            (*days)[kept++] = (*days)[i];
        } else {
            free((*days)[i]);
        }
    }
    return count < 0 ? count : kept;
}

static void days_free(struct dirent **days, int count)
{
    for (int i = 0; i < count; i++) {
        free(days[i]);
    }
    free(days);
}

/* The file's bytes behind its magic; unmap() takes them back. An empty
 * file has none. */
static bool map_file(const char *path, struct span *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *map = MAP_FAILED;

    *bytes = span_of(NULL, 0);
    if (fd < 0) {
        return errno == ENOENT; /* deleted since it was listed */
    }
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    if (map == MAP_FAILED) {
        return info.st_size == 0;
    }
    *bytes = span_of(map, (size_t)info.st_size);
    return true;
}

static void unmap(struct span bytes)
{
    if (bytes.len > 0) {
        (void)munmap((void *)(uintptr_t)bytes.at, bytes.len);
    }
}

static bool skip_magic(struct span *rest)
{
    if (!span_starts(*rest, span_of(magic, sizeof magic))) {
        return false;
    }
    *rest = span_after(*rest, sizeof magic);
    return true;
}

/* ---- writing --------------------------------------------------------------------- */

/* How much of the file is whole; notes its last row. */
static bool measure(struct turn_log *log, const char *path, size_t *whole)
{
    struct turn_row row;
    struct span bytes, rest;

    *whole = 0;
    if (!map_file(path, &bytes)) {
        return false;
    }
    rest = bytes;
    if (skip_magic(&rest)) {
        while (next_row(&rest, &row)) {
            log->number = row.number;
            log->at_ms = row.at_ms;
        }
        *whole = bytes.len - rest.len;
    }
    unmap(bytes);
    return true;
}

static bool cut_torn_end(struct turn_log *log, struct error *error)
{
    struct dirent **days;
    int count = list_days(log->folder, &days);
    bool good = count >= 0;

    for (int i = count - 1; good && i >= 0 && log->number == 0; i--) {
        char path[PATH_SIZE];
        size_t whole;

        good = make_path(path, log->folder, days[i]->d_name) &&
               measure(log, path, &whole) && truncate(path, (off_t)whole) == 0;
    }
    if (count >= 0) {
        days_free(days, count);
    }
    return good || fail(error, log->folder, strerror(errno));
}

struct turn_log *turn_log_open(const char *state, struct error *error)
{
    struct turn_log *log = calloc(1, sizeof *log);

    CHECK(log != NULL);
    log->fd = -1;
    if (!make_path(log->folder, state, "turns")) {
        fail(error, state, "has too long a path");
        return turn_log_close(log);
    }
    if (mkdir(log->folder, 0700) != 0 && errno != EEXIST) {
        fail(error, log->folder, strerror(errno));
        return turn_log_close(log);
    }
    return cut_torn_end(log, error) ? log : turn_log_close(log);
}

/* Whole or not at all: a row in part would hide those behind it. */
static void write_buffer(struct turn_log *log)
{
    size_t done = 0;
    ssize_t count = 0;

    while (done < log->used && (count >= 0 || errno == EINTR)) {
        count = write(log->fd, log->buffer + done, log->used - done);
        done += count < 0 ? 0 : (size_t)count;
    }
    if (done == log->used) {
        log->end += (off_t)done;
    } else {
        log->failed = true;
        (void)!ftruncate(log->fd, log->end);
    }
    log->used = 0;
}

static void close_day(struct turn_log *log)
{
    if (log->fd >= 0) {
        write_buffer(log);
        (void)close(log->fd);
        log->fd = -1;
    }
}

static bool open_day(struct turn_log *log, const char *day)
{
    char path[PATH_SIZE];

    close_day(log);
    memcpy(log->day, day, DAY_SIZE);
    if (!make_path(path, log->folder, day)) {
        return false;
    }
    log->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    log->end = log->fd < 0 ? -1 : lseek(log->fd, 0, SEEK_END);
    return log->end >= 0;
}

static void put_bytes(struct turn_log *log, const char *bytes, size_t length)
{
    if (length > BUFFER_SIZE - log->used) {
        write_buffer(log);
    }
    if (log->end == 0 && log->used == 0) {
        memcpy(log->buffer, magic, sizeof magic);
        log->used = sizeof magic;
    }
    memcpy(log->buffer + log->used, bytes, length);
    log->used += length;
}

void turn_log_put(struct turn_log *log, const struct turn_row *row)
{
    char bytes[ROW_MAX], day[DAY_SIZE];
    size_t length = write_row(row, bytes);

    day_of(row->at_ms, day);
    log->number = row->number;
    log->at_ms = row->at_ms;
    if ((strcmp(day, log->day) > 0 || log->fd < 0) && !open_day(log, day)) {
        log->failed = true;
        return;
    }
    put_bytes(log, bytes, length);
}

bool turn_log_flush(struct turn_log *log)
{
    bool failed;

    if (log->fd >= 0) {
        write_buffer(log);
    }
    failed = log->failed;
    log->failed = false;
    return !failed;
}

int64_t turn_log_at_ms(const struct turn_log *log)
{
    return log->at_ms;
}

uint64_t turn_log_number(const struct turn_log *log)
{
    return log->number;
}

void turn_log_delete_before(struct turn_log *log, int64_t unix_ms)
{
    struct dirent **days;
    char first[DAY_SIZE], path[PATH_SIZE];
    int count = list_days(log->folder, &days);

    day_of(unix_ms, first);
    for (int i = 0; i < count; i++) {
        if (strcmp(days[i]->d_name, first) < 0 &&
            strcmp(days[i]->d_name, log->day) != 0 &&
            make_path(path, log->folder, days[i]->d_name)) {
            (void)unlink(path);
        }
    }
    if (count >= 0) {
        days_free(days, count);
    }
}

struct turn_log *turn_log_close(struct turn_log *log)
{
    if (log != NULL) {
        close_day(log);
        free(log);
    }
    return NULL;
}

/* ---- reading --------------------------------------------------------------------- */

struct reader {
    uint64_t after;
    bool (*each)(void *self, const struct turn_row *row);
    void *self;
    bool enough;
};

static void read_rows(struct reader *reader, struct span bytes)
{
    struct turn_row row;

    while (!reader->enough && next_row(&bytes, &row)) {
        reader->enough =
            row.number > reader->after && !reader->each(reader->self, &row);
    }
}

static bool read_day(struct reader *reader, const char *folder, const char *day,
                     struct error *error)
{
    char path[PATH_SIZE];
    struct span bytes, rest;

    if (!make_path(path, folder, day) || !map_file(path, &bytes)) {
        return fail(error, folder, strerror(errno));
    }
    rest = bytes;
    if (skip_magic(&rest)) {
        read_rows(reader, rest);
    }
    unmap(bytes);
    return true;
}

bool turn_log_each(const char *state, int64_t since_ms, uint64_t after,
                   bool (*each)(void *self, const struct turn_row *row), void *self,
                   struct error *error)
{
    struct reader reader = { .after = after, .each = each, .self = self };
    char folder[PATH_SIZE], first[DAY_SIZE];
    struct dirent **days;
    bool good = true;
    int count;

    if (!make_path(folder, state, "turns")) {
        return fail(error, state, "has too long a path");
    }
    count = list_days(folder, &days);
    if (count < 0) {
        return errno == ENOENT || fail(error, folder, strerror(errno));
    }
    day_of(since_ms, first);
    for (int i = 0; good && !reader.enough && i < count; i++) {
        good = strcmp(days[i]->d_name, first) < 0 ||
               read_day(&reader, folder, days[i]->d_name, error);
    }
    days_free(days, count);
    return good;
}

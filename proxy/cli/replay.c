/* assay replay: runs the detector over turn records and prints an alarm
 * line per turn. */
#include "filters/detect/detector.h"
#include "filters/detect/evidence_json.h"
#include "filters/detect/signal.h"
#include "filters/turn/record.h"
#include "proxy/base/text.h"
#include "proxy/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ROOM_MIN = 1024,
    OUTPUT_SIZE = 16 * 1024,
    SESSION_SEED = 1,
    SHARED_PROMPTS_LOG2 = 17,
    SHARED_SAMPLES_LOG2 = 20
};

/* One line of a file that stays mapped. */
struct line {
    int64_t at_ms;
    size_t number; /* lines of one moment keep their order */
    struct span text;
};

/* What is told of an identity. */
struct told {
    uint64_t identity;
    char *name; /* NULL: the slot is free */
    float highest;
    uint32_t turns;
    uint32_t alarms;
    int64_t first_alarm_ms;
};

struct replay {
    const struct command_line *command;
    struct record_reader *reader;
    struct detector *detector;
    struct line *lines;
    size_t line_count, line_room;
    struct told *told; /* open addressing, at most half full */
    size_t told_count, told_room;
    bool summary;
    float threshold;
};

static void *grown(void *memory, size_t count, size_t size)
{
    void *grown_memory = reallocarray(memory, count, size);

    CHECK(grown_memory != NULL);
    return grown_memory;
}

/* ---- input ----------------------------------------------------------------------- */

static void add_line(struct replay *replay, int64_t at_ms, struct span text)
{
    if (replay->line_count == replay->line_room) {
        replay->line_room = replay->line_room == 0 ? ROOM_MIN : replay->line_room * 2;
        replay->lines = grown(replay->lines, replay->line_room, sizeof(*replay->lines));
    }
    replay->lines[replay->line_count] =
        (struct line){ at_ms, replay->line_count, text };
    replay->line_count++;
}

static bool index_lines(struct replay *replay, const char *path, struct span rest)
{
    struct record record;
    struct span text;

    for (unsigned long number = 1; span_next(&rest, '\n', &text); number++) {
        const char *wrong;

        if (span_trim(text).len == 0) {
            continue;
        }
        wrong = record_read(replay->reader, text, &record);
        if (wrong != NULL) {
            fprintf(stderr, "%s:%lu: %s\n", path, number, wrong);
            return false;
        }
        add_line(replay, record.at_ms, text);
    }
    return true;
}

/* The file stays mapped until the process ends. */
static bool map_file(const char *path, struct span *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *map = NULL;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &info) != 0) {
        map = MAP_FAILED;
    } else if (S_ISDIR(info.st_mode)) {
        map = MAP_FAILED;
        errno = EISDIR;
    } else if (info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    *bytes = span_of(map, map == NULL || map == MAP_FAILED ? 0 : (size_t)info.st_size);
    return map != MAP_FAILED;
}

static bool read_file(struct replay *replay, const char *path)
{
    struct span bytes;

    if (!map_file(path, &bytes)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    return index_lines(replay, path, bytes);
}

static int by_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->at_ms != y->at_ms) {
        return x->at_ms < y->at_ms ? -1 : 1;
    }
    return x->number < y->number ? -1 : x->number > y->number;
}

/* ---- names ----------------------------------------------------------------------- */

static struct told *told_slot(struct told *told, size_t room, uint64_t identity)
{
    size_t at = (size_t)identity & (room - 1);

    while (told[at].name != NULL && told[at].identity != identity) {
        at = (at + 1) & (room - 1);
    }
    return &told[at];
}

static void told_grow(struct replay *replay)
{
    size_t room = replay->told_room == 0 ? ROOM_MIN : replay->told_room * 2;
    struct told *told = calloc(room, sizeof(*told));

    CHECK(told != NULL);
    for (size_t i = 0; i < replay->told_room; i++) {
        if (replay->told[i].name != NULL) {
            *told_slot(told, room, replay->told[i].identity) = replay->told[i];
        }
    }
    free(replay->told);
    replay->told = told;
    replay->told_room = room;
}

static void remember_name(struct replay *replay, const struct record *record)
{
    struct told *told;

    if (replay->told_count * 2 >= replay->told_room) {
        told_grow(replay);
    }
    told = told_slot(replay->told, replay->told_room, record->turn.identity);
    if (told->name == NULL) {
        told->identity = record->turn.identity;
        told->name = strdup(record->identity);
        CHECK(told->name != NULL);
        replay->told_count++;
    }
}

/* ---- output ---------------------------------------------------------------------- */

static void print_finding(const struct told *told, const struct finding *finding)
{
    char memory[OUTPUT_SIZE];
    struct text out = text_over(memory, sizeof(memory));

    text_put(&out, SPAN("{\"identity\":"));
    text_put_json(&out, span_text(told->name));
    text_put(&out, SPAN(",\"ts\":"));
    evidence_put_time(&out, finding->at_ms);
    text_printf(&out, ",\"score\":%.2f,\"alarm\":%d", (double)finding->score,
                finding->alarm);
    if (finding->alarm) {
        text_put(&out, SPAN(",\"evidence\":"));
        evidence_put_json(&out, &finding->evidence);
    }
    text_put(&out, SPAN("}\n"));
    (void)fwrite(out.at, 1, out.len, stdout);
}

static void found(void *self, const struct finding *finding)
{
    struct replay *replay = self;
    struct told *told = told_slot(replay->told, replay->told_room, finding->identity);

    told->turns++;
    if (finding->score > told->highest) {
        told->highest = finding->score;
    }
    if (finding->alarm && told->alarms++ == 0) {
        told->first_alarm_ms = finding->at_ms;
    }
    if (!replay->summary) {
        print_finding(told, finding);
    }
}

static int highest_first(const void *a, const void *b)
{
    const struct told *x = a, *y = b;

    return (x->highest < y->highest) - (x->highest > y->highest);
}

static void print_summary(struct replay *replay)
{
    size_t count = 0;

    for (size_t i = 0; i < replay->told_room; i++) {
        if (replay->told[i].name != NULL) {
            replay->told[count++] = replay->told[i];
        }
    }
    replay->told_room = count;
    qsort(replay->told, count, sizeof(*replay->told), highest_first);
    printf("%-32s %8s %8s %8s  %s\n", "identity", "turns", "alarms", "highest",
           "grade");
    for (size_t i = 0; i < count; i++) {
        const struct told *told = &replay->told[i];
        const struct identity_state *state =
            detector_state(replay->detector, told->identity);

        printf("%-32s %8u %8u %8.2f  %s\n", told->name, told->turns, told->alarms,
               (double)told->highest, grade_name(grade_of(state, replay->threshold)));
    }
}

/* ---- command --------------------------------------------------------------------- */

static bool run_lines(struct replay *replay)
{
    struct record record;

    for (size_t i = 0; i < replay->line_count; i++) {
        CHECK(record_read(replay->reader, replay->lines[i].text, &record) == NULL);
        remember_name(replay, &record);
        if (!detector_observe(replay->detector, &record.turn, found, replay)) {
            fputs("assay replay: out of memory\n", stderr);
            return false;
        }
    }
    return true;
}

static void unknown_signal(const struct command_line *line, const char *name)
{
    char memory[512];
    struct text names = text_over(memory, sizeof memory);

    for (unsigned i = 0; signals[i] != NULL; i++) {
        text_printf(&names, "%s%s", i == 0 ? "" : ", ", signals[i]->name);
    }
    (void)command_misused(line, "there is no signal '%s'; there are %.*s", name,
                          (int)names.len, names.at);
}

static bool signals_without(const struct command_line *line, uint32_t *without)
{
    const char *name;

    for (size_t n = 0; (name = command_option_nth(line, "without", n)) != NULL; n++) {
        unsigned i = 0;

        while (signals[i] != NULL && strcmp(signals[i]->name, name) != 0) {
            i++;
        }
        if (signals[i] == NULL) {
            unknown_signal(line, name);
            return false;
        }
        *without |= 1U << i;
    }
    return true;
}

static bool threshold_given(const struct command_line *line, float *threshold)
{
    const char *text = command_option(line, "threshold");
    uint64_t nats;

    if (text == NULL) {
        return true;
    }
    if (!span_decimal(span_text(text), &nats) || nats < 1 || nats > 1000) {
        (void)command_misused(line, "--threshold: '%s' is no number from 1 to 1000",
                              text);
        return false;
    }
    *threshold = (float)nats;
    return true;
}

static void replay_done(struct replay *replay)
{
    for (size_t i = 0; i < replay->told_room; i++) {
        free(replay->told[i].name);
    }
    free(replay->told);
    free(replay->lines);
    detector_free(replay->detector);
    record_reader_free(replay->reader);
}

int command_replay(const struct command_line *line)
{
    struct detector_options options = { .threshold = SCORE_FLAG,
                                        .prompts_log2 = SHARED_PROMPTS_LOG2,
                                        .samples_log2 = SHARED_SAMPLES_LOG2 };
    struct replay replay = { .command = line };
    bool done = true;

    if (line->argument_count == 0) {
        return command_misused(line, "name a file of turn records");
    }
    if (!signals_without(line, &options.without)) {
        return COMMAND_MISUSED;
    }
    if (!threshold_given(line, &options.threshold)) {
        return COMMAND_MISUSED;
    }
    options.alone = command_option(line, "alone") != NULL;
    replay.threshold = options.threshold;
    replay.summary = command_option(line, "summary") != NULL;
    replay.reader = record_reader_new(SESSION_SEED);
    replay.detector = detector_new(&options);
    for (size_t i = 0; done && i < line->argument_count; i++) {
        done = read_file(&replay, line->arguments[i]);
    }
    if (done && replay.line_count > 0) {
        qsort(replay.lines, replay.line_count, sizeof(*replay.lines), by_time);
        done = run_lines(&replay);
    }
    if (done && replay.summary) {
        print_summary(&replay);
    }
    replay_done(&replay);
    return done ? COMMAND_OK : COMMAND_FAILED;
}

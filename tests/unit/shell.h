/* Commands run as from a shell, in a folder of their own with a configuration. */
#ifndef ASSAY_TESTS_UNIT_SHELL_H
#define ASSAY_TESTS_UNIT_SHELL_H

#include "proxy/cli/command.h"
#include "proxy/meter/ledger.h"
#include "tests/support/remove_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 12, OUTPUT_SIZE = 128 * 1024 };

static char folder[40];
static char config[80];
static char out[OUTPUT_SIZE]; /* what the last command wrote */
static char err[OUTPUT_SIZE];

static inline const char *path(const char *file)
{
    static char made[120];

    snprintf(made, sizeof made, "%s/%s", folder, file);
    return made;
}

static inline void write_file(const char *file, const char *text)
{
    FILE *stream = fopen(path(file), "w");

    assert_non_null(stream);
    fputs(text, stream);
    assert_int_equal(fclose(stream), 0);
}

static inline int set_up(void **state)
{
    FILE *file;

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_shell.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(config, sizeof config, "%s/assay.yaml", folder);
    file = fopen(config, "w");
    assert_non_null(file);
    fprintf(file,
            "listen:\n"
            "  - address: 127.0.0.1:8080\n"
            "state: %s/state\n"
            "prices: %s/prices.yaml\n"
            "providers:\n"
            "  openai:\n"
            "    url: https://api.openai.com\n"
            "    dialects: [openai]\n"
            "    credential: env:NO_SUCH_VARIABLE_IS_NEEDED\n"
            "teams:\n"
            "  platform: {callers: [ana, bo]}\n",
            folder, folder);
    assert_int_equal(fclose(file), 0);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static inline void read_back(const char *file, char text[OUTPUT_SIZE])
{
    FILE *stream = fopen(path(file), "r");

    assert_non_null(stream);
    text[fread(text, 1, OUTPUT_SIZE - 1, stream)] = '\0';
    fclose(stream);
}

/* Splits a line at its spaces and runs it in a process of its own; its exit status, or
 * 128 and the signal that ended it. */
static inline int run(const char *line)
{
    char words[400];
    char *arguments[ARGUMENTS_MAX + 1] = { NULL };
    int count = 0;
    int status;
    pid_t child;

    snprintf(words, sizeof words, "%s", line);
    for (char *at = words; at != NULL && count < ARGUMENTS_MAX;) {
        arguments[count++] = strsep(&at, " ");
    }
    child = fork();
    if (child == 0) {
        bool open = setenv("ASSAY_CONFIG", config, 1) == 0 &&
                    freopen(path("out"), "w", stdout) != NULL &&
                    freopen(path("err"), "w", stderr) != NULL;

        status = open ? command_main(count, arguments) : 99;
        fflush(NULL);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    read_back("out", out);
    read_back("err", err);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int run_with(const char *format, const char *word)
{
    char line[300];
    const char *percent = strstr(format, "%s");

    assert_non_null(percent);
    snprintf(line, sizeof line, "%.*s%s%s", (int)(percent - format), format, word,
             percent + 2);
    return run(line);
}

/* Each is the operator's mistake, told on stderr. */
static inline void assert_misused(const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (run(lines[i]) != COMMAND_MISUSED || *out != '\0' || *err == '\0') {
            fail_msg("'%s' said: %s%s", lines[i], out, err);
        }
    }
}

static inline void assert_out(const char *words)
{
    if (strstr(out, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, out);
    }
}

static inline void assert_err(const char *words)
{
    if (strstr(err, words) == NULL) {
        fail_msg("\"%s\" is not in: %s", words, err);
    }
}

#define STORE(entry, field, text)                                                      \
    text_store((entry)->field, sizeof(entry)->field, SPAN(text))

/* Adds `count` entries to the ledger in the state folder, each filled by `fill` and
 * begun a second after the one before. */
static inline void add_entries(uint64_t begin_ns, unsigned count,
                               void (*fill)(struct entry *entry, unsigned n))
{
    struct error error = { 0 };
    struct journal *journal;
    struct ledger *ledger;
    char state[60];

    snprintf(state, sizeof state, "%s/state", folder);
    mkdir(state, 0700);
    journal = journal_open(state, 0, 4096, &error);
    ledger = ledger_open(state, NULL, &error);
    assert_true(journal != NULL && ledger != NULL);
    assert_true(count <= journal_slots(journal));
    assert_true(ledger_recover(ledger, journal, &error));
    assert_true(ledger_start(ledger, &journal, 1, NULL, NULL, &error));
    for (unsigned n = 0; n < count; n++) {
        uint64_t now = begin_ns + n * UINT64_C(1000000000);
        struct entry *entry = journal_take(journal, now);

        assert_non_null(entry);
        entry->started_ns = now;
        fill(entry, n);
        journal_settle(journal, entry);
    }
    ledger_stop(ledger);
    ledger_close(ledger);
    journal_close(journal);
    assert_false(error_any(&error));
}

#endif

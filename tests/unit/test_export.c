/* assay export, run as from a shell. */
#include "proxy/base/clock.h"
#include "proxy/base/fault.h"
#include "proxy/cli/command.h"
#include "proxy/cli/period.h"
#include "tests/unit/shell.h"

#include <cjson/cJSON.h>

#include <fcntl.h>
#include <signal.h>

/* 2026-03-04T05:06:07.089Z */
static const uint64_t some_time = UINT64_C(1772600767089) * NS_PER_MS;

static void fill(struct entry *entry, unsigned n)
{
    entry->duration_us = 1000 * n + 7;
    entry->status = 200;
    entry->priced = n % 2 == 0;
    entry->cost_nanousd = entry->priced ? 1500 : 0;
    entry->outcome = OUTCOME_COMPLETE;
    entry->usage.source = USAGE_REPORTED;
    entry->usage.flags = USAGE_ANOMALY | USAGE_INFERRED;
    usage_set(&entry->usage, TOKENS_INPUT, n);
    usage_set(&entry->usage, TOKENS_OUTPUT, 0);
    STORE(entry, team, "platform");
    STORE(entry, caller, "ana");
    STORE(entry, tool, "=HYPERLINK(\"x\",1)");
    STORE(entry, request_model, "gpt-4o");
}

static unsigned lines_of(const char *text)
{
    unsigned count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* The id in line n of the last jsonl. */
static const char *id_of_line(unsigned n)
{
    static char id[ENTRY_ID_SIZE];
    const char *at = out;

    while (n-- > 0) {
        at = strchr(at, '\n') + 1;
    }
    snprintf(id, sizeof id, "%.16s", at + strlen("{\"id\":\""));
    return id;
}

static void every_exchange_is_a_line(void **state)
{
    const char *at = out;

    (void)state;
    add_entries(some_time, 3, fill);
    assert_int_equal(run("assay export"), COMMAND_OK);
    assert_string_equal(err, "");
    assert_int_equal(lines_of(out), 3);
    for (unsigned n = 0; n < 3; n++) {
        cJSON *line = cJSON_ParseWithOpts(at, &at, false);
        const cJSON *tokens = cJSON_GetObjectItem(line, "tokens");

        assert_non_null(line);
        assert_int_equal(cJSON_GetObjectItem(tokens, "input")->valueint, n);
        assert_true(cJSON_IsNull(cJSON_GetObjectItem(tokens, "reasoning")));
        assert_true(cJSON_IsNull(cJSON_GetObjectItem(line, "cost_nanousd")) ==
                    (n % 2 == 1));
        cJSON_Delete(line);
    }
}

static void options_choose_exchanges(void **state)
{
    static const struct {
        const char *line;
        unsigned count;
    } cases[] = {
        { "assay export --since 2026-03-04", 4 },
        { "assay export --since 2026-03-05", 0 },
        { "assay export --until 2026-03-04", 0 },
        { "assay export --since 2026-03-04T05:06:08.089Z", 3 },
        { "assay export --since 2026-03-04T06:06:08.090+01:00", 2 },
        { "assay export --until 2026-03-04T05:06:09Z", 2 },
        { "assay export --since 24h", 0 },
        { "assay export --since 10000d", 4 },
    };
    char id[ENTRY_ID_SIZE];

    (void)state;
    add_entries(some_time, 4, fill);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(cases[i].line), COMMAND_OK);
        assert_int_equal(lines_of(out), cases[i].count);
    }
    assert_int_equal(run("assay export"), COMMAND_OK);
    snprintf(id, sizeof id, "%s", id_of_line(1));
    assert_int_equal(run_with("assay export --after %s", id), COMMAND_OK);
    assert_int_equal(lines_of(out), 2);
    assert_int_equal(run_with("assay export --id %s", id), COMMAND_OK);
    assert_int_equal(lines_of(out), 1);
    assert_string_equal(id_of_line(0), id);
    assert_int_equal(run("assay export --id ax-0000000000001"), COMMAND_FAILED);
    assert_string_equal(out, "");
    assert_err("is not in the ledger");
}

/* The cells of a CSV line without quotes in it. */
static unsigned cells_of(const char *line)
{
    unsigned count = 1;

    for (; *line != '\n' && *line != '\0'; line++) {
        count += *line == ',';
    }
    return count;
}

static void csv_has_a_header_and_no_formulas(void **state)
{
    const char *row;

    (void)state;
    add_entries(some_time, 2, fill);
    assert_int_equal(run("assay export --format csv"), COMMAND_OK);
    assert_int_equal(lines_of(out), 3);
    assert_int_equal(strncmp(out, "id,time,team,caller,key,tool,", 29), 0);
    row = strchr(out, '\n') + 1;
    /* Two commas of the row stand in quotes. */
    assert_int_equal(cells_of(row), cells_of(out) + 1);
    assert_out(",2026-03-04T05:06:07.089Z,platform,ana,,"
               "\"'=HYPERLINK(\"\"x\"\",1)\",");
    assert_out(",200,complete,reported,0,,,0,,");
    assert_out(",anomaly inferred,");
    assert_out(",1500,true,0.007,");
    assert_out(",,false,1.007,"); /* unpriced is not 0 */
}

/* More than two pages, and more than `out` has room for. */
static void a_long_ledger_is_whole(void **state)
{
    char *line = NULL;
    size_t size = 0;
    unsigned count = 0;
    FILE *file;

    (void)state;
    add_entries(some_time, 3000, fill);
    add_entries(some_time + UINT64_C(3000) * NS_PER_S, 1096, fill);
    assert_int_equal(run("assay export"), COMMAND_OK);
    file = fopen(path("out"), "r");
    assert_non_null(file);
    while (getline(&line, &size, file) > 0) {
        assert_int_equal(line[0], '{');
        count++;
    }
    free(line);
    fclose(file);
    assert_int_equal(count, 4096);
}

static void a_reader_that_leaves_ends_it_quietly(void **state)
{
    int ends[2];
    int status;
    pid_t child;

    (void)state;
    add_entries(some_time, 500, fill);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_IGN); /* as some parents leave it */
    child = fork();
    if (child == 0) {
        char name[] = "assay";
        char command[] = "export";
        char *arguments[] = { name, command, NULL };

        setenv("ASSAY_CONFIG", config, 1);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        _exit(freopen(path("err"), "w", stderr) == NULL ? 99
                                                        : command_main(2, arguments));
    }
    close(ends[0]);
    close(ends[1]);
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    read_back("err", err);
    assert_string_equal(err, "");
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    add_entries(some_time, 1, fill);
    write_file("out", "");
    unlink(path("out"));
    assert_int_equal(symlink("/dev/full", path("out")), 0);
    assert_int_equal(run("assay export"), COMMAND_FAILED);
    assert_err("standard output");
}

static void no_ledger_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("assay export"), COMMAND_FAILED);
    assert_string_equal(out, "");
    assert_err("there is no ledger yet");
}

static void misuse_is_told(void **state)
{
    static const char *const lines[] = {
        "assay export more",
        "assay export --format xml",
        "assay export --since yesterday",
        "assay export --since 2026-02-30",
        "assay export --since 2026-02-20T08:30:00",
        "assay export --since 2026-02-20T08:30:00.Z",
        "assay export --since 2026-02-20T08:30:00+1:00",
        "assay export --since 2026-02-20T08:30:00+01:0x",
        "assay export --since 2026-02-20T08:30:00*01:00",
        "assay export --since 2026-02-20 --until 2026-02-20",
        "assay export --after 12",
        "assay export --id ax-0000000000000",
        "assay export --id ax-0000000000001 --since 24h",
    };

    (void)state;
    assert_misused(lines, sizeof lines / sizeof *lines);
}

static void moments_are_read_to_the_nanosecond(void **state)
{
    static const struct {
        const char *text;
        uint64_t unix_ns;
    } cases[] = {
        { "1970-01-01T00:00:01.5Z", UINT64_C(1500000000) },
        { "1970-01-01T00:00:01.123456789999Z", UINT64_C(1123456789) },
        { "1970-01-01T01:00:01.000000001+01:00", UINT64_C(1000000001) },
        { "1969-12-31T23:00:01-01:00", 0 }, /* before 1970 as it is written */
        { "1970-01-01T00:30:00+01:00", 0 },
        { "9999-12-31", (uint64_t)(INT64_MAX / NS_PER_S) * NS_PER_S },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t unix_ns = 0;

        assert_int_equal(period_moment(cases[i].text, 0, &unix_ns),
                         cases[i].unix_ns != 0);
        assert_int_equal(unix_ns, cases[i].unix_ns);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_exchange_is_a_line),
        TEST(options_choose_exchanges),
        TEST(csv_has_a_header_and_no_formulas),
        TEST(a_long_ledger_is_whole),
        TEST(a_reader_that_leaves_ends_it_quietly),
        TEST(a_full_disk_is_told),
        TEST(no_ledger_is_told),
        TEST(misuse_is_told),
        TEST(moments_are_read_to_the_nanosecond),
    };

    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}

#include "proxy/cli/command.h"
#include "proxy/cli/help.h"
#include "proxy/cli/table.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORD_LIMIT = 16, OUTPUT_LIMIT = 65536 };

/* What a run of the program said: standard output, then standard error. */
static char said[OUTPUT_LIMIT];

/* Runs a command line given in one string; returns the exit code. */
static int run_line(const char *line)
{
    char *words = strdup(line);
    char *argv[WORD_LIMIT + 1] = { NULL };
    char *rest = words;
    int argc = 0;
    int saved[2] = { dup(STDOUT_FILENO), dup(STDERR_FILENO) };
    FILE *file = tmpfile();
    size_t len;
    int status;

    assert_non_null(words);
    assert_non_null(file);
    while (argc < WORD_LIMIT && (argv[argc] = strsep(&rest, " ")) != NULL) {
        argc++;
    }
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    status = command_main(argc, argv);
    fflush(stdout);
    dup2(saved[0], STDOUT_FILENO);
    dup2(saved[1], STDERR_FILENO);
    close(saved[0]);
    close(saved[1]);
    rewind(file);
    len = fread(said, 1, sizeof said - 1, file);
    said[len] = '\0';
    fclose(file);
    free(words);
    return status;
}

static void assert_run(const char *line, int status, const char *words)
{
    int got = run_line(line);

    if (got != status || strstr(said, words) == NULL) {
        fail_msg("'%s' returned %d and said: %s", line, got, said);
    }
}

static void test_program(void **state)
{
    (void)state;
    assert_run("assay", COMMAND_MISUSED, "usage: assay COMMAND");
    assert_run("assay --help", COMMAND_OK, "usage: assay COMMAND");
    assert_run("assay -h", COMMAND_OK, "  check");
    assert_run("assay help", COMMAND_OK, "usage: assay COMMAND");
    assert_run("assay help check", COMMAND_OK, "usage: assay check [FILE]");
    assert_run("assay help chekc", COMMAND_MISUSED, "did you mean 'check'?");
    assert_run("assay version", COMMAND_OK, "openssl");
    assert_run("assay chekc", COMMAND_MISUSED,
               "assay: unknown command 'chekc'; did you mean 'check'?");
    assert_run("assay zzzzzzzz", COMMAND_MISUSED,
               "assay: unknown command 'zzzzzzzz'\n");
    assert_run("assay --versoin", COMMAND_MISUSED, "unknown option '--versoin'");
}

static void test_version(void **state)
{
    static const char *const libraries[] = { "openssl", "libevent", "llhttp", "cjson",
                                             "libyaml", "sqlite",   "zlib",   "brotli",
                                             "zstd",    "xxhash" };

    (void)state;
    assert_int_equal(run_line("assay --version"), COMMAND_OK);
    assert_int_equal(strncmp(said, "assay ", 6), 0);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        const char *at = strstr(said, libraries[i]);

        assert_non_null(at);
        at += strlen(libraries[i]);
        at += strspn(at, " ");
        assert_true(*at >= '0' && *at <= '9');
    }
    assert_null(strstr(said, "ASSAY_TEST_CLOCK"));
}

static void test_options(void **state)
{
    (void)state;
    assert_run("assay check --no-secret", COMMAND_MISUSED,
               "assay check: unknown option '--no-secret'; did you mean "
               "'--no-secrets'?\n"
               "try: assay check --help\n");
    assert_run("assay check -x", COMMAND_MISUSED, "unknown option '-x'");
    assert_run("assay check --docs", COMMAND_MISUSED,
               "option '--docs' needs a value, FORMAT");
    assert_run("assay check --no-secrets=yes", COMMAND_MISUSED,
               "option '--no-secrets' takes no value");
    assert_run("assay check --docs=html", COMMAND_MISUSED,
               "--docs: 'html' is not markdown, man or program");
    assert_run("assay export --format xml", COMMAND_MISUSED,
               "--format: 'xml' is not jsonl or csv");
    assert_run("assay report --format xml", COMMAND_MISUSED,
               "--format: 'xml' is not table, json or csv");
    assert_run("assay report --audit --format xml", COMMAND_MISUSED,
               "--format: 'xml' is not table, json or csv");
    assert_run("assay check --docs html --docs markdown", COMMAND_OK,
               "# Configuration");
    assert_run("assay check a b", COMMAND_MISUSED, "one file at a time");
    assert_run("assay check --help", COMMAND_OK, "usage: assay check [FILE]");
    assert_run("assay check -h", COMMAND_OK, "--no-secrets");
    assert_run("assay check a --docs man b", COMMAND_OK, ".Dt ASSAY.YAML 5");
    assert_run("assay check -- --docs", COMMAND_MISUSED, "--docs: cannot be read");
    assert_run("assay report --audit --adjusted", COMMAND_MISUSED, "one at a time");
    assert_run("assay report --quota --audit", COMMAND_MISUSED, "one at a time");
    assert_run("assay replay /", COMMAND_FAILED, "/: Is a directory");
    assert_run("assay replay --without gaps /", COMMAND_MISUSED,
               "there is no signal 'gaps'; there are ");
    assert_run("assay run now", COMMAND_MISUSED, "takes options only, not 'now'");
    assert_run("assay report team", COMMAND_MISUSED, "takes options only, not 'team'");
    assert_run("assay certs --out / now", COMMAND_MISUSED, "options only, not 'now'");
}

/* --config, then $ASSAY_CONFIG, then the installed file; an argument before all. */
static void test_which_config(void **state)
{
    (void)state;
    assert_int_equal(setenv("ASSAY_CONFIG", "/nowhere/env.yaml", 1), 0);
    assert_run("assay check", COMMAND_MISUSED, "/nowhere/env.yaml: cannot be read");
    assert_run("assay check --config /nowhere/c.yaml", COMMAND_MISUSED,
               "/nowhere/c.yaml: cannot be read");
    assert_run("assay check --config=/nowhere/c.yaml /nowhere/a.yaml", COMMAND_MISUSED,
               "/nowhere/a.yaml: cannot be read");
    assert_null(strstr(said, "$ASSAY_CONFIG"));
    assert_int_equal(unsetenv("ASSAY_CONFIG"), 0);
    if (access("/etc/assay/assay.yaml", F_OK) != 0) {
        assert_run("assay check", COMMAND_MISUSED,
                   "/etc/assay/assay.yaml: cannot be read: No such file or directory\n"
                   "name another configuration with --config FILE or $ASSAY_CONFIG\n");
    }
    assert_run("assay check --no-secrets config/assay.yaml", COMMAND_OK,
               "config/assay.yaml: ok\n"
               "  listen    127.0.0.1:8080, plain HTTP\n"
               "  admin     127.0.0.1:9090\n"
               "  provider  openai at https://api.openai.com, own credential, default: "
               "openai\n"
               "  provider  anthropic at https://api.anthropic.com, own credential, "
               "default: "
               "anthropic\n"
               "  team      platform, 2 callers\n");
}

static void test_settings(void **state)
{
    static const struct command_setting settings[] = { { "name", "a" },
                                                       { "force", "" },
                                                       { "name", "b" } };
    const struct command_line line = { .name = "x",
                                       .settings = settings,
                                       .setting_count = 3 };

    (void)state;
    assert_string_equal(command_option(&line, "name"), "b");
    assert_string_equal(command_option(&line, "force"), "");
    assert_null(command_option(&line, "other"));
    assert_string_equal(command_option_nth(&line, "name", 0), "a");
    assert_string_equal(command_option_nth(&line, "name", 1), "b");
    assert_null(command_option_nth(&line, "name", 2));
}

static void test_families(void **state)
{
    const char *const *families = command_families();
    bool openai = false;

    (void)state;
    for (size_t i = 0; families[i] != NULL; i++) {
        assert_true(*families[i] != '\0');
        openai = openai || strcmp(families[i], "openai") == 0;
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(families[i], families[j]);
        }
    }
    assert_true(openai);
}

/* Rows that help and the man page can show, and options whose command exists. */
static void test_rows(void **state)
{
    (void)state;
    for (const struct command *command = command_table; command->name != NULL;
         command++) {
        assert_ptr_equal(command_find(command->name), command);
        assert_true(command->help[strlen(command->help) - 1] != '.');
    }
    for (const struct command_option_row *row = command_option_table; row->name != NULL;
         row++) {
        const struct command *command =
            row->command == NULL ? command_table : command_find(row->command);

        assert_non_null(command);
        assert_ptr_equal(command_option_find(command, row->name), row); /* no double */
        assert_true(row->help[strlen(row->help) - 1] != '.');
    }
}

/* Nothing of the help is wider than a terminal. */
static void assert_narrow(void (*help)(const struct command *command, FILE *out),
                          const struct command *command)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct span rest, line;

    assert_non_null(out);
    help(command, out);
    fclose(out);
    rest = span_of(text, len);
    while (span_next(&rest, '\n', &line)) {
        if (line.len > 80) {
            fail_msg("%.*s", (int)line.len, line.at);
        }
    }
    free(text);
}

static void help_of_all(const struct command *command, FILE *out)
{
    (void)command;
    help_program(out);
}

static void test_help_fits_a_terminal(void **state)
{
    (void)state;
    assert_narrow(help_of_all, NULL);
    for (const struct command *command = command_table; command->name != NULL;
         command++) {
        assert_narrow(help_command, command);
    }
}

static void test_man_page_is_current(void **state)
{
    FILE *file = fopen("config/assay.8", "r");
    char *committed = NULL;
    size_t size = 0;
    char *generated;
    size_t len;
    FILE *out = open_memstream(&generated, &len);

    (void)state;
    assert_non_null(file);
    assert_non_null(out);
    assert_true(getdelim(&committed, &size, '\0', file) > 0);
    fclose(file);
    help_write_man(out);
    fclose(out);
    if (strcmp(committed, generated) != 0) {
        fail_msg("out of date: assay check --docs program > config/assay.8");
    }
    free(committed);
    free(generated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_which_config),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_man_page_is_current),
        cmocka_unit_test(test_help_fits_a_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

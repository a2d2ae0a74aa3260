#include "filters/turn/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void the_shipped_list_knows_the_clients_words(void **unused)
{
    struct error error;
    struct harness *harness;

    (void)unused;
    error_init(&error);
    harness = harness_load("config/harness.yaml", &error);
    assert_non_null(harness);
    assert_true(harness_knows(harness, HARNESS_TEXT, SPAN("<system-reminder>\nx")));
    assert_true(harness_knows(harness, HARNESS_TEXT, SPAN("\n\t <command-name>/x")));
    assert_true(harness_knows(harness, HARNESS_TEXT, SPAN("# AGENTS.md instructions")));
    assert_false(harness_knows(harness, HARNESS_TEXT, SPAN("<system-reminde")));
    assert_false(harness_knows(harness, HARNESS_TEXT, SPAN("See <system-reminder>")));
    assert_false(harness_knows(harness, HARNESS_TEXT, SPAN("caveat: mine")));
    assert_false(harness_knows(harness, HARNESS_TEXT, SPAN("")));
    assert_true(
        harness_knows(harness, HARNESS_SYSTEM, SPAN("You are a title generator. ")));
    assert_false(harness_knows(harness, HARNESS_SYSTEM, SPAN("You are Claude Code,")));
    assert_true(harness_knows(harness, HARNESS_VOLATILE,
                              SPAN("x-anthropic-billing-header: a")));
    harness_free(harness);
    error_done(&error);
}

static void nothing_is_known_without_a_list(void **unused)
{
    struct error error;
    struct harness *harness;

    (void)unused;
    error_init(&error);
    harness = harness_load(NULL, &error);
    assert_false(harness_knows(harness, HARNESS_TEXT, SPAN("<system-reminder>")));
    harness_free(harness);
    error_done(&error);
}

/* Writes a list and reads it; the first mistake must be `expected`. */
static void refuse(const char *text, const char *expected)
{
    char path[] = "/tmp/assay-harness-XXXXXX";
    int fd = mkstemp(path);
    struct error error;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    error_init(&error);
    assert_null(harness_load(path, &error));
    assert_true(error.count > 0);
    assert_string_equal(error.entries[0].words, expected);
    error_done(&error);
    unlink(path);
}

static void mistakes_are_told(void **unused)
{
    struct error error;

    (void)unused;
    refuse("- x\n", "the file must be a map");
    refuse("text: x\n", "text must be a list");
    refuse("texts: [x]\n", "unknown key texts; did you mean text?");
    refuse("text: ['']\n", "an entry must be a text of 1 to 128 characters");
    refuse("system: [[x]]\n", "an entry must be a text of 1 to 128 characters");
    error_init(&error);
    assert_null(harness_load("/nonexistent/harness.yaml", &error));
    assert_int_equal(error.count, 1);
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_list_knows_the_clients_words),
        cmocka_unit_test(nothing_is_known_without_a_list),
        cmocka_unit_test(mistakes_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* assay evidence, run as from a shell. */
#include "proxy/base/clock.h"
#include "proxy/cli/command.h"
#include "proxy/meter/finding_store.h"
#include "tests/unit/shell.h"

#include <cjson/cJSON.h>

static const char evidence[] =
    "[{\"signal\":\"repeat_open\",\"nats\":17.5,\"since\":1772442007.000,\"n\":30,"
    "\"k\":27,\"template\":\"7f3a0001\",\"template_turns\":27,"
    "\"template_first\":1772442007.000,\"template_last\":1772452007.000,"
    "\"characters\":[61,64],\"says\":\"27 of 30 conversations open with a prompt seen "
    "before; 6% for the most repetitive person of the reference\"}]";

static void store_finding(void)
{
    int64_t now = (int64_t)(clock_unix_ns() / NS_PER_MS);
    const struct finding_row row = { .identity = 7,
                                     .team = "platform",
                                     .caller = "ana",
                                     .first_ms = now - 1000,
                                     .last_ms = now - 1000,
                                     .expires_ms = now + 1000000,
                                     .score = 17.5,
                                     .threshold = 16,
                                     .evidence = evidence,
                                     .clears = "About 9 ordinary turns" };
    const struct suspect_row suspect = { .identity = 7,
                                         .team = "platform",
                                         .caller = "ana",
                                         .grade = GRADE_FLAGGED,
                                         .score = 17.5,
                                         .turns = 40,
                                         .seen_ms = now - 1000 };
    struct error error;
    struct finding_store *store;

    error_init(&error);
    assert_int_equal(mkdir(path("state"), 0700), 0);
    store = finding_store_open(path("state"), &error);
    assert_non_null(store);
    finding_store_rate(store, &suspect);
    assert_true(finding_store_found(store, &row) && finding_store_commit(store));
    finding_store_close(store);
    error_done(&error);
}

static void nothing_was_looked_at_yet(void **state)
{
    (void)state;
    assert_int_equal(run("assay evidence"), COMMAND_OK);
    assert_string_equal(out, "No finding stands.\n");
    assert_int_equal(run("assay evidence dismiss 1 --words no --by ana"),
                     COMMAND_FAILED);
}

static void a_finding_is_told_with_all_that_can_be_checked(void **state)
{
    (void)state;
    store_finding();
    assert_int_equal(run("assay evidence --caller ana"), COMMAND_OK);
    assert_non_null(strstr(out, "traffic of ana (platform) looks automated; open"));
    assert_non_null(strstr(out, "template 7f3a0001: 27 turns, 61 to 64 characters, "
                                "2026-03-02T09:00:07Z to 2026-03-02T11:46:47Z"));
    assert_non_null(strstr(out, "27 of 30 conversations"));
    assert_non_null(strstr(out, "About 9 ordinary turns"));
    assert_non_null(strstr(out, "ana (platform) now: flagged, score 17.5 after 40"));
    assert_int_equal(run("assay evidence --caller bo"), COMMAND_OK);
    assert_string_equal(out, "No finding stands.\n"
                             "No call of a caller 'bo' was looked at.\n");
    assert_int_equal(run("assay evidence --team platform"), COMMAND_OK);
    assert_non_null(strstr(out, "finding 1: "));
}

static void remarks_are_kept(void **state)
{
    const cJSON *finding;
    cJSON *json;

    (void)state;
    store_finding();
    assert_int_equal(run("assay evidence appeal 1 --by ana --words asked_for"),
                     COMMAND_OK);
    assert_int_equal(run("assay evidence --format json"), COMMAND_OK);
    json = cJSON_Parse(out);
    finding = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "findings"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(finding, "status")),
                        "appealed");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(finding, "remarks")), 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(finding, "scores")), 1);
    cJSON_Delete(json);
}

static void misuse_is_told(void **state)
{
    static const char *const lines[] = {
        "assay evidence shout 1 --words x --by ana",
        "assay evidence note --words x --by ana",
        "assay evidence note one --words x --by ana",
        "assay evidence note 1 --by ana",
        "assay evidence --format xml",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(run(lines[i]), COMMAND_MISUSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_was_looked_at_yet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_finding_is_told_with_all_that_can_be_checked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(remarks_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(misuse_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}

/* assay report, run as from a shell. */
#include "proxy/base/clock.h"
#include "proxy/cli/command.h"
#include "proxy/cli/grid.h"
#include "tests/unit/shell.h"

#include <cjson/cJSON.h>

/* 2026-03-04T05:06:07.089Z */
static const uint64_t some_time = UINT64_C(1772600767089) * NS_PER_MS;

/* Two teams: one call of a model without a price, one not fully reported, one
 * refused. */
static void fill(struct entry *entry, unsigned n)
{
    entry->status = 200;
    entry->outcome = OUTCOME_COMPLETE;
    entry->usage.source = USAGE_REPORTED;
    entry->priced = n != 1;
    STORE(entry, tool, "\x1b[2Jcurl");
    STORE(entry, request_model, "gpt-4o");
    if (n == 4) {
        entry->outcome = OUTCOME_REFUSED;
        entry->usage.source = USAGE_NONE;
        return;
    }
    usage_set(&entry->usage, TOKENS_INPUT, 1234567);
    usage_set(&entry->usage, TOKENS_OUTPUT, 1000);
    usage_set(&entry->usage, TOKENS_REASONING, 500);
    if (n < 2) {
        STORE(entry, team, "platform");
    } else {
        STORE(entry, team, "research, \xC3\xA9tudes");
    }
    if (n == 1) {
        STORE(entry, response_model, "my-own");
    } else {
        entry->cost_nanousd = INT64_C(1234567891234);
    }
    if (n == 3) {
        entry->usage.source = USAGE_PARTIAL;
        entry->outcome = OUTCOME_UPSTREAM_CUT;
    }
}

static void people_see_a_table(void **state)
{
    (void)state;
    add_entries(some_time, 5, fill);
    assert_int_equal(run("assay report"), COMMAND_OK);
    assert_string_equal(err, "");
    assert_string_equal(
        out,
        "Usage by team, all that is recorded (UTC)\n"
        "\n"
        "TEAM              CALLS      INPUT  CACHE READ  CACHE WRITE  OUTPUT  REASONING"
        "  ALL TOKENS  COST USD   UNPRICED TOKENS  INCOMPLETE\n"
        "research, \xC3\xA9tudes      2  2,469,134           0            0   2,000"
        "      1,000   2,472,134  2,469.14                 0           1\n"
        "platform              2  2,469,134           0            0   2,000      1,000"
        "   2,472,134  1,234.57+        1,236,067           0\n"
        "----------------  -----  ---------  ----------  -----------  ------  ---------"
        "  ----------  ---------  ---------------  ----------\n"
        "total                 4  4,938,268           0            0   4,000      2,000"
        "   4,944,268  3,703.70+        1,236,067           1\n"
        "\n"
        "Unpriced: 1 call with 1,236,067 tokens, of models without a known price. A "
        "cost"
        " with + lacks them.\n"
        "  Which models: assay report --by model\n"
        "\n"
        "Incomplete: 1 call whose usage the provider did not report in full. Their"
        " tokens, and\n"
        "  so their cost, are partly known, estimated or missing.\n"
        "  Why: assay report --by outcome,source\n"
        "\n"
        "Not among the calls: 1 request that assay refused, so that nothing reached a"
        " provider.\n"
        "  Whose: assay report --by outcome,team,caller\n");
}

static void what_has_no_price_is_not_free(void **state)
{
    (void)state;
    add_entries(some_time, 5, fill);
    assert_int_equal(run("assay report --by model"), COMMAND_OK);
    assert_out("\nmy-own      1 ");
    assert_out("   unpriced        1,236,067 ");
    assert_null(strstr(out, "Which models"));
    assert_int_equal(run("assay report --by model --format csv"), COMMAND_OK);
    assert_out("\nmy-own,1,0,1234567,0,0,1000,500,1236067,,1,1236067,0\n");
    assert_int_equal(run("assay report --by model --format json"), COMMAND_OK);
    assert_out("\"cost_nanousd\":null,\"unpriced_calls\":1");
}

static void dimensions_come_as_asked(void **state)
{
    (void)state;
    add_entries(some_time, 5, fill);
    assert_int_equal(run("assay report --by outcome,day --by tool"), COMMAND_OK);
    assert_out("\nOUTCOME       DAY         TOOL      CALLS ");
    assert_out("\nrefused       2026-03-04  ?[2Jcurl      0 ");
    assert_out("  REFUSED\n");
    assert_null(strchr(out, '\x1b'));
    assert_int_equal(run("assay report --by caller"), COMMAND_OK);
    assert_out("\n-           4 ");
}

static void without_quotas_the_report_says_so(void **state)
{
    (void)state;
    add_entries(some_time, 1, fill);
    write_file("prices.yaml", "models: []\n");
    assert_int_equal(run("assay report --quota"), COMMAND_OK);
    assert_string_equal(out, "No quota is configured.\n");
}

static void small(struct entry *entry, unsigned n)
{
    entry->outcome = OUTCOME_COMPLETE;
    entry->usage.source = USAGE_REPORTED;
    entry->priced = 1;
    entry->cost_nanousd = n == 0 ? 1 : n == 1 ? 149999 : 150000;
    if (n == 0) {
        STORE(entry, team, "a");
    } else if (n == 1) {
        STORE(entry, team, "b");
    }
}

static void small_costs_stay_visible(void **state)
{
    (void)state;
    add_entries(some_time, 3, small);
    assert_int_equal(run("assay report"), COMMAND_OK);
    assert_out(" <0.0001\n");
    assert_out(" 0.0001\n");
    assert_out(" 0.0002\n");
    assert_out(" 0.0003\n");
}

static void days(struct entry *entry, unsigned n)
{
    entry->outcome = OUTCOME_COMPLETE;
    entry->usage.source = USAGE_REPORTED;
    entry->priced = 1;
    entry->cost_nanousd = (int64_t)n;
}

static void days_come_in_their_order(void **state)
{
    const char *first;

    (void)state;
    add_entries(UINT64_C(1772668797) * NS_PER_S, 6, days); /* 3 s before midnight */
    assert_int_equal(run("assay report --by day"), COMMAND_OK);
    first = strstr(out, "\n2026-03-04      3 ");
    assert_non_null(first);
    assert_non_null(strstr(first, "\n2026-03-05      3 "));
    assert_int_equal(run("assay report --by day --since 2026-03-05"), COMMAND_OK);
    assert_out("Usage by day, from 2026-03-05 on (UTC)\n");
    assert_null(strstr(out, "\n2026-03-04 "));
    assert_int_equal(run("assay report --since 2026-03-01 --until "
                         "2026-03-04T23:59:59Z"),
                     COMMAND_OK);
    assert_out("from 2026-03-01, before 2026-03-04T23:59:59Z (UTC)\n");
    assert_out("\ntotal      2 ");
}

static void programs_get_exact_numbers(void **state)
{
    const cJSON *row;
    cJSON *report;

    (void)state;
    add_entries(some_time, 5, fill);
    assert_int_equal(run("assay report --by team --format json"), COMMAND_OK);
    report = cJSON_Parse(out);
    assert_non_null(report);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(report, "rows")), 3);
    row = cJSON_GetArrayItem(cJSON_GetObjectItem(report, "rows"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(row, "team")),
                        "research, \xC3\xA9tudes");
    assert_out("\"cost_nanousd\":2469135782468,");
    row = cJSON_GetArrayItem(cJSON_GetObjectItem(report, "rows"), 2);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(row, "team")));
    assert_int_equal(cJSON_GetObjectItem(row, "refused")->valueint, 1);
    cJSON_Delete(report);
    assert_int_equal(run("assay report --format csv"), COMMAND_OK);
    assert_string_equal(
        out,
        "team,calls,refused,input,cache_read,cache_write,output,reasoning,total,"
        "cost_nanousd,unpriced_calls,unpriced_tokens,incomplete_calls\n"
        "\"research, \xC3\xA9tudes\",2,0,2469134,0,0,2000,1000,2472134,2469135782468,"
        "0,0,1\n"
        "platform,2,0,2469134,0,0,2000,1000,2472134,1234567891234,1,1236067,0\n"
        ",0,1,0,0,0,0,0,0,0,0,0,0\n");
}

static void nothing_is_told(void **state)
{
    (void)state;
    assert_int_equal(run("assay report"), COMMAND_FAILED);
    assert_err("there is no ledger yet");
    add_entries(some_time, 0, fill);
    assert_int_equal(run("assay report"), COMMAND_OK);
    assert_out("Nothing was recorded.");
    assert_int_equal(run("assay report --format json"), COMMAND_OK);
    assert_out("\"rows\":[],");
}

static void misuse_is_told(void **state)
{
    static const char *const lines[] = {
        "assay report team",        "assay report --by teem",
        "assay report --by",        "assay report --by=",
        "assay report --by team,",  "assay report --by team --by team",
        "assay report --format md", "assay report --since soon",
    };

    (void)state;
    assert_misused(lines, sizeof lines / sizeof *lines);
    assert_int_equal(run("assay report --by modell"), COMMAND_MISUSED);
    assert_err("did you mean 'model'?");
}

static void counts_have_commas(void **state)
{
    static const struct {
        uint64_t count;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { 999, "999" },
        { 1000, "1,000" },
        { 123456, "123,456" },
        { UINT64_MAX, "18,446,744,073,709,551,615" },
    };
    char text[COUNT_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        count_print(cases[i].count, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(people_see_a_table),
        TEST(what_has_no_price_is_not_free),
        TEST(dimensions_come_as_asked),
        TEST(small_costs_stay_visible),
        TEST(without_quotas_the_report_says_so),
        TEST(days_come_in_their_order),
        TEST(programs_get_exact_numbers),
        TEST(nothing_is_told),
        TEST(misuse_is_told),
        TEST(counts_have_commas),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

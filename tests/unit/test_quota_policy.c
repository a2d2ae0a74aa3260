#include "proxy/base/date.h"
#include "proxy/base/text.h"
#include "proxy/meter/quota_policy.h"
#include "tests/unit/config_text.h"

static struct quota_policies *compile(const char *quotas)
{
    char memory[4096];
    struct text text = text_over(memory, sizeof memory);
    struct error error = { 0 };
    struct quota_policies *policies;
    struct config *config;

    text_printf(&text, "%s%s%s", LEAST,
                "teams: {red: {callers: [ana, bo]}, blue: {callers: [cy]}}\n", quotas);
    config = read_good(memory);
    policies = quota_policies_new(config, &error);
    assert_non_null(policies);
    config_free(config); /* they live without it */
    return policies;
}

static struct quota_window window_of(const char *per, const char *zone, int64_t at)
{
    char memory[256];
    struct text text = text_over(memory, sizeof memory);
    struct quota_policies *policies;
    struct quota_window window;

    text_printf(&text, "quotas: [{name: a, limit: $5, per: %s, timezone: %s}]\n", per,
                zone);
    policies = compile(memory);
    window = quota_window_at(quota_policy_at(policies, 0), at);
    quota_policies_unref(policies);
    return window;
}

static int64_t moment(int64_t year, unsigned month, unsigned day, int64_t seconds)
{
    return date_days(&(struct date){ year, month, day }) * DATE_DAY_S + seconds;
}

#define assert_window(window, from, to)                                                \
    do {                                                                               \
        struct quota_window is = window;                                               \
        assert_int_equal(is.begins, from);                                             \
        assert_int_equal(is.ends, to);                                                 \
    } while (0)

static void windows_follow_the_calendar(void **state)
{
    int64_t noon = moment(2026, 11, 21, 12 * 3600 + 34 * 60 + 56);

    (void)state;
    assert_window(window_of("minute", "UTC", noon), noon - 56, noon + 4);
    assert_window(window_of("hour", "Asia/Kolkata", noon), moment(2026, 11, 21, 45000),
                  moment(2026, 11, 21, 48600));
    assert_window(window_of("day", "Europe/Berlin", noon),
                  moment(2026, 11, 20, 23 * 3600), moment(2026, 11, 21, 23 * 3600));
    assert_window(window_of("week", "UTC", noon), moment(2026, 11, 16, 0),
                  moment(2026, 11, 23, 0));
    assert_window(window_of("month", "America/New_York", noon),
                  moment(2026, 11, 1, 4 * 3600), moment(2026, 12, 1, 5 * 3600));
    assert_window(window_of("month", "UTC", moment(2026, 12, 31, 0)),
                  moment(2026, 12, 1, 0), moment(2027, 1, 1, 0));
}

static void days_of_clock_changes_are_whole(void **state)
{
    int64_t spring = moment(2026, 3, 28, 23 * 3600); /* midnight in Berlin */
    int64_t autumn = moment(2026, 10, 24, 22 * 3600);

    (void)state;
    for (int64_t at = 0; at < 23 * 3600; at += 599) {
        assert_window(window_of("day", "Europe/Berlin", spring + at), spring,
                      spring + 23 * 3600);
    }
    for (int64_t at = 0; at < 25 * 3600; at += 599) {
        assert_window(window_of("day", "Europe/Berlin", autumn + at), autumn,
                      autumn + 25 * 3600);
    }
    /* The hour that is shown twice is two hours. */
    assert_window(window_of("hour", "Europe/Berlin", autumn + 2 * 3600 + 60),
                  autumn + 2 * 3600, autumn + 3 * 3600);
    assert_window(window_of("hour", "Europe/Berlin", autumn + 3 * 3600 + 60),
                  autumn + 3 * 3600, autumn + 4 * 3600);
}

/* Each moment is in one window, and windows follow each other without a gap. */
static void windows_tile_time(void **state)
{
    static const char *const zones[] = { "UTC", "Europe/Berlin", "Asia/Beirut",
                                         "Australia/Lord_Howe", "America/St_Johns" };
    static const char *const periods[] = { "day", "week", "month" };

    (void)state;
    for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
        for (size_t p = 0; p < sizeof periods / sizeof periods[0]; p++) {
            struct quota_window window =
                window_of(periods[p], zones[z], moment(2026, 1, 1, 0));

            for (int i = 0; i < 30; i++) {
                struct quota_window next = window_of(periods[p], zones[z], window.ends);

                assert_int_equal(next.begins, window.ends);
                assert_window(window_of(periods[p], zones[z], window.ends - 1),
                              window.begins, window.ends);
                window = next;
            }
        }
    }
}

static struct entry call_of(const char *team, const char *caller, const char *model)
{
    struct entry entry = { 0 };

    text_store(entry.team, sizeof entry.team, span_text(team));
    text_store(entry.caller, sizeof entry.caller, span_text(caller));
    text_store(entry.request_model, sizeof entry.request_model, span_text(model));
    return entry;
}

static void assert_counted(struct quota_policies *policies, const struct entry *call,
                           const char *names)
{
    char memory[256];
    struct text text = text_over(memory, sizeof memory);
    struct quota_policy *policy;
    size_t index = 0;

    while ((policy = quota_policy_next(policies, call, &index)) != NULL) {
        text_printf(&text, "%s ", policy->rule.name);
    }
    assert_true(span_equal(text_span(&text), span_text(names)));
}

static void calls_find_their_policies(void **state)
{
    struct quota_policies *policies = compile(
        "quotas:\n"
        "  - {name: all, limit: 600 requests, per: minute}\n"
        "  - {name: red, for: {team: red}, limit: $5, per: day}\n"
        "  - {name: ana, for: {caller: ana, model: 'gpt-*'}, limit: $5, per: day}\n"
        "  - {name: bots, for: {mode: headless, tool: codex}, limit: $5, per: day}\n");
    struct entry call = call_of("red", "ana", "GPT-4o");

    (void)state;
    assert_counted(policies, &call, "all red ana ");
    assert_true(quota_policies_need_body(policies, &call));
    call = call_of("blue", "cy", "gpt-4o");
    assert_counted(policies, &call, "all ");
    text_store(call.mode, sizeof call.mode, SPAN("headless"));
    assert_counted(policies, &call, "all ");
    text_store(call.tool, sizeof call.tool, SPAN("codex"));
    assert_counted(policies, &call, "all bots ");
    quota_policies_unref(policies);

    policies = compile("quotas:\n"
                       "  - {name: all, limit: 600 requests, per: minute}\n"
                       "  - {name: red, for: {team: red}, limit: $5, per: day}\n");
    assert_false(quota_policies_need_body(policies, &call));
    quota_policies_unref(policies);
}

static void amounts_are_shown(void **state)
{
    static const struct {
        enum config_limit_unit unit;
        uint64_t amount;
        const char *text;
    } rows[] = {
        { LIMIT_NANOUSD, 0, "$0.00" },
        { LIMIT_NANOUSD, 12500000000, "$12.50" },
        { LIMIT_NANOUSD, 1, "$0.000000001" },
        { LIMIT_TOKENS, 20000000, "20000000 tokens" },
        { LIMIT_CONCURRENT, 3, "3 concurrent calls" },
        { LIMIT_WEIGHTED, 7, "7 weighted tokens" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char memory[64];
        struct text text = text_over(memory, sizeof memory);

        quota_put_amount(&text, rows[i].unit, rows[i].amount);
        assert_true(span_equal(text_span(&text), span_text(rows[i].text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_follow_the_calendar),
        cmocka_unit_test(days_of_clock_changes_are_whole),
        cmocka_unit_test(windows_tile_time),
        cmocka_unit_test(calls_find_their_policies),
        cmocka_unit_test(amounts_are_shown),
    };

    return cmocka_run_group_tests_name("quota_policy", tests, NULL, NULL);
}

#include "config/scope.h"
#include "proxy/base/text.h"
#include "tests/unit/config_text.h"

static const char *const teams =
    "teams: {red: {callers: [ana, bo]}, blue: {callers: [cy]}}\n";

static void assert_quota_mistakes(const char *quotas, const char *expected)
{
    char memory[4096];
    struct text text = text_over(memory, sizeof memory);

    text_printf(&text, "%s%s%s", LEAST, teams, quotas);
    assert_mistakes(memory, expected);
}

static void patterns_fit(void **state)
{
    static const struct {
        const char *pattern, *model;
        bool fits;
    } rows[] = {
        { "gpt-4o", "gpt-4o", true },
        { "gpt-4o", "GPT-4o", true },
        { "gpt-4o", "gpt-4o-mini", false },
        { "gpt-*", "gpt-4o-mini", true },
        { "*", "", true },
        { "", "", true },
        { "", "a", false },
        { "*-mini", "gpt-4o-mini", true },
        { "*-mini", "gpt-4o-mini-x", false },
        { "a*b*c", "axxbxxbyc", true },
        { "a*b*c", "axxbxxby", false },
        { "**a", "bba", true },
        { "*ab", "aab", true },
        { "*aab", "aaaab", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (scope_fits_name(span_text(rows[i].pattern), span_text(rows[i].model)) !=
            rows[i].fits) {
            fail_msg("%s and %s", rows[i].pattern, rows[i].model);
        }
    }
}

static void rules_meet(void **state)
{
    const struct config_scope all = { .team = NULL };
    const struct config_scope red = { .team = "red" }, blue = { .team = "blue" };
    const struct config_scope mini = { .model = "*-mini" };
    const struct config_scope opus = { .model = "claude-opus" };
    const struct config_scope claude = { .model = "claude-*" };
    const struct config_scope bots = { .service = SERVICE_YES };
    const struct config_scope people = { .service = SERVICE_NO, .team = "red" };
    const struct config_scope flagged = { .grade = CONFIG_GRADE_FLAGGED };
    const struct config_scope clear = { .grade = CONFIG_GRADE_CLEAR };

    (void)state;
    assert_true(scopes_meet(&all, &red));
    assert_true(scopes_meet(&red, &mini));
    assert_false(scopes_meet(&red, &blue));
    assert_true(scopes_meet(&opus, &claude));
    assert_true(scopes_meet(&claude, &opus));
    assert_true(scopes_meet(&mini, &claude));
    assert_false(scopes_meet(&mini, &opus));
    assert_false(scopes_meet(&bots, &people));
    assert_true(scopes_meet(&red, &people));
    assert_false(scopes_meet(&clear, &flagged));
    assert_true(scopes_meet(&bots, &flagged));
}

static void quotas_are_read(void **state)
{
    char memory[1024];
    struct text text = text_over(memory, sizeof memory);
    struct config *config;
    const struct config_quota *quota;

    (void)state;
    text_printf(&text, "%s%s%s", LEAST, teams,
                "quotas:\n"
                "  - name: red-daily\n"
                "    for: {team: red, model: 'gpt-*'}\n"
                "    each: caller\n"
                "    limit: 20M tokens\n"
                "    per: day\n"
                "    timezone: Europe/Berlin\n"
                "    warn: [50%, 80%]\n"
                "    over: warn\n"
                "    contact: ask@example.com\n"
                "  - {name: busy, limit: 8 concurrent}\n");
    config = read_good(memory);
    assert_int_equal(config->quota_count, 2);
    quota = &config->quotas[0];
    assert_string_equal(quota->name, "red-daily");
    assert_string_equal(quota->scope.team, "red");
    assert_null(quota->scope.caller);
    assert_string_equal(quota->scope.model, "gpt-*");
    assert_int_equal(quota->each, EACH_CALLER);
    assert_int_equal(quota->limit.amount, 20000000);
    assert_string_equal(quota->limit.text, "20M tokens");
    assert_int_equal(quota->period.unit, PERIOD_DAY);
    assert_string_equal(quota->timezone, "Europe/Berlin");
    assert_string_equal(quota->warn[1], "80%");
    assert_int_equal(quota->over, OVER_WARN);
    assert_string_equal(quota->contact, "ask@example.com");
    assert_int_equal(config->quotas[1].each, EACH_ALL);
    assert_int_equal(config->quotas[1].over, OVER_REFUSE);
    config_free(config);
}

static void mistakes_have_places(void **state)
{
    (void)state;
    assert_quota_mistakes(
        "quotas:\n"
        "  - name: a\n"
        "    for: {team: rad, provider: q}\n"
        "    each: callr\n"
        "    limit: 20X tokens\n"
        "    per: fortnight\n"
        "    timezone: Europe/Berln\n"
        "    warn: [50, 80%]\n"
        "  - name: a\n"
        "    for: {team: blue, caller: ana}\n"
        "    limit: 8 concurrent\n"
        "    per: day\n"
        "    warn: [50%]\n"
        "  - {name: c, limit: $5}\n"
        "  - {name: d, limit: 5M tokens, per: rolling 5h, timezone: UTC}\n",
        "6:17: no team is called 'rad'; did you mean 'red'?\n"
        "6:32: no provider is called 'q'\n"
        "7:11: 'callr' is not all, caller, team, key, session or model\n"
        "8:12: '20X tokens' is not a limit, such as 20M tokens, 5M output tokens, 5M "
        "input tokens, 20M weighted tokens, $500, 600 requests or 8 concurrent\n"
        "9:10: 'fortnight' is not minute, hour, day, week, month or rolling and a time "
        "from 1m to 31d, such as rolling 5h\n"
        "10:15: 'Europe/Berln' is not a time zone that this machine knows (package "
        "tzdata), such as UTC or Europe/Berlin\n"
        "11:12: '50' is not a percentage from 1% to 100%\n"
        "12:11: two quotas are called 'a'\n"
        "13:31: no caller of that team is called 'ana'\n"
        "15:10: a limit of concurrent calls has no 'per': it holds at every moment\n"
        "16:11: a limit of concurrent calls has no share to warn at\n"
        "17:5: quota 'c' needs 'per': minute, hour, day, week, month or such as "
        "rolling "
        "5h\n"
        "18:60: there is no calendar here that a time zone could change\n");
}

static void only_so_many_meet(void **state)
{
    char memory[4096], *mistakes;
    struct text text = text_over(memory, sizeof memory);

    (void)state;
    text_printf(&text, "%s%squotas:\n", LEAST, teams);
    for (int i = 0; i < QUOTAS_MET_MAX; i++) {
        text_printf(&text, "  - {name: r%d, for: {team: red}, limit: $5, per: day}\n",
                    i);
        text_printf(&text, "  - {name: b%d, for: {team: blue}, limit: $5, per: day}\n",
                    i);
    }
    config_free(read_good(memory));
    text_printf(&text, "  - {name: one-more, for: {team: red}, limit: $5, per: day}\n");
    assert_null(read_text(memory, CONFIG_WITHOUT_SECRETS, &mistakes));
    assert_non_null(
        strstr(mistakes, "17 quotas may count the same call; at most 16 can"));
    free(mistakes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit),      cmocka_unit_test(rules_meet),
        cmocka_unit_test(quotas_are_read),   cmocka_unit_test(mistakes_have_places),
        cmocka_unit_test(only_so_many_meet),
    };

    return cmocka_run_group_tests_name("quota_rule", tests, NULL, NULL);
}

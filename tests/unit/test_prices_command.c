/* assay prices, run as from a shell. */
#include "proxy/cli/command.h"
#include "tests/unit/shell.h"

static const char prices[] =
    "prefixes: [openai/]\n"
    "models:\n"
    "  - model: gpt-x\n"
    "    aliases: [gpt-x-latest]\n"
    "    per_million: {input: 1.25, cache_read: 0.125, output: 1000}\n"
    "    service_tiers: {batch: 50%}\n"
    "    long_context: [{over: 200000, per_million: {input: 2.5, output: 2000}}]\n"
    "  - {model: old, valid: {until: 2020-01-01}, per_million: {input: 1, output: 1}}\n"
    "  - {model: old, valid: {from: 2020-01-01}, per_million: {input: 2, output: 2}}\n"
    "  - {model: ours, provider: openai, per_million: {input: 0.000001, output: 0}}\n";

static void the_list_shows_what_is_in_force(void **state)
{
    (void)state;
    write_file("prices.yaml", prices);
    assert_int_equal(run("assay prices list"), COMMAND_OK);
    assert_string_equal(strstr(out, "MODEL"),
                        "MODEL         ONLY AT     INPUT  CACHE READ    OUTPUT  VALID\n"
                        "gpt-x                      1.25       0.125  1,000.00"
                        "                   + long input, service tiers\n"
                        "gpt-x-latest               1.25       0.125  1,000.00"
                        "                   + long input, service tiers\n"
                        "old                        2.00                  2.00"
                        "  from 2020-01-01\n"
                        "ours          openai   0.000001                  0.00\n");
    assert_int_equal(run("assay prices list --at 2019-12-31"), COMMAND_OK);
    assert_out("  1.00  until 2020-01-01\n");
}

static void one_model_shows_all_its_prices(void **state)
{
    (void)state;
    write_file("prices.yaml", prices);
    assert_int_equal(run("assay prices list --model GPT-?"), COMMAND_OK);
    assert_string_equal(strstr(out, "MODEL"),
                        "MODEL  INPUT  CACHE READ    OUTPUT\n"
                        "gpt-x   1.25       0.125  1,000.00\n"
                        "gpt-x   2.50              2,000.00  input over 200,000 "
                        "tokens\n"
                        "gpt-x  0.625      0.0625    500.00  service tier batch\n");
    assert_int_equal(run("assay prices list --model latest"), COMMAND_OK);
    assert_out("\ngpt-x-latest ");
    assert_null(strstr(out, "\ngpt-x "));
    assert_int_equal(run("assay prices list --model openai/gpt-x-2026-01-31"),
                     COMMAND_OK);
    assert_out("\nopenai/gpt-x-2026-01-31   1.25 ");
    assert_int_equal(run("assay prices list --model llama"), COMMAND_FAILED);
    assert_string_equal(out, "");
    assert_err("unpriced");
}

static void mistakes_have_places(void **state)
{
    (void)state;
    assert_int_equal(run("assay prices check"), COMMAND_MISUSED);
    assert_err("prices.yaml: cannot be read");
    write_file("prices.yaml", prices);
    assert_int_equal(run("assay prices check"), COMMAND_OK);
    assert_out("prices.yaml: ok, 4 prices\n");
    write_file("bad.yaml", "models:\n  - {model: x, per_milion: {}}\n");
    assert_int_equal(run_with("assay prices check %s/bad.yaml", folder),
                     COMMAND_MISUSED);
    assert_err("bad.yaml:2:16: unknown key 'per_milion'; did you mean 'per_million'?");
}

static void a_community_list_is_imported(void **state)
{
    static const char list[] =
        "{\"sample_spec\":{\"input_cost_per_token\":0,\"output_cost_per_token\":0},"
        "\"gpt-x\":{\"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05,"
        "\"cache_read_input_token_cost\":1.25e-07,\"mode\":\"chat\"},"
        "\"painter\":{\"input_cost_per_pixel\":1e-08}}";
    char line[200];

    (void)state;
    write_file("list.json", list);
    assert_int_equal(run_with("assay prices import %s/list.json", folder), COMMAND_OK);
    assert_out("{input: 1.25, cache_read: 0.125, output: 10.00}");
    assert_err("1 models taken, 2 left out");
    write_file("prices.yaml", "models: [\n");
    snprintf(line, sizeof line, "assay prices import %s/list.json --out %s/prices.yaml",
             folder, folder);
    assert_int_equal(run(line), COMMAND_OK);
    assert_string_equal(out, "");
    assert_int_equal(run("assay prices check"), COMMAND_OK);
    assert_out("ok, 1 prices");
    assert_int_equal(access(path("prices.yaml.new"), F_OK), -1);
}

static void what_is_no_list_replaces_nothing(void **state)
{
    char line[200];

    (void)state;
    write_file("prices.yaml", prices);
    write_file("list.json", "{\"x\":{\"y\":1}}");
    snprintf(line, sizeof line, "assay prices import %s/list.json --out %s/prices.yaml",
             folder, folder);
    assert_int_equal(run(line), COMMAND_MISUSED);
    assert_err("no model with a price per token");
    write_file("list.json", "[]");
    assert_int_equal(run(line), COMMAND_MISUSED);
    assert_err("not a JSON object");
    assert_int_equal(run("assay prices check"), COMMAND_OK);
    write_file("list.json",
               "{\"x\":{\"input_cost_per_token\":1,\"output_cost_per_token\":1}}");
    snprintf(line, sizeof line, "assay prices import %s/list.json --out %s/no/such",
             folder, folder);
    assert_int_equal(run(line), COMMAND_FAILED);
    assert_err("cannot be written");
}

static void misuse_is_told(void **state)
{
    static const char *const lines[] = {
        "assay prices",
        "assay prices lists",
        "assay prices list more",
        "assay prices list --out x",
        "assay prices list --at 2020",
        "assay prices import",
        "assay prices import a b",
        "assay prices check a b",
        "assay prices import /nowhere/list.json",
    };

    (void)state;
    write_file("prices.yaml", prices);
    assert_misused(lines, sizeof lines / sizeof *lines);
    assert_int_equal(run("assay prices lists"), COMMAND_MISUSED);
    assert_err("did you mean 'list'?");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_list_shows_what_is_in_force),
        TEST(one_model_shows_all_its_prices),
        TEST(mistakes_have_places),
        TEST(a_community_list_is_imported),
        TEST(what_is_no_list_replaces_nothing),
        TEST(misuse_is_told),
    };

    return cmocka_run_group_tests_name("prices_command", tests, NULL, NULL);
}

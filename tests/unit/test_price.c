#include "proxy/base/clock.h"
#include "proxy/meter/price.h"
#include "proxy/meter/price_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-01-01T00:00:00Z */
static const uint64_t now = UINT64_C(1767225600) * NS_PER_S;

static struct price_table *parse(const char *text)
{
    struct error error = { 0 };
    struct price_table *table =
        price_table_parse("prices.yaml", span_text(text), &error);

    error_print(&error, stderr);
    assert_non_null(table);
    assert_false(error_any(&error));
    return table;
}

/* The text has one mistake, told at this place with these words. */
static void refused(const char *text, unsigned line, unsigned column, const char *words)
{
    struct error error = { 0 };

    assert_null(price_table_parse("prices.yaml", span_text(text), &error));
    assert_int_equal(error.count, 1);
    assert_string_equal(error.entries[0].place.file, "prices.yaml");
    assert_int_equal(error.entries[0].place.line, line);
    assert_int_equal(error.entries[0].place.column, column);
    if (strstr(error.entries[0].words, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", error.entries[0].words, words);
    }
    error_done(&error);
}

static struct price_key key_of(const char *model)
{
    return (struct price_key){ .model = span_text(model), .at_unix_ns = now };
}

/* The input rate of a model; -2 if it is unpriced. */
static int64_t input_rate(const struct price_table *table, struct price_key key)
{
    struct price_rates rates;

    return price_find(table, &key, &rates) ? rates.input : -2;
}

static void test_rates_are_exact(void **state)
{
    struct price_table *table = parse(
        "models:\n"
        "  - {model: a, per_million: {input: 2.50, output: 0.000001, cache_read: 10}}\n"
        "  - {model: b, per_million: {input: 0, output: 1000000}}\n");
    struct price_key a = key_of("a"), b = key_of("b");
    struct price_rates rates;

    (void)state;
    assert_int_equal(price_table_count(table), 2);
    assert_true(price_find(table, &a, &rates));
    assert_int_equal(rates.input, 2500000);
    assert_int_equal(rates.output, 1);
    assert_int_equal(rates.cache_read, 10000000);
    assert_int_equal(rates.cache_write, PRICE_UNSET);
    assert_true(price_find(table, &b, &rates));
    assert_int_equal(rates.input, 0);
    assert_int_equal(rates.output, INT64_C(1000000000000));
    price_table_free(table);
}

static void test_names(void **state)
{
    struct price_table *table = parse(
        "prefixes: [models/, openai/]\n"
        "models:\n"
        "  - {model: m, aliases: [m-latest], per_million: {input: 1, output: 1}}\n"
        "  - {model: m-2024-05-13, per_million: {input: 2, output: 1}}\n"
        "  - {model: m, provider: mine, per_million: {input: 3, output: 1}}\n"
        "  - {model: x-20240101, per_million: {input: 4, output: 1}}\n");
    struct price_key mine = key_of("m-2025-01-01"), yours = key_of("m");

    (void)state;
    assert_int_equal(input_rate(table, key_of("m")), 1000000);
    assert_int_equal(input_rate(table, key_of("m-latest")), 1000000);
    assert_int_equal(input_rate(table, key_of("m-2024-08-06")), 1000000);
    assert_int_equal(input_rate(table, key_of("m-20240806")), 1000000);
    assert_int_equal(input_rate(table, key_of("m@20240806")), 1000000);
    assert_int_equal(input_rate(table, key_of("m-2024-05-13")), 2000000);
    assert_int_equal(input_rate(table, key_of("openai/m-2024-05-13")), 2000000);
    assert_int_equal(input_rate(table, key_of("models/m")), 1000000);
    assert_int_equal(input_rate(table, key_of("other/m")), -2);
    assert_int_equal(input_rate(table, key_of("x")), -2);
    assert_int_equal(input_rate(table, key_of("x-20250101")), -2);
    assert_int_equal(input_rate(table, key_of("-20240806")), -2);
    assert_int_equal(input_rate(table, key_of("")), -2);
    mine.provider = SPAN("mine");
    assert_int_equal(input_rate(table, mine), 3000000);
    yours.provider = SPAN("yours");
    assert_int_equal(input_rate(table, yours), 1000000);
    price_table_free(table);
}

static void test_dates_of_validity(void **state)
{
    struct price_table *table =
        parse("models:\n"
              "  - {model: m, valid: {until: 2026-01-01}, "
              "per_million: {input: 1, output: 1}}\n"
              "  - {model: m, valid: {from: 2026-01-01, until: 2028-02-29}, "
              "per_million: {input: 2, output: 1}}\n");
    struct price_key key = key_of("m");

    (void)state;
    key.at_unix_ns = now - 1;
    assert_int_equal(input_rate(table, key), 1000000);
    key.at_unix_ns = now;
    assert_int_equal(input_rate(table, key), 2000000);
    key.at_unix_ns = UINT64_C(1835395200) * NS_PER_S - 1; /* end of 2028-02-28 */
    assert_int_equal(input_rate(table, key), 2000000);
    key.at_unix_ns++;
    assert_int_equal(input_rate(table, key), -2);
    price_table_free(table);
}

static void test_tiers(void **state)
{
    struct price_table *table =
        parse("models:\n"
              "  - model: m\n"
              "    per_million: {input: 3, output: 15, cache_read: 0.30}\n"
              "    long_context:\n"
              "      - {over: 200000, per_million: {input: 6, output: 22.50}}\n"
              "      - {over: 500000, per_million: {input: 9, output: 30}}\n"
              "    service_tiers: {batch: 50%, priority: {input: 7, output: 8}}\n");
    struct price_key key = key_of("m");
    struct price_rates rates;

    (void)state;
    key.input_tokens = 200000;
    assert_int_equal(input_rate(table, key), 3000000);
    key.input_tokens = 200001;
    assert_int_equal(input_rate(table, key), 6000000);
    key.input_tokens = 500001;
    assert_int_equal(input_rate(table, key), 9000000);
    key.service_tier = SPAN("batch");
    assert_int_equal(input_rate(table, key), 4500000);
    key.service_tier = SPAN("priority");
    assert_int_equal(input_rate(table, key), 7000000);
    key.service_tier = SPAN("flex");
    assert_int_equal(input_rate(table, key), -2);
    key.service_tier = SPAN("default");
    key.input_tokens = 0;
    assert_true(price_find(table, &key, &rates));
    assert_int_equal(rates.cache_read, 300000);
    price_table_free(table);
}

static void test_mistakes(void **state)
{
    (void)state;
    refused("models:\n  - {modell: m, per_million: {input: 1, output: 1}}\n", 2, 6,
            "did you mean 'model'");
    refused("models:\n  - {model: m, per_million: {inputs: 1, output: 1}}\n", 2, 30,
            "did you mean 'input'");
    refused("models:\n  - {model: m, per_million: {input: -1, output: 1}}\n", 2, 37,
            "not a price");
    refused("models:\n  - {model: m, per_million: {input: 1e3, output: 1}}\n", 2, 37,
            "not a price");
    refused("models:\n  - {model: m, per_million: {input: 0.0000001, output: 1}}\n", 2,
            37, "6 decimals");
    refused("models:\n  - {model: m, per_million: {input: 1000001, output: 1}}\n", 2,
            37, "not a price");
    refused("models:\n  - {model: m, per_million: {input: ., output: 1}}\n", 2, 37,
            "not a price");
    refused("models:\n  - {model: m, per_million: {input: [], output: 1}}\n", 2, 37,
            "not a price");
    refused("models:\n  - {model: m, per_million: {input: 1}}\n", 2, 29, "are needed");
    refused("models:\n  - {model: m}\n", 2, 5, "per_million are needed");
    refused("models: 3\n", 1, 9, "models is a list");
    refused("prefixes: []\n", 1, 1, "models is needed");
    refused("models:\n"
            "  - {model: m, per_million: {input: 1, output: 1}}\n"
            "  - {model: n, aliases: [m], per_million: {input: 1, output: 1}}\n",
            3, 26, "in line 2");
    refused("models:\n  - {model: m, valid: {from: 2025-13-01}, "
            "per_million: {input: 1, output: 1}}\n",
            2, 30, "not a date");
    refused("models:\n  - {model: m, valid: {from: 2025-02-30}, "
            "per_million: {input: 1, output: 1}}\n",
            2, 30, "not a date");
    refused("models:\n  - {model: m, valid: {from: 2025-02-00}, "
            "per_million: {input: 1, output: 1}}\n",
            2, 30, "not a date");
    refused("models:\n  - {model: m, per_million: {input: 1, output: 1}, "
            "service_tiers: {batch: 0.5}}\n",
            2, 75, "50%");
}

/* ---- cost ------------------------------------------------------------------------ */

static const struct price_rates unset_rates = {
    .input = 3000000,
    .cache_read = PRICE_UNSET,
    .cache_write = PRICE_UNSET,
    .cache_write_30m = PRICE_UNSET,
    .cache_write_1h = PRICE_UNSET,
    .cache_write_12h = PRICE_UNSET,
    .output = 15000000,
    .reasoning = PRICE_UNSET,
    .input_audio = PRICE_UNSET,
    .input_image = PRICE_UNSET,
    .input_video = PRICE_UNSET,
    .output_audio = PRICE_UNSET,
    .output_image = PRICE_UNSET,
    .audio_minute = PRICE_UNSET,
};

static void test_cost(void **state)
{
    struct price_rates rates = unset_rates;
    struct usage usage = { 0 };

    (void)state;
    assert_int_equal(price_cost(&rates, &usage), 0);
    usage_set(&usage, TOKENS_INPUT, 10);
    usage_set(&usage, TOKENS_CACHE_READ, 1000);
    usage_set(&usage, TOKENS_CACHE_WRITE, 100);
    usage_set(&usage, TOKENS_OUTPUT, 5);
    usage_set(&usage, TOKENS_REASONING, 7);
    assert_int_equal(price_cost(&rates, &usage), 1110 * 3000 + 12 * 15000);

    rates.cache_read = 300000;
    rates.cache_write = 3750000;
    rates.cache_write_1h = 6000000;
    usage.cache_write[LIFETIME_1H] = 40;
    usage.cache_write[LIFETIME_5M] = 60;
    rates.reasoning = 1000000;
    assert_int_equal(price_cost(&rates, &usage), 10 * 3000 + 1000 * 300 + 40 * 6000 +
                                                     60 * 3750 + 5 * 15000 + 7 * 1000);
    rates.input_audio = 40000000;
    usage.modality[MODALITY_INPUT_AUDIO] = 4;
    assert_int_equal(price_cost(&rates, &usage), 6 * 3000 + 4 * 40000 + 1000 * 300 +
                                                     40 * 6000 + 60 * 3750 + 5 * 15000 +
                                                     7 * 1000);
}

static void test_cost_is_rounded_once(void **state)
{
    struct price_rates rates = unset_rates;
    struct usage usage = { 0 };

    (void)state;
    rates.input = 499;
    rates.output = 1;
    usage_set(&usage, TOKENS_INPUT, 1);
    assert_int_equal(price_cost(&rates, &usage), 0);
    usage_set(&usage, TOKENS_OUTPUT, 1); /* 500 pico-dollars: half up */
    assert_int_equal(price_cost(&rates, &usage), 1);
    usage_set(&usage, TOKENS_INPUT, 2000);
    assert_int_equal(price_cost(&rates, &usage), 998);
}

static void test_audio_is_charged_by_its_length(void **state)
{
    struct price_table *table =
        parse("models:\n"
              "  - {model: w, per_minute: {audio: 0.006},\n"
              "     service_tiers: {batch: 50%}}\n"
              "  - {model: v, per_minute: {audio: 0.001},\n"
              "     per_million: {input: 2, output: 3}}\n"
              "  - {model: t, per_million: {input: 1, output: 1}}\n");
    struct usage usage = { .audio_ms = 8470 };
    struct price_key key = key_of("w");
    struct price_rates rates;

    (void)state;
    assert_true(price_find(table, &key, &rates));
    assert_true(price_covers(&rates, &usage));
    assert_int_equal(price_cost(&rates, &usage), 847000); /* 8.47 s at $0.0001 */
    key.service_tier = SPAN("batch");
    assert_true(price_find(table, &key, &rates));
    assert_int_equal(price_cost(&rates, &usage), 423500);
    usage.audio_ms = 0;
    usage_set(&usage, TOKENS_OUTPUT, 9); /* as estimated */
    assert_false(price_covers(&rates, &usage));
    assert_int_equal(price_cost(&rates, &usage), 0);

    key = key_of("t");
    assert_true(price_find(table, &key, &rates));
    assert_true(price_covers(&rates, &usage));
    usage = (struct usage){ .audio_ms = 1000 };
    assert_false(price_covers(&rates, &usage));

    key = key_of("v");
    assert_true(price_find(table, &key, &rates));
    usage_set(&usage, TOKENS_INPUT, 100);
    usage_set(&usage, TOKENS_OUTPUT, 10);
    usage.modality[MODALITY_INPUT_AUDIO] = 60;
    usage.audio_ms = 60000;
    assert_true(price_covers(&rates, &usage));
    assert_int_equal(price_cost(&rates, &usage), 1000000 + 40 * 2000 + 10 * 3000);
    price_table_free(table);
}

static void test_what_is_billed_apart_is_charged(void **state)
{
    struct price_rates rates = unset_rates;
    struct usage usage = { .billed_input = 5, .billed_output = 2 };

    (void)state;
    usage_set(&usage, TOKENS_INPUT, 70);
    usage_set(&usage, TOKENS_CACHE_READ, 10);
    usage_set(&usage, TOKENS_OUTPUT, 3);
    assert_int_equal(price_cost(&rates, &usage), 5 * 3000 + 2 * 15000);
}

static void test_cost_saturates(void **state)
{
    struct price_rates rates = unset_rates;
    struct usage usage = { 0 };

    (void)state;
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        usage_set(&usage, of, UINT64_MAX);
    }
    for (int i = 0; i < CACHE_LIFETIMES; i++) {
        usage.cache_write[i] = UINT64_MAX;
    }
    assert_true(price_cost(&rates, &usage) == INT64_MAX);
}

static uint64_t chance(uint64_t limit)
{
    return (uint64_t)random() % limit;
}

/* Contradicting parts never make tokens out of nothing: with one rate everywhere, cost
 * is the sum of the classes, and it grows with every class. */
static void test_cost_properties(void **state)
{
    struct price_rates rates;
    struct usage usage;

    (void)state;
    srandom(7);
    for (int i = 0; i < 20000; i++) {
        int64_t *rate = &rates.input;
        int64_t cost;
        uint64_t total;

        for (size_t k = 0; k < sizeof rates / sizeof *rate; k++) {
            rate[k] = 7000;
        }
        memset(&usage, 0, sizeof usage);
        for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
            usage_set(&usage, of, chance(1 << 20));
        }
        for (int k = 0; k < CACHE_LIFETIMES; k++) {
            usage.cache_write[k] = chance(1 << 20);
        }
        for (int k = 0; k < MODALITIES; k++) {
            usage.modality[k] = chance(1 << 20);
        }
        total = usage_total(&usage);
        cost = price_cost(&rates, &usage);
        assert_int_equal(cost, total * 7);
        for (size_t k = 0; k < sizeof rates / sizeof *rate; k++) {
            rate[k] = (int64_t)chance(1 << 30);
        }
        cost = price_cost(&rates, &usage);
        usage.tokens[chance(TOKEN_CLASSES)] += 1000;
        assert_true(price_cost(&rates, &usage) >= cost);
    }
}

/* ---- files ----------------------------------------------------------------------- */

static void test_shipped_prices(void **state)
{
    struct error error = { 0 };
    struct price_table *table = price_table_load("config/prices.yaml", &error);
    struct price_key key = key_of("claude-sonnet-4-5-20250929");
    struct price_rates rates;

    (void)state;
    error_print(&error, stderr);
    assert_non_null(table);
    assert_true(price_table_count(table) > 40);
    assert_int_equal(input_rate(table, key_of("gpt-4o-2024-08-06")), 2500000);
    assert_int_equal(input_rate(table, key_of("gpt-4o-2024-05-13")), 5000000);
    assert_int_equal(input_rate(table, key_of("text-embedding-3-small")), 20000);
    assert_int_equal(input_rate(table, key_of("gpt-unheard-of")), -2);
    assert_int_equal(input_rate(table, key), 3000000);
    key.input_tokens = 200001;
    assert_int_equal(input_rate(table, key), 6000000);
    key = key_of("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_int_equal(input_rate(table, key), 3300000);
    key = key_of("openai/gpt-oss-120b");
    assert_int_equal(input_rate(table, key), -2);
    key.provider = SPAN("groq");
    assert_int_equal(input_rate(table, key), 150000);
    key = key_of("mistral-medium-latest");
    assert_int_equal(input_rate(table, key), 400000);
    key.at_unix_ns = UINT64_C(1781568000) * NS_PER_S; /* 2026-06-16 */
    assert_int_equal(input_rate(table, key), 1500000);
    key = key_of("amazon.nova-pro-v1:0");
    key.service_tier = SPAN("priority");
    assert_int_equal(input_rate(table, key), 1400000);
    assert_true(
        price_find(table,
                   &(struct price_key){ .model = SPAN("whisper-1"), .at_unix_ns = now },
                   &rates));
    assert_int_equal(rates.audio_minute, 6000);
    price_table_free(table);
}

static void test_absent_file(void **state)
{
    struct error error = { 0 };

    (void)state;
    assert_null(price_table_load("/nonexistent/prices.yaml", &error));
    assert_int_equal(error.count, 1);
    error_done(&error);
}

static const char community[] =
    "{\"sample_spec\": {\"input_cost_per_token\": 1, \"output_cost_per_token\": 1},"
    " \"gpt-x\": {\"input_cost_per_token\": 2.5e-06, \"output_cost_per_token\": 1e-05,"
    "  \"cache_read_input_token_cost\": 1.25e-06, \"litellm_provider\": \"openai\","
    "  \"input_cost_per_token_priority\": 4.25e-06,"
    "  \"output_cost_per_token_priority\": 1.7e-05, \"mode\": \"chat\"},"
    " \"claude-x\": {\"input_cost_per_token\": 3e-06, \"output_cost_per_token\": "
    "1.5e-05,"
    "  \"input_cost_per_token_above_200k_tokens\": 6e-06,"
    "  \"output_cost_per_token_above_200k_tokens\": 2.25e-05},"
    " \"embed-x\": {\"input_cost_per_token\": 2e-08, \"mode\": \"embedding\"},"
    " \"image-x\": {\"input_cost_per_pixel\": 1e-08},"
    " \"bad\\nname\": {\"input_cost_per_token\": 1, \"output_cost_per_token\": 1}}";

static void test_import(void **state)
{
    char path[] = "/tmp/test_price.XXXXXX", *written = NULL;
    size_t size, taken, left;
    struct error error = { 0 };
    FILE *out = open_memstream(&written, &size);
    int fd = mkstemp(path);
    struct price_table *table;
    struct price_key key = key_of("claude-x");

    (void)state;
    assert_int_equal(write(fd, community, sizeof community - 1), sizeof community - 1);
    close(fd);
    assert_true(price_table_import(path, out, &taken, &left, &error));
    unlink(path);
    fclose(out);
    assert_int_equal(taken, 3);
    assert_int_equal(left, 3);
    table = parse(written);
    assert_int_equal(input_rate(table, key_of("gpt-x")), 2500000);
    assert_int_equal(input_rate(table, key_of("embed-x")), 20000);
    key.input_tokens = 300000;
    assert_int_equal(input_rate(table, key), 6000000);
    key = key_of("gpt-x");
    key.service_tier = SPAN("priority");
    assert_int_equal(input_rate(table, key), 4250000);
    price_table_free(table);
    free(written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rates_are_exact),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_dates_of_validity),
        cmocka_unit_test(test_tiers),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_cost),
        cmocka_unit_test(test_cost_is_rounded_once),
        cmocka_unit_test(test_audio_is_charged_by_its_length),
        cmocka_unit_test(test_what_is_billed_apart_is_charged),
        cmocka_unit_test(test_cost_saturates),
        cmocka_unit_test(test_cost_properties),
        cmocka_unit_test(test_shipped_prices),
        cmocka_unit_test(test_absent_file),
        cmocka_unit_test(test_import),
    };

    return cmocka_run_group_tests_name("price", tests, NULL, NULL);
}

#include "proxy/meter/weight.h"
#include "tests/unit/config_text.h"

static const struct weights none;

static struct entry call_to(const char *model)
{
    struct entry call = { 0 };

    text_store(call.request_model, sizeof call.request_model, span_text(model));
    return call;
}

static void classes_weigh_as_prices_do(void **state)
{
    struct entry call = call_to("any");

    (void)state;
    assert_int_equal(weight_of_call(&none, &call), 0);
    usage_set(&call.usage, TOKENS_INPUT, 1);
    assert_int_equal(weight_of_call(&none, &call), 100);
    usage_set(&call.usage, TOKENS_CACHE_READ, 1);
    assert_int_equal(weight_of_call(&none, &call), 110);
    usage_set(&call.usage, TOKENS_CACHE_WRITE, 10);
    assert_int_equal(weight_of_call(&none, &call), 110 + 1250);
    call.usage.cache_write[LIFETIME_5M] = 4;
    call.usage.cache_write[LIFETIME_1H] = 2;
    call.usage.cache_write[LIFETIME_12H] = 1;
    assert_int_equal(weight_of_call(&none, &call), 110 + 7 * 125 + 3 * 200);
    usage_set(&call.usage, TOKENS_OUTPUT, 2);
    usage_set(&call.usage, TOKENS_REASONING, 3);
    assert_int_equal(weight_of_call(&none, &call), 110 + 7 * 125 + 3 * 200 + 5 * 500);
    call.usage.cache_write[LIFETIME_12H] =
        UINT64_MAX; /* more than was written at all */
    assert_int_equal(weight_of_call(&none, &call), 110 + 10 * 200 + 5 * 500);
    usage_set(&call.usage, TOKENS_OUTPUT, UINT64_MAX / 500 + 1);
    assert_true(weight_of_call(&none, &call) == UINT64_MAX);
}

static const char table[] = LEAST
    "quota:\n"
    "  weights:\n"
    "    - {model: 'claude-opus-*', input: 5, cache_read: 0.5, cache_write: 6.25,\n"
    "       cache_keep: 10, output: 25}\n"
    "    - {model: 'local-*', input: 0, cache_read: 0, cache_write: 0,\n"
    "       cache_keep: 0, output: 0}\n"
    "    - {output: 4.01}\n";

static void the_first_row_that_fits_counts(void **state)
{
    struct config *config = read_good(table);
    struct weights weights = { config->weights, config->weights_count };
    static const struct {
        const char *requested, *answered;
        uint64_t weight;
    } rows[] = {
        { "claude-opus-4", "", 500 + 50 + 625 + 2500 },
        { "Claude-Opus-4", "", 500 + 50 + 625 + 2500 },
        { "opus", "claude-opus-4", 500 + 50 + 625 + 2500 }, /* what answered counts */
        { "claude-opus-4", "claude-haiku", 100 + 10 + 125 + 401 },
        { "local-llama", "", 0 },
        { "", "", 100 + 10 + 125 + 401 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct entry call = call_to(rows[i].requested);

        text_store(call.response_model, sizeof call.response_model,
                   span_text(rows[i].answered));
        usage_set(&call.usage, TOKENS_INPUT, 1);
        usage_set(&call.usage, TOKENS_CACHE_READ, 1);
        usage_set(&call.usage, TOKENS_CACHE_WRITE, 1);
        usage_set(&call.usage, TOKENS_OUTPUT, 1);
        assert_int_equal(weight_of_call(&weights, &call), rows[i].weight);
    }
    config_free(config);
}

static void lines_weigh_by_their_own_models(void **state)
{
    struct config *config = read_good(table);
    struct weights weights = { config->weights, config->weights_count };
    struct entry call = call_to("gpt");
    struct line lines[3];

    (void)state;
    usage_set(&call.usage, TOKENS_OUTPUT, 10);
    call.lines = lines;
    call.line_count = 3;
    call.lines[0] = (struct line){ .within = 1, .model = "claude-opus-4" };
    usage_set(&call.lines[0].usage, TOKENS_OUTPUT, 4);
    call.lines[1] = (struct line){ .model = "local-x" };
    usage_set(&call.lines[1].usage, TOKENS_OUTPUT, 1000);
    call.lines[2] = (struct line){ .model = "" }; /* the call's own */
    usage_set(&call.lines[2].usage, TOKENS_INPUT, 1);
    assert_int_equal(weight_of_call(&weights, &call), 6 * 401 + 4 * 2500 + 100);
    config_free(config);
}

static void a_bound_is_what_weighs_most(void **state)
{
    struct config *config = read_good(table);
    struct weights weights = { config->weights, config->weights_count };
    struct entry call = call_to("claude-opus-4");

    (void)state;
    assert_int_equal(weight_at_most(&weights, &call, 2, 3), 2 * 1000 + 3 * 2500);
    assert_int_equal(weight_at_most(&none, &call, 2, 3), 2 * 200 + 3 * 500);
    assert_true(weight_at_most(&none, &call, UINT64_MAX, 3) == UINT64_MAX);
    config_free(config);
}

/* A row that names nothing is what holds without a row. */
static void defaults_are_the_usual_weights(void **state)
{
    struct config *config = read_good(LEAST "quota: {weights: [{model: x}]}\n");
    const struct config_weights *row = config->weights;

    (void)state;
    assert_int_equal(config->weights_count, 1);
    assert_int_equal(row->input, WEIGHT_USUAL_INPUT);
    assert_int_equal(row->cache_read, WEIGHT_USUAL_CACHE_READ);
    assert_int_equal(row->cache_write, WEIGHT_USUAL_CACHE_WRITE);
    assert_int_equal(row->cache_keep, WEIGHT_USUAL_CACHE_KEEP);
    assert_int_equal(row->output, WEIGHT_USUAL_OUTPUT);
    config_free(config);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    assert_mistakes(LEAST "quota:\n  weights:\n"
                          "    - {model: c, input: 1.005}\n"
                          "    - {model: a, output: 1001}\n"
                          "    - {model: b, output: -1}\n",
                    "5:25: '1.005' is not a number from 0 to 1000 with at most two "
                    "decimals\n"
                    "6:26: '1001' is not a number from 0 to 1000 with at most two "
                    "decimals\n"
                    "7:26: '-1' is not a number from 0 to 1000 with at most two "
                    "decimals\n");
    assert_mistakes(LEAST "quota: {weights: [{input: 1}, {model: a, output: 2}]}\n",
                    "3:31: the weights before these fit any model: put them last\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_weigh_as_prices_do),
        cmocka_unit_test(the_first_row_that_fits_counts),
        cmocka_unit_test(lines_weigh_by_their_own_models),
        cmocka_unit_test(a_bound_is_what_weighs_most),
        cmocka_unit_test(defaults_are_the_usual_weights),
        cmocka_unit_test(mistakes_are_told),
    };

    return cmocka_run_group_tests_name("weight", tests, NULL, NULL);
}

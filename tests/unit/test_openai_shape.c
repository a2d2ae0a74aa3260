/* The arithmetic of the OpenAI shape, row by row, and its error body. */
#include "filters/dialect/openai_shape.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NO = -1 }; /* not in the report; not known */

/* A report: stated input, output, total, reasoning, cache reads and writes. */
struct report {
    int64_t input, output, total, reasoning, read, write;
};

struct classes {
    int64_t input, read, write, output, reasoning;
    unsigned flags;
};

static const struct row {
    const char *what;
    struct report report;
    struct classes want;
} rows[] = {
    { "plain", { 10, 4, 14, NO, NO, NO }, { 10, NO, NO, 4, NO, 0 } },
    { "no total", { 10, 4, NO, NO, NO, NO }, { 10, NO, NO, 4, NO, 0 } },
    { "zeros are known", { 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0 } },

    /* input side */
    { "cache inside", { 10, 4, 14, NO, 7, NO }, { 3, 7, NO, 4, NO, 0 } },
    { "reads and writes inside", { 10, 4, 14, NO, 3, 5 }, { 2, 3, 5, 4, NO, 0 } },
    { "all input is cached", { 10, 4, 14, NO, 10, 0 }, { 0, 10, 0, 4, NO, 0 } },
    { "cache outside by the total",
      { 10, 4, 21, NO, 7, NO },
      { 10, 7, NO, 4, NO, USAGE_INFERRED } },
    { "cache outside, larger than the input",
      { 3, 4, 107, NO, 100, NO },
      { 3, 100, NO, 4, NO, 0 } },
    { "d is reasoning as well as cache: reasoning",
      { 10, 4, 17, 3, 3, NO },
      { 7, 3, NO, 4, 3, 0 } },
    { "more cache than input, no total",
      { 10, 4, NO, NO, 90, NO },
      { 10, 90, NO, 4, NO, USAGE_ANOMALY } },
    { "more cache than input, and the total says inside",
      { 10, 1, 11, NO, 90, NO },
      { 0, 10, NO, 1, NO, USAGE_ANOMALY } },
    { "reads and writes overlap",
      { 2168, 100, 2268, 0, 2161, 2161 },
      { 0, 2161, 7, 100, 0, USAGE_ANOMALY } },
    { "more cache than input, reasoning outside too",
      { 3, 4, 112, 5, 100, NO },
      { 3, 100, NO, 4, 5, USAGE_ANOMALY } },

    /* output side */
    { "reasoning inside", { 1, 50, 51, 49, NO, NO }, { 1, NO, NO, 1, 49, 0 } },
    { "more reasoning than output",
      { 1, 10, 11, 49, NO, NO },
      { 1, NO, NO, 0, 10, USAGE_ANOMALY } },
    { "reasoning outside", { 1, 10, 60, 49, NO, NO }, { 1, NO, NO, 10, 49, 0 } },
    { "hidden reasoning",
      { 35, 12, 109, NO, NO, NO },
      { 35, NO, NO, 12, 62, USAGE_INFERRED } },
    { "hidden reasoning, stated as none",
      { 25, 2, 32, 0, 0, NO },
      { 25, 0, NO, 2, 5, USAGE_INFERRED } },
    { "a total that nothing explains",
      { 10, 10, 40, 5, NO, NO },
      { 10, NO, NO, 25, 5, USAGE_ANOMALY } },
    { "a total that is too small",
      { 12, 4, 7, NO, NO, NO },
      { 12, NO, NO, 4, NO, USAGE_ANOMALY } },

    /* what is missing */
    { "input from the total", { NO, 4, 7, NO, NO, NO }, { 3, NO, NO, 4, NO, 2 } },
    { "output from the total", { 3, NO, 7, NO, NO, NO }, { 3, NO, NO, 4, NO, 2 } },
    { "only a total", { NO, NO, 7, NO, NO, NO }, { NO, NO, NO, NO, NO, 0 } },
    { "only input", { 3, NO, NO, NO, NO, NO }, { 3, NO, NO, NO, NO, 0 } },

    /* the greatest counts there are do not wrap */
    { "huge",
      { INT64_MAX, INT64_MAX, NO, INT64_MAX, INT64_MAX, INT64_MAX },
      { INT64_MAX, INT64_MAX, INT64_MAX, 0, INT64_MAX, USAGE_ANOMALY } },
};

static void tally_put(struct tally *tally, enum count count, int64_t value)
{
    if (value != NO) {
        tally->value[count] = (uint64_t)value;
        tally->seen |= UINT32_C(1) << count;
    }
}

static struct tally tally_of(const struct report *report)
{
    struct tally tally = { .seen = 0 };

    tally_put(&tally, COUNT_INPUT, report->input);
    tally_put(&tally, COUNT_OUTPUT, report->output);
    tally_put(&tally, COUNT_TOTAL, report->total);
    tally_put(&tally, COUNT_REASONING, report->reasoning);
    tally_put(&tally, COUNT_CACHED, report->read);
    tally_put(&tally, COUNT_CACHE_WRITE, report->write);
    return tally;
}

static void assert_class(const struct row *row, const struct usage *usage,
                         enum token_class class, int64_t want)
{
    int64_t got = usage_knows(usage, class) ? (int64_t)usage->tokens[class] : NO;

    if (got != want) {
        print_error("# %s: %s is %jd, not %jd\n", row->what, token_class_name(class),
                    (intmax_t)got, (intmax_t)want);
    }
    assert_true(got == want);
}

static void classes_become_disjoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct tally tally = tally_of(&row->report);
        struct usage usage = { .reported_nanousd = -1 };

        openai_balance(&tally, &usage);
        assert_class(row, &usage, TOKENS_INPUT, row->want.input);
        assert_class(row, &usage, TOKENS_CACHE_READ, row->want.read);
        assert_class(row, &usage, TOKENS_CACHE_WRITE, row->want.write);
        assert_class(row, &usage, TOKENS_OUTPUT, row->want.output);
        assert_class(row, &usage, TOKENS_REASONING, row->want.reasoning);
        if (usage.flags != row->want.flags) {
            print_error("# %s: flags %x\n", row->what, (unsigned)usage.flags);
        }
        assert_int_equal(usage.flags, row->want.flags);
    }
}

/* Wherever the total is possible, the classes add up to it. */
static void classes_add_up_to_the_total(void **state)
{
    (void)state;
    for (int64_t input = 0; input < 6; input++) {
        for (int64_t output = 0; output < 6; output++) {
            for (int64_t more = 0; more < 12; more++) {
                for (int64_t part = NO; part < 6 * 6; part++) {
                    int64_t reasoning = part == NO ? NO : part / 6;
                    int64_t read = part == NO ? NO : part % 6;
                    struct report report = { input,     output, input + output + more,
                                             reasoning, read,   NO };
                    struct tally tally = tally_of(&report);
                    struct usage usage = { .reported_nanousd = -1 };
                    bool beside = read > input && more > 0 && more < read;

                    openai_balance(&tally, &usage);
                    if (!beside) { /* a total that leaves no room for the cache */
                        assert_int_equal(usage_total(&usage), report.total);
                    }
                }
            }
        }
    }
}

static void hidden_audio_is_input(void **state)
{
    struct report report = { 16, 2, 393, NO, NO, NO };
    struct tally tally = tally_of(&report);
    struct usage usage = { .reported_nanousd = -1 };

    (void)state;
    tally_put(&tally, COUNT_AUDIO_SECONDS, 0);
    openai_balance(&tally, &usage);
    assert_int_equal(usage_input(&usage), 391);
    assert_int_equal(usage_output(&usage), 2);
    assert_int_equal(usage.modality[MODALITY_INPUT_AUDIO], 375);
    assert_int_equal(usage.flags, USAGE_INFERRED);
}

static void modalities_and_lifetimes_are_copied(void **state)
{
    struct report report = { 100, 50, 150, NO, 10, 20 };
    struct tally tally = tally_of(&report);
    struct usage usage = { .reported_nanousd = -1 };

    (void)state;
    tally_put(&tally, COUNT_INPUT_AUDIO, 30);
    tally_put(&tally, COUNT_OUTPUT_REJECTED, 5);
    tally_put(&tally, COUNT_WRITE_30M, 15);
    tally_put(&tally, COUNT_WRITE_5M, 4);
    tally_put(&tally, COUNT_WEB_SEARCHES, 2);
    openai_balance(&tally, &usage);
    assert_int_equal(usage.modality[MODALITY_INPUT_AUDIO], 30);
    assert_int_equal(usage.modality[MODALITY_OUTPUT_REJECTED], 5);
    assert_int_equal(usage.known_modalities,
                     1 << MODALITY_INPUT_AUDIO | 1 << MODALITY_OUTPUT_REJECTED);
    assert_int_equal(usage.cache_write[LIFETIME_30M], 15);
    assert_int_equal(usage.cache_write[LIFETIME_5M], 4);
    assert_int_equal(usage.known_lifetimes, 1 << LIFETIME_30M | 1 << LIFETIME_5M);
    assert_int_equal(usage.web_searches, 2);
    assert_int_equal(usage.flags, USAGE_OVERLAP_ASSUMED);
}

static void refusals_raise_the_right_exception(void **state)
{
    static const struct {
        enum fault fault;
        const char *body;
    } refusals[] = {
        { FAULT_BAD_CREDENTIAL, "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                                "\"invalid_request_error\",\"param\":null,\"code\":"
                                "\"invalid_api_key\"}}" },
        { FAULT_BAD_BODY, "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                          "\"invalid_request_error\",\"param\":null,\"code\":"
                          "\"bad_body\"}}" },
        { FAULT_UPSTREAM_DNS, "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                              "\"server_error\",\"param\":null,\"code\":"
                              "\"upstream_dns\"}}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char line_bytes[128], body_bytes[512];
        struct text lines = text_over(line_bytes, sizeof(line_bytes));
        struct text body = text_over(body_bytes, sizeof(body_bytes));
        struct refusal refusal = { .fault = refusals[i].fault,
                                   .status = fault_row(refusals[i].fault)->status,
                                   .words = SPAN("no \"x\""),
                                   .id = SPAN("ax-1") };

        openai_refuse(&refusal, &lines, &body);
        assert_true(span_equal(text_span(&lines), SPAN("x-request-id: ax-1\r\n")));
        assert_true(span_equal(text_span(&body), span_text(refusals[i].body)));
        lines.len = 0;
        refusal.id = SPAN("");
        openai_refuse(&refusal, &lines, &body);
        assert_int_equal(lines.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_become_disjoint),
        cmocka_unit_test(classes_add_up_to_the_total),
        cmocka_unit_test(hidden_audio_is_input),
        cmocka_unit_test(modalities_and_lifetimes_are_copied),
        cmocka_unit_test(refusals_raise_the_right_exception),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

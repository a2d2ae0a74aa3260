#include "proxy/base/fault.h"
#include "proxy/meter/metrics.h"
#include "tests/support/line_room.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const states[] = { "head", "relay", NULL };

static void append(void *self, struct span piece)
{
    fwrite(piece.at, 1, piece.len, self);
}

static char *scrape(struct metrics_shard *const *shards, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    metrics_write(shards, count, states, append, out);
    fclose(out);
    return text;
}

/* The number on the line that begins with `series` and a space; -1 if there is none,
 * -2 if there are several. */
static double value_of(const char *text, const char *series)
{
    size_t len = strlen(series);
    double value = -1;

    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, series, len) == 0 && line[len] == ' ') {
            value = value < 0 ? strtod(line + len, NULL) : -2;
        }
    }
    return value;
}

static void assert_value(const char *text, const char *series, double wanted)
{
    double value = value_of(text, series);

    if (value < wanted - 1e-9 || value > wanted + 1e-9) {
        fail_msg("%s is %g and not %g in\n%s", series, value, wanted, text);
    }
}

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

static const char *skip_name(const char *at)
{
    assert_true(is_name(*at, true));
    while (is_name(*at, false)) {
        at++;
    }
    return at;
}

static const char *skip_labels(const char *at)
{
    do {
        at = skip_name(at + 1);
        assert_memory_equal(at, "=\"", 2);
        for (at += 2; *at != '"'; at++) {
            assert_true((unsigned char)*at >= ' ');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
        }
        at++;
    } while (*at == ',');
    assert_true(*at == '}');
    return at + 1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every line is Prometheus' grammar, and no series stands twice. Returns how many. */
static size_t check_format(const char *text)
{
    char *copy = strdup(text), *rest = copy, *line;
    char *series[20000];
    size_t count = 0;

    while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
        const char *at;
        char *end;

        if (strncmp(line, "# ", 2) == 0) {
            assert_true(strncmp(line, "# HELP ", 7) == 0 ||
                        strncmp(line, "# TYPE ", 7) == 0);
            continue;
        }
        at = skip_name(line);
        at = *at == '{' ? skip_labels(at) : at;
        assert_true(*at == ' ');
        strtod(at, &end);
        assert_true(end > at && *end == '\0');
        line[at - line] = '\0';
        assert_in_range(count, 0, 19999);
        series[count++] = line;
    }
    qsort(series, count, sizeof series[0], by_text);
    for (size_t i = 1; i < count; i++) {
        assert_string_not_equal(series[i - 1], series[i]);
    }
    free(copy);
    return count;
}

#define STORE(entry, field, text) text_store((entry).field, sizeof(entry).field, text)

static struct entry an_entry(void)
{
    struct entry entry = { .status = 200, .outcome = OUTCOME_COMPLETE };

    entry.duration_us = 1500000;
    entry.overhead_us = 40;
    entry.stream = 1;
    entry.ttft_us = 250000;
    entry.priced = 1;
    entry.cost_nanousd = 12345;
    entry.usage.source = USAGE_REPORTED;
    usage_set(&entry.usage, TOKENS_INPUT, 10);
    usage_set(&entry.usage, TOKENS_CACHE_READ, 1000);
    usage_set(&entry.usage, TOKENS_OUTPUT, 7);
    STORE(entry, team, SPAN("red"));
    STORE(entry, provider, SPAN("openai"));
    STORE(entry, dialect, SPAN("openai.chat"));
    STORE(entry, operation, SPAN("chat"));
    STORE(entry, request_model, SPAN("gpt-4o"));
    STORE(entry, response_model, SPAN("gpt-4o-2024-08-06"));
    return entry;
}

#define OTEL                                                                           \
    "{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\","                 \
    "gen_ai_request_model=\"gpt-4o\",gen_ai_response_model=\"gpt-4o-2024-08-06\""
#define PAYER "{team=\"red\",provider=\"openai\",model=\"gpt-4o-2024-08-06\""

static void test_one_exchange(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(100);
    struct entry entry = an_entry();
    char *text;

    (void)state;
    metrics_count(shard, &entry);
    metrics_add(shard, METRIC_CONNECTIONS, 3);
    metrics_add(shard, METRIC_CONNECTIONS, -1);
    metrics_in_flight(shard, 1, 1);
    text = scrape(&shard, 1);
    check_format(text);
    assert_value(text,
                 "assay_requests_total{team=\"red\",provider=\"openai\","
                 "dialect=\"openai.chat\",model=\"gpt-4o-2024-08-06\",status=\"2xx\","
                 "outcome=\"complete\",usage_source=\"reported\"}",
                 1);
    assert_value(text, "assay_tokens_total" PAYER ",class=\"input\",grade=\"unrated\"}",
                 10);
    assert_value(text,
                 "assay_tokens_total" PAYER ",class=\"cache_read\",grade=\"unrated\"}",
                 1000);
    assert_value(text, "assay_cost_nanousd_total" PAYER "}", 12345);
    assert_value(text,
                 "gen_ai_client_token_usage_sum" OTEL ",gen_ai_token_type=\"input\"}",
                 1010);
    assert_value(text,
                 "gen_ai_client_token_usage_bucket" OTEL
                 ",gen_ai_token_type=\"input\",le=\"256\"}",
                 0);
    assert_value(text,
                 "gen_ai_client_token_usage_bucket" OTEL
                 ",gen_ai_token_type=\"input\",le=\"1024\"}",
                 1);
    assert_value(text,
                 "gen_ai_client_token_usage_bucket" OTEL
                 ",gen_ai_token_type=\"output\",le=\"+Inf\"}",
                 1);
    assert_value(text, "gen_ai_client_operation_duration_sum" OTEL "}", 1.5);
    assert_value(text, "gen_ai_client_operation_duration_bucket" OTEL ",le=\"1.28\"}",
                 0);
    assert_value(text, "gen_ai_client_operation_duration_bucket" OTEL ",le=\"2.56\"}",
                 1);
    assert_value(text,
                 "gen_ai_client_operation_time_to_first_chunk_bucket" OTEL
                 ",le=\"0.25\"}",
                 1);
    assert_value(text, "assay_overhead_seconds_bucket{le=\"0.00005\"}", 1);
    assert_value(text, "assay_overhead_seconds_count", 1);
    assert_value(text, "assay_client_connections", 2);
    assert_value(text, "assay_exchanges_in_flight{state=\"relay\"}", 1);
    assert_value(text, "assay_exchanges_in_flight{state=\"head\"}", 0);
    assert_value(text, "assay_series_overflow_total", 0);
    free(text);
    metrics_shard_free(shard);
}

static void test_unknown_is_not_zero(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(100);
    struct entry entry = an_entry();
    char fault[64], *text;

    (void)state;
    entry.usage = (struct usage){ .source = USAGE_NONE };
    entry.outcome = OUTCOME_CLIENT_ABORT;
    entry.fault = FAULT_CLIENT_GONE;
    entry.priced = 0;
    metrics_count(shard, &entry);
    usage_set(&entry.usage, TOKENS_INPUT, 5);
    metrics_count(shard, &entry);
    text = scrape(&shard, 1);
    assert_value(text,
                 "gen_ai_client_token_usage_count" OTEL ",gen_ai_token_type=\"input\"}",
                 1);
    assert_value(text,
                 "gen_ai_client_token_usage_count" OTEL
                 ",gen_ai_token_type=\"output\"}",
                 -1);
    assert_value(text,
                 "gen_ai_client_operation_duration_count" OTEL
                 ",error_type=\"client_abort\"}",
                 2);
    assert_value(text,
                 "assay_unpriced_tokens_total{provider=\"openai\","
                 "model=\"gpt-4o-2024-08-06\"}",
                 5);
    assert_value(text, "assay_cost_nanousd_total" PAYER "}", -1);
    snprintf(fault, sizeof fault, "assay_faults_total{fault=\"%s\"}",
             fault_row(FAULT_CLIENT_GONE)->name);
    assert_value(text, fault, 2);
    free(text);
    metrics_shard_free(shard);
}

static void test_refused_is_no_operation(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(100);
    struct entry entry = { .status = 401,
                           .outcome = OUTCOME_REFUSED,
                           .fault = FAULT_NO_CREDENTIAL };
    char *text;

    (void)state;
    metrics_count(shard, &entry);
    text = scrape(&shard, 1);
    check_format(text);
    assert_value(text,
                 "assay_requests_total{status=\"4xx\",outcome=\"refused\","
                 "usage_source=\"none\"}",
                 1);
    assert_null(strstr(text, "gen_ai_client_operation_duration_count"));
    free(text);
    metrics_shard_free(shard);
}

static void assert_output(const char *text, const char *model, double wanted)
{
    char series[160];

    snprintf(series, sizeof series,
             "assay_tokens_total{team=\"red\",provider=\"openai\",model=\"%s\","
             "class=\"output\",grade=\"unrated\"}",
             model);
    assert_value(text, series, wanted);
}

/* Tokens beside the main usage, and within it, count once, at their own models. */
static void test_lines(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(10);
    struct entry entry = an_entry();
    char *text;

    (void)state;
    entry.line_count = 2;
    entry.lines = line_room();
    entry.lines[0] = (struct line){ .within = 1, .priced = 1, .cost_nanousd = 5 };
    usage_set(&entry.lines[0].usage, TOKENS_OUTPUT, 3);
    STORE(entry.lines[0], model, SPAN("llama"));
    entry.lines[1] = (struct line){ .kind = LINE_IMAGE_TOOL };
    usage_set(&entry.lines[1].usage, TOKENS_OUTPUT, 1000);
    metrics_count(shard, &entry);
    text = scrape(&shard, 1);
    assert_output(text, "gpt-4o-2024-08-06", 4);
    assert_output(text, "llama", 3);
    assert_output(text, "_unknown", 1000);
    assert_value(text,
                 "gen_ai_client_token_usage_sum" OTEL ",gen_ai_token_type=\"output\"}",
                 1007);
    free(text);
    metrics_shard_free(shard);
}

static void test_shards_are_summed(void **state)
{
    struct metrics_shard *shards[3];
    struct entry entry = an_entry();
    char *text;

    (void)state;
    for (int i = 0; i < 3; i++) {
        shards[i] = metrics_shard_new(10);
        for (int k = 0; k <= i; k++) {
            STORE(entry, caller, k == 0 ? SPAN("ana") : SPAN("bo"));
            metrics_count(shards[i], &entry);
        }
    }
    text = scrape(shards, 3);
    check_format(text);
    assert_value(text, "assay_cost_nanousd_total" PAYER "}", 6 * 12345);
    assert_value(text, "gen_ai_client_operation_duration_count" OTEL "}", 6);
    free(text);
    for (int i = 0; i < 3; i++) {
        metrics_shard_free(shards[i]);
    }
}

static void test_limit(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(20);
    struct entry entry = an_entry();
    char *text;

    (void)state;
    for (int i = 0; i < 100; i++) {
        char model[32];

        snprintf(model, sizeof model, "model-%d", i);
        STORE(entry, request_model, span_text(model));
        STORE(entry, response_model, span_text(model));
        metrics_count(shard, &entry);
    }
    text = scrape(&shard, 1);
    check_format(text);
    assert_value(text, "assay_series_overflow_total", 80);
    assert_value(text,
                 "assay_tokens_total{team=\"_other\",provider=\"_other\",model=\"_"
                 "other\","
                 "class=\"input\",grade=\"_other\"}",
                 800);
    assert_value(text,
                 "assay_tokens_total{team=\"red\",provider=\"openai\",model=\"model-"
                 "19\","
                 "class=\"input\",grade=\"unrated\"}",
                 10);
    free(text);
    metrics_shard_free(shard);
}

static void test_made_up_models(void **state)
{
    struct metrics_shard *shard = metrics_shard_new(20);
    struct entry entry = an_entry();
    char *text;

    (void)state;
    metrics_count(shard, &entry);
    entry.status = 503;
    metrics_count(shard, &entry); /* a model that was served before keeps its name */
    entry.status = 404;
    entry.response_model[0] = '\0';
    for (int i = 0; i < 1000; i++) {
        char model[32];

        snprintf(model, sizeof model, "made-up-%d", i);
        STORE(entry, request_model, span_text(model));
        metrics_count(shard, &entry);
    }
    text = scrape(&shard, 1);
    check_format(text);
    assert_value(text, "assay_series_overflow_total", 0);
    assert_value(text,
                 "assay_requests_total{team=\"red\",provider=\"openai\","
                 "dialect=\"openai.chat\",model=\"_other\",status=\"4xx\","
                 "outcome=\"complete\",usage_source=\"reported\"}",
                 1000);
    assert_value(text,
                 "assay_requests_total{team=\"red\",provider=\"openai\","
                 "dialect=\"openai.chat\",model=\"gpt-4o-2024-08-06\",status=\"5xx\","
                 "outcome=\"complete\",usage_source=\"reported\"}",
                 1);
    free(text);
    metrics_shard_free(shard);
}

static void test_hostile_names(void **state)
{
    static const char *const names[] = {
        "a\"} 1\nassay_evil 2", "back\\slash", "new\nline",    "\xff\xfe", "\xc3",
        "Z\xc3\xbcrich",        "\x01\x7f",    "\xed\xa0\x80", "?",
    };
    struct metrics_shard *shard = metrics_shard_new(100);
    struct entry entry = an_entry();
    char *text;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        /* By bytes: text_store() would already cut what is not UTF-8. */
        strcpy(entry.request_model, names[i]);
        strcpy(entry.response_model, names[i]);
        metrics_count(shard, &entry);
    }
    text = scrape(&shard, 1);
    check_format(text);
    assert_null(strstr(text, "\nassay_evil"));
    assert_non_null(strstr(text, "model=\"a\\\"} 1?assay_evil 2\""));
    assert_non_null(strstr(text, "model=\"back\\\\slash\""));
    assert_non_null(strstr(text, "model=\"Z\xc3\xbcrich\""));
    free(text);
    metrics_shard_free(shard);
}

/* ---- threads --------------------------------------------------------------------- */

enum { THREAD_COUNTS = 50000 };

static void *count_many(void *argument)
{
    struct entry entry = an_entry();

    for (int i = 0; i < THREAD_COUNTS; i++) {
        entry.request_model[0] = (char)('a' + i % 26);
        metrics_count(argument, &entry);
        metrics_in_flight(argument, 0, i % 2 == 0 ? 1 : -1);
    }
    return NULL;
}

static void test_read_while_counting(void **state)
{
    struct metrics_shard *shards[2];
    pthread_t workers[2];
    char *text;

    (void)state;
    for (int i = 0; i < 2; i++) {
        shards[i] = metrics_shard_new(100);
        assert_int_equal(pthread_create(&workers[i], NULL, count_many, shards[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        text = scrape(shards, 2);
        check_format(text);
        free(text);
    }
    pthread_join(workers[0], NULL);
    pthread_join(workers[1], NULL);
    text = scrape(shards, 2);
    assert_value(text, "assay_cost_nanousd_total" PAYER "}",
                 2.0 * (double)THREAD_COUNTS * 12345);
    free(text);
    metrics_shard_free(shards[0]);
    metrics_shard_free(shards[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_exchange),
        cmocka_unit_test(test_unknown_is_not_zero),
        cmocka_unit_test(test_refused_is_no_operation),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_shards_are_summed),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_made_up_models),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_read_while_counting),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

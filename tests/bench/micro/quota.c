/* What a call pays for its quotas: reserve and settle, as CPU time per matching policy. */
#include "proxy/meter/quota.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 1000000, CALLERS = 10000 };

static const char *const cases[][2] = {
    { "none", "" },
    { "1 of all calls, per day",
      "quotas: [{name: a, limit: 900G tokens, per: day}]\n" },
    { "1 per caller, per day in Berlin",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: day, "
      "timezone: Europe/Berlin}]\n" },
    { "1 per caller, rolling 5h",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: rolling 5h}]\n" },
    { "1 per caller, dollars per month",
      "quotas: [{name: a, each: caller, limit: $900000000, per: month}]\n" },
    { "4 of those", "quotas:\n"
                    "  - {name: a, limit: 900G tokens, per: day}\n"
                    "  - {name: b, each: caller, limit: 900G tokens, per: day, "
                    "timezone: Europe/Berlin}\n"
                    "  - {name: c, each: caller, limit: 900G tokens, per: rolling 5h}\n"
                    "  - {name: d, each: caller, limit: $900000000, per: month}\n" },
};

static uint64_t cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static struct config *read_config(const char *quotas, struct error *error)
{
    char memory[2048];
    struct text text = text_over(memory, sizeof memory);

    text_printf(&text,
                "listen: [{address: 127.0.0.1:1}]\n"
                "providers: {p: {url: 'http://localhost', dialects: [openai]}}\n%s",
                quotas);
    return config_parse("bench.yaml", text_span(&text), NULL, false, error);
}

static void run_call(struct quota *quota, struct quota_policies *policies,
                     const struct price_table *prices, struct entry *call,
                     uint64_t monotonic_ns)
{
    struct reservation reservation = { .count = 0 };
    struct quota_state refusal;

    call->reserved_input = 100;
    call->reserved_output = 200;
    if (quota_reserve(quota, policies, prices, call, monotonic_ns, &reservation,
                      &refusal) != QUOTA_TAKEN) {
        abort();
    }
    quota_settle(quota, prices, call, monotonic_ns, &reservation);
}

static void measure(const char *name, const char *quotas,
                    const struct price_table *prices)
{
    struct error error = { 0 };
    struct config *config = read_config(quotas, &error);
    struct quota_policies *policies = quota_policies_new(config, &error);
    struct quota *quota = quota_new(clock_unix_ns(), clock_monotonic_ns());
    struct entry call = { .started_ns = clock_unix_ns(), .status = 200 };
    uint64_t began;

    usage_set(&call.usage, TOKENS_INPUT, 90);
    usage_set(&call.usage, TOKENS_OUTPUT, 150);
    text_store(call.request_model, sizeof call.request_model, SPAN("gpt-4o"));
    quota_adopt(quota, policies);
    for (int warm = 0; warm < 2; warm++) {
        began = cpu_ns();
        for (unsigned i = 0; i < CALLS; i++) {
            snprintf(call.caller, sizeof call.caller, "c%u", i * 7919 % CALLERS);
            run_call(quota, policies, prices, &call, clock_monotonic_ns());
        }
    }
    printf("%-36s %6.0f ns per call\n", name, (double)(cpu_ns() - began) / CALLS);
    quota_policies_unref(policies);
    quota_free(quota);
    config_free(config);
}

int main(void)
{
    struct error error = { 0 };
    struct price_table *prices = price_table_load("config/prices.yaml", &error);

    if (prices == NULL) {
        error_print(&error, stderr);
        return 1;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        measure(cases[i][0], cases[i][1], prices);
    }
    price_table_free(prices);
    return 0;
}

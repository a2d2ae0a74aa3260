/* What a call pays for its quotas: reserve and settle, as CPU time
 * per matching policy. */
#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/meter/quota_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CALLS = 1000000, CALLERS = 10000 };

/* CPU time that a matching policy may add to a call. */
enum { GOAL_NS = 1000 };

static const struct {
    const char *name, *quotas;
    unsigned policies;
    bool shared;
} cases[] = {
    { "none", "", 0, false },
    { "1 of all calls, per day", "quotas: [{name: a, limit: 900G tokens, per: day}]\n",
      1, false },
    { "1 per caller, per day in Berlin",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: day, "
      "timezone: Europe/Berlin}]\n",
      1, false },
    { "1 per caller, with warnings and a burst",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: day, burst: 800G "
      "tokens, "
      "warn: [50%, 80%, 90%]}]\n",
      1, false },
    { "1 per caller, rolling 5h",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: rolling 5h}]\n", 1,
      false },
    { "1 per caller, dollars per month",
      "quotas: [{name: a, each: caller, limit: $900000000, per: month}]\n", 1, false },
    { "1 per caller, shared by replicas",
      "quotas: [{name: a, each: caller, limit: 900G tokens, per: day}]\n", 1, true },
    { "4 of those",
      "quotas:\n"
      "  - {name: a, limit: 900G tokens, per: day}\n"
      "  - {name: b, each: caller, limit: 900G tokens, per: day, timezone: "
      "Europe/Berlin}\n"
      "  - {name: c, each: caller, limit: 900G tokens, per: rolling 5h}\n"
      "  - {name: d, each: caller, limit: $900000000, per: month}\n",
      4, false },
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
    return config_parse("bench.yaml", text_span(&text), NULL, CONFIG_WITHOUT_SECRETS,
                        error);
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

/* Nanoseconds of CPU time per call. */
static uint64_t measure(const char *quotas, bool shared,
                        const struct price_table *prices)
{
    struct error error = { 0 };
    struct config *config = read_config(quotas, &error);
    struct quota_policies *policies = quota_policies_new(config, &error);
    struct quota *quota = quota_new(clock_unix_ns(), clock_monotonic_ns());
    struct entry call = { .started_ns = clock_unix_ns(), .status = 200 };
    uint64_t began, taken;

    usage_set(&call.usage, TOKENS_INPUT, 90);
    usage_set(&call.usage, TOKENS_OUTPUT, 150);
    text_store(call.request_model, sizeof call.request_model, SPAN("gpt-4o"));
    if (shared) {
        quota_share(quota, 5, true);
    }
    quota_adopt(quota, policies);
    for (int warm = 0; warm < 2; warm++) {
        began = cpu_ns();
        for (unsigned i = 0; i < CALLS; i++) {
            snprintf(call.caller, sizeof call.caller, "c%u", i * 7919 % CALLERS);
            run_call(quota, policies, prices, &call, clock_monotonic_ns());
        }
    }
    taken = (cpu_ns() - began) / CALLS;
    quota_policies_unref(policies);
    quota_free(quota);
    config_free(config);
    return taken;
}

int main(void)
{
    struct error error = { 0 };
    uint64_t alone = 0;
    int code = 0;
    struct price_table *prices = price_table_load("config/prices.yaml", &error);

    if (prices == NULL) {
        error_print(&error, stderr);
        return 1;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t taken = measure(cases[i].quotas, cases[i].shared, prices);
        uint64_t added = taken > alone ? taken - alone : 0;
        bool good = added <= (uint64_t)GOAL_NS * cases[i].policies || i == 0;

        alone = i == 0 ? taken : alone;
        printf("%-42s %6llu ns per call%s\n", cases[i].name, (unsigned long long)taken,
               good ? "" : ": more than 1 us per policy");
        code = good ? code : 1;
    }
    price_table_free(prices);
    return code;
}

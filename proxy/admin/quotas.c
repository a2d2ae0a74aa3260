#include "proxy/admin/quotas.h"

#include "proxy/admin/answer.h"
#include "proxy/base/clock.h"
#include "proxy/meter/quota_share.h"
#include "proxy/meter/quota_sum.h"

#include <event2/buffer.h>

#include <stdlib.h>

/* ---- metrics --------------------------------------------------------------------- */

static uint64_t limit(const struct quota_sum *sum)
{
    return sum->limit;
}

static uint64_t used(const struct quota_sum *sum)
{
    return sum->used;
}

static uint64_t reserved(const struct quota_sum *sum)
{
    return sum->reserved;
}

static uint64_t counters(const struct quota_sum *sum)
{
    return sum->counters;
}

static uint64_t highest(const struct quota_sum *sum)
{
    return sum->highest_percent;
}

static uint64_t refused(const struct quota_sum *sum)
{
    return sum->refused;
}

static uint64_t exceeded(const struct quota_sum *sum)
{
    return sum->exceeded;
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct quota_sum *sum);
} families[] = {
    { "assay_quota_limit", "gauge", "What one counter of the quota may take up.",
      limit },
    { "assay_quota_used", "gauge", "Used in open windows, all counters together.",
      used },
    { "assay_quota_reserved", "gauge", "Reserved by calls under way, all counters.",
      reserved },
    { "assay_quota_counters", "gauge", "Counters of the quota in use.", counters },
    { "assay_quota_highest_percent", "gauge",
      "Used by the fullest counter, in percent of the limit.", highest },
    { "assay_quota_refused_total", "counter", "Calls that the quota refused.",
      refused },
    { "assay_quota_exceeded_total", "counter",
      "Calls that crossed the limit and were let through.", exceeded },
};

void quotas_put_metrics(struct quota *quota, struct evbuffer *body)
{
    size_t count;
    struct quota_sum *sums =
        quota_sums(quota, clock_unix_ns(), clock_monotonic_ns(), &count);

    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        evbuffer_add_printf(body, "# HELP %s %s\n# TYPE %s %s\n", families[i].name,
                            families[i].help, families[i].name, families[i].type);
        for (size_t k = 0; k < count; k++) {
            evbuffer_add_printf(body, "%s{policy=\"%s\",unit=\"%s\"} %llu\n",
                                families[i].name, sums[k].name,
                                quota_unit_name(sums[k].unit),
                                (unsigned long long)families[i].value(&sums[k]));
        }
    }
    free(sums);
    evbuffer_add_printf(body,
                        "# HELP assay_quota_shared_up 1 while the server that replicas "
                        "share quotas by is in reach, or none is needed.\n"
                        "# TYPE assay_quota_shared_up gauge\n"
                        "assay_quota_shared_up %d\n",
                        quota_share_is_reachable(quota));
}

/* ---- JSON ------------------------------------------------------------------------ */

static void put_top(struct evbuffer *body, const struct quota_sum *sum)
{
    for (size_t i = 0; i < sum->top_count; i++) {
        const struct quota_top *top = &sum->top[i];

        evbuffer_add_printf(body, "%s{", i == 0 ? "" : ",");
        answer_put_text(body, "subject", top->subject);
        answer_put_text(body, "resets", top->resets);
        evbuffer_add_printf(body, "\"used\":%llu,\"reserved\":%llu}",
                            (unsigned long long)top->used,
                            (unsigned long long)top->reserved);
    }
}

static void put_sum(struct evbuffer *body, const struct quota_sum *sum, bool subjects)
{
    static const char *const over[] = {
        [OVER_REFUSE] = "refuse", [OVER_WARN] = "warn", [OVER_SHADOW] = "shadow"
    };

    evbuffer_add_printf(body, "{");
    answer_put_text(body, "name", sum->name);
    answer_put_text(body, "per", sum->period);
    answer_put_text(body, "unit", quota_unit_name(sum->unit));
    answer_put_text(body, "over", over[sum->over]);
    evbuffer_add_printf(body,
                        "\"limit\":%llu,\"used\":%llu,\"reserved\":%llu,"
                        "\"counters\":%llu,\"highest_percent\":%u,\"refused\":%llu,"
                        "\"exceeded\":%llu,\"top\":[",
                        (unsigned long long)sum->limit, (unsigned long long)sum->used,
                        (unsigned long long)sum->reserved,
                        (unsigned long long)sum->counters, sum->highest_percent,
                        (unsigned long long)sum->refused,
                        (unsigned long long)sum->exceeded);
    if (subjects) {
        put_top(body, sum);
    }
    evbuffer_add_printf(body, "]}");
}

void quotas_put_json(struct quota *quota, bool subjects, struct evbuffer *body)
{
    size_t count;
    struct quota_sum *sums =
        quota_sums(quota, clock_unix_ns(), clock_monotonic_ns(), &count);

    evbuffer_add_printf(body, "{\"quotas\":[");
    for (size_t i = 0; i < count; i++) {
        evbuffer_add_printf(body, i == 0 ? "\n" : ",\n");
        put_sum(body, &sums[i], subjects);
    }
    evbuffer_add_printf(body, "]}\n");
    free(sums);
}

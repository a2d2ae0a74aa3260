#include "proxy/alert/quota_alert.h"

#include "proxy/base/clock.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DATA_MAX = 2048, DAY_S = 24 * 60 * 60 };

struct telling {
    struct webhook *webhook;
    uint64_t unix_ns;
};

static void put_member(struct text *data, const char *name, const char *value)
{
    text_printf(data, "\"%s\":", name);
    text_put_json(data, span_text(value == NULL ? "" : value));
    text_put_char(data, ',');
}

static void put_data(struct text *data, const struct quota_state *state,
                     uint32_t percent)
{
    static const char *const over[] = {
        [OVER_REFUSE] = "refuse", [OVER_WARN] = "warn", [OVER_SHADOW] = "shadow"
    };
    const struct config_quota *rule = &state->policy->rule;

    text_put_char(data, '{');
    put_member(data, "quota", rule->name);
    put_member(data, "subject", state->subject);
    put_member(data, "limit", rule->limit.text);
    put_member(data, "per", rule->period.text);
    put_member(data, "over", over[rule->over]);
    put_member(data, "contact", rule->contact);
    put_member(data, "unit", quota_unit_name(rule->limit.unit));
    text_put(data, SPAN("\"resets\":\""));
    quota_put_reset(data, state);
    text_printf(data, "\",\"share\":%u,\"used\":%llu,\"reserved\":%llu,\"of\":%llu}",
                percent, (unsigned long long)state->used,
                (unsigned long long)state->reserved,
                (unsigned long long)rule->limit.amount);
}

/* The same in every process that has the policy: receivers know it again. */
static XXH128_hash_t id_of(const struct quota_state *state, uint32_t percent)
{
    const uint64_t what[] = { state->policy->meaning, percent,
                              (uint64_t)state->window_s };
    uint64_t seed = XXH3_64bits(what, sizeof what);

    return XXH3_128bits_withSeed(state->subject, strlen(state->subject), seed);
}

static void tell(void *self, const struct quota_state *state, uint32_t percent)
{
    const struct telling *telling = self;
    XXH128_hash_t id = id_of(state, percent);
    char memory[DATA_MAX];
    struct text data = text_over(memory, sizeof memory);
    int64_t now_s = clock_seconds(telling->unix_ns);
    int64_t rolling_s = state->policy->rule.period.rolling_s;

    put_data(&data, state, percent);
    if (data.full) {
        return; /* no name or contact that fits the schema is that long */
    }
    webhook_tell(telling->webhook,
                 &(struct webhook_news){
                     .event = percent < 100 ? "quota.warning" : "quota.reached",
                     .id = { id.high64, id.low64 },
                     .data = text_span(&data),
                     .unix_ns = telling->unix_ns,
                     .remembered_s =
                         (rolling_s > 0 ? now_s + rolling_s : state->resets_s) + DAY_S,
                 });
}

void quota_alert(struct webhook *webhook, struct quota *quota, uint64_t unix_ns,
                 uint64_t monotonic_ns)
{
    struct telling telling = { webhook, unix_ns };

    quota_each_reached(quota, unix_ns, monotonic_ns, tell, &telling);
}

#include "proxy/meter/quota_sum.h"

#include <stdlib.h>

#define STORE(array, value) text_store(array, sizeof(array), span_text(value))

struct summing {
    struct quota_sum *sums;
    const struct quota_policy **policies; /* of each sum, while quota_each() runs */
    size_t count, room;
};

static void add_policy(struct summing *summing, const struct quota_policy *policy)
{
    const struct config_quota *rule = &policy->rule;
    struct quota_sum *sum;

    if (summing->count == summing->room) {
        summing->room = summing->room == 0 ? 16 : summing->room * 2;
        summing->sums =
            reallocarray(summing->sums, summing->room, sizeof *summing->sums);
        summing->policies = reallocarray(summing->policies, summing->room,
                                         sizeof(const struct quota_policy *));
        CHECK(summing->sums != NULL && summing->policies != NULL);
    }
    summing->policies[summing->count] = policy;
    sum = &summing->sums[summing->count++];
    *sum = (struct quota_sum){
        .unit = rule->limit.unit,
        .over = rule->over,
        .many = rule->each != EACH_ALL,
        .limit = rule->limit.amount,
        .refused = atomic_load_explicit(&policy->refused, memory_order_relaxed),
        .exceeded = atomic_load_explicit(&policy->exceeded, memory_order_relaxed),
    };
    STORE(sum->name, rule->name);
    STORE(sum->limit_text, rule->limit.text);
    STORE(sum->period, rule->period.text);
}

static void store_top(struct quota_top *top, const struct quota_state *state)
{
    struct text resets = text_over(top->resets, sizeof top->resets - 1);

    STORE(top->subject, state->subject);
    top->used = state->used;
    top->reserved = state->reserved;
    if (state->resets_s > 0) {
        quota_put_reset(&resets, state);
    }
    top->resets[resets.len] = '\0';
}

static void add_top(struct quota_sum *sum, const struct quota_state *state)
{
    size_t at = sum->top_count;

    while (at > 0 && sum->top[at - 1].used < state->used) {
        at--;
    }
    if (at == QUOTA_TOP_MAX) {
        return;
    }
    if (sum->top_count < QUOTA_TOP_MAX) {
        sum->top_count++;
    }
    memmove(&sum->top[at + 1], &sum->top[at],
            (sum->top_count - 1 - at) * sizeof sum->top[0]);
    store_top(&sum->top[at], state);
}

static void add_counter(struct quota_sum *sum, const struct quota_state *state)
{
    uint32_t percent = quota_percent(state->used, sum->limit);

    sum->used += state->used;
    sum->reserved += state->reserved;
    sum->counters++;
    sum->highest_percent =
        percent > sum->highest_percent ? percent : sum->highest_percent;
    add_top(sum, state);
}

static void add_state(void *self, const struct quota_state *state)
{
    struct summing *summing = self;

    if (state->subject == NULL) {
        add_policy(summing, state->policy);
        return;
    }
    for (size_t i = 0; i < summing->count; i++) {
        if (summing->policies[i] == state->policy) {
            add_counter(&summing->sums[i], state);
            return;
        }
    }
}

struct quota_sum *quota_sums(struct quota *quota, uint64_t unix_ns,
                             uint64_t monotonic_ns, size_t *count)
{
    struct summing summing = { .count = 0 };

    quota_each(quota, unix_ns, monotonic_ns, add_state, &summing);
    free(summing.policies);
    *count = summing.count;
    return summing.sums;
}

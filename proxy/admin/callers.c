#include "proxy/admin/callers.h"

#include "proxy/admin/answer.h"
#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/quota_policy.h"

#include <event2/buffer.h>

/* One answer on its way. */
struct listing {
    const struct callers_query *query;
    struct evbuffer *body;
    size_t count;
};

static uint64_t tokens_of(const struct ledger_sum *sum)
{
    uint64_t tokens = 0;

    for (size_t i = 0; i < TOKEN_CLASSES; i++) {
        tokens += sum->tokens[i];
    }
    return tokens;
}

static void put_sum(void *self, const struct ledger_sum *sum)
{
    struct listing *listing = self;
    const struct callers_query *query = listing->query;
    struct evbuffer *body = listing->body;

    if (!guest_sees(query->guest, sum->team) ||
        (query->caller != NULL && strcmp(query->caller, sum->caller) != 0)) {
        return;
    }
    evbuffer_add_printf(body, listing->count++ == 0 ? "\n{" : ",\n{");
    answer_put_text(body, "team", sum->team);
    answer_put_text(body, "caller", sum->caller);
    if (query->caller != NULL) {
        answer_put_text(body, "day", sum->day);
        answer_put_text(body, "model", sum->model);
    }
    evbuffer_add_printf(body,
                        "\"exchanges\":%llu,\"refused\":%llu,\"tokens\":%llu,"
                        "\"cost_nanousd\":%lld,\"unpriced_tokens\":%llu}",
                        (unsigned long long)sum->exchanges,
                        (unsigned long long)sum->refused,
                        (unsigned long long)tokens_of(sum),
                        (long long)sum->cost_nanousd,
                        (unsigned long long)sum->unpriced_tokens);
}

static void put_quota(void *self, const struct quota_state *state)
{
    struct listing *listing = self;
    char memory[64];
    struct text resets = text_over(memory, sizeof memory - 1);

    if (state->subject == NULL || state->policy->rule.each != EACH_CALLER ||
        strcmp(state->subject, listing->query->caller) != 0) {
        return;
    }
    quota_put_reset(&resets, state);
    memory[resets.len] = '\0';
    evbuffer_add_printf(listing->body, listing->count++ == 0 ? "\n{" : ",\n{");
    answer_put_text(listing->body, "name", state->policy->rule.name);
    answer_put_text(listing->body, "resets", memory);
    evbuffer_add_printf(listing->body,
                        "\"limit\":%llu,\"used\":%llu,\"reserved\":%llu}",
                        (unsigned long long)state->policy->rule.limit.amount,
                        (unsigned long long)state->used,
                        (unsigned long long)state->reserved);
}

bool callers_put_json(const struct callers_query *query, struct quota *quota,
                      struct evbuffer *body, size_t *found, struct error *error)
{
    const struct ledger_query since = { .since_ns = query->since_ns };
    unsigned by = LEDGER_BY_TEAM | LEDGER_BY_CALLER;
    struct listing listing = { .query = query, .body = body };

    if (query->caller != NULL) {
        by |= LEDGER_BY_DAY | LEDGER_BY_MODEL;
    }
    evbuffer_add_printf(body, "{\"callers\":[");
    if (!ledger_sums(query->state, &since, by, put_sum, &listing, error)) {
        return false;
    }
    *found = listing.count;
    evbuffer_add_printf(body, "]");
    if (query->caller != NULL && *found > 0) {
        listing.count = 0;
        evbuffer_add_printf(body, ",\"quotas\":[");
        quota_each(quota, clock_unix_ns(), clock_monotonic_ns(), put_quota, &listing);
        evbuffer_add_printf(body, "]");
    }
    evbuffer_add_printf(body, "}\n");
    return true;
}

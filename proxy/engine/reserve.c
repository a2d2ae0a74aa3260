#include "proxy/engine/reserve.h"

#include "filters/count/tokens.h"
#include "proxy/base/clock.h"
#include "proxy/engine/permit.h"
#include "proxy/engine/worker.h"

enum { WORDS_MAX = 1024 };

/* Quotas that came into force since the exchange began count it, too. */
static const struct snapshot *newest(const struct exchange *x)
{
    return x->worker->view->snapshot;
}

bool reserve_waits(const struct exchange *x)
{
    return permit_waits(x) ||
           (!x->entry->free && quota_policies_need_body(newest(x)->quotas, x->entry));
}

/* ---- how much it may come to ----------------------------------------------------- */

/* Is anything generated? */
static bool has_output(const struct exchange *x)
{
    return (x->route->flags & (ROUTE_NO_USAGE | ROUTE_INPUT_ONLY)) == 0;
}

static uint64_t output_bound(const struct exchange *x)
{
    const struct facts *facts = &x->facts;
    uint64_t choices = facts->choices > 0 ? facts->choices : 1;
    uint64_t each = facts->max_output > 0
                        ? facts->max_output
                        : quota_usual_output(x->worker->quota, facts->model);
    uint64_t all;

    if (!has_output(x)) {
        return 0;
    }
    if (__builtin_mul_overflow(each, choices, &all) || all > LIMIT_MOST) {
        return LIMIT_MOST;
    }
    return all;
}

static void note_bounds(const struct exchange *x, struct entry *entry)
{
    uint64_t bytes =
        x->request.ended ? x->input_text_bytes : request_watch_text_bytes(x->asked);
    uint64_t input = tokens_estimate(span_text(x->facts.model), bytes);

    entry->reserved_input = input > 0 ? input : 1; /* 0 says: was not let through */
    entry->reserved_output = output_bound(x);
}

/* ---- refusals -------------------------------------------------------------------- */

/* Would a smaller call have been let through? */
static bool has_some_left(const struct quota_state *refusal)
{
    const struct config_limit *limit = &refusal->policy->rule.limit;

    return refusal->asked > 1 && !refusal->paced && !refusal->leased &&
           refusal->used + refusal->reserved < limit->amount;
}

static void put_asked(struct text *text, const struct quota_state *refusal)
{
    const struct config_limit *limit = &refusal->policy->rule.limit;

    text_put(text, SPAN(", and this call may come to "));
    quota_put_amount(text, limit->unit, refusal->asked);
    if (refusal->asked > limit->amount) {
        text_put(text, SPAN(", more than it ever has: ask for less output, or with "
                            "less input"));
    }
}

static void put_counter(struct text *text, const struct quota_state *refusal)
{
    const struct config_quota *rule = &refusal->policy->rule;

    text_printf(text, "quota '%s' %s: ", rule->name,
                refusal->paced           ? "is used too fast"
                : has_some_left(refusal) ? "has too little left for this call"
                                         : "is used up");
    quota_put_amount(text, rule->limit.unit, refusal->used);
    text_put(text, SPAN(" used"));
    if (refusal->reserved > 0) {
        text_put(text, SPAN(" and "));
        quota_put_amount(text, rule->limit.unit, refusal->reserved);
        text_put(text, SPAN(" reserved by calls under way"));
    }
    text_put(text, SPAN(", of "));
    text_put(text, span_text(rule->limit.text));
    if (rule->period.text != NULL) {
        text_put(text,
                 rule->period.unit == PERIOD_ROLLING ? SPAN(" in ") : SPAN(" per "));
        text_put(text, span_text(rule->period.text));
    }
    if (refusal->paced) {
        text_put(text, SPAN(" and at most "));
        text_put(text, span_text(rule->burst.text));
        text_put(text, SPAN(" ahead of an even pace"));
    }
    if (refusal->subject[0] != '\0') {
        text_printf(text, " for '%s'", refusal->subject);
    }
    if (has_some_left(refusal)) {
        put_asked(text, refusal);
    }
}

static void put_way_out(struct text *text, const struct quota_state *refusal)
{
    const struct config_quota *rule = &refusal->policy->rule;

    if (refusal->leased) {
        text_put(text,
                 SPAN("; this replica has used what it leased of that and asks for "
                      "more: try again soon"));
        return;
    }
    if (refusal->paced) {
        text_put(text, SPAN("; there is room for this call at "));
        quota_put_reset(text, refusal);
    } else if (refusal->resets_s > 0) {
        text_put(text, rule->period.unit == PERIOD_ROLLING
                           ? SPAN("; some of it is free again at ")
                           : SPAN("; it begins anew at "));
        quota_put_reset(text, refusal);
    } else if (refusal->reserved > 0) {
        text_put(text, SPAN("; wait for a call under way to end"));
    }
    if (rule->contact != NULL) {
        text_put(text, SPAN("; ask "));
        text_put(text, span_text(rule->contact));
    }
}

static void tell_refusal(struct exchange *x, const struct quota_state *refusal)
{
    int64_t now_s = clock_seconds(clock_unix_ns());
    char memory[WORDS_MAX];
    struct text words = text_over(memory, sizeof memory);

    put_counter(&words, refusal);
    put_way_out(&words, refusal);
    x->refusal_words = arena_copy(&x->arena, text_span(&words));
    x->retry_after_s = !refusal->leased && refusal->resets_s > now_s
                           ? (uint64_t)(refusal->resets_s - now_s)
                           : 1;
}

/* ---- life ------------------------------------------------------------------------ */

static enum fault reserve_quotas(struct exchange *x)
{
    const struct snapshot *snapshot = newest(x);
    struct quota_state refusal;

    note_bounds(x, x->entry);
    switch (quota_reserve(x->worker->quota, snapshot->quotas, snapshot->prices,
                          x->entry, x->began_ns, &x->reservation, &refusal)) {
    case QUOTA_REFUSED:
        tell_refusal(x, &refusal);
        return refusal.leased ? FAULT_QUOTA_LEASE : FAULT_QUOTA_EXCEEDED;
    case QUOTA_FULL:
        return FAULT_OVERLOADED;
    case QUOTA_TAKEN:
        break;
    }
    if (snapshot != x->view->snapshot) {
        x->reservation.policies = quota_policies_ref(snapshot->quotas);
    }
    return FAULT_NONE;
}

enum fault reserve(struct exchange *x)
{
    enum fault fault = permit(x);

    return fault != FAULT_NONE || x->entry->free ? fault : reserve_quotas(x);
}

enum fault reserve_try(struct exchange *x)
{
    bool free = x->entry->free;
    enum fault fault;

    x->entry->free = false;
    fault = reserve_quotas(x);
    x->entry->reserved_input = 0;
    x->entry->reserved_output = 0;
    quota_settle(x->worker->quota, x->view->snapshot->prices, x->entry,
                 x->worker->loop->now_ns, &x->reservation);
    x->entry->free = free;
    return fault;
}

void reserve_join(struct exchange *x)
{
    if (x->entry->free) {
        return;
    }
    if (x->entry->reserved_input == 0) {
        x->quota_waits = x->quota_waits || reserve_waits(x);
        return;
    }
    quota_join(x->worker->quota, newest(x)->quotas, x->view->snapshot->prices, x->entry,
               x->worker->loop->now_ns, &x->reservation);
}

bool reserve_more(struct exchange *x, uint64_t output)
{
    struct quota_state refusal;

    if (quota_extend(x->worker->quota, x->view->snapshot->prices, x->entry, output,
                     clock_unix_ns(), &x->reservation, &refusal)) {
        return true;
    }
    tell_refusal(x, &refusal);
    return false;
}

/* What ended before anything was sent to its provider was never let through. */
static bool was_sent(const struct exchange *x)
{
    return x->state != EXCHANGE_HOLD && x->state != EXCHANGE_CONNECT;
}

void reserve_settle(struct exchange *x, struct entry *entry)
{
    if (!was_sent(x)) {
        entry->reserved_input = 0;
        entry->reserved_output = 0;
    }
    quota_settle(x->worker->quota, x->view->snapshot->prices, entry,
                 x->worker->loop->now_ns, &x->reservation);
}

/* ---- warnings -------------------------------------------------------------------- */

static void put_amount_line(struct text *head, struct span name,
                            const struct quota_state *state, uint64_t amount)
{
    text_put(head, name);
    quota_put_amount(head, state->policy->rule.limit.unit, amount);
    text_put(head, SPAN("\r\n"));
}

void reserve_put_warning(const struct exchange *x, struct text *head)
{
    struct quota_state state;
    uint32_t percent = quota_warning(&x->reservation, &state);

    if (percent == 0) {
        return;
    }
    text_printf(head, "assay-quota-warning: %s %u%%\r\n", state.policy->rule.name,
                percent);
    put_amount_line(head, SPAN("assay-quota-used: "), &state, state.used);
    put_amount_line(head, SPAN("assay-quota-limit: "), &state,
                    state.policy->rule.limit.amount);
    if (state.resets_s > 0) {
        text_put(head, SPAN("assay-quota-reset: "));
        quota_put_reset(head, &state);
        text_put(head, SPAN("\r\n"));
    }
}

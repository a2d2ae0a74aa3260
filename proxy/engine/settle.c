#include "proxy/engine/settle.h"

#include "proxy/base/clock.h"
#include "proxy/engine/drift.h"
#include "proxy/engine/later.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/turns.h"
#include "proxy/engine/worker.h"

static void store(char *array, size_t size, const char *value)
{
    text_store(array, size, span_text(value));
}

#define STORE(array, value) store(array, sizeof(array), value)

/* Between arrays: all of the other, so that its length need not be found first. */
#define COPY(array, other)                                                             \
    do {                                                                               \
        _Static_assert(sizeof(array) >= sizeof(other), "too small");                   \
        memcpy(array, other, sizeof(other));                                           \
    } while (0)

void settle_open(struct exchange *x, const struct known_caller *caller,
                 uint64_t now_unix_ns)
{
    struct entry *entry = x->entry;

    entry->started_ns = now_unix_ns;
    COPY(entry->team, caller->team);
    COPY(entry->caller, caller->name);
    COPY(entry->key, caller->key_id);
    STORE(entry->tags, caller->tags);
    entry->service = caller->service;
    if (x->origin != NULL) {
        STORE(entry->provider, x->origin->provider->name);
    }
    STORE(entry->dialect, x->dialect->name);
    if ((x->route->flags & ROUTE_WEBSOCKET) != 0) {
        STORE(entry->operation, "connect"); /* what is asked on it is recorded apart */
        entry->free = true;
    } else {
        STORE(entry->operation, x->route->operation);
        entry->free = (x->route->flags & ROUTE_FREE) != 0;
    }
    entry->grade = (uint8_t)analyst_grade(x->worker->analyst, entry);
    /* The analyst does not wait for a connection that may last for days. */
    if ((x->route->flags & ROUTE_WEBSOCKET) == 0) {
        analyst_opened(x->worker->analyst, &x->looked_at,
                       (int64_t)(entry->started_ns / NS_PER_MS));
    }
}

void settle_open_within(struct exchange *x, const struct entry *socket)
{
    uint64_t id = x->entry->id;

    entry_copy(x->entry, socket);
    x->entry->id = id;
    x->entry->started_ns = clock_unix_ns();
    x->entry->ttfb_us = 0;
    x->entry->overhead_us = 0;
    x->entry->free = false;
    STORE(x->entry->operation, x->route->operation);
    x->entry->grade = (uint8_t)analyst_grade(x->worker->analyst, x->entry);
    analyst_opened(x->worker->analyst, &x->looked_at,
                   (int64_t)(x->entry->started_ns / NS_PER_MS));
}

void settle_facts(struct exchange *x)
{
    struct entry *entry = x->entry;

    COPY(entry->request_model, x->facts.model);
    COPY(entry->service_tier, x->facts.service_tier);
    if (x->claims != NULL) {
        COPY(entry->tool, x->claims->tool);
        COPY(entry->tool_version, x->claims->tool_version);
        COPY(entry->mode, x->claims->mode);
        COPY(entry->session, x->claims->session);
        COPY(entry->agent, x->claims->agent);
        entry->retry = x->claims->retry;
    }
    entry->max_output = x->facts.max_output;
    entry->stream = x->facts.stream;
}

static enum outcome outcome_of(const struct exchange *x)
{
    const struct fault_row *row = fault_row(x->fault);

    if (x->fault == FAULT_NONE) {
        return OUTCOME_COMPLETE;
    }
    if (x->fault == FAULT_QUOTA_CUT) {
        return OUTCOME_QUOTA_CUT;
    }
    if (x->fault == FAULT_CLIENT_GONE) {
        return OUTCOME_CLIENT_ABORT;
    }
    if (row->blame == BLAME_UPSTREAM) {
        if (row->status == 504) {
            return OUTCOME_TIMEOUT;
        }
        /* What may be sent again has not been seen by the provider. */
        return row->retry ? OUTCOME_REFUSED : OUTCOME_UPSTREAM_CUT;
    }
    return x->refused ? OUTCOME_REFUSED : OUTCOME_UPSTREAM_CUT;
}

/* The table's price of tokens that a call used at this model; false: none is known. */
static bool price_usage(const struct exchange *x, const struct entry *entry,
                        const char *model, const struct usage *usage, int64_t *cost)
{
    const struct price_key key = {
        .provider = span_text(entry->provider),
        .model = span_text(model),
        .service_tier = span_text(entry->service_tier),
        .at_unix_ns = entry->started_ns,
        .input_tokens = usage_input(usage),
    };
    struct price_rates rates;

    if (!price_find(x->view->snapshot->prices, &key, &rates) ||
        !price_covers(&rates, usage)) {
        return false;
    }
    *cost = price_cost(&rates, usage);
    return true;
}

/* The provider's own word is the price of all. */
static void price_lines(const struct exchange *x, struct entry *entry)
{
    for (uint8_t i = 0; i < entry->line_count; i++) {
        struct line *line = &entry->lines[i];

        line->priced =
            entry->usage.reported_nanousd >= 0 ||
            price_usage(x, entry, line->model, &line->usage, &line->cost_nanousd);
    }
}

/* Money: the provider's own word, else the table's price. What used no tokens costs
 * nothing; what used tokens that nobody could count is unpriced, never free. */
static void price(const struct exchange *x, struct entry *entry)
{
    const char *model =
        entry->response_model[0] != '\0' ? entry->response_model : entry->request_model;

    price_lines(x, entry);
    if (entry->usage.reported_nanousd >= 0) {
        entry->cost_nanousd = entry->usage.reported_nanousd;
        entry->priced = 1;
    } else if (entry->free || !x->response_watched || entry->status >= 400) {
        entry->priced = 1;
    } else if (entry->usage.source != USAGE_NONE) {
        struct usage own = entry_own_usage(entry);

        entry->priced = price_usage(x, entry, model, &own, &entry->cost_nanousd) ||
                        (entry->line_count > 0 && usage_total(&own) == 0);
    }
}

/* What the exchange came to, into its slot of the journal or, where it has none, into
 * an entry that only the counters see. */
static void settle_entry(struct exchange *x, struct entry *entry)
{
    struct worker *worker = x->worker;
    bool whole = x->response.ended, later = false;

    entry->duration_us = (worker->loop->now_ns - x->began_ns) / NS_PER_US;
    entry->request_bytes = x->request.bytes;
    entry->response_bytes = x->response.bytes;
    entry->status = x->status;
    entry->fault = (uint8_t)x->fault;
    entry->drained = x->state == EXCHANGE_DRAIN && whole;
    if (x->answered != NULL) {
        drift_expect(x);
        response_watch_settle(x->answered, whole, &x->facts, x->input_text_bytes,
                              entry);
        later = later_settle(x, entry, whole);
        drift_settle(x, entry);
    }
    entry->outcome = (uint8_t)outcome_of(x);
    price(x, entry);
    reserve_settle(x, entry);
    if (later) {
        quota_add(worker->quota, x->view->snapshot->quotas, x->view->snapshot->prices,
                  entry, worker->loop->now_ns);
    }
    later_charged(x, entry);
    metrics_count(worker->metrics, entry);
    turns_settle(x, entry);
    analyst_closed(worker->analyst, &x->looked_at);
}

void settle(struct exchange *x)
{
    if (x->entry == NULL) {
        struct entry unowned = { .usage = { .reported_nanousd = -1 } };

        settle_entry(x, &unowned);
        return;
    }
    settle_facts(x);
    settle_entry(x, x->entry);
    journal_settle(x->worker->journal, x->entry);
    x->entry = NULL;
}

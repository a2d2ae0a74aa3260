#include "proxy/engine/later.h"

#include "proxy/base/clock.h"
#include "proxy/engine/settle.h"
#include "proxy/engine/worker.h"

static bool shows_object(const struct exchange *x)
{
    return (x->route->flags & ROUTE_ONCE) != 0;
}

void later_ask(struct exchange *x)
{
    if (shows_object(x) && x->facts.object != 0) {
        x->facts.awaited = once_awaited(x->worker->once, once_object(x->entry->provider,
                                                                     x->facts.object));
    }
}

bool later_expected(const struct exchange *x)
{
    return (x->route->flags & ROUTE_LATER) != 0 || x->facts.background;
}

void later_read(struct exchange *x)
{
    uint64_t object = later_expected(x) ? response_watch_object(x->answered) : 0;

    if (object != 0 && x->entry->object == 0) {
        settle_facts(x);
        x->entry->object = once_object(x->entry->provider, object);
        once_await(x->worker->once, x->entry, x->reservation.steady_s);
    }
}

static void drop_usage(struct entry *entry)
{
    entry->usage = (struct usage){ .reported_nanousd = -1 };
    entry->line_count = 0;
}

/* Objects that are not done yet may show a usage of zeros. */
static bool has_usage(const struct entry *entry)
{
    return entry_input(entry) > 0 || entry_output(entry) > 0;
}

/* Is the usage final: will no later answer of the object show more? */
static bool is_final(const struct exchange *x, const struct entry *entry, bool whole)
{
    return whole && has_usage(entry) &&
           ((x->route->flags & ROUTE_LINES) != 0 || x->dialect->terminal == NULL ||
            response_watch_finished(x->answered));
}

static void take_back(struct exchange *x, const struct entry *call, int64_t began_s)
{
    const struct snapshot *snapshot = x->view->snapshot;

    quota_take_back(x->worker->quota, snapshot->quotas, snapshot->prices, call, began_s,
                    clock_unix_ns(), x->worker->loop->now_ns);
}

/* *entry becomes the bill of the object's maker, if nobody was faster. */
static bool claim(struct exchange *x, uint64_t object, struct entry *entry)
{
    struct once_charge charge;

    if (!once_claim(x->worker->once, object, entry, &charge)) {
        return false;
    }
    if (charge.charged) {
        take_back(x, &charge.call, charge.began_s);
    }
    return true;
}

static bool settle_shown(struct exchange *x, struct entry *entry, bool whole)
{
    struct once *once = x->worker->once;
    uint64_t object = once_object(entry->provider, x->facts.object);
    uint64_t file = response_watch_file(x->answered);
    bool final = is_final(x, entry, whole);

    if (final && claim(x, object, entry)) {
        entry->free = 0;
        return true;
    }
    if (file != 0) {
        once_also(once, object, once_object(entry->provider, file));
    }
    drop_usage(entry);
    return false;
}

bool later_settle(struct exchange *x, struct entry *entry, bool whole)
{
    if (shows_object(x)) {
        return x->facts.awaited && settle_shown(x, entry, whole);
    }
    /* Somebody who asked for it may have been faster. */
    if (entry->object != 0 && !(has_usage(entry) && claim(x, entry->object, entry))) {
        drop_usage(entry);
    }
    return false;
}

void later_charged(struct exchange *x, const struct entry *entry)
{
    if (!shows_object(x) && entry->object != 0 && !has_usage(entry) &&
        !once_charged(x->worker->once, entry)) {
        take_back(x, entry, x->reservation.steady_s);
    }
}

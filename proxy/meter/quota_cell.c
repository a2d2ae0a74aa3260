#include "proxy/meter/quota_cell.h"

/* Sums stay here once they get here: nothing real does. */
#define SUM_MAX (UINT64_C(1) << 62)

/* Of a step's epoch: it has left the period and was taken out of the sums. Alone: it is
 * being taken out of them. */
#define STEP_GONE    (UINT32_C(1) << 31)
#define STEP_LEAVING STEP_GONE

void quota_cell_back(struct quota_cell *cell)
{
    atomic_fetch_sub_explicit(&cell->uses, 1, memory_order_release);
}

uint64_t quota_cell_held(const struct quota_cell *cell)
{
    return atomic_load_explicit(&cell->held, memory_order_relaxed);
}

uint64_t quota_cell_used(const struct quota_cell *cell)
{
    return atomic_load_explicit(&cell->used, memory_order_relaxed);
}

bool quota_cell_hold_from(struct quota_cell *cell, uint64_t amount, uint64_t from,
                          uint64_t limit)
{
    uint64_t held = quota_cell_held(cell);

    do {
        if (held >= from || amount > limit || held > limit - amount) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&cell->held, &held, held + amount,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool quota_cell_hold(struct quota_cell *cell, uint64_t amount, uint64_t limit)
{
    return quota_cell_hold_from(cell, amount, UINT64_MAX, limit);
}

/* Returns what it is now. */
static uint64_t change(atomic_uint_least64_t *sum, uint64_t plus, uint64_t minus)
{
    uint64_t old = atomic_load_explicit(sum, memory_order_relaxed), changed;

    do {
        changed = plus > SUM_MAX || old > SUM_MAX - plus ? SUM_MAX : old + plus;
        changed = changed > minus ? changed - minus : 0;
    } while (!atomic_compare_exchange_weak_explicit(sum, &old, changed,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return changed;
}

/* ---- rolling periods ------------------------------------------------------------- */

/* From 1. */
static uint32_t epoch_of(const struct quota_cell *cell, int64_t unix_s)
{
    return (uint32_t)(unix_s / cell->step_s) + 1;
}

/* Steps of this epoch and before it have left the period. */
static uint32_t gone_by(const struct quota_cell *cell, int64_t now_s)
{
    uint32_t now = epoch_of(cell, now_s);

    return now > QUOTA_STEPS ? now - QUOTA_STEPS : 0;
}

/* Nobody takes a step over, or takes something else out of it, before its amount has
 * left it: it would leave twice. */
static bool close_step(struct quota_steps *steps, unsigned step, uint32_t epoch)
{
    return atomic_compare_exchange_strong_explicit(&steps->epochs[step], &epoch,
                                                   STEP_LEAVING, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Empties a step that was last used in `epoch`, unless another thread does; that epoch
 * does not come back to it. What is read before the claim was all used in that epoch,
 * but for what was refunded meanwhile; what a late settlement adds after it stays, and
 * counts until the step's next use leaves the period. */
static void empty_step(struct quota_cell *cell, unsigned step, uint32_t epoch)
{
    struct quota_steps *steps = cell->steps;
    uint64_t amount = atomic_load_explicit(&steps->amounts[step], memory_order_acquire);

    if (close_step(steps, step, epoch)) {
        amount = least(amount, atomic_load_explicit(&steps->amounts[step],
                                                    memory_order_acquire));
        atomic_fetch_sub_explicit(&steps->amounts[step], amount, memory_order_acq_rel);
        change(&cell->used, 0, amount);
        change(&cell->held, 0, amount);
        atomic_store_explicit(&steps->epochs[step], epoch | STEP_GONE,
                              memory_order_release);
    }
}

void quota_cell_expire(struct quota_cell *cell, int64_t now_s)
{
    uint32_t gone;

    if (cell->steps == NULL) {
        return;
    }
    gone = gone_by(cell, now_s);
    for (unsigned i = 0; i < QUOTA_STEPS; i++) {
        uint32_t epoch =
            atomic_load_explicit(&cell->steps->epochs[i], memory_order_acquire);

        if (epoch != 0 && epoch <= gone) { /* not one that is gone already */
            empty_step(cell, i, epoch);
        }
    }
}

/* The step of an epoch that has not left the period; false: it has. While another
 * thread takes an earlier epoch out of the step nobody waits: what is added then has no
 * epoch of its own, and counts until the step's next use leaves the period. */
static bool claim_step(struct quota_cell *cell, unsigned step, uint32_t epoch)
{
    atomic_uint_least32_t *place = &cell->steps->epochs[step];
    uint32_t found = atomic_load_explicit(place, memory_order_acquire);

    while (found != epoch && found != STEP_LEAVING) {
        if ((found & ~STEP_GONE) >= epoch) {
            return false;
        }
        if (found != 0 && (found & STEP_GONE) == 0) {
            empty_step(cell, step, found);
            found = atomic_load_explicit(place, memory_order_acquire);
        } else if (atomic_compare_exchange_strong_explicit(place, &found, epoch,
                                                           memory_order_acq_rel,
                                                           memory_order_acquire)) {
            return true;
        }
    }
    return true;
}

/* After the sums have it, so that whoever empties the step finds it there. */
static void add_to_step(struct quota_cell *cell, uint32_t epoch, uint64_t amount)
{
    unsigned step = epoch % QUOTA_STEPS;

    if (claim_step(cell, step, epoch)) {
        atomic_fetch_add_explicit(&cell->steps->amounts[step], amount,
                                  memory_order_release);
    } else {
        change(&cell->used, 0, amount);
        change(&cell->held, 0, amount);
    }
}

uint64_t quota_cell_settle(struct quota_cell *cell, uint64_t reserved, uint64_t used,
                           int64_t began_s, int64_t now_s)
{
    uint64_t now_used;

    if (cell->steps != NULL && epoch_of(cell, began_s) <= gone_by(cell, now_s)) {
        used = 0; /* it began so long ago that it has left the period */
    }
    change(&cell->held, used, reserved);
    if (used == 0) {
        return quota_cell_used(cell);
    }
    now_used = change(&cell->used, used, 0);
    if (cell->steps != NULL) {
        add_to_step(cell, epoch_of(cell, began_s), used);
    }
    return now_used;
}

/* Takes at most so much out of the step of this epoch, and returns how much that
 * was. While another thread has the step, or it is gone, nothing: it leaves, or has
 * left, with it. */
static uint64_t take_from_step(struct quota_steps *steps, uint32_t epoch,
                               uint64_t amount)
{
    unsigned step = epoch % QUOTA_STEPS;

    if (!close_step(steps, step, epoch)) {
        return 0;
    }
    amount = least(amount,
                   atomic_load_explicit(&steps->amounts[step], memory_order_acquire));
    atomic_fetch_sub_explicit(&steps->amounts[step], amount, memory_order_acq_rel);
    atomic_store_explicit(&steps->epochs[step], epoch, memory_order_release);
    return amount;
}

void quota_cell_refund(struct quota_cell *cell, uint64_t amount, int64_t began_s,
                       int64_t now_s)
{
    if (cell->steps != NULL) {
        uint32_t epoch = epoch_of(cell, began_s);

        /* The step that leaves next may be another's already, by his clock. */
        amount = epoch <= gone_by(cell, now_s) + 1
                     ? 0
                     : take_from_step(cell->steps, epoch, amount);
    }
    change(&cell->used, 0, amount);
    change(&cell->held, 0, amount);
}

int64_t quota_cell_frees_at(const struct quota_cell *cell)
{
    uint32_t oldest = UINT32_MAX;

    for (unsigned i = 0; cell->steps != NULL && i < QUOTA_STEPS; i++) {
        uint32_t epoch =
            atomic_load_explicit(&cell->steps->epochs[i], memory_order_relaxed);

        if (epoch != 0 && (epoch & STEP_GONE) == 0 && epoch < oldest &&
            atomic_load_explicit(&cell->steps->amounts[i], memory_order_relaxed) > 0) {
            oldest = epoch;
        }
    }
    return oldest == UINT32_MAX ? 0
                                : ((int64_t)oldest - 1 + QUOTA_STEPS) * cell->step_s;
}

/* The table is an array of sets of 15 places; a key has one set. A place holds a part of
 * the key's hash and the number of a cell, so that looking one up reads two cache lines.
 *
 * Why no key gets two cells, though nobody locks: who looks into a set first adds itself
 * to `readers`, and sweeping empties places only while there are none. So as long as
 * anybody looks, places only fill. A new cell goes into the first empty place that was
 * seen; of two threads with the same key either both try that place, where one fails and
 * looks again, or one saw the place that the other has filled, and with it its key. */
#include "proxy/meter/quota_cell.h"

#include "proxy/meter/quota_lease.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    SETS = 1 << 16,
    PLACES = 15,
    CELLS_MAX = 1 << 18,
    STEPS_MAX = 1 << 17,
    CELL_BITS = 24, /* of a place: the cell's number, from 1 */
    SWEEP_SETS = SETS / 16,
    KEPT_S = 60 * 60,
    KEPT_SCARCE_S = 60,
    SPINS = 64
};

/* Sums stay here once they get here: nothing real does. */
#define SUM_MAX (UINT64_C(1) << 62)

/* In `readers`: a sweep empties places. */
#define SWEEPING (UINT64_C(1) << 63)

/* Of a step's epoch: it has left the period and was taken out of the sums. Alone: it is
 * being taken out of them. */
#define STEP_GONE    (UINT32_C(1) << 31)
#define STEP_LEAVING STEP_GONE

#define CELL_MASK ((UINT64_C(1) << CELL_BITS) - 1)

struct quota_set {
    atomic_uint_least64_t places[PLACES];
    atomic_uint_least64_t readers;
};
static_assert(sizeof(struct quota_set) == 128, "two cache lines");
static_assert(sizeof(struct quota_cell) <= 136, "100,000 callers fit into 64 MiB");

/* Objects that are taken and given back by number, from 1: a list of spare ones, whose
 * head carries a count of its changes, and those that were never taken. */
struct pool {
    atomic_uint_least64_t spare;
    atomic_uint_least32_t fresh;
    uint32_t most;
};

struct quota_cells {
    struct quota_set *sets;
    struct quota_cell *cells;
    struct quota_steps *steps;
    struct quota_leases *leases; /* NULL: the counters are not shared */
    struct pool cell_pool, step_pool;
    atomic_uint_least32_t count;
    uint64_t seed;  /* clients that cannot know it cannot make keys collide */
    uint32_t swept; /* sets, ever */
};

/* ---- memory --------------------------------------------------------------------------- */

/* Pages are given by the kernel as they are written to, zeroed. */
static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(memory != MAP_FAILED);
    return memory;
}

struct quota_cells *quota_cells_new(void)
{
    struct quota_cells *cells = calloc(1, sizeof *cells);

    CHECK(cells != NULL);
    cells->sets = map(SETS * sizeof(struct quota_set));
    cells->cells = map(CELLS_MAX * sizeof(struct quota_cell));
    cells->steps = map(STEPS_MAX * sizeof(struct quota_steps));
    cells->cell_pool.most = CELLS_MAX;
    cells->step_pool.most = STEPS_MAX;
    CHECK(getrandom(&cells->seed, sizeof cells->seed, 0) == sizeof cells->seed);
    return cells;
}

struct quota_cells *quota_cells_free(struct quota_cells *cells)
{
    if (cells != NULL) {
        munmap(cells->sets, SETS * sizeof(struct quota_set));
        munmap(cells->cells, CELLS_MAX * sizeof(struct quota_cell));
        munmap(cells->steps, STEPS_MAX * sizeof(struct quota_steps));
        free(cells);
    }
    return NULL;
}

static atomic_uint_least32_t *cell_link(struct quota_cells *cells, uint32_t number)
{
    return &cells->cells[number - 1].next;
}

static atomic_uint_least32_t *steps_link(struct quota_cells *cells, uint32_t number)
{
    return &cells->steps[number - 1].next;
}

static atomic_uint_least32_t *link_in(struct quota_cells *cells,
                                      const struct pool *pool, uint32_t number)
{
    return pool == &cells->cell_pool ? cell_link(cells, number)
                                     : steps_link(cells, number);
}

/* A number from 1; 0: all are taken. */
static uint32_t pool_take(struct quota_cells *cells, struct pool *pool)
{
    uint64_t head = atomic_load_explicit(&pool->spare, memory_order_acquire);
    uint32_t fresh = atomic_load_explicit(&pool->fresh, memory_order_relaxed);

    while ((uint32_t)head != 0) {
        uint32_t next = atomic_load_explicit(link_in(cells, pool, (uint32_t)head),
                                             memory_order_relaxed);
        uint64_t changed = ((head >> 32) + 1) << 32 | next;

        if (atomic_compare_exchange_weak_explicit(&pool->spare, &head, changed,
                                                  memory_order_acquire,
                                                  memory_order_acquire)) {
            return (uint32_t)head;
        }
    }
    while (fresh < pool->most) {
        if (atomic_compare_exchange_weak_explicit(&pool->fresh, &fresh, fresh + 1,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return fresh + 1;
        }
    }
    return 0;
}

static void pool_back(struct quota_cells *cells, struct pool *pool, uint32_t number)
{
    uint64_t head = atomic_load_explicit(&pool->spare, memory_order_relaxed);
    uint64_t changed;

    do {
        atomic_store_explicit(link_in(cells, pool, number), (uint32_t)head,
                              memory_order_relaxed);
        changed = ((head >> 32) + 1) << 32 | number;
    } while (!atomic_compare_exchange_weak_explicit(&pool->spare, &head, changed,
                                                    memory_order_release,
                                                    memory_order_relaxed));
}

static void cell_free(struct quota_cells *cells, uint32_t number)
{
    struct quota_cell *cell = &cells->cells[number - 1];

    if (cell->steps != NULL) {
        pool_back(cells, &cells->step_pool, (uint32_t)(cell->steps - cells->steps) + 1);
    }
    pool_back(cells, &cells->cell_pool, number);
    atomic_fetch_sub_explicit(&cells->count, 1, memory_order_relaxed);
}

static bool give_steps(struct quota_cells *cells, struct quota_cell *cell,
                       uint32_t step_s)
{
    uint32_t number;

    cell->step_s = step_s;
    cell->steps = NULL;
    if (step_s == 0) {
        return true;
    }
    number = pool_take(cells, &cells->step_pool);
    if (number == 0) {
        return false;
    }
    cell->steps = &cells->steps[number - 1];
    for (unsigned i = 0; i < QUOTA_STEPS; i++) {
        atomic_store_explicit(&cell->steps->amounts[i], 0, memory_order_relaxed);
        atomic_store_explicit(&cell->steps->epochs[i], 0, memory_order_relaxed);
    }
    return true;
}

/* What a cell is looked up by. */
struct wanted {
    const struct quota_policy *policy;
    const struct quota_window *window;
    struct span subject;
    uint64_t key;
};

/* A cell that is not in the table yet, its caller's own; 0: there is none. */
static uint32_t cell_new(struct quota_cells *cells, const struct wanted *wanted)
{
    uint32_t number = pool_take(cells, &cells->cell_pool);
    struct quota_cell *cell;

    if (number == 0) {
        return 0;
    }
    atomic_fetch_add_explicit(&cells->count, 1, memory_order_relaxed);
    cell = &cells->cells[number - 1];
    atomic_store_explicit(&cell->held, 0, memory_order_relaxed);
    atomic_store_explicit(&cell->used, 0, memory_order_relaxed);
    atomic_store_explicit(&cell->uses, 1, memory_order_relaxed);
    cell->key = wanted->key;
    cell->policy = wanted->policy->number;
    atomic_store_explicit(&cell->refused, false, memory_order_relaxed);
    cell->told = 0;
    cell->begins = wanted->window->begins;
    cell->ends = wanted->window->ends;
    cell->over_since_s = 0;
    text_store(cell->subject, sizeof cell->subject, wanted->subject);
    if (!give_steps(cells, cell, wanted->policy->step_s)) {
        cell_free(cells, number);
        return 0;
    }
    if (cells->leases != NULL) {
        quota_lease_begin(cells->leases, number, wanted->policy->rule.limit.amount);
    }
    return number;
}

void quota_cells_share(struct quota_cells *cells, struct quota_leases *leases)
{
    cells->leases = leases;
}

uint32_t quota_cells_most(void)
{
    return CELLS_MAX;
}

uint32_t quota_cell_number(const struct quota_cells *cells,
                           const struct quota_cell *cell)
{
    return (uint32_t)(cell - cells->cells) + 1;
}

struct quota_cell *quota_cell_numbered(struct quota_cells *cells, uint32_t number)
{
    return &cells->cells[number - 1];
}

/* ---- the table ------------------------------------------------------------------------ */

/* A sweep holds a set for some dozen instructions, once in seconds. */
static void read_begin(struct quota_set *set)
{
    unsigned spins = 0;

    while ((atomic_fetch_add_explicit(&set->readers, 1, memory_order_acq_rel) &
            SWEEPING) != 0) {
        atomic_fetch_sub_explicit(&set->readers, 1, memory_order_relaxed);
        if (++spins % SPINS == 0) {
            sched_yield();
        }
    }
}

static void read_end(struct quota_set *set)
{
    atomic_fetch_sub_explicit(&set->readers, 1, memory_order_release);
}

static uint64_t key_of(const struct quota_cells *cells, const struct wanted *wanted)
{
    const uint64_t where[] = { wanted->policy->number,
                               (uint64_t)wanted->window->begins };
    uint64_t seed = XXH3_64bits_withSeed(where, sizeof where, cells->seed);

    return XXH3_64bits_withSeed(wanted->subject.at, wanted->subject.len, seed);
}

/* The cell of a key in its set; NULL, and in *empty the first empty place (PLACES: none). */
static struct quota_cell *set_find(struct quota_cells *cells, struct quota_set *set,
                                   uint64_t key, unsigned *empty)
{
    *empty = PLACES;
    for (unsigned i = 0; i < PLACES; i++) {
        uint64_t place = atomic_load_explicit(&set->places[i], memory_order_acquire);

        if (place == 0) {
            *empty = *empty == PLACES ? i : *empty;
        } else if ((place & ~CELL_MASK) == (key & ~CELL_MASK)) {
            struct quota_cell *cell = &cells->cells[(place & CELL_MASK) - 1];

            if (cell->key == key) {
                return cell;
            }
        }
    }
    return NULL;
}

/* Puts a cell into a place; false if another thread was faster. */
static bool set_fill(struct quota_set *set, unsigned place, uint64_t key,
                     uint32_t number)
{
    uint64_t nothing = 0;

    return atomic_compare_exchange_strong_explicit(&set->places[place], &nothing,
                                                   (key & ~CELL_MASK) | number,
                                                   memory_order_acq_rel,
                                                   memory_order_acquire);
}

static struct quota_cell *set_take(struct quota_cells *cells, struct quota_set *set,
                                   const struct wanted *wanted)
{
    uint32_t number = 0;
    unsigned empty;
    struct quota_cell *cell;

    while ((cell = set_find(cells, set, wanted->key, &empty)) == NULL &&
           empty < PLACES) {
        number = number == 0 ? cell_new(cells, wanted) : number;
        if (number == 0) {
            return NULL;
        }
        if (set_fill(set, empty, wanted->key, number)) {
            return &cells->cells[number - 1];
        }
    }
    if (number != 0) {
        cell_free(cells, number);
    }
    if (cell != NULL) {
        atomic_fetch_add_explicit(&cell->uses, 1, memory_order_relaxed);
    }
    return cell;
}

static struct quota_cell *take(struct quota_cells *cells, struct wanted *wanted)
{
    struct quota_set *set;
    struct quota_cell *cell;

    wanted->key = key_of(cells, wanted);
    set = &cells->sets[wanted->key % SETS];
    read_begin(set);
    cell = set_take(cells, set, wanted);
    read_end(set);
    return cell;
}

static bool is_chosen_by_clients(const struct quota_policy *policy)
{
    return policy->rule.each == EACH_SESSION || policy->rule.each == EACH_MODEL;
}

struct quota_cell *quota_cell_take(struct quota_cells *cells,
                                   const struct quota_policy *policy,
                                   const struct quota_window *window,
                                   struct span subject)
{
    struct wanted wanted = { .policy = policy, .window = window, .subject = subject };
    struct quota_cell *cell = NULL;

    if (!is_chosen_by_clients(policy) || quota_cells_count(cells) < CELLS_MAX / 2) {
        cell = take(cells, &wanted);
    }
    if (cell == NULL) {
        wanted.subject = SPAN("_other");
        cell = take(cells, &wanted);
    }
    return cell;
}

void quota_cell_back(struct quota_cell *cell)
{
    atomic_fetch_sub_explicit(&cell->uses, 1, memory_order_release);
}

uint32_t quota_cells_count(const struct quota_cells *cells)
{
    return atomic_load_explicit(&cells->count, memory_order_relaxed);
}

/* ---- sums ----------------------------------------------------------------------------- */

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

/* Nobody takes a step over, or takes something else out of it, before its amount has left
 * it: it would leave twice. */
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

/* Empties a step that was last used in `epoch`, unless another thread does; that epoch does
 * not come back to it. What is read before the claim was all used in that epoch, but for what
 * was refunded meanwhile; what a late settlement adds after it stays, and counts until the
 * step's next use leaves the period. */
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

/* Takes at most so much out of the step of this epoch, and returns how much that was. While
 * another thread has the step, or it is gone, nothing: it leaves, or has left, with it. */
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

/* ---- all of them ---------------------------------------------------------------------- */

static bool is_empty(const struct quota_set *set)
{
    for (unsigned i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&set->places[i], memory_order_relaxed) != 0) {
            return false;
        }
    }
    return true;
}

void quota_cells_each(struct quota_cells *cells,
                      void (*each)(void *self, struct quota_cell *cell), void *self)
{
    uint32_t sets = quota_cells_count(cells) == 0 ? 0 : SETS;

    for (uint32_t i = 0; i < sets; i++) {
        struct quota_set *set = &cells->sets[i];

        if (is_empty(set)) {
            continue;
        }
        read_begin(set);
        for (unsigned k = 0; k < PLACES; k++) {
            uint64_t place =
                atomic_load_explicit(&set->places[k], memory_order_acquire);

            if (place != 0) {
                each(self, &cells->cells[(place & CELL_MASK) - 1]);
            }
        }
        read_end(set);
    }
}

/* What a sweep goes by. */
struct sweep {
    int64_t unix_s, steady_s;
    uint32_t kept_s;
};

static bool is_over(struct quota_cell *cell, const struct sweep *sweep)
{
    if (atomic_load_explicit(&cell->uses, memory_order_acquire) > 0) {
        return false;
    }
    quota_cell_expire(cell, sweep->steady_s);
    return cell->ends != 0 ? cell->ends <= sweep->unix_s : quota_cell_held(cell) == 0;
}

static bool is_to_go(struct quota_cell *cell, const struct sweep *sweep)
{
    uint32_t now_s = (uint32_t)sweep->steady_s;

    if (!is_over(cell, sweep)) {
        cell->over_since_s = 0;
    } else if (cell->over_since_s == 0) {
        cell->over_since_s = now_s;
    }
    return cell->over_since_s != 0 && now_s - cell->over_since_s >= sweep->kept_s;
}

static void sweep_set(struct quota_cells *cells, struct quota_set *set,
                      const struct sweep *sweep)
{
    uint64_t nobody = 0;

    if (!atomic_compare_exchange_strong_explicit(&set->readers, &nobody, SWEEPING,
                                                 memory_order_acq_rel,
                                                 memory_order_relaxed)) {
        return;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        uint64_t place = atomic_load_explicit(&set->places[i], memory_order_relaxed);

        if (place != 0 && is_to_go(&cells->cells[(place & CELL_MASK) - 1], sweep)) {
            atomic_store_explicit(&set->places[i], 0, memory_order_relaxed);
            cell_free(cells, (uint32_t)(place & CELL_MASK));
        }
    }
    atomic_fetch_sub_explicit(&set->readers, SWEEPING, memory_order_release);
}

void quota_cells_sweep(struct quota_cells *cells, int64_t unix_s, int64_t steady_s)
{
    uint32_t count = quota_cells_count(cells);
    struct sweep sweep = {
        .unix_s = unix_s,
        .steady_s = steady_s,
        .kept_s = count > CELLS_MAX / 4 * 3 ? KEPT_SCARCE_S : KEPT_S,
    };

    for (uint32_t i = 0; count > 0 && i < SWEEP_SETS; i++) {
        struct quota_set *set = &cells->sets[cells->swept++ % SETS];

        if (!is_empty(set)) {
            sweep_set(cells, set, &sweep);
        }
    }
}

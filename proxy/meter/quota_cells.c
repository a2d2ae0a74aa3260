/* The table is an array of sets of 15 places; a key has one set. A place holds a
 * part of the key's hash and the number of a cell, so that looking one up reads
 * two cache lines.
 *
 * Why no key gets two cells, though nobody locks: who looks into a set first adds
 * itself to `readers`, and sweeping empties places only while there are none. So as
 * long as anybody looks, places only fill. A new cell goes into the first empty place
 * that was seen; of two threads with the same key either both try that place, where
 * one fails and looks again, or one saw the place that the other has filled, and with
 * it its key. */
#include "proxy/meter/quota_cells.h"

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

/* In `readers`: a sweep empties places. */
#define SWEEPING (UINT64_C(1) << 63)

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

/* ---- memory ---------------------------------------------------------------------- */

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

uint32_t quota_cells_number(const struct quota_cells *cells,
                            const struct quota_cell *cell)
{
    return (uint32_t)(cell - cells->cells) + 1;
}

struct quota_cell *quota_cells_at(struct quota_cells *cells, uint32_t number)
{
    return &cells->cells[number - 1];
}

/* ---- the table ------------------------------------------------------------------- */

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

/* The cell of a key in its set; NULL, and in *empty the first empty
 * place (PLACES: none). */
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

struct quota_cell *quota_cells_take(struct quota_cells *cells,
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

uint32_t quota_cells_count(const struct quota_cells *cells)
{
    return atomic_load_explicit(&cells->count, memory_order_relaxed);
}

/* ---- all of them ----------------------------------------------------------------- */

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

#include "filters/detect/state_table.h"

#include "filters/detect/large_pages.h"
#include "filters/detect/state_pack.h"
#include "filters/detect/state_slab.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MIN = 256,
    NEWCOMER_CALLS = 8, /* who made more is kept whole */
    NEWCOMER_MAX = 888, /* bytes of a packed state; a longer one is kept whole */
    HAND_STEPS = 32,    /* states that are looked at for one to give up */
    ESTABLISHED = 255   /* turns; more earn no further protection */
};

/* Every cell begins with the identity whose it is. */
struct newcomer {
    uint64_t identity;
    unsigned char packed[NEWCOMER_MAX];
};

static_assert(offsetof(struct identity_state, identity) == 0, "as a newcomer's");

/* Open addressing, at most half full. */
struct slot {
    uint64_t identity;
    uint64_t number; /* of the last call */
    void *memory;    /* a cell; NULL: free */
    uint32_t last;   /* turn, in the state's time */
    uint16_t packed; /* its length; 0: it is kept whole */
    uint8_t turns;   /* at most ESTABLISHED */
    bool changed;    /* since it was saved */
};

struct state_table {
    struct slot *slots;
    size_t count;
    size_t size;     /* a power of two */
    uint64_t states; /* bytes */
    uint64_t bound;
    struct state_keeper keeper;
    struct slab_pool pool;
    struct state_slab newcomers;
    struct state_slab whole;
    size_t hand;                            /* of eviction */
    size_t saved;                           /* of saving */
    unsigned char packed[STATE_PACKED_MAX]; /* for the moment */
};

/* In large pages as soon as it fills one. */
static struct slot *new_slots(size_t size)
{
    struct slot *slots = large_pages_new(size * sizeof *slots);

    if (slots != NULL && size * sizeof *slots >= LARGE_PAGE) {
        large_pages_use(slots, size * sizeof *slots);
    }
    return slots;
}

static void free_slots(struct slot *slots, size_t size)
{
    large_pages_free(slots, size * sizeof *slots);
}

struct state_table *state_table_new(uint64_t memory, const struct state_keeper *keeper)
{
    struct state_table *table = calloc(1, sizeof *table);

    if (table == NULL) {
        return NULL;
    }
    table->bound = memory == 0 ? UINT64_MAX : memory;
    table->keeper = *keeper;
    table->newcomers = state_slab_of(&table->pool, sizeof(struct newcomer));
    table->whole = state_slab_of(&table->pool, sizeof(struct identity_state));
    table->size = SLOTS_MIN;
    table->slots = new_slots(table->size);
    return table->slots == NULL ? state_table_free(table) : table;
}

struct state_table *state_table_free(struct state_table *table)
{
    if (table != NULL) {
        state_slab_clear(&table->newcomers);
        state_slab_clear(&table->whole);
        slab_pool_free(&table->pool);
        free_slots(table->slots, table->size);
        free(table);
    }
    return NULL;
}

uint64_t state_table_memory(const struct state_table *table)
{
    return table->states + table->size * sizeof *table->slots;
}

size_t state_table_count(const struct state_table *table)
{
    return table->count;
}

/* ---- places ---------------------------------------------------------------------------- */

/* Where the identity is, or would be. */
static size_t find(const struct slot *slots, size_t size, uint64_t identity)
{
    size_t at = (size_t)identity & (size - 1);

    while (slots[at].memory != NULL && slots[at].identity != identity) {
        at = (at + 1) & (size - 1);
    }
    return at;
}

void state_table_expect(const struct state_table *table, uint64_t identity)
{
    __builtin_prefetch(&table->slots[identity & (table->size - 1)]);
}

void state_table_expect_state(const struct state_table *table, uint64_t identity,
                              bool all)
{
    const struct slot *slot = &table->slots[find(table->slots, table->size, identity)];
    size_t size = slot->packed != 0 ? sizeof(uint64_t) + slot->packed
                  : all             ? sizeof(struct identity_state)
                                    : STATE_TOUCHED;

    for (size_t at = 0; slot->memory != NULL && at < size; at += CACHE_LINE) {
        __builtin_prefetch((const char *)slot->memory + at);
    }
}

static bool grow(struct state_table *table)
{
    size_t size = table->size * 2;
    struct slot *slots;

    if (table->count < table->size / 2) {
        return true;
    }
    slots = new_slots(size);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i].memory != NULL) {
            slots[find(slots, size, table->slots[i].identity)] = table->slots[i];
        }
    }
    free_slots(table->slots, table->size);
    table->slots = slots;
    table->size = size;
    table->saved = 0;
    return true;
}

static struct state_slab *slab_of(struct state_table *table, size_t packed)
{
    return packed == 0 ? &table->whole : &table->newcomers;
}

/* Gives the slot's cell back; another that is moved into its place stays known. */
static void release(struct state_table *table, const struct slot *slot)
{
    struct state_slab *slab = slab_of(table, slot->packed);

    table->states -= slab->size;
    if (state_slab_give(slab, slot->memory)) {
        const uint64_t *identity = slot->memory;

        table->slots[find(table->slots, table->size, *identity)].memory = slot->memory;
    }
}

/* Frees a place; moves those behind it that were pushed away from theirs. */
static void clear(struct state_table *table, size_t at)
{
    size_t mask = table->size - 1;

    release(table, &table->slots[at]);
    table->slots[at] = (struct slot){ 0 };
    table->count--;
    for (size_t next = (at + 1) & mask; table->slots[next].memory != NULL;
         next = (next + 1) & mask) {
        size_t home = (size_t)table->slots[next].identity & mask;

        if (((next - home) & mask) >= ((next - at) & mask)) {
            table->slots[at] = table->slots[next];
            table->slots[next] = (struct slot){ 0 };
            at = next;
        }
    }
}

/* ---- the keeper ------------------------------------------------------------------------ */

/* Of a newcomer. */
static struct span packed_of(const struct slot *slot)
{
    const struct newcomer *newcomer = slot->memory;

    return span_of((const char *)newcomer->packed, slot->packed);
}

static void save(struct state_table *table, struct slot *slot)
{
    if (slot->changed && table->keeper.save != NULL) {
        struct span packed = packed_of(slot);

        if (slot->packed == 0) {
            packed = span_of((const char *)table->packed,
                             state_pack(slot->memory, table->packed));
        }
        table->keeper.save(table->keeper.self, slot->identity, slot->number, packed);
    }
    slot->changed = false;
}

bool state_table_save(struct state_table *table, size_t slots)
{
    for (; slots > 0 && table->saved < table->size; slots--, table->saved++) {
        if (table->slots[table->saved].memory != NULL) {
            save(table, &table->slots[table->saved]);
        }
    }
    if (table->saved < table->size) {
        return false;
    }
    table->saved = 0;
    return true;
}

/* Is a of less worth than b? */
static bool is_less(const struct slot *a, const struct slot *b)
{
    return a->turns != b->turns ? a->turns < b->turns : a->last < b->last;
}

/* Gives up the least of the next few. */
static void evict(struct state_table *table)
{
    struct slot *least = NULL;

    for (unsigned seen = 0; seen < HAND_STEPS && seen < table->count;) {
        struct slot *slot = &table->slots[table->hand++ & (table->size - 1)];

        if (slot->memory != NULL) {
            least = least == NULL || is_less(slot, least) ? slot : least;
            seen++;
        }
    }
    save(table, least);
    clear(table, (size_t)(least - table->slots));
}

static void make_room(struct state_table *table, uint64_t bytes)
{
    while (table->count > 0 && state_table_memory(table) + bytes > table->bound) {
        evict(table);
    }
}

/* ---- states ---------------------------------------------------------------------------- */

/* The slot has a cell for a state that is packed, or (0) whole. false without memory; then
 * it is as it was. */
static bool take_cell(struct state_table *table, struct slot *slot, size_t packed)
{
    struct state_slab *slab = slab_of(table, packed);
    void *cell = slot->memory;

    if (cell == NULL || slab != slab_of(table, slot->packed)) {
        cell = state_slab_take(slab);
        if (cell == NULL) {
            return false;
        }
        if (slot->memory != NULL) {
            release(table, slot);
        }
        table->states += slab->size;
    }
    slot->memory = cell;
    slot->packed = (uint16_t)packed;
    return true;
}

static bool keep_whole(struct state_table *table, struct slot *slot,
                       const struct identity_state *state)
{
    if (!take_cell(table, slot, 0)) {
        return false;
    }
    memcpy(slot->memory, state, sizeof *state);
    return true;
}

static bool keep(struct state_table *table, struct slot *slot,
                 const struct identity_state *state)
{
    bool newcomer = state->calls <= NEWCOMER_CALLS;
    size_t length = newcomer ? state_pack(state, table->packed) : 0;
    struct newcomer *cell;

    if (!newcomer || length > NEWCOMER_MAX) {
        return keep_whole(table, slot, state);
    }
    if (!take_cell(table, slot, length)) {
        return false;
    }
    cell = slot->memory;
    cell->identity = slot->identity;
    memcpy(cell->packed, table->packed, length);
    return true;
}

/* A place for an identity that has none yet, with its state in open->unpacked. */
static bool place(struct state_table *table, uint64_t identity, bool make,
                  struct open_state *open)
{
    uint64_t number = 0;
    bool known =
        table->keeper.load != NULL &&
        table->keeper.load(table->keeper.self, identity, &number, &open->unpacked);

    if (!known && !make) {
        return false;
    }
    if (!known) {
        identity_state_init(&open->unpacked, identity);
    }
    open->unpacked.identity = identity; /* cells are found by it */
    make_room(table, table->whole.size);
    if (!grow(table)) {
        return false;
    }
    open->slot = find(table->slots, table->size, identity);
    table->slots[open->slot].identity = identity;
    table->slots[open->slot].number = number;
    if (!keep(table, &table->slots[open->slot], &open->unpacked)) {
        return false;
    }
    table->count++;
    return true;
}

bool state_table_open(struct state_table *table, uint64_t identity, bool make,
                      struct open_state *open)
{
    const struct slot *slot;
    bool here;

    open->state = NULL;
    open->slot = find(table->slots, table->size, identity);
    here = table->slots[open->slot].memory != NULL;
    if (!here && !place(table, identity, make, open)) {
        return false;
    }
    slot = &table->slots[open->slot];
    if (here && slot->packed != 0) {
        bool good = state_unpack(packed_of(slot), &open->unpacked);

        CHECK(good);
    }
    open->state = slot->packed == 0 ? slot->memory : &open->unpacked;
    return true;
}

uint64_t state_table_number(const struct state_table *table,
                            const struct open_state *open)
{
    return table->slots[open->slot].number;
}

void state_table_close(struct state_table *table, struct open_state *open,
                       uint64_t number)
{
    struct slot *slot = &table->slots[open->slot];

    if (number == 0) {
        return;
    }
    slot->number = number;
    slot->changed = true;
    slot->last = state_time(open->state->last_turn_ms);
    slot->turns =
        (uint8_t)(open->state->turns < ESTABLISHED ? open->state->turns : ESTABLISHED);
    if (open->state == &open->unpacked && !keep(table, slot, &open->unpacked)) {
        slot->changed = false; /* the call is lost for want of memory, no more */
    }
    make_room(table, 0);
}

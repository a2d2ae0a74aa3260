#include "filters/detect/state_table.h"

#include "filters/detect/state_pack.h"
#include "filters/detect/state_slab.h"

#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MIN = 256,
    NEWCOMER_TURNS = 4, /* who said more is kept whole */
    NEWCOMER_CALLS = 8,
    NEWCOMER_MAX = 2048, /* bytes of a packed state; a longer one is kept whole */
    NEWCOMER_STEP = 64,
    BLOCK_OVERHEAD = 8, /* what malloc() adds */
    HAND_STEPS = 32,    /* states that are looked at for one to give up */
    ESTABLISHED = 255   /* turns; more earn no further protection */
};

/* Open addressing, at most half full. */
struct slot {
    uint64_t identity;
    uint64_t number; /* of the last call */
    void *memory;    /* NULL: free */
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
    struct state_slab slab;                 /* of the states that are kept whole */
    size_t hand;                            /* of eviction */
    size_t saved;                           /* of saving */
    unsigned char packed[STATE_PACKED_MAX]; /* for the moment */
};

struct state_table *state_table_new(uint64_t memory, const struct state_keeper *keeper)
{
    struct state_table *table = calloc(1, sizeof *table);

    if (table == NULL) {
        return NULL;
    }
    table->bound = memory == 0 ? UINT64_MAX : memory;
    table->keeper = *keeper;
    table->size = SLOTS_MIN;
    table->slots = calloc(table->size, sizeof *table->slots);
    return table->slots == NULL ? state_table_free(table) : table;
}

struct state_table *state_table_free(struct state_table *table)
{
    if (table != NULL) {
        for (size_t i = 0; table->slots != NULL && i < table->size; i++) {
            if (table->slots[i].packed != 0) {
                free(table->slots[i].memory);
            }
        }
        state_slab_free(&table->slab);
        free(table->slots);
        free(table);
    }
    return NULL;
}

static uint64_t block(size_t bytes)
{
    return (bytes + BLOCK_OVERHEAD + 15) / 16 * 16;
}

static size_t bytes_of(const struct slot *slot)
{
    return slot->packed == 0
               ? sizeof(struct identity_state)
               : (slot->packed + NEWCOMER_STEP - 1U) / NEWCOMER_STEP * NEWCOMER_STEP;
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

static bool grow(struct state_table *table)
{
    size_t size = table->size * 2;
    struct slot *slots;

    if (table->count < table->size / 2) {
        return true;
    }
    slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i].memory != NULL) {
            slots[find(slots, size, table->slots[i].identity)] = table->slots[i];
        }
    }
    free(table->slots);
    table->slots = slots;
    table->size = size;
    table->saved = 0;
    return true;
}

/* Gives the slot's memory back. */
static void release(struct state_table *table, const struct slot *slot)
{
    if (slot->memory == NULL) {
        return;
    }
    table->states -= block(bytes_of(slot));
    if (slot->packed == 0) {
        state_slab_give(&table->slab, slot->memory);
    } else {
        free(slot->memory);
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

static void save(struct state_table *table, struct slot *slot)
{
    if (slot->changed && table->keeper.save != NULL) {
        struct span packed = span_of(slot->memory, slot->packed);

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

static bool is_newcomer(const struct identity_state *state)
{
    return state->turns <= NEWCOMER_TURNS && state->calls <= NEWCOMER_CALLS;
}

/* Puts bytes into the slot's memory, packed or (0) not. false without memory; then the slot
 * is as it was. */
static bool put(struct state_table *table, struct slot *slot, const void *bytes,
                size_t packed)
{
    struct slot wanted = *slot;

    wanted.packed = (uint16_t)packed;
    if (slot->memory == NULL || bytes_of(&wanted) != bytes_of(slot)) {
        wanted.memory =
            packed == 0 ? state_slab_take(&table->slab) : malloc(bytes_of(&wanted));
        if (wanted.memory == NULL) {
            return false;
        }
        release(table, slot);
        table->states += block(bytes_of(&wanted));
    }
    *slot = wanted;
    memcpy(slot->memory, bytes, packed == 0 ? sizeof(struct identity_state) : packed);
    return true;
}

static bool keep(struct state_table *table, struct slot *slot,
                 const struct identity_state *state)
{
    size_t length =
        is_newcomer(state) ? state_pack(state, table->packed) : STATE_PACKED_MAX;

    return length <= NEWCOMER_MAX ? put(table, slot, table->packed, length)
                                  : put(table, slot, state, 0);
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
    make_room(table, block(sizeof(struct identity_state)));
    if (!grow(table)) {
        return false;
    }
    open->slot = find(table->slots, table->size, identity);
    if (!keep(table, &table->slots[open->slot], &open->unpacked)) {
        return false;
    }
    table->slots[open->slot].identity = identity;
    table->slots[open->slot].number = number;
    table->count++;
    return true;
}

bool state_table_open(struct state_table *table, uint64_t identity, bool make,
                      struct open_state *open)
{
    struct slot *slot;

    open->state = NULL;
    open->slot = find(table->slots, table->size, identity);
    if (table->slots[open->slot].memory == NULL &&
        !place(table, identity, make, open)) {
        return false;
    }
    slot = &table->slots[open->slot];
    open->state = slot->memory;
    if (slot->packed != 0) {
        bool good = state_unpack(span_of(slot->memory, slot->packed), &open->unpacked);

        CHECK(good);
        open->state = &open->unpacked;
    }
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

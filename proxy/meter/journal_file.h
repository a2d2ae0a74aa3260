/* How a journal lies in its file: a header page, the slots, and from the next page
 * on the room for the lines of each slot, apart because few calls have any: pages
 * that nobody writes take no memory. For journal.c and the tests that damage
 * journals on purpose.
 *
 * What every version keeps, so that any can tell whether a file is empty: the header's
 * first fields, and a slot's first 8 bytes being its state. Whoever changes struct
 * entry, or what one of its numbers means, raises JOURNAL_VERSION. */
#ifndef ASSAY_METER_JOURNAL_FILE_H
#define ASSAY_METER_JOURNAL_FILE_H

#include "proxy/meter/entry.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#define JOURNAL_MAGIC UINT64_C(0x6c6e726a79617361) /* "asayjrnl" */

enum {
    JOURNAL_VERSION = 4,
    JOURNAL_PAGE = 4096,
    JOURNAL_HEADER_SIZE = JOURNAL_PAGE,
    JOURNAL_SLOTS_MAX = 1 << 20,
    JOURNAL_SLOT_MAX = 1 << 16
};

/* The low bits of a slot's state word; the rest is the order of settling, from 1. */
enum slot_state { SLOT_FREE = 0, SLOT_OPEN = 1, SLOT_SETTLED = 2 };
enum { SLOT_STATE_BITS = 2, SLOT_STATE_MASK = 3 };

struct journal_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slot_size;
    uint32_t slots;
    uint32_t unused;
    _Atomic uint64_t last_id; /* greatest id ever given */
};

struct journal_slot {
    _Atomic uint64_t state;
    uint64_t checksum; /* of a settled entry and its lines */
    struct entry entry;
};

/* Where the slot of this number begins. */
static inline size_t journal_slot_offset(uint32_t number)
{
    return JOURNAL_HEADER_SIZE + (size_t)number * sizeof(struct journal_slot);
}

/* Where the lines of the slot of this number begin, in a file of so many slots. */
static inline size_t journal_lines_offset(uint32_t slots, uint32_t number)
{
    size_t first =
        (journal_slot_offset(slots) + JOURNAL_PAGE - 1) / JOURNAL_PAGE * JOURNAL_PAGE;

    return first + (size_t)number * LINES_MAX * sizeof(struct line);
}

static inline size_t journal_file_size(uint32_t slots)
{
    return journal_lines_offset(slots, slots);
}

static_assert(sizeof(struct journal_header) <= JOURNAL_HEADER_SIZE, "one page");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would not be in the file");

#endif

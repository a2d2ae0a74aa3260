/* The states of many identities in bounded memory. Newcomers are kept without their zeros,
 * in cells of less than a quarter of a state, for a few calls. What has no room is given to
 * the keeper: those who said least first, and of these those who were quiet for longest. */
#ifndef ASSAY_FILTERS_DETECT_STATE_TABLE_H
#define ASSAY_FILTERS_DETECT_STATE_TABLE_H

#include "filters/detect/detector.h"
#include "filters/detect/identity_state.h"

/* A state that is being looked at; state_table_close() puts it back. */
struct open_state {
    struct identity_state *state; /* NULL: unknown, or no memory */
    size_t slot;
    struct identity_state unpacked;
};

struct state_table;

/* NULL without memory. `memory` 0: no bound. */
struct state_table *state_table_new(uint64_t memory, const struct state_keeper *keeper);
struct state_table *state_table_free(struct state_table *table);

/* The identity is looked at soon: asks memory for its place, and then, which needs that, for
 * its state: all of it, or what every call touches. */
void state_table_expect(const struct state_table *table, uint64_t identity);
void state_table_expect_state(const struct state_table *table, uint64_t identity,
                              bool all);

/* An identity's state, from the keeper if need be; `make`: a new one if there is none. While
 * it is open, no other may be made. */
bool state_table_open(struct state_table *table, uint64_t identity, bool make,
                      struct open_state *open) MUST_CHECK;

/* It holds all calls up to `number`; 0: it did not change. It is no longer at hand. */
void state_table_close(struct state_table *table, struct open_state *open,
                       uint64_t number);

/* The number of the last call in an open state. */
uint64_t state_table_number(const struct state_table *table,
                            const struct open_state *open);

/* Gives changed states to the keeper: looks at the next `slots` places, and returns true
 * when it has been round. */
bool state_table_save(struct state_table *table, size_t slots);

size_t state_table_count(const struct state_table *table);
uint64_t state_table_memory(const struct state_table *table);

#endif

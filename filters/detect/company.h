/* What the identities have in common: prompts that several of them send (G1), and prompts
 * made of responses that others were given (G2). One table for all, in bounded memory, for
 * one thread. Only keyed hashes are kept. */
#ifndef ASSAY_FILTERS_DETECT_COMPANY_H
#define ASSAY_FILTERS_DETECT_COMPANY_H

#include "filters/detect/lately.h"
#include "filters/turn/turn.h"
#include "proxy/base/check.h"
#include "proxy/base/span.h"

#include <stddef.h>

enum { CIRCLE_MEMBERS = 24, CIRCLE_SHAPES = 15, WEEK_HOURS = 7 * 24 };

/* Of Unix time. */
uint32_t company_week(const struct turn *turn);

/* Identities that lately sent prompts which resemble each other. Hours are those of Unix
 * time, the members' without the upper bits. */
struct circle {
    uint64_t members[CIRCLE_MEMBERS];
    uint16_t hours[CIRCLE_MEMBERS]; /* of the member's last turn */
    struct lately turns[CIRCLE_MEMBERS];
    uint8_t count;       /* of members */
    uint8_t current;     /* the member whose turn it is; CIRCLE_MEMBERS: none */
    float nats;          /* against "they share it by chance" */
    uint32_t hour;       /* of the last turn */
    uint32_t generation; /* of the slot; index entries of an earlier one are void */
    uint32_t into;       /* the slot of the circle that took it in; with no members */
    uint32_t into_generation;
    uint32_t shapes[CIRCLE_SHAPES]; /* lately; a ring */
    uint32_t shape_head;
    uint64_t
        last_whole; /* of the last turn, with its time: a call recorded twice is one */
    int64_t last_ms;
};

/* What others have to do with a turn. */
struct company {
    const struct circle *circle; /* the turn's, itself included; NULL: none */
    bool copied;                 /* its template is one that the circle had lately */
    bool compared;               /* its samples were looked for */
    bool echoed; /* half of them come from responses to others; if compared */
};

struct company_table;

/* Room for 2^prompts_log2 circles (of 368 bytes, with 8 index entries of 12) and
 * 2^samples_log2 samples (of 12 bytes). NULL without memory. */
struct company_table *company_table_new(unsigned prompts_log2, unsigned samples_log2);
struct company_table *company_table_free(struct company_table *table);

/* Another layout of what company_save() writes has another number. */
enum { COMPANY_LAYOUT = 3 };

/* Writes what the table holds, in pieces; restores it into an empty table of the same size.
 * false if the bytes are not what was written; then the table is empty. */
void company_save(const struct company_table *table,
                  void (*put)(void *self, const void *bytes, size_t len), void *self);
bool company_restore(struct company_table *table, struct span saved) MUST_CHECK;

/* The call is looked at soon: asks memory for what is known of its prompt's phrases and its
 * response's samples, and then, which needs those, of the circles that they belong to. */
void company_expect(struct company_table *table, const struct turn *turn);
void company_expect_circles(struct company_table *table, const struct turn *turn);

/* Finds the turn's company; then takes it in. For prompts that are no retries. */
struct company company_of(struct company_table *table, const struct turn *turn);

/* Takes in a call's response. */
void company_respond(struct company_table *table, const struct turn *turn);

#endif

/* Gathers the counts of a response out of the values that a scan delivers.
 *
 * Within one event (or whole body) the greatest number of each count holds: spellings
 * of one count repeat it, and a usage object that stands twice is no way to pay less.
 * Between events the dialect's merge rule holds. */
#ifndef ASSAY_FILTERS_TALLY_H
#define ASSAY_FILTERS_TALLY_H

#include "filters/dialect.h"

struct tallier {
    struct tally tally;
    struct tally *before; /* room for what this event's usage replaced; borrowed */
    uint32_t now;         /* counts of the current event */
    uint32_t zeros;       /* counts of input that the current event says are zero now */
    bool replace;         /* the current event's usage replaces what was there */
    bool had_some;        /* ... which was more than zeros: `before` */
    bool replaced;
    bool input_now;   /* the current event has a non-zero count of input */
    bool usage_whole; /* ... a usage that has ended */
    bool quoted;      /* counts may be strings */
    /* of the list element that is being read */
    bool list_numbered;
    uint8_t list;      /* which list: its tag less LIST_INPUT */
    uint8_t list_name; /* what the number counts: an enum count, or 0 */
    uint64_t list_number;
};

/* Counts out of a response's head. */
void tallier_fields(struct tallier *tallier, const struct count_field *fields,
                    const struct head *head);

/* A value whose tag is a count, or of a list or sum of counts. */
void tallier_value(struct tallier *tallier, enum merge merge,
                   const struct scan_value *value);

/* The event breaks off, and ends now. Unless its usage had ended before, it replaces
 * no earlier one, and is the last word on nothing: false. */
bool tallier_event_cut(struct tallier *tallier);

/* The event has ended. */
void tallier_event_end(struct tallier *tallier);

#endif

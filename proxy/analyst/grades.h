/* The grades in force, by identity: written by the analyst, read by every worker.
 * Neither waits for the other. Identities that are not in it are unrated. */
#ifndef ASSAY_ANALYST_GRADES_H
#define ASSAY_ANALYST_GRADES_H

#include "filters/detect/score.h"

#include <stdatomic.h>
#include <stddef.h>

/* Open addressing over pages that are only taken up once they are used. A word is the
 * identity without its lowest bits, which hold the grade; 0: free. */
struct grades {
    atomic_uint_least64_t *words;
    size_t mask;
};

/* `room` is a power of two. false without memory. */
bool grades_init(struct grades *grades, size_t room) MUST_CHECK;
void grades_done(struct grades *grades);

/* Any thread. */
enum grade grades_of(const struct grades *grades, uint64_t identity);

/* The analyst. Where a neighbourhood is full, the mildest grade there is given up. */
void grades_set(struct grades *grades, uint64_t identity, enum grade grade);

#endif

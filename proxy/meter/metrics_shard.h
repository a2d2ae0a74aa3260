/* What a shard of the metrics is made of: metrics.c counts into it, metrics_text.c
 * reads it from other threads.
 *
 * There is one row per set of labels that occurs, and every family of metrics sums rows
 * over the labels it leaves out: so counting an exchange costs one lookup. */
#ifndef ASSAY_METER_METRICS_SHARD_H
#define ASSAY_METER_METRICS_SHARD_H

#include "proxy/base/fault.h"
#include "proxy/base/histogram.h"
#include "proxy/meter/metrics.h"

#include <stdalign.h>
#include <stdatomic.h>

/* In the place of an outcome or usage source: this row took what exceeded the limit. */
enum { METRICS_OTHER = UINT8_MAX };

/* The labels of a row, as they lie in an entry. What follows a NUL means nothing. */
struct metrics_labels {
    char team[sizeof(((struct entry *)NULL)->team)];
    char provider[sizeof(((struct entry *)NULL)->provider)];
    char dialect[sizeof(((struct entry *)NULL)->dialect)];
    char operation[sizeof(((struct entry *)NULL)->operation)];
    char request_model[sizeof(((struct entry *)NULL)->request_model)];
    char response_model[sizeof(((struct entry *)NULL)->response_model)];
    uint8_t status_class; /* 2 for 200 to 299; 0: the client saw no status */
    uint8_t outcome;
    uint8_t source;
    uint8_t grade;
};

struct metrics_row {
    struct metrics_labels labels; /* never changes */
    uint64_t hash;
    atomic_uint_least64_t requests;
    atomic_uint_least64_t tokens[TOKEN_CLASSES];
    atomic_uint_least64_t cost_nanousd;
    atomic_uint_least64_t unpriced_tokens;
    atomic_uint_least64_t reported, counted; /* output of calls that were compared */
    struct histogram input;                  /* tokens of a call */
    struct histogram output;                 /* tokens of a call */
    struct histogram duration;               /* microseconds */
    struct histogram first; /* microseconds to the first event of a stream */
};

enum { METRICS_CHUNK = 16 }; /* rows allocated at once */

struct metrics_shard {
    uint64_t seed;    /* clients that cannot know it cannot make labels collide */
    uint32_t limit;   /* rows, without the one for what exceeds them */
    uint32_t mask;    /* of index[] and models[] */
    uint32_t *index;  /* open addressing: number of the row, from 1; 0: empty */
    uint64_t *models; /* open addressing: hashes of models that were served; 0: empty */
    struct metrics_row **chunks;
    alignas(64) _Atomic uint32_t row_count; /* rows below this one are complete */
    atomic_uint_least64_t overflow;
    struct histogram overhead; /* microseconds */
    atomic_int_least64_t in_flight[METRICS_STATES_MAX];
    atomic_int_least64_t plain[METRIC_COUNT];
    atomic_uint_least64_t faults[FAULT_COUNT];
};

static inline struct metrics_row *metrics_row(const struct metrics_shard *shard,
                                              uint32_t number)
{
    return &shard->chunks[number / METRICS_CHUNK][number % METRICS_CHUNK];
}

#endif

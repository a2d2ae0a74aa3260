/* What the counters of each policy come to: for metrics, the admin port and reports. */
#ifndef ASSAY_METER_QUOTA_SUM_H
#define ASSAY_METER_QUOTA_SUM_H

#include "proxy/meter/quota.h"

/* Counters of a policy that are shown one by one: those that used most. */
enum { QUOTA_TOP_MAX = 10 };

struct quota_top {
    char subject[QUOTA_SUBJECT_SIZE];
    uint64_t used, reserved;
    char resets[32]; /* RFC 3339; "" where it resets when calls end */
};

/* A copy: it borrows nothing. */
struct quota_sum {
    char name[64];
    char limit_text[64];
    char period[32]; /* "" for concurrent calls */
    enum config_limit_unit unit;
    enum config_quota_over over;
    bool many; /* counts something apart; else its only counter has no subject */
    uint64_t limit;
    uint64_t used, reserved; /* of all counters together */
    uint64_t counters;
    uint32_t highest_percent; /* used, of the fullest one */
    uint64_t refused, exceeded;
    struct quota_top top[QUOTA_TOP_MAX]; /* most used first */
    size_t top_count;
};

/* The sums of all policies in force, in the order of the configuration, to be freed
 * with free(). Any thread. */
struct quota_sum *quota_sums(struct quota *quota, uint64_t unix_ns,
                             uint64_t monotonic_ns, size_t *count);

#endif

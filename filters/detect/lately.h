/* A count of what happened lately: in this week of Unix time and in the one before. */
#ifndef ASSAY_FILTERS_DETECT_LATELY_H
#define ASSAY_FILTERS_DETECT_LATELY_H

#include <stdint.h>

enum { LATELY_MOST = 4095 }; /* that a week counts up to */

struct lately {
    uint32_t latest : 12; /* in `week` */
    uint32_t before : 12; /* in the week before that */
    uint32_t week : 8;    /* without its upper bits */
};

/* As it is seen from a week that is no earlier. */
static inline struct lately lately_from(struct lately lately, uint32_t week)
{
    uint8_t passed = (uint8_t)(week - lately.week);
    struct lately from = { .week = (uint8_t)week };

    from.latest = passed == 0 ? lately.latest : 0;
    from.before = passed == 0 ? lately.before : passed == 1 ? lately.latest : 0;
    return from;
}

static inline unsigned lately_in(struct lately lately, uint32_t week)
{
    struct lately from = lately_from(lately, week);

    return from.latest + from.before;
}

/* The two counts together. */
static inline struct lately lately_sum(struct lately a, struct lately b, uint32_t week)
{
    struct lately sum = lately_from(a, week), other = lately_from(b, week);
    unsigned latest = sum.latest + other.latest, before = sum.before + other.before;

    sum.latest = (latest < LATELY_MOST ? latest : LATELY_MOST) & LATELY_MOST;
    sum.before = (before < LATELY_MOST ? before : LATELY_MOST) & LATELY_MOST;
    return sum;
}

/* One more. */
static inline void lately_count(struct lately *lately, uint32_t week)
{
    struct lately one = { .latest = 1, .week = (uint8_t)week };

    *lately = lately_sum(*lately, one, week);
}

#endif

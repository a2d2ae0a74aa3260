#include "filters/detect/bet.h"

#include <math.h>

enum { HISTOGRAM_FULL = 96 };

static float at_least_zero(float nats)
{
    return nats > 0 ? nats : 0;
}

void yes_no_observe(struct yes_no_bet *bet, double p0, double q, bool hit, uint32_t now)
{
    if (!(bet->nats > 0)) {
        bet->n = 0;
        bet->k = 0;
        bet->since = now;
    }
    if (bet->n < UINT16_MAX) {
        bet->n++;
        bet->k = (uint16_t)(bet->k + hit);
    }
    bet->nats =
        at_least_zero(bet->nats + (float)log(hit ? q / p0 : (1 - q) / (1 - p0)));
}

static void halve(struct histogram_bet *bet, uint8_t *counts, unsigned bins)
{
    bet->total = 0;
    for (unsigned i = 0; i < bins; i++) {
        counts[i] /= 2;
        bet->total += counts[i];
    }
}

void histogram_observe(struct histogram_bet *bet, uint8_t *counts, unsigned bins,
                       const float *null_shares, unsigned bin)
{
    double share = (counts[bin] + .5) / (bet->total + .5 * bins);

    bet->nats = at_least_zero(bet->nats +
                              (float)log(.1 + .9 * share / (double)null_shares[bin]));
    counts[bin]++;
    bet->total++;
    if (bet->total >= HISTOGRAM_FULL) {
        halve(bet, counts, bins);
    }
}

unsigned histogram_fullest(const uint8_t *counts, unsigned bins)
{
    unsigned best = 0;

    for (unsigned i = 1; i < bins; i++) {
        if (counts[i] > counts[best]) {
            best = i;
        }
    }
    return best;
}

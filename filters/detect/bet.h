/* Bets against "this is a person like those of the reference". The capital of a bet is
 * a CUSUM of log likelihood ratios in nats: it starts again by itself after innocence,
 * and the counts since its last zero are its evidence. While the null holds, the mean
 * number of updates before it reaches h is at least e^h. */
#ifndef ASSAY_FILTERS_DETECT_BET_H
#define ASSAY_FILTERS_DETECT_BET_H

#include <stdbool.h>
#include <stdint.h>

/* k of n since the capital was last zero. The counts stop at 65,535. */
struct yes_no_bet {
    float nats;
    uint32_t since; /* the first of the n, in the state's time */
    uint16_t n;
    uint16_t k;
};

/* A hit wins ln(q / p0), a miss loses ln((1 - p0) / (1 - q)). */
void yes_no_observe(struct yes_no_bet *bet, double p0, double q, bool hit,
                    uint32_t now);

/* A Krichevsky-Trofimov bettor over bins with fixed null shares. A tenth of the stake
 * is held back, so that one update costs at most ln 10; past 96 all counts are halved.
 * The counts lie beside the bet, one byte per bin. */
struct histogram_bet {
    float nats;
    uint32_t total; /* the sum of the counts */
};

void histogram_observe(struct histogram_bet *bet, uint8_t *counts, unsigned bins,
                       const float *null_shares, unsigned bin);

/* The bin that holds most; the first of several. */
unsigned histogram_fullest(const uint8_t *counts, unsigned bins);

#endif

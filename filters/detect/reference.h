/* The constants of the build: reference.def, and these. */
#ifndef ASSAY_FILTERS_DETECT_REFERENCE_H
#define ASSAY_FILTERS_DETECT_REFERENCE_H

#include "filters/detect/identity_state.h"

enum {
    LONG_PROMPT = 24,  /* characters; shorter prompts repeat freely among people */
    ECHO_SAMPLES = 12, /* of a prompt's samples, those that are looked for */
    ECHO_MIN = 3,
    TYPING_SPEED = 15, /* characters per second */
    REST_HOURS = 3,
    POOL_PROMPTS = 80, /* of a pool that a script draws from */
    RING_PERCENT = 40, /* of its turns lately, for a ring to implicate it */
    RING_TURNS = 3,    /* such prompts of an identity, at least */
    RING_MIN = 3,      /* identities that a ring has at least */
    TOPIC_MIN = 2      /* bags of words before the next is compared */
};

/* The share of a prompt's sampled phrases that came before which makes it a
 * near-repeat. */
#define NEAR_RECYCLED .5F

/* ... which is little enough for the prompt to be a new one. */
#define NEW_RECYCLED .25F

/* The cosine of a bag of words with the mean of those before. */
#define TOPIC_COSINE .75

/* Of a pool, this much at most is taken to be known: it may be drawn from on the key of a
 * person who said many other things. */
#define POOL_KNOWN_MAX .4

/* Nats of its own that implicate an identity in a ring: two shared prompts and at most
 * one other between them. */
#define RING_OWN 4.4F

/* What a yes/no bet is about, in words. */
struct reference_row {
    const char *name;
    double p0, q;
    double worst; /* the share of the most machine-like person of the reference */
    const char *what;
    const char *worst_words;
};

extern const struct reference_row reference[YES_NO_BETS];

/* Takes one occasion of a yes/no bet. */
void reference_bet(struct identity_state *state, enum yes_no bet, bool hit,
                   uint32_t now);

/* Takes a new prompt as a miss of a bet on a pool, after `known` different ones: the more of
 * a pool is known, the less of what it gives is new. */
void reference_bet_new(struct identity_state *state, enum yes_no bet, unsigned known,
                       uint32_t now);

extern const uint32_t phase_seconds[PHASES];

/* Largest share of any reference person in each bin, at least .02: of the gaps between
 * turns in bins of .75 octaves of a second, of prompt lengths in octaves. */
extern const float gap_envelope[GAP_BINS];
extern const float length_envelope[LENGTH_BINS];
extern const float phase_uniform[PHASE_BINS];

#endif

/* All that is known of one identity: constant size, plain data, no pointers, so that it is
 * written to disk as it lies. Times are tenths of a second since 2024 (STATE_EPOCH_MS)
 * unless a name says otherwise; 0 is never. */
#ifndef ASSAY_FILTERS_DETECT_IDENTITY_STATE_H
#define ASSAY_FILTERS_DETECT_IDENTITY_STATE_H

#include "filters/detect/bet.h"
#include "filters/detect/company.h"
#include "filters/detect/lately.h"
#include "filters/detect/recall.h"
#include "filters/turn/turn.h"

#include <assert.h>
#include <stddef.h>

#define STATE_EPOCH_MS INT64_C(1704067200000)

enum {
    STATE_SIZE_MAX = 4096,
    STATE_TICKS = 10, /* a second */
    STATE_SESSIONS = 16,
    STATE_TOMBSTONES = 48,
    STATE_SHAPES_FRESH = 96, /* prompts */
    STATE_SHAPES_KNOWN = 32,
    STATE_PHRASES_FRESH = 384, /* at most 8 of a prompt */
    STATE_PHRASES_KNOWN = 192,
    STATE_TEMPLATES = 7,
    STATE_RESPONSES = 256,
    PHASES = 4,
    PHASE_BINS = 20,
    GAP_BINS = 24,
    LENGTH_BINS = 16,
    SPRINT_WINDOWS = 8,
    SPRINT_HOURS = 6
};

/* A person's own turns would dilute a script's on the same key: bets on texts keep openers
 * of conversations and the prompts inside them apart. */
enum stratum { STRATUM_OPEN, STRATUM_MID, STRATA };

/* The yes/no bets, in the order of reference.def. */
enum yes_no {
#define YES_NO(name, p0, q, worst, what, worst_words) BET_##name,
#include "filters/detect/reference.def"
#undef YES_NO
    YES_NO_BETS
};

struct session_state {
    uint32_t root; /* 0: the slot is free */
    uint32_t end;  /* of the last response */
    uint32_t opened;
    uint16_t won;           /* by the prompt that opened it: bit n is bet n; habit.c */
    uint8_t excuses : 3;    /* for prompts that came before */
    uint8_t said_again : 1; /* what opened it, word by word */
    uint8_t opener_whole : 4; /* of that prompt's hash */
    uint8_t opener;           /* of its template's */
};

/* A template and how often it came; for the evidence. Lengths in characters stop at
 * 65,535. */
struct template_state {
    uint32_t shape;
    uint32_t first;
    uint32_t latest;
    uint16_t shortest;
    uint16_t longest;
    uint16_t last; /* the turn's number */
    uint8_t count; /* 0: the slot is free; stops at 255 */
};

/* The mean bag of words of a stratum's prompts; 32,767 is 1. */
struct topic_state {
    int16_t mean[SKETCH_WORDS];
    uint16_t count; /* stops at the weight of the oldest that still counts */
};

/* For the unattended ratio. */
struct unattended_state {
    uint64_t tokens;
    uint32_t calls;
    uint32_t agent_turns;
    uint32_t turns;
    uint32_t since; /* the last halving */
};

/* How often in a row the same tool was called with the same arguments. */
struct loop_state {
    uint32_t call; /* 0: none yet */
    uint16_t run;
    uint16_t longest; /* lately */
};

/* Thousands of tokens in a quota window, and in its last SPRINT_HOURS. */
struct sprint_window {
    uint32_t total;
    uint32_t late;
};

struct sprint_state {
    struct sprint_window current;
    uint32_t number; /* of the current window */
    uint32_t kept;
    struct sprint_window windows[SPRINT_WINDOWS]; /* the latest first */
};

/* What every call touches comes first, and close together: it has to come from memory. */
struct identity_state {
    uint64_t identity;
    int64_t last_turn_ms; /* Unix time */
    uint32_t turns;
    uint32_t calls;
    uint32_t last_session;
    uint32_t told; /* when others' turns last implicated it */
    uint32_t tombstone_head;
    struct lately prompts; /* turns lately, as circles count them */
    uint32_t response_head;
    struct loop_state loop;
    struct unattended_state unattended;
    struct sprint_state sprint;
    struct session_state sessions[STATE_SESSIONS]; /* the latest used first */
    uint32_t tombstones[STATE_TOMBSTONES]; /* roots of sessions that lost their place */
    uint16_t shapes_fresh[STATE_SHAPES_FRESH]; /* recall.h */
    uint16_t shapes_known[STATE_SHAPES_KNOWN];
    uint16_t phrases_fresh[STATE_PHRASES_FRESH];
    uint16_t phrases_known[STATE_PHRASES_KNOWN];
    uint8_t shapes_heads[2 * RECALL_BANKS];
    uint8_t phrases_heads[2 * RECALL_BANKS];
    uint16_t distinct;     /* prompts that were new when they came; stops at 65,535 */
    uint16_t latest_shape; /* of the template of the last prompt that was bet on */
    struct template_state templates[STATE_TEMPLATES];
    uint32_t responses[STATE_RESPONSES]; /* sample & ~63 | session tag; a ring */
    uint8_t phase_counts[PHASES][PHASE_BINS];
    uint32_t phase_counted[PHASES]; /* the last turn that counted */
    uint8_t gap_counts[GAP_BINS];
    uint8_t length_counts[LENGTH_BINS];
    struct topic_state topics[STRATA];
    uint32_t rest_hour;  /* Unix time in hours, of the last turn */
    uint32_t rest_hours; /* bit n: there was a turn n hours before rest_hour */
    uint32_t rest_next;
    struct yes_no_bet bets[YES_NO_BETS];
    struct histogram_bet phases[PHASES];
    struct histogram_bet gap;
    struct histogram_bet length;
};

static_assert(sizeof(struct identity_state) <= STATE_SIZE_MAX,
              "an identity takes more than its share");

/* What every call touches, but for its samples' places in `responses`. */
#define STATE_TOUCHED offsetof(struct identity_state, tombstones)

/* Entries of `responses` hold the upper bits of a sample and a session's tag. */
#define STATE_TAG_MASK UINT32_C(63)

/* Zeroes everything. */
void identity_state_init(struct identity_state *state, uint64_t identity);

/* Takes in one call of this identity; calls come in the order of begin_ms. `company` counts
 * for prompts. `without` leaves signals out: bit n is the n-th of signals[]. */
void identity_observe(struct identity_state *state, const struct turn *turn,
                      const struct company *company, uint32_t without);

/* A moment in the state's time; from 1 to the end of it. */
uint32_t state_time(int64_t unix_ms);
int64_t state_unix_ms(uint32_t time);

#endif

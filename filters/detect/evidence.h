/* Why a score is what it is: rows that a person can check without any prompt. */
#ifndef ASSAY_FILTERS_DETECT_EVIDENCE_H
#define ASSAY_FILTERS_DETECT_EVIDENCE_H

#include "filters/detect/identity_state.h"

enum {
    /* One of every bet, of the circle, and of each context. */
    EVIDENCE_ROWS = YES_NO_BETS + PHASES + 6,
    EVIDENCE_SAYS_SIZE = 224
};

struct evidence_row {
    const char *signal; /* the bet's name */
    float nats;
    uint32_t n, k;    /* k of n */
    int64_t since_ms; /* Unix time of the first of the n; 0: not known */
    bool has_template;
    uint32_t template_id;
    uint32_t template_turns;
    int64_t template_first_ms; /* Unix time of its first and its latest turn */
    int64_t template_last_ms;
    uint32_t characters[2];        /* shortest and longest; both 0: not known */
    uint32_t identities;           /* how many share it; 0: it concerns one */
    char says[EVIDENCE_SAYS_SIZE]; /* one sentence, which names what people do */
};

struct evidence {
    struct evidence_row rows[EVIDENCE_ROWS];
    unsigned count;
};

/* Every signal with at least 2 nats, strongest first; in any case the strongest. */
void evidence_collect(const struct identity_state *state, struct evidence *evidence);

/* Puts the row of a circle of identities before the others. */
void evidence_put_circle(struct evidence *evidence, const struct circle *circle);

/* Adds the row of a yes/no bet and returns it; NULL if it is too weak to be shown. */
struct evidence_row *evidence_add_yes_no(struct evidence *evidence,
                                         const struct identity_state *state,
                                         enum yes_no bet);

/* The same for bets on the text: names the template that came most often. */
void evidence_add_content(struct evidence *evidence, const struct identity_state *state,
                          enum yes_no bet);

/* Adds the row of a histogram bet whose fullest bin holds k; the format is the sentence. */
void evidence_add_histogram(struct evidence *evidence, const char *signal,
                            const struct histogram_bet *bet, unsigned k,
                            const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds a row of 0 nats; the format is the sentence. */
void evidence_add_context(struct evidence *evidence, const char *signal,
                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

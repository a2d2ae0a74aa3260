/* A signal: one way in which automated traffic differs from people's, one file each. A
 * row SIGNAL(name) in filters/filters.def and a file filters/detect/NAME.c that defines
 * signal_NAME are all it takes. Signals keep their state in struct identity_state and
 * see each turn once, as an occasion, and each call once if they ask for it. */
#ifndef ASSAY_FILTERS_DETECT_SIGNAL_H
#define ASSAY_FILTERS_DETECT_SIGNAL_H

#include "filters/detect/company.h"
#include "filters/detect/evidence.h"
#include "filters/detect/identity_state.h"
#include "filters/detect/prompts.h"

/* A turn in the light of what the state held before it. */
struct occasion {
    const struct turn *turn;
    uint32_t now;                  /* the turn's beginning, in the state's time */
    uint32_t tag;                  /* of the session: 6 bits */
    bool first;                    /* of this identity */
    bool opener;                   /* it opens a conversation */
    bool fresh;                    /* no retry */
    bool long_enough;              /* to bet on inside a conversation */
    bool content;                  /* its text is bet on */
    bool again;                    /* within a conversation, what it was opened with */
    bool excused;                  /* ... but not that it came before: a habit, maybe */
    struct likeness likeness;      /* to earlier prompts; only if `content` */
    struct session_state *session; /* the turn's */
    struct company company;        /* what others have to do with it */
    uint32_t answered; /* end of the response that the prompt answers; 0: not known */
};

struct signal {
    const char *name;
    /* Each NULL where there is nothing to do. */
    void (*observe)(struct identity_state *state, const struct occasion *occasion);
    void (*explain)(const struct identity_state *state, struct evidence *evidence);
    void (*call)(struct identity_state *state, const struct turn *turn);
};

#define SIGNAL(name) extern const struct signal signal_##name;
#include "filters/filters.def"

/* In the order of filters.def; NULL at the end. */
extern const struct signal *const signals[];

#endif

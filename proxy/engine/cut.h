/* Cutting a stream where an event ends, with an error event in its dialect's own
 * shape: so that the client's program raises its right exception instead of reading
 * half an event. For policies with `on_exceed: cut`; other streams pass without
 * being looked at. */
#ifndef ASSAY_ENGINE_CUT_H
#define ASSAY_ENGINE_CUT_H

#include "proxy/base/span.h"
#include "proxy/http/head.h"

struct exchange;

enum cut_framing {
    CUT_NONE, /* it cannot be cut between events */
    CUT_EVENTS,
    CUT_LINES,
    CUT_MESSAGES /* of an AWS event stream */
};

/* Where events end. Plain data, zeroed at first. */
struct cut {
    enum cut_framing framing;
    bool wanted;    /* at the next end of an event */
    bool inside;    /* of an event */
    bool after_cr;  /* CUT_EVENTS: a line ended at a CR */
    bool in_line;   /* CUT_EVENTS: the line is not empty */
    uint8_t prefix; /* CUT_MESSAGES: bytes of the length that came */
    uint32_t left; /* ... bytes of the message that are to come, or its length so far */
};

/* The response's head came: notes how its events are framed, if it may have
 * to be cut. */
void cut_begin(struct exchange *x, const struct head *head);

/* Takes the front of a piece up to the first end of an event, or all of it. */
struct span cut_take(struct cut *cut, struct span *piece);

/* What the response has come to so far may be more than what was reserved: holds more,
 * or wants the cut where a policy that cuts has no room for it. */
void cut_look(struct exchange *x);

/* To be called between two events: sends the error event and the body's end, and ends
 * the exchange with FAULT_QUOTA_CUT. */
void cut_now(struct exchange *x);

#endif

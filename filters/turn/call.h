/* One call as a worker saw it, handed to the analyst when it is settled: its record as
 * far as one call tells, and what the gate needs beside it. Plain data of fixed size,
 * no text. */
#ifndef ASSAY_FILTERS_TURN_CALL_H
#define ASSAY_FILTERS_TURN_CALL_H

#include "filters/turn/turn.h"

enum { CALL_ARGUMENTS = 96 }; /* samples kept of a response's tool arguments */

/* Of `turn`, kind is TURN_PROMPT where the fresh input has a person's words, else
 * TURN_CONTINUATION; harness says that the words were the client's own. gate_judge()
 * decides the rest: session, retry, and which prompts are none. Hashes are keyed; 0 is
 * none. */
struct call {
    struct turn turn;
    uint64_t root;        /* of the system prompt and the first user message */
    uint64_t claimed;     /* of the session that the client names */
    uint64_t reply;       /* of the response's own id */
    uint64_t predecessor; /* of the id of the response that this call follows */
    uint64_t loop;        /* of names and arguments of the response's tool calls */
    uint32_t messages;    /* in the request */
    uint32_t ttfb_ms;     /* from the request's beginning; 0: no response came */
    uint32_t reply_bytes; /* of visible text */
    bool opens;           /* nothing in the request was said by a model */
    bool failed;          /* no whole answer came */
    uint8_t argument_count;
    uint32_t arguments[CALL_ARGUMENTS]; /* gate.h */
};

#endif

/* The gate: which calls are turns. A request shows whether a person's words are fresh
 * in it; that they are a subagent's task, a companion's copy or a retry only shows
 * beside the identity's earlier calls, of which the gate remembers hashes for as long
 * as they matter.
 *
 * In this order, the first that applies:
 *   a tool's result, no words, or only the client's own words   continuation
 *   the words of a turn less than 10 s ago, under another root  continuation, harness
 *   a new root, the words lie in a recent tool argument         subagent, as is every
 *                                                               later call of that root
 *   else                                                        prompt
 *
 * A prompt is a retry if it was the session's last one already, the conversation did
 * not grow, and the answer failed or is less than a minute old; beyond five an hour
 * only what failed is tried again. A request that holds nothing a model said, in a
 * session that had an answer, begins another conversation: neither a claim nor an equal
 * first message makes two conversations one. */
#ifndef ASSAY_FILTERS_TURN_GATE_H
#define ASSAY_FILTERS_TURN_GATE_H

#include "filters/turn/call.h"

enum {
    GATE_ARGUMENTS = 96,          /* samples of tool arguments, the latest */
    GATE_ARGUMENT_CHARACTERS = 24 /* shorter strings in arguments are not kept */
};

/* For one thread: the analyst's. */
struct gate;

/* Room for 2^identities_log2 identities, 2 KB each; the one that was quiet for longest
 * gives way. NULL without memory. */
struct gate *gate_new(unsigned identities_log2);
struct gate *gate_free(struct gate *gate);

/* Completes the record of a call: kind, retry, harness, session. Calls come in the
 * order in which they were settled. */
void gate_judge(struct gate *gate, struct call *call);

#endif

/* What of a response goes into the call's record: a sketch of its visible text, samples of
 * the strings in its tool calls' arguments, hashes. Streaming, in constant memory; any split
 * of the bytes gives the same. */
#ifndef ASSAY_FILTERS_TURN_ANSWER_H
#define ASSAY_FILTERS_TURN_ANSWER_H

#include "filters/json/scan.h"
#include "filters/turn/call.h"
#include "filters/turn/sketch.h"

/* What values in a response mean to it. */
enum answer_tag {
    ANSWER_TEXT,     /* visible text: SCAN_PIECES */
    ANSWER_JSON,     /* a tool's arguments, as the text of a JSON text: SCAN_PIECES */
    ANSWER_ARGUMENT, /* a value within a tool's arguments: SCAN_PIECES */
    ANSWER_TOOL,     /* a tool's name: another tool call begins */
    ANSWER_ID,       /* the response's own */
    ANSWER_PART,     /* a part of the answer begins */
    ANSWER_THOUGHT,  /* true: the part's text is a thought, be it behind it or before */
    ANSWER_TYPE      /* of an event, where what a text is depends on it */
};

enum { ANSWER_TYPE_MAX = 46 };

struct answer {
    struct answer *next; /* in a pool */
    const struct sketch_key *key;
    struct call *call;
    struct tool_reader *tool; /* owned; NULL: no tool was called */
    uint8_t event;            /* enum: what its texts are */
    bool thought;             /* the part's text is none that is shown */
    uint8_t type_len;
    char type[ANSWER_TYPE_MAX]; /* of the last event that said it: most say the same */
    struct response_sketcher said;
};

/* Key and call are borrowed until the end. Memory that there is none of for a tool's call
 * leaves it out. */
void answer_begin(struct answer *answer, const struct sketch_key *key,
                  struct call *call);
void answer_value(struct answer *answer, enum answer_tag tag,
                  const struct scan_value *value);

/* The response has ended, or was cut: fills response, reply, loop, reply_bytes and
 * arguments of the call. Wipes. */
void answer_end(struct answer *answer);
/* Wipes it, and gives back what it owns: of one that did not end. */
void answer_wipe(struct answer *answer);

#endif

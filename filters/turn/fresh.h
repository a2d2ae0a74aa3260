/* The fresh input of a request: what follows the last thing a model said. Reads the
 * values on the paths of a dialect's request as they stream past, in constant memory,
 * and tells whether a person's words are in it, and the sketch of the last message that
 * has some.
 *
 * Which user message is the last is known at the end only. Until then a message is kept
 * as its bytes stand in the JSON text, so that one that turns out to be history costs
 * no more than a copy; one of more than FRESH_HELD bytes is sketched as it passes. What
 * was kept is wiped. */
#ifndef ASSAY_FILTERS_TURN_FRESH_H
#define ASSAY_FILTERS_TURN_FRESH_H

#include "filters/json/scan.h"
#include "filters/turn/call.h"
#include "filters/turn/harness.h"
#include "filters/turn/sketch.h"

enum {
    FRESH_HELD = 48 * 1024,
    FRESH_FRONT = 1024, /* raw bytes of a text that tell whose words it is */
    FRESH_CHUNK = 1024  /* of a system prompt, hashed at a time */
};

/* What values in a request mean to it. */
enum fresh_tag {
    FRESH_TEXT,    /* of a message or of a block of it: SCAN_RAW */
    FRESH_SYSTEM,  /* of the system prompt: SCAN_RAW */
    FRESH_PROMPT,  /* a prompt beside the messages, or without any: SCAN_RAW */
    FRESH_MESSAGE, /* an element of the list of messages */
    FRESH_ROLE,
    FRESH_TYPE,       /* of a message or a block */
    FRESH_RESULT,     /* its being there makes the message a tool's result */
    FRESH_IMAGE,      /* its being there makes the block an image or document */
    FRESH_PREDECESSOR /* the id of the response before */
};

enum fresh_role { ROLE_UNKNOWN, ROLE_USER, ROLE_MODEL, ROLE_SYSTEM, ROLE_TOOL };

struct fresh {
    struct fresh *next; /* in a pool */
    const struct sketch_key *key;
    const struct harness *harness;
    uint64_t system; /* hash of the system prompt so far */
    uint64_t first;  /* hash of the first user message */
    uint64_t predecessor;
    uint32_t messages;
    uint8_t role; /* enum fresh_role, of the message being read */
    bool tool;    /* fresh: a tool's result */
    bool in_message;
    uint64_t message_offset; /* of the message being read, in the body */
    bool message_tool;       /* it has one */
    bool words;              /* fresh: somebody's words, held or in the sketcher */
    bool said_by_client;     /* fresh: words of the harness list */
    bool system_by_client;   /* the system prompt is on the list */
    bool model_spoke;
    bool first_known;
    bool pinned;        /* a prompt stands beside the messages, and is what is fresh */
    bool sketching;     /* the sketcher holds the front of the words */
    bool sketched_here; /* ... of the message being read */
    bool sketched_segment; /* ... of at least one text of them */
    bool in_text;          /* a text is being read */
    uint8_t rest;          /* enum fresh_rest, of a text whose front was taken away */
    size_t message_at;     /* in held: where the message being read begins */
    size_t held_len;
    size_t held_most; /* to be wiped */
    size_t system_len;
    bool system_begun; /* the front of this block of it was looked at */
    bool system_left_out;
    struct scan decode;
    struct prompt_sketcher sketcher;
    char chunk[FRESH_CHUNK]; /* of the system prompt */
    char held[FRESH_HELD];
};

/* Key and table are borrowed until the end. */
void fresh_begin(struct fresh *fresh, const struct sketch_key *key,
                 const struct harness *harness);

/* The next value. Sets *raw: is the text of the strings that follow wanted? */
void fresh_value(struct fresh *fresh, enum fresh_tag tag,
                 const struct scan_value *value, bool *raw);

/* The request has ended. Fills what it tells of the call: kind, harness, the prompt's
 * sketch, root, predecessor, messages, opens. */
void fresh_end(struct fresh *fresh, struct call *call);

/* Wipes what is left of a request that did not end; also to be called after the end. */
void fresh_wipe(struct fresh *fresh);

#endif

#include "filters/turn/answer.h"

#include "filters/turn/gate.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>

/* What the texts of an event are, where its type tells. */
enum event { EVENT_SAID, EVENT_JSON, EVENT_ARGUMENT, EVENT_OTHER };

enum { ARGUMENT_CHARACTERS = 8192 }; /* of a string that are looked at */

static const struct scan_plan *arguments_plan;

static void make_plan(void)
{
    static const struct scan_path paths[] = { { "**", 1, SCAN_PIECES } };

    arguments_plan = scan_plan_new(paths, 1);
}

static const struct scan_plan *plan_of_arguments(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, make_plan) == 0);
    return arguments_plan;
}

/* ---- arguments ----------------------------------------------------------------------- */

/* What reads the calls of tools. Most answers have none. */
struct tool_reader {
    bool in_argument;
    bool in_json;
    struct argument_sketcher argument;
    struct scan json; /* of arguments that are the text of a JSON text */
    XXH3_state_t loop;
};

/* NULL without memory. */
static struct tool_reader *tool_of(struct answer *answer)
{
    struct tool_reader *tool = answer->tool;

    if (tool == NULL) {
        tool = aligned_alloc(alignof(struct tool_reader), sizeof(*tool));
        if (tool == NULL) {
            return NULL;
        }
        tool->in_argument = false;
        tool->in_json = false;
        (void)XXH3_64bits_reset_withSecret(&tool->loop, answer->key->bytes,
                                           sizeof(answer->key->bytes));
        answer->tool = tool;
    }
    return tool;
}

static void loop_put(struct tool_reader *tool, struct span bytes)
{
    (void)XXH3_64bits_update(&tool->loop, bytes.at, bytes.len);
}

static void argument_piece(struct answer *answer, struct span piece)
{
    struct tool_reader *tool = answer->tool;

    if (!tool->in_argument) {
        sketch_argument_begin(&tool->argument, answer->key);
        tool->in_argument = true;
    }
    if (tool->argument.characters < ARGUMENT_CHARACTERS) {
        sketch_argument_feed(&tool->argument, piece);
    }
}

static void keep_argument(struct call *call, const struct argument_sketch *sketch)
{
    if (sketch->characters < GATE_ARGUMENT_CHARACTERS ||
        call->argument_count == CALL_ARGUMENTS) {
        return;
    }
    call->arguments[call->argument_count++] = (uint32_t)sketch->whole;
    for (unsigned i = 0; i < sketch->count && call->argument_count < CALL_ARGUMENTS;
         i++) {
        call->arguments[call->argument_count++] = sketch->samples[i];
    }
}

static void argument_ends(struct answer *answer)
{
    struct tool_reader *tool = answer->tool;
    struct argument_sketch sketch;

    if (tool != NULL && tool->in_argument) {
        sketch_argument_end(&tool->argument, &sketch);
        keep_argument(answer->call, &sketch);
        tool->in_argument = false;
    }
}

/* A value of the arguments, which the loop's hash has already where they came as text. */
static void argument_seen(void *self, const struct scan_value *value)
{
    struct answer *answer = self;

    if (value->type == SCAN_PIECE) {
        argument_piece(answer, value->text);
    } else if (value->type == SCAN_STRING) {
        argument_ends(answer);
    }
}

static void argument_value(struct answer *answer, const struct scan_value *value)
{
    struct tool_reader *tool = tool_of(answer);

    if (tool == NULL) {
        return;
    }
    if (value->type == SCAN_PIECE || value->type == SCAN_NUMBER) {
        loop_put(tool, value->text);
    } else {
        loop_put(tool, SPAN("\n"));
    }
    argument_seen(answer, value);
}

static void json_piece(struct answer *answer, struct span piece)
{
    struct tool_reader *tool = tool_of(answer);

    if (tool == NULL) {
        return;
    }
    loop_put(tool, piece);
    if (!tool->in_json) {
        scan_init(&tool->json, plan_of_arguments(), SCAN_TOLERANT);
        tool->in_json = true;
    }
    (void)scan_feed(&tool->json, piece, argument_seen, answer);
}

/* A tool's argument that is the text itself. */
static void text_argument(struct answer *answer, struct span piece)
{
    struct tool_reader *tool = tool_of(answer);

    if (tool != NULL) {
        loop_put(tool, piece);
        argument_piece(answer, piece);
    }
}

static void tool_ends(struct answer *answer)
{
    struct tool_reader *tool = answer->tool;

    argument_ends(answer);
    if (tool != NULL && tool->in_json) {
        explicit_bzero(&tool->json, sizeof(tool->json));
        tool->in_json = false;
    }
}

static void tool_begins(struct answer *answer, struct span name)
{
    struct tool_reader *tool;

    tool_ends(answer);
    tool = tool_of(answer);
    if (tool != NULL) {
        loop_put(tool, name);
        loop_put(tool, SPAN("\n"));
    }
}

/* ---- values -------------------------------------------------------------------------- */

/* As memmem(), which prepares for longer texts than a type. */
static bool has(struct span text, struct span part)
{
    while (text.len >= part.len) {
        const char *at = memchr(text.at, part.at[0], text.len - part.len + 1);

        if (at == NULL || memcmp(at, part.at, part.len) == 0) {
            return at != NULL;
        }
        text = span_after(text, (size_t)(at - text.at) + 1);
    }
    return false;
}

/* The Responses API says "delta" for all that comes in pieces. */
static enum event event_of(struct span type)
{
    if (has(type, SPAN("arguments"))) {
        return EVENT_JSON;
    }
    if (has(type, SPAN("tool_call_input"))) {
        return EVENT_ARGUMENT;
    }
    return has(type, SPAN("reasoning")) ? EVENT_OTHER : EVENT_SAID;
}

static void type_seen(struct answer *answer, struct span type)
{
    enum event event;

    if (span_equal(type, span_of(answer->type, answer->type_len))) {
        return;
    }
    answer->type_len = (uint8_t)(type.len <= ANSWER_TYPE_MAX ? type.len : 0);
    memcpy(answer->type, type.at, answer->type_len);
    event = event_of(type);
    if (event != answer->event) {
        if (answer->event == EVENT_ARGUMENT) {
            argument_ends(answer);
        }
        answer->event = (uint8_t)event;
    }
}

static void text_piece(struct answer *answer, struct span piece)
{
    switch ((enum event)answer->event) {
    case EVENT_SAID:
        answer->call->reply_bytes += (uint32_t)piece.len;
        sketch_response_feed(&answer->said, piece);
        break;
    case EVENT_JSON:
        json_piece(answer, piece);
        break;
    case EVENT_ARGUMENT:
        text_argument(answer, piece);
        break;
    case EVENT_OTHER:
        break;
    }
}

/* Thoughts come before what they are about. So the mark of one, which may stand behind its
 * text, lets go of all that was said: no copy of the sketch is needed to take only the
 * thought out. */
static void thought_seen(struct answer *answer)
{
    answer->thought = true;
    answer->call->reply_bytes = 0;
    sketch_response_begin(&answer->said, answer->key);
}

void answer_value(struct answer *answer, enum answer_tag tag,
                  const struct scan_value *value)
{
    bool string = value->type == SCAN_STRING && value->text.len > 0;

    switch (tag) {
    case ANSWER_TEXT:
        if (value->type == SCAN_PIECE && !answer->thought) {
            text_piece(answer, value->text);
        }
        break;
    case ANSWER_JSON:
        if (value->type == SCAN_PIECE) {
            json_piece(answer, value->text);
        }
        break;
    case ANSWER_ARGUMENT:
        argument_value(answer, value);
        break;
    case ANSWER_TOOL:
        if (string) {
            tool_begins(answer, value->text);
        }
        break;
    case ANSWER_ID:
        if (string) {
            answer->call->reply =
                sketch_hash(answer->key, value->text.at, value->text.len);
        }
        break;
    case ANSWER_PART:
        answer->thought = false;
        break;
    case ANSWER_THOUGHT:
        if (value->type == SCAN_TRUE) {
            thought_seen(answer);
        }
        break;
    case ANSWER_TYPE:
        if (string) {
            type_seen(answer, value->text);
        }
        break;
    }
}

/* ---- life ---------------------------------------------------------------------------- */

void answer_begin(struct answer *answer, const struct sketch_key *key,
                  struct call *call)
{
    answer->key = key;
    answer->call = call;
    answer->tool = NULL;
    answer->event = EVENT_SAID;
    answer->thought = false;
    answer->type_len = 0;
    sketch_response_begin(&answer->said, key);
}

void answer_end(struct answer *answer)
{
    struct call *call = answer->call;

    tool_ends(answer);
    sketch_response_end(&answer->said, &call->turn.response);
    call->loop = answer->tool == NULL ? 0 : sketch_digest(&answer->tool->loop);
    answer_wipe(answer);
}

void answer_wipe(struct answer *answer)
{
    explicit_bzero(&answer->said, sizeof(answer->said));
    if (answer->tool != NULL) {
        explicit_bzero(answer->tool, sizeof(*answer->tool));
        free(answer->tool);
        answer->tool = NULL;
    }
}

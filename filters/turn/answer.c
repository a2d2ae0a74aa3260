#include "filters/turn/answer.h"

#include "filters/turn/gate.h"

#include <pthread.h>

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

static void loop_put(struct answer *answer, struct span bytes)
{
    (void)XXH3_64bits_update(&answer->loop, bytes.at, bytes.len);
    answer->looped = true;
}

static void argument_piece(struct answer *answer, struct span piece)
{
    if (!answer->in_argument) {
        sketch_argument_begin(&answer->argument, answer->key);
        answer->in_argument = true;
    }
    if (answer->argument.characters < ARGUMENT_CHARACTERS) {
        sketch_argument_feed(&answer->argument, piece);
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
    struct argument_sketch sketch;

    if (answer->in_argument) {
        sketch_argument_end(&answer->argument, &sketch);
        keep_argument(answer->call, &sketch);
        answer->in_argument = false;
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
    if (value->type == SCAN_PIECE || value->type == SCAN_NUMBER) {
        loop_put(answer, value->text);
    } else {
        loop_put(answer, SPAN("\n"));
    }
    argument_seen(answer, value);
}

static void json_piece(struct answer *answer, struct span piece)
{
    loop_put(answer, piece);
    if (!answer->in_json) {
        scan_init(&answer->json, plan_of_arguments(), SCAN_TOLERANT);
        answer->in_json = true;
    }
    (void)scan_feed(&answer->json, piece, argument_seen, answer);
}

static void tool_ends(struct answer *answer)
{
    argument_ends(answer);
    if (answer->in_json) {
        explicit_bzero(&answer->json, sizeof(answer->json));
        answer->in_json = false;
    }
}

/* ---- values -------------------------------------------------------------------------- */

static bool has(struct span text, struct span part)
{
    return memmem(text.at, text.len, part.at, part.len) != NULL;
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
    enum event event = event_of(type);

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
        loop_put(answer, piece);
        argument_piece(answer, piece);
        break;
    case EVENT_OTHER:
        break;
    }
}

void answer_value(struct answer *answer, enum answer_tag tag,
                  const struct scan_value *value)
{
    bool string = value->type == SCAN_STRING && value->text.len > 0;

    switch (tag) {
    case ANSWER_TEXT:
        if (value->type == SCAN_PIECE) {
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
            tool_ends(answer);
            loop_put(answer, value->text);
            loop_put(answer, SPAN("\n"));
        }
        break;
    case ANSWER_ID:
        if (string) {
            answer->call->reply =
                sketch_hash(answer->key, value->text.at, value->text.len);
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
    answer->event = EVENT_SAID;
    answer->in_argument = false;
    answer->in_json = false;
    answer->looped = false;
    sketch_response_begin(&answer->said, key);
    (void)XXH3_64bits_reset_withSecret(&answer->loop, key->bytes, sizeof(key->bytes));
}

void answer_end(struct answer *answer)
{
    struct call *call = answer->call;

    tool_ends(answer);
    sketch_response_end(&answer->said, &call->turn.response);
    call->loop = answer->looped ? XXH3_64bits_digest(&answer->loop) : 0;
    answer_wipe(answer);
}

void answer_wipe(struct answer *answer)
{
    explicit_bzero(&answer->said, sizeof(answer->said));
    explicit_bzero(&answer->argument, sizeof(answer->argument));
    explicit_bzero(&answer->json, sizeof(answer->json));
    explicit_bzero(&answer->loop, sizeof(answer->loop));
}

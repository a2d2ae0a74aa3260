#include "filters/turn/fresh.h"

#include "proxy/base/text.h"

#include <pthread.h>

/* Texts lie in `held` one behind the other, each behind a mark that no JSON string has. */
enum { MARK_TEXT = '\x01', MARK_IMAGE = '\x02' };

/* What becomes of the rest of a text whose front is no longer held. */
enum fresh_rest { REST_NONE, REST_KEPT, REST_LEFT_OUT };

/* ---- what strings say ---------------------------------------------------------------- */

struct meaning {
    struct span text; /* empty at the end */
    unsigned meaning;
};

static unsigned meaning_of(const struct meaning *row, struct span text)
{
    while (row->text.len > 0 && !span_equal(row->text, text)) {
        row++;
    }
    return row->meaning;
}

static enum fresh_role role_of(struct span text)
{
    static const struct meaning roles[] = {
        { SPAN_INIT("user"), ROLE_USER },     { SPAN_INIT("assistant"), ROLE_MODEL },
        { SPAN_INIT("tool"), ROLE_TOOL },     { SPAN_INIT("system"), ROLE_SYSTEM },
        { SPAN_INIT("model"), ROLE_MODEL },   { SPAN_INIT("developer"), ROLE_SYSTEM },
        { SPAN_INIT("function"), ROLE_TOOL }, { SPAN_INIT("CHATBOT"), ROLE_MODEL },
        { SPAN_INIT("SYSTEM"), ROLE_SYSTEM }, { SPAN_INIT("TOOL"), ROLE_TOOL },
        { SPAN_INIT(""), ROLE_USER },
    };

    return (enum fresh_role)meaning_of(roles, text);
}

enum type { TYPE_OTHER, TYPE_IMAGE, TYPE_RESULT, TYPE_MODEL };

static bool ends(struct span text, struct span tail)
{
    return text.len >= tail.len &&
           span_equal(span_after(text, text.len - tail.len), tail);
}

static enum type type_of(struct span text)
{
    static const struct meaning types[] = {
        { SPAN_INIT("text"), TYPE_OTHER },
        { SPAN_INIT("tool_use"), TYPE_OTHER },
        { SPAN_INIT("function.result"), TYPE_RESULT },
        { SPAN_INIT("mcp_approval_response"), TYPE_RESULT },
        { SPAN_INIT("image"), TYPE_IMAGE },
        { SPAN_INIT("image_url"), TYPE_IMAGE },
        { SPAN_INIT("input_image"), TYPE_IMAGE },
        { SPAN_INIT("document"), TYPE_IMAGE },
        { SPAN_INIT("document_url"), TYPE_IMAGE },
        { SPAN_INIT("file"), TYPE_IMAGE },
        { SPAN_INIT("input_file"), TYPE_IMAGE },
        { SPAN_INIT("input_audio"), TYPE_IMAGE },
        { SPAN_INIT("reasoning"), TYPE_MODEL },
        { SPAN_INIT("item_reference"), TYPE_MODEL },
        { SPAN_INIT("compaction"), TYPE_MODEL },
        { SPAN_INIT("message.output"), TYPE_MODEL },
        { SPAN_INIT("tool.execution"), TYPE_MODEL },
        { SPAN_INIT("mcp_list_tools"), TYPE_MODEL },
        { SPAN_INIT("mcp_approval_request"), TYPE_MODEL },
        { SPAN_INIT(""), TYPE_OTHER },
    };

    if (ends(text, SPAN("_output")) || ends(text, SPAN("_result"))) {
        return TYPE_RESULT;
    }
    if (ends(text, SPAN("_call")) || ends(text, SPAN(".call"))) {
        return TYPE_MODEL;
    }
    return (enum type)meaning_of(types, text);
}

/* ---- raw texts ----------------------------------------------------------------------- */

static const struct scan_plan *text_plan;

static void make_plan(void)
{
    static const struct scan_path whole = { "", 1, SCAN_PIECES };

    text_plan = scan_plan_new(&whole, 1);
}

static const struct scan_plan *plan_of_text(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, make_plan) == 0);
    return text_plan;
}

static void front_seen(void *self, const struct scan_value *value)
{
    if (value->type == SCAN_PIECE) {
        text_put(self, value->text);
    }
}

static bool begins_like(const struct fresh *fresh, enum harness_list list,
                        struct span raw)
{
    char memory[FRESH_FRONT];
    struct text front = text_over(memory, sizeof(memory));
    struct scan scan;
    bool known;

    raw.len = raw.len < FRESH_FRONT ? raw.len : FRESH_FRONT;
    scan_init(&scan, plan_of_text(), SCAN_STRICT);
    (void)scan_feed(&scan, SPAN("\""), front_seen, &front);
    (void)scan_feed(&scan, raw, front_seen, &front);
    (void)scan_feed(&scan, SPAN("\""), front_seen, &front);
    known = harness_knows(fresh->harness, list, text_span(&front));
    explicit_bzero(memory, front.len);
    explicit_bzero(&scan, sizeof(scan));
    return known;
}

/* A text in `held`, or the rest of one. */
struct segment {
    struct span raw;
    char mark; /* 0: a rest */
};

/* Takes the segment at the front of `held`. */
static struct segment take_segment(struct span *held)
{
    struct segment segment = { .mark = '\0' };
    size_t len = 0;

    if (held->at[0] == MARK_TEXT || held->at[0] == MARK_IMAGE) {
        segment.mark = held->at[0];
        *held = span_after(*held, 1);
    }
    while (len < held->len && held->at[len] != MARK_TEXT &&
           held->at[len] != MARK_IMAGE) {
        const char *text = memchr(held->at + len, MARK_TEXT, held->len - len);
        const char *image = memchr(held->at + len, MARK_IMAGE, held->len - len);

        len = text == NULL ? held->len : (size_t)(text - held->at);
        if (image != NULL && image < held->at + len) {
            len = (size_t)(image - held->at);
        }
    }
    segment.raw = span_of(held->at, len);
    *held = span_after(*held, len);
    return segment;
}

static struct span held_from(const struct fresh *fresh, size_t at)
{
    return span_of(fresh->held + at, fresh->held_len - at);
}

static bool is_blank(struct span raw)
{
    static const char *const blanks[] = { "\\n", "\\t", "\\r", " " };

    while (raw.len > 0) {
        size_t len = 0;

        for (unsigned i = 0; i < 4 && len == 0; i++) {
            len = span_starts(raw, span_text(blanks[i])) ? strlen(blanks[i]) : 0;
        }
        if (len == 0) {
            return false;
        }
        raw = span_after(raw, len);
    }
    return true;
}

/* Are these a person's words? Notes it where they are the client's. */
static bool is_said(struct fresh *fresh, const struct segment *segment)
{
    if (segment->mark == MARK_IMAGE) {
        return true;
    }
    if (segment->mark == '\0') {
        return fresh->rest == REST_KEPT && segment->raw.len > 0;
    }
    if (is_blank(segment->raw)) {
        return false;
    }
    if (begins_like(fresh, HARNESS_TEXT, segment->raw)) {
        fresh->said_by_client = true;
        return false;
    }
    return true;
}

static bool has_words(struct fresh *fresh, size_t from)
{
    struct span held = held_from(fresh, from);

    while (held.len > 0) {
        struct segment segment = take_segment(&held);

        if (is_said(fresh, &segment)) {
            return true;
        }
    }
    return false;
}

static uint64_t chain(const struct fresh *fresh, uint64_t hash, struct span bytes)
{
    return sketch_mix(hash * UINT64_C(0x9e3779b97f4a7c15) ^
                      sketch_hash(fresh->key, bytes.at, bytes.len));
}

/* The conversation's first words, as far as they are held. */
static void hash_first(struct fresh *fresh, size_t from)
{
    struct span held = held_from(fresh, from);

    fresh->first = 1;
    while (held.len > 0) {
        struct segment segment = take_segment(&held);

        if (is_said(fresh, &segment)) {
            fresh->first = chain(fresh, fresh->first, segment.raw);
        }
    }
}

/* ---- the sketch ---------------------------------------------------------------------- */

static void decoded(void *self, const struct scan_value *value)
{
    struct fresh *fresh = self;

    if (value->type == SCAN_PIECE) {
        sketch_prompt_feed(&fresh->sketcher, value->text);
    }
}

static void decode(struct fresh *fresh, struct span raw)
{
    (void)scan_feed(&fresh->decode, raw, decoded, fresh);
}

static void sketch_segment(struct fresh *fresh, const struct segment *segment)
{
    if (segment->mark != '\0') {
        if (fresh->sketched_segment) {
            sketch_prompt_feed(&fresh->sketcher, SPAN("\n"));
        }
        fresh->sketched_segment = true;
        scan_init(&fresh->decode, plan_of_text(), SCAN_STRICT);
        decode(fresh, SPAN("\""));
    }
    if (segment->mark == MARK_IMAGE) {
        sketch_prompt_feed(&fresh->sketcher, SPAN("[img]"));
    } else {
        decode(fresh, segment->raw);
    }
}

static void forget_sketch(struct fresh *fresh)
{
    if (fresh->sketching) {
        sketch_prompt_wipe(&fresh->sketcher);
        fresh->sketching = false;
        fresh->sketched_here = false;
    }
}

/* Sketches what is held. The last text may go on: if so, too little of it to tell whose
 * words it is stays held. */
static void drain(struct fresh *fresh)
{
    struct span held = held_from(fresh, 0);
    size_t stays = 0;

    if (!fresh->sketching) {
        sketch_prompt_begin(&fresh->sketcher, fresh->key);
        fresh->sketching = true;
        fresh->sketched_segment = false;
    }
    while (held.len > 0) {
        size_t at = fresh->held_len - held.len;
        struct segment segment = take_segment(&held);
        bool goes_on = held.len == 0 && fresh->in_text;

        if (goes_on && segment.mark == MARK_TEXT && segment.raw.len < FRESH_FRONT) {
            stays = fresh->held_len - at;
            memmove(fresh->held, fresh->held + at, stays);
            break;
        }
        if (is_said(fresh, &segment)) {
            sketch_segment(fresh, &segment);
            fresh->rest = goes_on ? REST_KEPT : REST_NONE;
        } else {
            fresh->rest = goes_on ? REST_LEFT_OUT : REST_NONE;
        }
    }
    fresh->held_len = stays;
    fresh->message_at = 0;
}

/* ---- messages ------------------------------------------------------------------------ */

/* The words of the message being read replace those of an earlier one. */
static void supersede(struct fresh *fresh)
{
    if (!fresh->sketched_here) {
        forget_sketch(fresh);
    }
    fresh->held_len -= fresh->message_at;
    memmove(fresh->held, fresh->held + fresh->message_at, fresh->held_len);
    fresh->message_at = 0;
}

/* `held` is full of one message, and perhaps an earlier one in front of it. */
static void make_room(struct fresh *fresh)
{
    if (fresh->pinned ||
        (!fresh->sketched_here && !has_words(fresh, fresh->message_at))) {
        fresh->held_len = fresh->message_at;
        fresh->rest = REST_LEFT_OUT;
        return;
    }
    fresh->words = false; /* those of an earlier message go; these are not whole yet */
    supersede(fresh);
    if (fresh->held_len < FRESH_HELD) {
        return;
    }
    if (!fresh->first_known) {
        hash_first(fresh, 0);
        fresh->first_known = true;
    }
    drain(fresh);
    fresh->sketched_here = true;
}

static void hold(struct fresh *fresh, struct span bytes)
{
    while (bytes.len > 0) {
        size_t room = FRESH_HELD - fresh->held_len;
        size_t len = bytes.len < room ? bytes.len : room;

        if (fresh->rest == REST_LEFT_OUT) {
            return;
        }
        memcpy(fresh->held + fresh->held_len, bytes.at, len);
        fresh->held_len += len;
        if (fresh->held_len > fresh->held_most) {
            fresh->held_most = fresh->held_len;
        }
        bytes = span_after(bytes, len);
        if (fresh->held_len == FRESH_HELD) {
            make_room(fresh);
        }
    }
}

static void begin_text(struct fresh *fresh, char mark)
{
    if (!fresh->in_text) {
        fresh->rest = REST_NONE;
        hold(fresh, span_of(&mark, 1));
        fresh->in_text = true;
    }
}

/* What is held of a text whose front was sketched goes there too. */
static void end_text(struct fresh *fresh)
{
    fresh->in_text = false;
    if (fresh->rest == REST_KEPT) {
        drain(fresh);
    }
}

/* ---- the system prompt --------------------------------------------------------------- */

static void end_chunk(struct fresh *fresh)
{
    struct span chunk = span_of(fresh->chunk, fresh->system_len);

    if (!fresh->system_begun) {
        fresh->system_begun = true;
        fresh->system_by_client |= begins_like(fresh, HARNESS_SYSTEM, chunk);
        fresh->system_left_out = begins_like(fresh, HARNESS_VOLATILE, chunk);
    }
    if (!fresh->system_left_out && chunk.len > 0) {
        fresh->system = chain(fresh, fresh->system, chunk);
    }
    fresh->system_len = 0;
}

static void system_text(struct fresh *fresh, struct span raw)
{
    while (raw.len > 0) {
        size_t room = FRESH_CHUNK - fresh->system_len;
        size_t len = raw.len < room ? raw.len : room;

        memcpy(fresh->chunk + fresh->system_len, raw.at, len);
        fresh->system_len += len;
        raw = span_after(raw, len);
        if (fresh->system_len == FRESH_CHUNK) {
            end_chunk(fresh);
        }
    }
}

static void system_ends(struct fresh *fresh)
{
    end_chunk(fresh);
    fresh->system_begun = false;
}

/* A message that only turned out to be the system's when its text was held. */
static void system_message(struct fresh *fresh)
{
    struct span held = held_from(fresh, fresh->message_at);

    while (held.len > 0) {
        system_text(fresh, take_segment(&held).raw);
        system_ends(fresh);
    }
}

/* ---- ends of messages ---------------------------------------------------------------- */

/* The model spoke: what came before is no longer fresh. */
static void forget(struct fresh *fresh)
{
    fresh->model_spoke = true;
    if (fresh->pinned) {
        fresh->held_len = fresh->message_at;
        return;
    }
    fresh->tool = false;
    fresh->said_by_client = false;
    fresh->words = false;
    fresh->held_len = 0;
    forget_sketch(fresh);
}

static void user_ends(struct fresh *fresh)
{
    bool said = fresh->sketched_here || has_words(fresh, fresh->message_at);

    fresh->tool |= fresh->message_tool && !fresh->pinned;
    if (said && !fresh->first_known) {
        hash_first(fresh, fresh->message_at);
        fresh->first_known = true;
    }
    if (!said || fresh->pinned) {
        fresh->held_len = fresh->message_at;
        return;
    }
    supersede(fresh);
    if (fresh->sketching) {
        drain(fresh);
    }
    fresh->words = true;
}

static void message_ends(struct fresh *fresh, enum fresh_role role)
{
    fresh->messages++;
    switch (role) {
    case ROLE_MODEL:
        forget(fresh);
        break;
    case ROLE_SYSTEM:
        if (!fresh->first_known) {
            system_message(fresh);
        }
        fresh->held_len = fresh->message_at;
        break;
    case ROLE_TOOL:
        fresh->tool |= !fresh->pinned;
        fresh->held_len = fresh->message_at;
        break;
    case ROLE_USER:
    case ROLE_UNKNOWN:
        user_ends(fresh);
        break;
    }
}

static void message_begins(struct fresh *fresh)
{
    fresh->role = ROLE_UNKNOWN;
    fresh->in_message = false;
    fresh->message_tool = false;
    fresh->sketched_here = false;
    fresh->in_text = false;
    fresh->rest = REST_NONE;
    fresh->message_at = fresh->held_len;
}

/* ---- values -------------------------------------------------------------------------- */

static void message_text(struct fresh *fresh, const struct scan_value *value)
{
    bool system = fresh->role == ROLE_SYSTEM;

    if (value->type == SCAN_PIECE && system) {
        if (!fresh->first_known) {
            system_text(fresh, value->text);
        }
    } else if (value->type == SCAN_PIECE) {
        begin_text(fresh, MARK_TEXT);
        hold(fresh, value->text);
    } else if (value->type == SCAN_STRING && system) {
        if (!fresh->first_known) {
            system_ends(fresh);
        }
    } else if (value->type == SCAN_STRING) {
        end_text(fresh);
    }
}

static void prompt_text(struct fresh *fresh, const struct scan_value *value)
{
    if (value->type == SCAN_PIECE) {
        if (!fresh->in_text) {
            fresh->pinned = false;
            message_begins(fresh);
        }
        begin_text(fresh, MARK_TEXT);
        hold(fresh, value->text);
    } else if (value->type == SCAN_STRING && fresh->in_text) {
        bool first_known = fresh->first_known;

        end_text(fresh);
        message_ends(fresh, ROLE_USER);
        message_begins(fresh);
        fresh->first_known = first_known; /* an older message may be told later */
        fresh->pinned = fresh->words;
    }
}

static void type_seen(struct fresh *fresh, struct span text)
{
    switch (type_of(text)) {
    case TYPE_RESULT:
        fresh->message_tool = true;
        break;
    case TYPE_MODEL:
        fresh->role = ROLE_MODEL;
        break;
    case TYPE_IMAGE:
        fresh->in_text = false;
        begin_text(fresh, MARK_IMAGE);
        fresh->in_text = false;
        break;
    case TYPE_OTHER:
        break;
    }
}

static void message_seen(struct fresh *fresh, const struct scan_value *value)
{
    if (value->type == SCAN_OBJECT) {
        message_begins(fresh);
        fresh->in_message = true;
        fresh->message_offset = value->begin;
    } else if (value->type == SCAN_END && fresh->in_message &&
               fresh->message_offset == value->begin) {
        message_ends(fresh, (enum fresh_role)fresh->role);
        message_begins(fresh);
    }
}

/* Text is wanted unless it is known to be a model's or a tool's. */
static bool wants_text(const struct fresh *fresh)
{
    return fresh->role != ROLE_MODEL && fresh->role != ROLE_TOOL;
}

void fresh_value(struct fresh *fresh, enum fresh_tag tag,
                 const struct scan_value *value, bool *raw)
{
    bool there = value->type != SCAN_NULL && value->type != SCAN_END;

    switch (tag) {
    case FRESH_TEXT:
        message_text(fresh, value);
        break;
    case FRESH_SYSTEM:
        if (value->type == SCAN_PIECE) {
            system_text(fresh, value->text);
        } else if (value->type == SCAN_STRING) {
            system_ends(fresh);
        }
        break;
    case FRESH_PROMPT:
        prompt_text(fresh, value);
        break;
    case FRESH_MESSAGE:
        message_seen(fresh, value);
        break;
    case FRESH_ROLE:
        if (value->type == SCAN_STRING && fresh->role == ROLE_UNKNOWN) {
            fresh->role = (uint8_t)role_of(value->text);
        }
        break;
    case FRESH_TYPE:
        if (value->type == SCAN_STRING) {
            type_seen(fresh, value->text);
        }
        break;
    case FRESH_RESULT:
        fresh->message_tool |= there && fresh->in_message;
        fresh->tool |= there && !fresh->in_message;
        break;
    case FRESH_IMAGE:
        if (there) {
            type_seen(fresh, SPAN("image"));
        }
        break;
    case FRESH_PREDECESSOR:
        if (value->type == SCAN_STRING) {
            fresh->predecessor =
                sketch_hash(fresh->key, value->text.at, value->text.len);
        }
        break;
    }
    *raw = wants_text(fresh);
}

/* ---- life ---------------------------------------------------------------------------- */

void fresh_begin(struct fresh *fresh, const struct sketch_key *key,
                 const struct harness *harness)
{
    memset(fresh, 0, offsetof(struct fresh, decode));
    fresh->key = key;
    fresh->harness = harness;
    fresh->system = 1;
    message_begins(fresh);
}

void fresh_end(struct fresh *fresh, struct call *call)
{
    struct turn *turn = &call->turn;
    bool harness = fresh->words ? fresh->system_by_client : fresh->said_by_client;

    turn->kind = TURN_CONTINUATION;
    turn->harness = !fresh->tool && harness;
    if (!fresh->tool && fresh->words && !harness) {
        fresh->in_text = false;
        drain(fresh);
        sketch_prompt_end(&fresh->sketcher, &turn->prompt);
        fresh->sketching = false;
        turn->kind = TURN_PROMPT;
        turn->has_prompt = true;
    }
    call->root = sketch_mix(fresh->system ^ fresh->first * 3);
    call->predecessor = fresh->predecessor;
    call->messages = fresh->messages;
    call->opens = !fresh->model_spoke;
}

void fresh_wipe(struct fresh *fresh)
{
    forget_sketch(fresh);
    explicit_bzero(&fresh->decode, sizeof(fresh->decode));
    explicit_bzero(fresh->chunk, sizeof(fresh->chunk));
    explicit_bzero(fresh->held, fresh->held_most);
    fresh->held_most = 0;
}

#include "filters/clients.h"
#include "filters/frame/multipart.h"
#include "filters/object.h"
#include "filters/paid_tool.h"
#include "filters/pattern.h"
#include "filters/registry.h"
#include "filters/watch_pool.h"
#include "proxy/http/media.h"
#include "proxy/http/target.h"

#include <stdlib.h>

enum probe_state { PROBE_IDLE, PROBE_LOOKING, PROBE_EMPTY, PROBE_FULL };

/* Looks whether the object that opened before offset `at` has a member. */
struct probe {
    uint64_t at;
    enum probe_state state;
};

struct request_watch {
    struct request_watch *next; /* in the pool */
    struct watch_pool *pool;
    const struct dialect *dialect;
    const struct dialect_route *route;
    struct facts *facts;
    struct claims *claims;
    struct fresh *fresh;           /* NULL: the turn gate does not read along */
    struct message_facts *message; /* NULL: it is no message over a WebSocket */
    struct decode *decode;         /* NULL: nothing to undo */
    void (*out)(void *self, struct span piece);
    void *out_self;
    uint64_t text_bytes;
    enum fault fault; /* the first one; nothing is read after it */
    bool scanned;     /* there is a body to read */
    bool form;        /* it is multipart/form-data */
    bool path_model;  /* the path names the model, whatever the body says */
    bool path_stream; /* the path asks for a stream, whatever the body says */
    bool declared;    /* Content-Type says JSON */
    bool begun;       /* a byte of the body came that is no white space */
    bool ended;
    uint32_t form_facts; /* a bit per enum fact: a part said it */
    struct probe body, options;
    uint8_t claim_len;
    char claim[CLIENTS_USER_TAIL]; /* of a claim in the body that is being read */
    union {
        struct scan scan;
        struct multipart multipart;
    };
};

/* ---- claims ------------------------------------------------------------------------- */

/* Keeps the last bytes of a claim that comes in pieces. */
static void keep_tail(struct request_watch *watch, struct span piece)
{
    size_t room = sizeof(watch->claim), kept = watch->claim_len;

    if (piece.len > room) {
        piece = span_after(piece, piece.len - room);
    }
    if (kept + piece.len > room) {
        size_t drop = kept + piece.len - room;

        memmove(watch->claim, watch->claim + drop, kept - drop);
        kept -= drop;
    }
    memcpy(watch->claim + kept, piece.at, piece.len);
    watch->claim_len = (uint8_t)(kept + piece.len);
}

static void claim_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct span claim = span_of(watch->claim, watch->claim_len);

    if (value->type == SCAN_PIECE) {
        keep_tail(watch, value->text);
    } else if (value->type == SCAN_STRING) {
        if (value->tag == FACT_USER) {
            clients_user(claim, watch->claims);
        } else {
            clients_session(claim, watch->claims);
        }
        watch->claim_len = 0;
    }
}

/* ---- facts -------------------------------------------------------------------------- */

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A null is no model: clients of servers that have one only send it. */
static enum fault model_seen(struct facts *facts, const struct scan_value *value)
{
    if (value->type == SCAN_NULL) {
        return FAULT_NONE;
    }
    if (value->type != SCAN_STRING || !is_printable(value->text)) {
        return FAULT_BAD_BODY;
    }
    facts->model_cut = !text_store(facts->model, sizeof(facts->model), value->text);
    facts->model_cut |= value->cut;
    return FAULT_NONE;
}

static void options_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct facts *facts = watch->facts;

    facts->options_begin = value->begin;
    if (value->type == SCAN_OBJECT) {
        facts->options_object = true;
        watch->options = (struct probe){ value->begin + 1, PROBE_LOOKING };
    } else if (value->type != SCAN_ARRAY) {
        facts->options_end = value->end;
    }
}

/* The greatest limit counts. A negative one means none (LM Studio, llama.cpp); one beyond
 * any count is the greatest there is. */
static void limit_seen(uint64_t *limit, const struct scan_value *value)
{
    uint64_t count = INT64_MAX;

    if (value->type != SCAN_NUMBER || value->text.at[0] == '-') {
        return;
    }
    if (!scan_count(value->text, &count) || value->cut) {
        count = INT64_MAX;
    }
    if (count > *limit) {
        *limit = count;
    }
}

/* Each one once. */
static void tool_seen(struct named_tools *tools, struct span type, bool cut)
{
    if (tools == NULL) {
        return;
    }
    for (size_t i = 0; i < tools->count; i++) {
        if (span_equal(span_text(tools->names[i]), type)) {
            return;
        }
    }
    if (cut || tools->count == NAMED_TOOLS_MAX || type.len >= NAMED_TOOL_SIZE) {
        tools->cut = true;
    } else {
        text_store(tools->names[tools->count++], NAMED_TOOL_SIZE, type);
    }
}

/* A key that stands for a tool, under the name that this has elsewhere. */
static void tool_key_seen(struct named_tools *tools, const struct scan_value *value)
{
    static const char *const names[] = {
        [FACT_WEB_SEARCH] = "web_search",         [FACT_MAPS_SEARCH] = "maps_search",
        [FACT_CODE_EXECUTION] = "code_execution", [FACT_URL_CONTEXT] = "url_context",
        [FACT_FILE_SEARCH] = "file_search",       [FACT_COMPUTER_USE] = "computer_use",
    };

    if (value->type != SCAN_NULL && value->type != SCAN_FALSE &&
        value->type != SCAN_END) {
        tool_seen(tools, span_text(names[value->tag]), false);
    }
}

static void tier_seen(struct facts *facts, const struct scan_value *value)
{
    if (value->type == SCAN_STRING && !facts->fast) {
        text_store(facts->service_tier, sizeof(facts->service_tier), value->text);
    }
}

static enum fault root_seen(struct request_watch *watch, const struct scan_value *value)
{
    if (value->type == SCAN_END) {
        return FAULT_NONE;
    }
    if (value->type != SCAN_OBJECT) {
        return FAULT_BAD_BODY;
    }
    watch->facts->body_open = value->begin + 1;
    watch->body = (struct probe){ value->begin + 1, PROBE_LOOKING };
    return FAULT_NONE;
}

static void turn_seen(struct request_watch *watch, const struct scan_value *value)
{
    if (watch->fresh != NULL) {
        fresh_value(watch->fresh, (enum fresh_tag)(value->tag - FACT_SAID), value,
                    &watch->scan.raw);
    }
}

static enum fault message_seen(struct request_watch *watch,
                               const struct scan_value *value)
{
    struct message_facts *message = watch->message;

    if (message == NULL) {
        return FAULT_NONE; /* another member of that name, of a plain request */
    }
    if (value->duplicate) {
        return FAULT_DUPLICATE_KEY;
    }
    if (value->type != SCAN_STRING) {
        return value->tag == FACT_SOCKET_TYPE ? FAULT_BAD_BODY : FAULT_NONE;
    }
    if (value->tag == FACT_SOCKET_TYPE) {
        text_store(message->type, sizeof(message->type), value->text);
    } else {
        text_store(message->lane, sizeof(message->lane), value->text);
    }
    return FAULT_NONE;
}

static enum fault fact_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct facts *facts = watch->facts;

    switch ((enum fact)value->tag) {
    case FACT_ROOT:
        return root_seen(watch, value);
    case FACT_MODEL:
        return watch->path_model ? FAULT_NONE : model_seen(facts, value);
    case FACT_STREAM:
        facts->stream_said = true;
        if (value->type != SCAN_NULL) {
            facts->stream = watch->path_stream || value->type == SCAN_TRUE;
        }
        break;
    case FACT_STREAM_OPTIONS:
        options_seen(watch, value);
        break;
    case FACT_INCLUDE_USAGE:
        facts->usage_asked = value->type == SCAN_TRUE;
        facts->include_begin = value->begin;
        facts->include_end = value->end;
        break;
    case FACT_MAX_OUTPUT:
        limit_seen(&facts->max_output, value);
        break;
    case FACT_CHOICES:
        limit_seen(&facts->choices, value);
        break;
    case FACT_SERVICE_TIER:
        tier_seen(facts, value);
        break;
    case FACT_SPEED:
        if (value->type == SCAN_STRING && !span_equal(value->text, SPAN("standard"))) {
            tier_seen(facts, value);
            facts->fast = true;
        }
        break;
    case FACT_BACKGROUND:
        facts->background = value->type == SCAN_TRUE;
        break;
    case FACT_MORE_MODELS:
        facts->more_models |= value->type == SCAN_STRING || value->type == SCAN_OBJECT;
        break;
    case FACT_TOOL:
        if (value->type == SCAN_STRING && paid_tool(value->text)) {
            tool_seen(facts->tools, value->text, value->cut);
        }
        break;
    case FACT_WEB_SEARCH:
    case FACT_MAPS_SEARCH:
    case FACT_CODE_EXECUTION:
    case FACT_URL_CONTEXT:
    case FACT_FILE_SEARCH:
    case FACT_COMPUTER_USE:
        tool_key_seen(facts->tools, value);
        break;
    case FACT_SESSION:
    case FACT_USER:
        claim_seen(watch, value);
        break;
    case FACT_INPUT_TEXT:
        watch->text_bytes += scan_string_bytes(value);
        break;
    case FACT_INPUT_JSON:
        watch->text_bytes += value->type == SCAN_END ? value->end - value->begin : 0;
        break;
    case FACT_SAID:
    case FACT_SYSTEM:
    case FACT_PROMPT:
        watch->text_bytes += scan_string_bytes(value);
        turn_seen(watch, value);
        break;
    case FACT_MESSAGE:
    case FACT_ROLE:
    case FACT_TYPE:
    case FACT_RESULT:
    case FACT_IMAGE:
    case FACT_PREDECESSOR:
        turn_seen(watch, value);
        break;
    case FACT_SOCKET_TYPE:
    case FACT_SOCKET_LANE:
        return message_seen(watch, value);
    }
    return FAULT_NONE;
}

static void value_seen(void *self, const struct scan_value *value)
{
    struct request_watch *watch = self;

    if (watch->fault != FAULT_NONE) {
        return;
    }
    if (value->duplicate && fact_decides((enum fact)value->tag)) {
        watch->fault = FAULT_DUPLICATE_KEY;
    } else {
        watch->fault = fact_seen(watch, value);
    }
}

/* ---- forms -------------------------------------------------------------------------- */

/* A part as the JSON value that it stands for. */
static struct scan_value value_of_part(enum fact fact,
                                       const struct multipart_part *part)
{
    struct scan_value value = { .tag = fact,
                                .type = SCAN_STRING,
                                .text = part->value,
                                .cut = part->bytes > part->value.len,
                                .end =
                                    part->bytes + 2 /* its quotes, if it had any */ };
    uint64_t count;

    if (span_equal_nocase(part->value, SPAN("true"))) {
        value.type = SCAN_TRUE;
    } else if (scan_count(part->value, &count)) {
        value.type = SCAN_NUMBER;
    }
    if (fact == FACT_MODEL || fact == FACT_INPUT_TEXT) {
        value.type = SCAN_STRING;
    }
    return value;
}

static void part_seen(void *self, const struct multipart_part *part)
{
    struct request_watch *watch = self;
    const struct scan_path *row = watch->dialect->request;
    struct scan_value value;
    uint32_t bit;

    while (row->path != NULL && !span_equal(span_text(row->path), part->name)) {
        row++;
    }
    if (row->path == NULL || watch->fault != FAULT_NONE) {
        return;
    }
    bit = UINT32_C(1) << row->tag;
    value = value_of_part((enum fact)row->tag, part);
    value.duplicate = (watch->form_facts & bit) != 0;
    watch->form_facts |= bit;
    value_seen(watch, &value);
}

/* ---- bytes -------------------------------------------------------------------------- */

static bool probe_feed(struct probe *probe, uint64_t offset, struct span piece)
{
    uint64_t at = probe->at > offset ? probe->at - offset : 0;

    for (; probe->state == PROBE_LOOKING && at < piece.len; at++) {
        if (memchr(" \t\r\n", piece.at[at], 4) == NULL) {
            probe->state = piece.at[at] == '}' ? PROBE_EMPTY : PROBE_FULL;
        }
    }
    return probe->state == PROBE_EMPTY;
}

/* Looks at the first byte that is no white space: what neither begins like a JSON text nor
 * is declared as one is not for reading. The provider gets it as it came and says in its
 * own words what is wrong with it; the reply is metered all the same. */
static void begin_body(struct request_watch *watch, struct span piece)
{
    size_t at = 0;

    while (at < piece.len && memchr(" \t\r\n", piece.at[at], 4) != NULL) {
        at++;
    }
    if (at < piece.len) {
        watch->begun = true;
        watch->scanned = watch->declared || memchr("{[\xef", piece.at[at], 3) != NULL;
    }
}

static void read_text(struct request_watch *watch, struct span piece)
{
    uint64_t offset = watch->scan.offset;

    if (watch->fault == FAULT_NONE && watch->scanned && !watch->begun) {
        begin_body(watch, piece);
    }
    if (watch->fault != FAULT_NONE || !watch->scanned) {
        return;
    }
    if (scan_feed(&watch->scan, piece, value_seen, watch) == SCAN_MALFORMED &&
        watch->fault == FAULT_NONE) {
        watch->fault = FAULT_BAD_BODY;
    }
    watch->facts->body_empty = probe_feed(&watch->body, offset, piece);
    watch->facts->options_empty = probe_feed(&watch->options, offset, piece);
}

static void read_piece(void *self, struct span piece)
{
    struct request_watch *watch = self;

    if (watch->out != NULL) {
        watch->out(watch->out_self, piece);
    }
    if (watch->form) {
        multipart_feed(&watch->multipart, piece, part_seen, watch);
    } else {
        read_text(watch, piece);
    }
}

static void note_verdict(struct request_watch *watch, enum decode_verdict verdict)
{
    static const enum fault faults[] = {
        [DECODE_OK] = FAULT_NONE,
        [DECODE_CORRUPT] = FAULT_BAD_BODY,
        [DECODE_OVER_LIMIT] = FAULT_BODY_TOO_LARGE,
        [DECODE_NO_MEMORY] = FAULT_NO_MEMORY,
    };

    if (watch->fault == FAULT_NONE) {
        watch->fault = faults[verdict];
    }
}

enum fault request_watch_data(struct request_watch *watch, struct span bytes)
{
    if (watch->decode == NULL) {
        read_piece(watch, bytes);
    } else if (watch->fault == FAULT_NONE) {
        note_verdict(watch, decode_feed(watch->decode, bytes, read_piece, watch));
    }
    return watch->fault;
}

enum fault request_watch_end(struct request_watch *watch)
{
    if (watch->decode != NULL && watch->fault == FAULT_NONE) {
        note_verdict(watch, decode_end(watch->decode));
    }
    if (watch->scanned && (watch->begun || watch->message != NULL) &&
        watch->fault == FAULT_NONE &&
        scan_end(&watch->scan, value_seen, watch) == SCAN_MALFORMED) {
        watch->fault = watch->fault == FAULT_NONE ? FAULT_BAD_BODY : watch->fault;
    }
    watch->ended = true;
    return watch->fault;
}

/* ---- life --------------------------------------------------------------------------- */

static bool declares_json(const struct head *head)
{
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);

    return type != NULL && media_of(type->value) == MEDIA_JSON;
}

/* "arn:aws:bedrock:...%2Fus.anthropic.claude-x" is named by what is behind its last slash:
 * the rest says whose it is. */
static struct span model_name(struct span model)
{
    if (span_starts(model, SPAN("arn:"))) {
        for (size_t i = model.len; i >= 3; i--) {
            if (span_equal(span_of(model.at + i - 3, 3), SPAN("%2F"))) {
                return span_after(model, i);
            }
        }
    }
    return model;
}

/* What stands in the braces of a route's path. */
static void read_path_name(struct request_watch *watch,
                           const struct dialect_route *route, struct span raw)
{
    struct facts *facts = watch->facts;
    SCRATCH char buffer[HEAD_TARGET_MAX];
    struct target target;
    struct span name;

    if (target_parse(raw, TARGET_ALLOW_ENCODED_SLASH, buffer, sizeof(buffer),
                     &target) != FAULT_NONE ||
        !pattern_matches(span_text(route->path), target.path, &name)) {
        return;
    }
    if ((route->flags & ROUTE_ONCE) != 0) {
        facts->object = object_hash(name);
        return;
    }
    facts->model_cut =
        !text_store(facts->model, sizeof(facts->model), model_name(name));
    watch->path_model = true;
}

/* What the path says, which was found good before. */
static void read_path(struct request_watch *watch, const struct dialect_route *route,
                      struct span raw)
{
    struct span pattern = span_text(route->path);

    watch->path_stream = (route->flags & ROUTE_STREAM) != 0;
    watch->facts->stream = (route->flags & (ROUTE_STREAM | ROUTE_STREAM_UNSAID)) != 0;
    if (span_find(pattern, '{') < pattern.len) {
        read_path_name(watch, route, raw);
    }
}

static void begin_scan(struct request_watch *watch, const struct scan_plan *plan,
                       const struct dialect_route *route, const struct head *head)
{
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);

    if ((route->flags & ROUTE_MULTIPART) != 0 && type != NULL &&
        media_of(type->value) == MEDIA_MULTIPART) {
        watch->form = multipart_init(&watch->multipart, type->value);
        return;
    }
    watch->scanned = true;
    scan_init(&watch->scan, plan, SCAN_STRICT);
    watch->declared = declares_json(head);
}

static bool open_decoder(struct request_watch *watch, const struct head *head)
{
    const struct field *coding = head_field(head, FIELD_CONTENT_ENCODING);

    if ((!watch->scanned && !watch->form) || coding == NULL ||
        !decode_needed(coding->value)) {
        return true;
    }
    if (!decode_known(coding->value)) {
        watch->fault = FAULT_CODING;
        return true;
    }
    watch->decode = decode_new(coding->value, watch->pool->limits);
    return watch->decode != NULL;
}

static struct request_watch *take_watch(struct watch_pool *pool,
                                        const struct dialect *dialect,
                                        const struct dialect_route *route,
                                        struct facts *facts, struct claims *claims)
{
    struct request_watch *watch = pool->requests;

    if (watch != NULL) {
        pool->requests = watch->next;
        pool->request_count--;
    } else {
        watch = malloc(sizeof(*watch));
        if (watch == NULL) {
            return NULL;
        }
    }
    memset(watch, 0, offsetof(struct request_watch, claim));
    memset(facts, 0, sizeof(*facts));
    watch->pool = pool;
    watch->dialect = dialect;
    watch->route = route;
    watch->facts = facts;
    watch->claims = claims;
    return watch;
}

struct request_watch *request_watch_open(struct watch_pool *pool,
                                         const struct dialect *dialect,
                                         const struct dialect_route *route,
                                         const struct head *head, struct facts *facts,
                                         struct claims *claims)
{
    const struct scan_plan *plan = registry_plans(dialect)->request;
    struct request_watch *watch = take_watch(pool, dialect, route, facts, claims);

    if (watch == NULL) {
        return NULL;
    }
    read_path(watch, route, head->target);
    if (plan != NULL && (route->flags & ROUTE_NO_BODY) == 0) {
        begin_scan(watch, plan, route, head);
    }
    return open_decoder(watch, head) ? watch : request_watch_close(watch);
}

struct request_watch *request_watch_open_message(struct watch_pool *pool,
                                                 const struct dialect *dialect,
                                                 const struct dialect_route *route,
                                                 struct facts *facts,
                                                 struct claims *claims,
                                                 struct message_facts *message)
{
    struct request_watch *watch = take_watch(pool, dialect, route, facts, claims);

    if (watch != NULL) {
        *message = (struct message_facts){ .type = "" };
        watch->message = message;
        watch->scanned = true;
        watch->declared = true;
        scan_init(&watch->scan, registry_plans(dialect)->request, SCAN_STRICT);
    }
    return watch;
}

struct request_watch *request_watch_close(struct request_watch *watch)
{
    if (watch == NULL) {
        return NULL;
    }
    watch->decode = decode_free(watch->decode);
    if (watch->fresh != NULL) {
        watch_pool_fresh_back(watch->pool, watch->fresh);
    }
    if (watch->pool->request_count == WATCH_POOL_IDLE_MAX) {
        free(watch);
        return NULL;
    }
    watch->next = watch->pool->requests;
    watch->pool->requests = watch;
    watch->pool->request_count++;
    return NULL;
}

void request_watch_drop(struct request_watch *watch)
{
    while (watch != NULL) {
        struct request_watch *next = watch->next;

        free(watch);
        watch = next;
    }
}

/* ---- turns -------------------------------------------------------------------------- */

/* Does the call generate something, for a request that can say something? */
static bool has_turns(const struct request_watch *watch)
{
    const unsigned none =
        ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE | ROUTE_INPUT_ONLY | ROUTE_NO_TEXT;

    return watch->scanned && (watch->route->flags & none) == 0 &&
           registry_plans(watch->dialect)->request_turns != NULL;
}

bool request_watch_turns(struct request_watch *watch, const struct sketch_key *key,
                         const struct harness *harness)
{
    if (!has_turns(watch)) {
        return true;
    }
    watch->fresh = watch_pool_fresh(watch->pool);
    if (watch->fresh == NULL) {
        return false;
    }
    fresh_begin(watch->fresh, key, harness);
    scan_init(&watch->scan, registry_plans(watch->dialect)->request_turns, SCAN_STRICT);
    watch->scan.raw = true;
    return true;
}

/* Nobody asks for an answer of one token, or for a summary at its own address: clients do,
 * to see whether there is quota left and to shorten a conversation. */
static bool is_housekeeping(const struct request_watch *watch)
{
    return watch->facts->max_output == 1 ||
           strcmp(watch->route->operation, "compact") == 0;
}

struct call *request_watch_call(struct request_watch *watch)
{
    struct span session = span_text(watch->claims->session);
    struct call *call;

    if (watch->fresh == NULL || !watch->ended || watch->fault != FAULT_NONE) {
        return NULL;
    }
    call = watch_pool_call(watch->pool);
    if (call == NULL) {
        return NULL;
    }
    fresh_end(watch->fresh, call);
    if (is_housekeeping(watch)) {
        call->turn.harness |= call->turn.kind == TURN_PROMPT;
        call->turn.kind = TURN_CONTINUATION;
        call->turn.has_prompt = false;
    }
    if (session.len > 0) {
        call->claimed = sketch_hash(watch->fresh->key, session.at, session.len);
    }
    return call;
}

/* ---- questions ---------------------------------------------------------------------- */

bool request_watch_decided(const struct request_watch *watch)
{
    const struct facts *facts = watch->facts;

    if (!watch->scanned || !watch->dialect->usage_splice || watch->ended ||
        watch->fault != FAULT_NONE) {
        return true;
    }
    return facts->stream_said && (!facts->stream || facts->usage_asked);
}

bool request_watch_encoded(const struct request_watch *watch)
{
    return watch->decode != NULL;
}

void request_watch_on_decoded(struct request_watch *watch,
                              void (*out)(void *self, struct span piece), void *self)
{
    watch->out = out;
    watch->out_self = self;
}

uint64_t request_watch_text_bytes(const struct request_watch *watch)
{
    return watch->text_bytes;
}

#include "filters/object.h"
#include "filters/pattern.h"
#include "filters/request.h"
#include "proxy/http/media.h"
#include "proxy/http/target.h"

#include <stdlib.h>

/* ---- bytes ----------------------------------------------------------------------- */

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

/* Looks at the first byte that is no white space: what neither begins like a JSON text
 * nor is declared as one is not for reading. The provider gets it as it came and says
 * in its own words what is wrong with it; the reply is metered all the same. */
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
    if (scan_feed(&watch->scan, piece, request_value_seen, watch) == SCAN_MALFORMED &&
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
        multipart_feed(&watch->multipart, piece, request_part_seen, watch);
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
        scan_end(&watch->scan, request_value_seen, watch) == SCAN_MALFORMED) {
        watch->fault = watch->fault == FAULT_NONE ? FAULT_BAD_BODY : watch->fault;
    }
    watch->ended = true;
    return watch->fault;
}

/* ---- life ------------------------------------------------------------------------ */

static bool declares_json(const struct head *head)
{
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);

    return type != NULL && media_of(type->value) == MEDIA_JSON;
}

/* "arn:aws:bedrock:...%2Fus.anthropic.claude-x" is named by what is behind its last
 * slash: the rest says whose it is. */
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
    const struct scan_plan *plan = watch_pool_plans(pool, dialect)->request;
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
        scan_init(&watch->scan, watch_pool_plans(pool, dialect)->request, SCAN_STRICT);
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

/* ---- turns ----------------------------------------------------------------------- */

/* Does the call generate something, for a request that can say something? */
static bool has_turns(const struct request_watch *watch)
{
    const unsigned none =
        ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE | ROUTE_INPUT_ONLY | ROUTE_NO_TEXT;

    return watch->scanned && (watch->route->flags & none) == 0 &&
           watch_pool_plans(watch->pool, watch->dialect)->request_turns != NULL;
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
    scan_init(&watch->scan,
              watch_pool_plans(watch->pool, watch->dialect)->request_turns,
              SCAN_STRICT);
    watch->scan.raw = true;
    return true;
}

/* Nobody asks for an answer of one token, or for a summary at its own address: clients
 * do, to see whether there is quota left and to shorten a conversation. */
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

/* ---- questions ------------------------------------------------------------------- */

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

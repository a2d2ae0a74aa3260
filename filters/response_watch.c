#include "filters/content/base64.h"
#include "filters/count/tokens.h"
#include "filters/frame/eventstream.h"
#include "filters/frame/lines.h"
#include "filters/frame/sse.h"
#include "filters/registry.h"
#include "filters/tally.h"
#include "filters/watch_pool.h"
#include "proxy/http/media.h"

#include <stdlib.h>

/* How a body is cut into JSON texts. */
enum frames {
    FRAMES_UNSETTLED, /* too few bytes came to tell */
    FRAMES_WHOLE,
    FRAMES_EVENTS,
    FRAMES_LINES,
    FRAMES_ARRAY,    /* one array, whose objects are the texts */
    FRAMES_MESSAGES, /* of an AWS event stream */
    FRAMES_NONE      /* nothing that could be read */
};

enum {
    FRONT_SIZE = 8, /* bytes that tell how a body is framed */
    GZIP_FIRST = 0x1f,
    GZIP_SECOND = 0x8b
};

enum { WRAPPED_PIECE = 256 }; /* characters of base64 that are undone at once */

static const char done_mark[] = "[DONE]";
enum { DONE_LEN = sizeof(done_mark) - 1, DONE_NOT = UINT8_MAX };

/* An AWS event stream. Its messages may wrap JSON texts in base64. */
struct messages {
    struct eventstream stream;
    struct tallier before; /* counts before the message that is being read */
    struct base64 base64;
    bool in_wrapped; /* a wrapped text has begun */
    bool unwrapping; /* values come from within: no text is wrapped twice */
    struct scan wrapped;
};

struct response_watch {
    struct response_watch *next; /* in the pool */
    struct watch_pool *pool;
    const struct dialect *dialect;
    const struct scan_plan *plan;
    struct decode *decode;     /* NULL: nothing to undo */
    struct messages *messages; /* NULL: the body is no AWS event stream */
    uint64_t text_bytes;       /* of generated text */
    uint64_t said_bytes;       /* ... before the provider's last count of output */
    uint64_t unfinished;       /* choices that have not said why they end */
    struct tallier tallier;
    uint8_t flags; /* enum usage_flag */
    uint8_t media; /* as Content-Type says */
    uint8_t frames;
    uint8_t front_len;
    uint8_t done_at; /* bytes of [DONE] that the event's data began with, or DONE_NOT */
    bool may_be_gzip; /* no coding was named; no byte has told yet */
    bool gzip_first;  /* the first byte of gzip's mark came */
    bool in_text;     /* a JSON text has begun */
    bool terminal;    /* the event being read ends the stream */
    bool finished;
    bool error;      /* an error object stood in the body */
    bool reading;    /* until nothing more can be read of it */
    bool counted;    /* a body that costs tokens */
    bool input_only; /* nothing is generated */
    bool no_text;    /* ... but no text */
    bool later;      /* the answer comes later, and is counted then */
    bool streamed;   /* the request asked for a stream */
    char front[FRONT_SIZE];
    char model[64];
    char service_tier[16];
    union {
        struct sse sse;
        struct lines lines;
    };
    struct scan scan;
};

/* ---- values ------------------------------------------------------------------------- */

static void wrapped_value(struct response_watch *watch, const struct scan_value *value);

static void value_seen(void *self, const struct scan_value *value)
{
    struct response_watch *watch = self;
    bool is_text = value->type == SCAN_STRING && value->text.len > 0;

    switch (value->tag) {
    case SEEN_TEXT:
        watch->text_bytes += scan_string_bytes(value);
        break;
    case SEEN_MODEL:
        if (is_text) {
            text_store(watch->model, sizeof(watch->model), value->text);
        }
        break;
    case SEEN_TIER:
        if (is_text) {
            text_store(watch->service_tier, sizeof(watch->service_tier), value->text);
        }
        break;
    case SEEN_TYPE:
        watch->terminal |= is_text && watch->dialect->terminal != NULL &&
                           watch->dialect->terminal(value->text);
        break;
    case SEEN_FINISH:
        watch->unfinished -= is_text && watch->unfinished > 0;
        break;
    case SEEN_END:
        watch->terminal |= value->type == SCAN_TRUE;
        break;
    case SEEN_ERROR:
        watch->error |= value->type == SCAN_OBJECT || is_text;
        break;
    case SEEN_VECTOR:
        watch->input_only = true;
        break;
    case SEEN_BYTES:
        wrapped_value(watch, value);
        break;
    default:
        tallier_value(&watch->tallier, watch->dialect->merge, value);
        break;
    }
}

/* ---- JSON texts in base64 ------------------------------------------------------------ */

static void wrapped_piece(struct response_watch *watch, struct span piece)
{
    struct messages *messages = watch->messages;
    char text[WRAPPED_PIECE / 4 * 3 + 2];

    while (piece.len > 0) {
        size_t len = piece.len < WRAPPED_PIECE ? piece.len : WRAPPED_PIECE;
        size_t decoded = base64_feed(&messages->base64, span_of(piece.at, len), text);

        scan_feed(&messages->wrapped, span_of(text, decoded), value_seen, watch);
        piece = span_after(piece, len);
    }
}

static void wrapped_value(struct response_watch *watch, const struct scan_value *value)
{
    struct messages *messages = watch->messages;

    if (messages == NULL || messages->unwrapping) {
        return;
    }
    messages->unwrapping = true;
    if (value->type == SCAN_PIECE) {
        if (!messages->in_wrapped) {
            messages->in_wrapped = true;
            messages->base64 = (struct base64){ 0 };
            scan_init(&messages->wrapped, watch->plan, SCAN_TOLERANT);
        }
        wrapped_piece(watch, value->text);
    } else if (messages->in_wrapped) {
        messages->in_wrapped = false;
        if (scan_end(&messages->wrapped, value_seen, watch) != SCAN_COMPLETE ||
            messages->base64.bad) {
            watch->flags |= USAGE_FRAMING_ERROR;
        }
    }
    messages->unwrapping = false;
}

/* ---- JSON texts --------------------------------------------------------------------- */

static void text_data(void *self, struct span piece)
{
    struct response_watch *watch = self;

    if (!watch->in_text) {
        watch->in_text = true;
        watch->done_at = 0;
        watch->terminal = false;
        scan_init(&watch->scan, watch->plan, SCAN_TOLERANT);
    }
    for (size_t i = 0; i < piece.len && watch->done_at < DONE_LEN; i++) {
        watch->done_at = piece.at[i] == done_mark[watch->done_at]
                             ? (uint8_t)(watch->done_at + 1)
                             : DONE_NOT;
    }
    scan_feed(&watch->scan, piece, value_seen, watch);
}

/* Has the provider counted what was generated, or everything? */
static bool is_reported(const struct tally *tally)
{
    return tally_has(tally, COUNT_OUTPUT) || tally_has(tally, COUNT_TOTAL);
}

static void text_end(void *self)
{
    const uint32_t said_counts = 1U << COUNT_OUTPUT | 1U << COUNT_REASONING;
    struct response_watch *watch = self;

    if (!watch->in_text) {
        return;
    }
    watch->in_text = false;
    if (watch->done_at == DONE_LEN) {
        watch->finished = true;
    } else if (scan_end(&watch->scan, value_seen, watch) != SCAN_COMPLETE) {
        watch->flags |= USAGE_FRAMING_ERROR;
    } else {
        watch->finished |= watch->terminal;
    }
    if ((watch->tallier.now & said_counts) != 0) {
        watch->said_bytes = watch->text_bytes;
    }
    tallier_event_end(&watch->tallier);
    watch->finished |= watch->unfinished == 0 && is_reported(&watch->tallier.tally);
}

static void event_end(void *self, struct span name)
{
    (void)name; /* JSON texts tell their type themselves */
    text_end(self);
}

static const struct sse_sink sse_sink = { .data = text_data, .event = event_end };
static const struct lines_sink lines_sink = { .data = text_data, .document = text_end };

/* ---- AWS event streams --------------------------------------------------------------- */

static void message_begin(void *self)
{
    struct response_watch *watch = self;

    watch->messages->before = watch->tallier;
    watch->messages->in_wrapped = false;
}

static void message_end(void *self, enum eventstream_kind kind)
{
    struct response_watch *watch = self;

    watch->error |= kind != EVENTSTREAM_EVENT;
    text_end(self);
}

static const struct eventstream_sink eventstream_sink = { .begin = message_begin,
                                                          .data = text_data,
                                                          .message = message_end };

/* The message that was being read was cut or damaged: what it said is void. */
static void message_void(struct response_watch *watch)
{
    watch->flags |= USAGE_FRAMING_ERROR;
    if (watch->in_text) {
        watch->in_text = false;
        watch->tallier = watch->messages->before;
    }
}

static void feed_messages(struct response_watch *watch, struct span piece)
{
    struct messages *messages = watch->messages;

    if (!messages->stream.broken &&
        !eventstream_feed(&messages->stream, piece, &eventstream_sink, watch)) {
        message_void(watch);
    }
}

/* ---- frames ------------------------------------------------------------------------- */

static void feed_frames(struct response_watch *watch, struct span piece)
{
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
        sse_feed(&watch->sse, piece, &sse_sink, watch);
        break;
    case FRAMES_LINES:
    case FRAMES_ARRAY:
        lines_feed(&watch->lines, piece, &lines_sink, watch);
        break;
    case FRAMES_MESSAGES:
        feed_messages(watch, piece);
        break;
    case FRAMES_WHOLE:
        if (piece.len > 0) {
            text_data(watch, piece);
        }
        break;
    case FRAMES_UNSETTLED:
    case FRAMES_NONE:
        break;
    }
}

/* A message of an AWS event stream begins with two lengths below 2^24. */
static bool begins_message(struct span front)
{
    return front.len == FRONT_SIZE && front.at[0] == '\0' && front.at[4] == '\0';
}

static enum frames begin_messages(struct response_watch *watch)
{
    watch->messages = malloc(sizeof(*watch->messages));
    if (watch->messages == NULL) {
        watch->flags |= USAGE_TRUNCATED;
        return FRAMES_NONE;
    }
    eventstream_init(&watch->messages->stream);
    watch->messages->in_wrapped = false;
    watch->messages->unwrapping = false;
    return FRAMES_MESSAGES;
}

static enum frames begin_json(struct response_watch *watch, struct span front)
{
    if (front.at[0] == '[') {
        lines_init_array(&watch->lines);
        return FRAMES_ARRAY;
    }
    if (watch->dialect->several_texts) {
        lines_init(&watch->lines);
        return FRAMES_LINES;
    }
    return FRAMES_WHOLE;
}

static enum frames begin_frames(struct response_watch *watch, struct span front)
{
    if (begins_message(front)) {
        return begin_messages(watch);
    }
    switch (media_sniff((enum media)watch->media, front)) {
    case MEDIA_EVENTS:
        sse_init(&watch->sse);
        return FRAMES_EVENTS;
    case MEDIA_JSON_LINES:
        lines_init(&watch->lines);
        return FRAMES_LINES;
    case MEDIA_EVENTSTREAM:
        return begin_messages(watch);
    case MEDIA_JSON:
        return begin_json(watch, front);
    case MEDIA_UNKNOWN:
    case MEDIA_MULTIPART:
    case MEDIA_OPAQUE:
    default:
        return FRAMES_NONE;
    }
}

static void settle_frames(struct response_watch *watch)
{
    struct span front = span_of(watch->front, watch->front_len);

    watch->frames = (uint8_t)begin_frames(watch, front);
    feed_frames(watch, front);
}

/* White space and a byte order mark before a body mean nothing in any framing. */
static bool is_lead(char c)
{
    return memchr(" \t\r\n\xef\xbb\xbf", c, 7) != NULL;
}

/* Gathers the bytes that tell the framing; a stream's first event is longer. */
static void gather_front(struct response_watch *watch, struct span *piece)
{
    while (piece->len > 0 && watch->front_len < FRONT_SIZE) {
        char c = piece->at[0];

        *piece = span_after(*piece, 1);
        if (watch->front_len > 0 || !is_lead(c)) {
            watch->front[watch->front_len++] = c;
        }
    }
    if (watch->front_len == FRONT_SIZE) {
        settle_frames(watch);
    }
}

static void read_piece(void *self, struct span piece)
{
    struct response_watch *watch = self;

    if (watch->frames == FRAMES_UNSETTLED) {
        gather_front(watch, &piece);
    }
    feed_frames(watch, piece);
}

/* ---- codings ------------------------------------------------------------------------ */

static void give_up(struct response_watch *watch, enum usage_flag flag)
{
    watch->flags |= (uint8_t)flag;
    watch->decode = decode_free(watch->decode);
    watch->reading = false;
}

static void begin_decode(struct response_watch *watch, struct span coding)
{
    if (!decode_known(coding)) {
        give_up(watch, USAGE_FRAMING_ERROR);
        return;
    }
    watch->decode = decode_new(coding, watch->pool->limits);
    if (watch->decode == NULL) {
        give_up(watch, USAGE_TRUNCATED);
    }
}

static void undo_coding(struct response_watch *watch, struct span bytes)
{
    enum decode_verdict verdict = decode_feed(watch->decode, bytes, read_piece, watch);

    if (verdict == DECODE_CORRUPT) {
        give_up(watch, USAGE_FRAMING_ERROR);
    } else if (verdict != DECODE_OK) {
        give_up(watch, USAGE_TRUNCATED);
    }
}

static void read_bytes(struct response_watch *watch, struct span bytes)
{
    if (watch->decode != NULL) {
        undo_coding(watch, bytes);
    } else if (watch->reading) {
        read_piece(watch, bytes);
    }
}

/* Some answers are gzip and do not say so. False while a first byte is held back. */
static bool sniff_gzip(struct response_watch *watch, struct span bytes)
{
    static const char first[] = { GZIP_FIRST };
    unsigned char c = (unsigned char)bytes.at[0];

    if (!watch->gzip_first) {
        if (c == GZIP_FIRST && bytes.len == 1) {
            watch->gzip_first = true;
            return false;
        }
        watch->may_be_gzip = false;
        if (c == GZIP_FIRST && (unsigned char)bytes.at[1] == GZIP_SECOND) {
            begin_decode(watch, SPAN("gzip"));
        }
        return true;
    }
    watch->may_be_gzip = false;
    if (c == GZIP_SECOND) {
        begin_decode(watch, SPAN("gzip"));
    }
    read_bytes(watch, span_of(first, sizeof(first)));
    return true;
}

void response_watch_data(struct response_watch *watch, struct span bytes)
{
    if (!watch->reading || bytes.len == 0) {
        return;
    }
    if (!watch->may_be_gzip || sniff_gzip(watch, bytes)) {
        read_bytes(watch, bytes);
    }
}

/* ---- life --------------------------------------------------------------------------- */

static void free_parts(struct response_watch *watch)
{
    watch->decode = decode_free(watch->decode);
    free(watch->messages);
    watch->messages = NULL;
}

static bool is_counted(const struct dialect_route *route, const struct head *head)
{
    return (route->flags & (ROUTE_FREE | ROUTE_NO_USAGE)) == 0 && head->status >= 200 &&
           head->status < 300;
}

struct response_watch *response_watch_open(struct watch_pool *pool,
                                           const struct dialect *dialect,
                                           const struct dialect_route *route,
                                           const struct head *head,
                                           const struct facts *facts)
{
    const struct field *coding = head_field(head, FIELD_CONTENT_ENCODING);
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);
    struct response_watch *watch = pool->responses;

    if (watch != NULL) {
        pool->responses = watch->next;
        pool->response_count--;
    } else {
        watch = malloc(sizeof(*watch));
        if (watch == NULL) {
            return NULL;
        }
    }
    memset(watch, 0, offsetof(struct response_watch, sse));
    watch->pool = pool;
    watch->dialect = dialect;
    watch->unfinished = facts->choices > 1 ? facts->choices : 1;
    watch->media = (uint8_t)media_of(type == NULL ? SPAN("") : type->value);
    watch->plan = registry_plans(dialect)->response;
    watch->counted = watch->plan != NULL && is_counted(route, head);
    watch->input_only = (route->flags & ROUTE_INPUT_ONLY) != 0;
    watch->no_text = (route->flags & ROUTE_NO_TEXT) != 0;
    watch->later = (route->flags & ROUTE_LATER) != 0 || facts->background;
    watch->streamed = facts->stream;
    watch->reading = watch->counted;
    watch->tallier.quoted = dialect->quoted_counts;
    if (watch->counted) {
        tallier_fields(&watch->tallier, dialect->fields, head);
    }
    if (watch->reading && coding != NULL && decode_needed(coding->value)) {
        begin_decode(watch, coding->value);
    } else {
        watch->may_be_gzip = true;
    }
    return watch;
}

struct response_watch *response_watch_close(struct response_watch *watch)
{
    if (watch == NULL) {
        return NULL;
    }
    free_parts(watch);
    if (watch->pool->response_count == WATCH_POOL_IDLE_MAX) {
        free(watch);
        return NULL;
    }
    watch->next = watch->pool->responses;
    watch->pool->responses = watch;
    watch->pool->response_count++;
    return NULL;
}

void response_watch_drop(struct response_watch *watch)
{
    while (watch != NULL) {
        struct response_watch *next = watch->next;

        free(watch);
        watch = next;
    }
}

bool response_watch_finished(const struct response_watch *watch)
{
    return watch->finished;
}

static bool is_streamed(const struct response_watch *watch)
{
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
    case FRAMES_MESSAGES:
        return true;
    case FRAMES_LINES:
    case FRAMES_ARRAY:
        return watch->streamed || watch->media == MEDIA_JSON_LINES;
    case FRAMES_UNSETTLED:
    case FRAMES_WHOLE:
    case FRAMES_NONE:
    default:
        return watch->media == MEDIA_EVENTS || watch->media == MEDIA_JSON_LINES ||
               watch->media == MEDIA_EVENTSTREAM;
    }
}

uint64_t response_watch_events(const struct response_watch *watch)
{
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
        return watch->sse.events;
    case FRAMES_LINES:
    case FRAMES_ARRAY:
        return is_streamed(watch) ? watch->lines.documents : 0;
    case FRAMES_MESSAGES:
        return watch->messages->stream.messages;
    case FRAMES_UNSETTLED:
    case FRAMES_WHOLE:
    case FRAMES_NONE:
    default:
        return 0;
    }
}

/* ---- settlement --------------------------------------------------------------------- */

static void end_decode(struct response_watch *watch, bool whole)
{
    static const char first[] = { GZIP_FIRST };

    if (watch->may_be_gzip && watch->gzip_first) {
        read_bytes(watch, span_of(first, sizeof(first)));
    }
    if (watch->decode != NULL && decode_end(watch->decode) != DECODE_OK && whole) {
        watch->flags |= USAGE_FRAMING_ERROR;
    }
}

static void end_frames(struct response_watch *watch)
{
    if (watch->frames == FRAMES_UNSETTLED && watch->front_len > 0) {
        settle_frames(watch);
    }
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
        (void)sse_end(&watch->sse, &sse_sink, watch);
        break;
    case FRAMES_LINES:
    case FRAMES_ARRAY:
        (void)lines_end(&watch->lines, &lines_sink, watch);
        break;
    case FRAMES_MESSAGES:
        if (!watch->messages->stream.broken &&
            !eventstream_end(&watch->messages->stream)) {
            message_void(watch);
        }
        break;
    case FRAMES_WHOLE:
        text_end(watch);
        break;
    case FRAMES_UNSETTLED:
    case FRAMES_NONE:
        break;
    }
}

static uint64_t without(uint64_t count, uint64_t part)
{
    return count > part ? count - part : 0;
}

static void estimate_input(struct span model, uint64_t text_bytes, struct usage *usage)
{
    uint64_t cached =
        usage->tokens[TOKENS_CACHE_READ] + usage->tokens[TOKENS_CACHE_WRITE];

    if (text_bytes > 0) {
        usage_set(usage, TOKENS_INPUT,
                  without(tokens_estimate(model, text_bytes), cached));
    }
}

/* What the provider said last, and what came after that. */
static void estimate_output(const struct response_watch *watch, struct span model,
                            struct usage *usage)
{
    const struct tally *tally = &watch->tallier.tally;
    uint64_t count = usage_output(usage);

    count += tokens_estimate(model, watch->text_bytes - watch->said_bytes);
    if (tally_has(tally, COUNT_OUTPUT_START) &&
        count < tally->value[COUNT_OUTPUT_START]) {
        count = tally->value[COUNT_OUTPUT_START];
    }
    usage_set(usage, TOKENS_OUTPUT, without(count, usage->tokens[TOKENS_REASONING]));
}

/* Was the generated text seen, as far as it came? */
static bool is_readable(const struct response_watch *watch)
{
    if (watch->input_only || watch->no_text) {
        return false;
    }
    return watch->frames == FRAMES_UNSETTLED ? watch->reading
                                             : watch->frames != FRAMES_NONE;
}

/* Fills what the provider did not report, and says how far the numbers are its own. */
static void complete_usage(const struct response_watch *watch, bool cut,
                           struct span model, uint64_t input_text_bytes,
                           struct usage *usage)
{
    bool reported = usage->known_tokens != 0;
    bool input = usage_knows(usage, TOKENS_INPUT);
    bool output = usage_knows(usage, TOKENS_OUTPUT) || watch->input_only;

    if (input && output && !cut && !watch->dialect->guessed) {
        usage->source = USAGE_REPORTED;
        return;
    }
    if (!input) {
        estimate_input(model, input_text_bytes, usage);
    }
    if ((!output || cut) && is_readable(watch)) {
        estimate_output(watch, model, usage);
    }
    if (reported) {
        usage->source = USAGE_PARTIAL;
    } else if (usage->known_tokens != 0) {
        usage->source = USAGE_ESTIMATED;
    }
}

/* An error in place of an answer costs nothing; an answer in the background is counted
 * when it comes. */
static bool is_unbilled(const struct response_watch *watch, const struct usage *usage)
{
    return usage->known_tokens == 0 &&
           ((watch->error && watch->text_bytes == 0) || watch->later);
}

static void settle_usage(struct response_watch *watch, bool whole,
                         const struct facts *facts, uint64_t input_text_bytes,
                         struct usage *usage)
{
    struct tally *tally = &watch->tallier.tally;
    const char *model = watch->model[0] != '\0' ? watch->model : facts->model;

    if (tally_has(tally, COUNT_COST)) {
        usage->reported_nanousd = (int64_t)tally->value[COUNT_COST];
    }
    tally->model = model;
    watch->dialect->balance(tally, usage);
    usage->flags |= watch->flags;
    if (tally->bad != 0 || tally->anomalous) {
        usage->flags |= USAGE_ANOMALY;
    }
    if (!is_unbilled(watch, usage)) {
        complete_usage(watch, !whole && !watch->finished, span_text(model),
                       input_text_bytes, usage);
    }
}

void response_watch_settle(struct response_watch *watch, bool whole,
                           const struct facts *facts, uint64_t input_text_bytes,
                           struct entry *entry)
{
    entry->usage = (struct usage){ .reported_nanousd = -1 };
    if (watch->counted) {
        end_decode(watch, whole);
        end_frames(watch);
        settle_usage(watch, whole, facts, input_text_bytes, &entry->usage);
    }
    text_store(entry->response_model, sizeof(entry->response_model),
               span_text(watch->model));
    text_store(entry->service_tier, sizeof(entry->service_tier),
               span_text(watch->service_tier));
    entry->events = response_watch_events(watch);
    entry->stream = is_streamed(watch);
}

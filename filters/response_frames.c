/* Frames out of bytes, JSON texts out of frames, values out of texts. */
#include "filters/object.h"
#include "filters/response.h"
#include "filters/run.h"

#include <stdlib.h>

enum {
    WRAPPED_PIECE = 256, /* characters of base64 that are undone at once */
    STATUS_MOST = 599
};

/* Is this text what the array holds? Most events of a stream repeat the first one's. */
static bool is_known(const char *array, size_t size, struct span text)
{
    return text.len < size && array[text.len] == '\0' &&
           run_equal(array, text.at, text.len);
}

/* Google's words for how a call was served, in those that others use for it. */
static void note_tier(struct response_watch *watch, struct span tier)
{
    const struct span on_demand = SPAN("ON_DEMAND");

    if (span_starts(tier, on_demand)) {
        tier = span_after(tier, on_demand.len);
        tier = tier.len > 0 ? span_after(tier, 1) : tier;
        if (tier.len == 0 && watch->service_tier[0] != '\0') {
            return;
        }
    }
    text_store(watch->service_tier, sizeof(watch->service_tier), tier);
    for (char *c = watch->service_tier; *c != '\0'; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    }
}

static const char done_mark[] = "[DONE]";
enum { DONE_LEN = sizeof(done_mark) - 1, DONE_NOT = UINT8_MAX };

/* ---- values ---------------------------------------------------------------------- */

static void wrapped_value(struct response_watch *watch, const struct scan_value *value);

static void turn_seen(struct response_watch *watch, unsigned tag,
                      const struct scan_value *value)
{
    if (watch->answer != NULL) {
        answer_value(watch->answer, (enum answer_tag)tag, value);
    }
}

/* Strings in pieces have no text at their end. */
static void text_seen(struct response_watch *watch, const struct scan_value *value)
{
    if (value->text.len > 0 &&
        (value->type == SCAN_PIECE || value->type == SCAN_STRING)) {
        sample_put(&watch->text, value->text);
    }
}

/* The first one that fits: later ones are of parts. */
static void id_seen(struct response_watch *watch, const struct scan_value *value)
{
    const char *prefix = watch->dialect->object_prefix;

    if (value->type == SCAN_STRING && watch->object == 0 &&
        (prefix == NULL || span_starts(value->text, span_text(prefix)))) {
        watch->object = object_hash(value->text);
    }
}

/* Does an event of this type repeat what others said before? */
static bool is_repeat(const struct response_watch *watch, struct span type)
{
    const char *repeat = watch->dialect->repeat_type;

    return repeat != NULL && span_equal(type, span_text(repeat));
}

static bool is_terminal(const struct response_watch *watch,
                        const struct scan_value *value)
{
    return value->type == SCAN_STRING && watch->dialect->terminal != NULL &&
           watch->dialect->terminal(value->text);
}

static void event_value(struct event *event, const struct scan_value *value)
{
    uint64_t number;

    if (event == NULL) {
        return; /* it is no WebSocket's */
    }
    if (value->tag == SEEN_STATUS) {
        if (value->type == SCAN_NUMBER && scan_count(value->text, &number) &&
            number <= STATUS_MOST) {
            event->status = (uint16_t)number;
        }
    } else if (value->type != SCAN_STRING) {
        return;
    } else if (value->tag == SEEN_LANE) {
        text_store(event->lane, sizeof(event->lane), value->text);
    } else if (value->tag == SEEN_ID) {
        text_store(event->id, sizeof(event->id), value->text);
    } else if (value->tag == SEEN_SESSION_MODEL) {
        text_store(event->session_model, sizeof(event->session_model), value->text);
    } else {
        text_store(event->transcriber_model, sizeof(event->transcriber_model),
                   value->text);
    }
}

static void line_value(struct response_watch *watch, const struct scan_value *value)
{
    if (watch->line_reader == NULL) {
        watch->line_reader = line_reader_new();
    }
    if (watch->line_reader == NULL) {
        watch->flags |= USAGE_TRUNCATED;
    } else {
        line_reader_value(watch->line_reader, watch->dialect, value);
    }
}

/* Out of line, so that counts, the most of what comes, pass by quickly. */
__attribute__((noinline)) static void fact_seen(struct response_watch *watch,
                                                const struct scan_value *value)
{
    bool is_text = value->type == SCAN_STRING && value->text.len > 0;

    switch (value->tag) {
    case SEEN_TEXT:
        watch->thought |= value->text.len > 0;
        text_seen(watch, value);
        break;
    case SEEN_MODEL:
        if (is_text && !is_known(watch->model, sizeof(watch->model), value->text)) {
            text_store(watch->model, sizeof(watch->model), value->text);
        }
        break;
    case SEEN_TIER:
        if (is_text &&
            !is_known(watch->service_tier, sizeof(watch->service_tier), value->text)) {
            note_tier(watch, value->text);
        }
        break;
    case SEEN_TOOL:
        if (!watch->repeats) {
            watch->tools += is_text;
            text_seen(watch, value);
        }
        turn_seen(watch, value->tag - SEEN_SAID, value);
        break;
    case SEEN_SAID:
    case SEEN_ARGUMENTS:
        text_seen(watch, value);
        turn_seen(watch, value->tag - SEEN_SAID, value);
        break;
    case SEEN_ARGUMENT:
    case SEEN_PART:
    case SEEN_THOUGHT:
        turn_seen(watch, value->tag - SEEN_SAID, value);
        break;
    case SEEN_ID:
        id_seen(watch, value);
        turn_seen(watch, value->tag - SEEN_SAID, value);
        event_value(watch->event, value);
        break;
    case SEEN_TYPE:
        turn_seen(watch, ANSWER_TYPE, value);
        watch->repeats = is_text && is_repeat(watch, value->text);
        watch->terminal |= is_terminal(watch, value);
        watch->error |= is_text && span_equal(value->text, SPAN("error"));
        if (watch->event != NULL && is_text) {
            watch->event->kind = watch->dialect->event(value->text);
        }
        break;
    case SEEN_STATUS:
        watch->terminal |= is_terminal(watch, value);
        event_value(watch->event, value);
        break;
    case SEEN_LANE:
    case SEEN_SESSION_MODEL:
    case SEEN_TRANSCRIBER_MODEL:
        event_value(watch->event, value);
        break;
    case SEEN_FINISH:
        watch->unfinished -=
            (is_text || value->type == SCAN_NUMBER) && watch->unfinished > 0;
        break;
    case SEEN_END:
        watch->terminal |= value->type == SCAN_TRUE;
        break;
    case SEEN_FILE:
        watch->file = is_text ? object_hash(value->text) : watch->file;
        break;
    case SEEN_ERROR:
        watch->error |= value->type == SCAN_OBJECT || is_text;
        break;
    case SEEN_VECTOR:
        watch->input_only = true;
        break;
    case SEEN_BLOCKED:
        watch->blocked |= is_text && span_equal(value->text, SPAN("INTERVENED"));
        break;
    case SEEN_BYTES:
        wrapped_value(watch, value);
        break;
    }
}

static void value_seen(void *self, const struct scan_value *value)
{
    struct response_watch *watch = self;

    if (value->tag >= LINES_ANEW) {
        line_value(watch, value);
    } else if (value->tag < COUNTS || value->tag >= LIST_INPUT) {
        tallier_value(&watch->tallier, watch->dialect->merge, value);
    } else {
        fact_seen(watch, value);
    }
}

/* ---- JSON texts in base64 -------------------------------------------------------- */

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

/* ---- JSON texts ------------------------------------------------------------------ */

/* `before` is the tallier's, until the values end. */
static void begin_values(struct response_watch *watch, struct tally *before)
{
    watch->terminal = false;
    watch->repeats = false;
    watch->tallier.before = before;
}

/* Has the provider counted what was generated, or everything? */
static bool is_reported(const struct tally *tally)
{
    return tally_has(tally, COUNT_OUTPUT) || tally_has(tally, COUNT_TOTAL) ||
           tally_has(tally, COUNT_BACKUP_OUTPUT);
}

/* The values of an event or body have ended, all of them or as far as it is JSON. */
static void end_values(struct response_watch *watch, bool whole)
{
    const uint32_t said_counts =
        1U << COUNT_OUTPUT | 1U << COUNT_REASONING | 1U << COUNT_BACKUP_OUTPUT;

    whole = whole || tallier_event_cut(&watch->tallier);
    if ((watch->tallier.now & said_counts) != 0) {
        watch->said_bytes = watch->text.bytes;
    }
    tallier_event_end(&watch->tallier);
    line_reader_event_end(watch->line_reader, watch->model);
    watch->finished |=
        whole && watch->unfinished == 0 && is_reported(&watch->tallier.tally);
}

/* False without memory: the text is not read. */
static bool begin_text(struct response_watch *watch)
{
    watch->reader = watch_pool_reader(watch->pool);
    if (watch->reader == NULL) {
        watch->flags |= USAGE_TRUNCATED;
        return false;
    }
    watch->done_at = 0;
    begin_values(watch, &watch->reader->before);
    scan_init(&watch->reader->scan, watch->plan, SCAN_TOLERANT);
    return true;
}

void response_text_over(struct response_watch *watch)
{
    if (watch->reader != NULL) {
        watch_pool_reader_back(watch->pool, watch->reader);
        watch->reader = NULL;
    }
}

static void find_done_mark(struct response_watch *watch, struct span piece)
{
    for (size_t i = 0; i < piece.len && watch->done_at < DONE_LEN; i++) {
        if (watch->done_at > 0 || piece.at[i] != ' ') {
            watch->done_at = piece.at[i] == done_mark[watch->done_at]
                                 ? (uint8_t)(watch->done_at + 1)
                                 : DONE_NOT;
        }
    }
}

/* White space before a text belongs to none. */
static struct span without_lead(struct span piece)
{
    while (piece.len > 0 && memchr(" \t\r\n", piece.at[0], 4) != NULL) {
        piece = span_after(piece, 1);
    }
    return piece;
}

/* Some senders put several texts in one event, or lines where one text is
 * expected: each counts as if it had come alone. A WebSocket's message is one
 * event and one text. */
void response_text_data(void *self, struct span piece)
{
    struct response_watch *watch = self;

    if (watch->reader == NULL) {
        piece = without_lead(piece);
    }
    while (piece.len > 0 && (watch->reader != NULL || begin_text(watch))) {
        find_done_mark(watch, piece);
        piece = shapes_feed_one(&watch->pool->shapes, &watch->reader->scan, piece,
                                value_seen, watch);
        if (piece.len == 0 || watch->event != NULL) {
            break;
        }
        response_text_end(watch);
    }
}

void response_text_end(void *self)
{
    struct response_watch *watch = self;
    bool whole = true;

    if (watch->reader == NULL) {
        return;
    }
    if (watch->done_at == DONE_LEN) {
        watch->finished = true;
    } else if (scan_end(&watch->reader->scan, value_seen, watch) != SCAN_COMPLETE) {
        watch->flags |= USAGE_FRAMING_ERROR;
        whole = false;
    } else {
        watch->finished |= watch->terminal;
    }
    end_values(watch, whole);
    response_text_over(watch);
}

/* A text that came with its line and is of a known shape is read at once. */
static size_t take_line(void *self, struct span rest)
{
    struct response_watch *watch = self;
    size_t len;

    begin_values(watch, &watch->pool->before);
    len = shapes_take_line(&watch->pool->shapes, watch->plan, rest, value_seen, watch);
    if (len > 0) {
        watch->finished |= watch->terminal;
        end_values(watch, true);
    }
    return len;
}

static const struct sse_sink sse_sink = { .take = take_line,
                                          .data = response_text_data,
                                          .event = response_text_end };
static const struct lines_sink lines_sink = { .data = response_text_data,
                                              .document = response_text_end };

/* ---- AWS event streams ----------------------------------------------------------- */

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
    response_text_end(self);
}

static const struct eventstream_sink eventstream_sink = { .begin = message_begin,
                                                          .data = response_text_data,
                                                          .message = message_end };

/* The message that was being read was cut or damaged: what it said is void. */
static void message_void(struct response_watch *watch)
{
    watch->flags |= USAGE_FRAMING_ERROR;
    if (watch->reader != NULL) {
        response_text_over(watch);
        watch->tallier = watch->messages->before;
        line_reader_event_void(watch->line_reader);
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

/* ---- frames ---------------------------------------------------------------------- */

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
            response_text_data(watch, piece);
        }
        break;
    case FRAMES_EVENT:
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
    if (watch->odd_coding && media_sniff(MEDIA_UNKNOWN, front) == MEDIA_UNKNOWN) {
        watch->flags |= USAGE_FRAMING_ERROR;
        return FRAMES_NONE;
    }
    if (begins_message(front)) {
        return begin_messages(watch);
    }
    if (watch->by_lines && front.at[0] == '{') {
        lines_init(&watch->lines);
        return FRAMES_LINES;
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
    watch->frames =
        (uint8_t)begin_frames(watch, span_of(watch->front, watch->front_len));
}

static void feed_front(struct response_watch *watch)
{
    feed_frames(watch, span_of(watch->front, watch->front_len));
}

/* White space and a byte order mark before a body mean nothing in any framing. */
static bool is_lead(char c)
{
    return memchr(" \t\r\n\xef\xbb\xbf", c, 7) != NULL;
}

/* Gathers the bytes that tell the framing; a stream's first event is longer. What
 * is left of the piece begins with them if they all came in it: small texts are
 * read in one go. */
static void gather_front(struct response_watch *watch, struct span *piece)
{
    bool begun = watch->front_len > 0;

    while (piece->len > 0 && watch->front_len < FRONT_SIZE) {
        char c = piece->at[0];

        *piece = span_after(*piece, 1);
        if (watch->front_len > 0 || !is_lead(c)) {
            watch->front[watch->front_len++] = c;
        }
    }
    if (watch->front_len < FRONT_SIZE) {
        return;
    }
    settle_frames(watch);
    if (begun) {
        feed_front(watch);
    } else {
        *piece = span_of(piece->at - FRONT_SIZE, piece->len + FRONT_SIZE);
    }
}

void response_frames_data(void *self, struct span piece)
{
    struct response_watch *watch = self;

    if (watch->frames == FRAMES_UNSETTLED) {
        gather_front(watch, &piece);
    }
    feed_frames(watch, piece);
}

void response_frames_end(struct response_watch *watch)
{
    if (watch->frames == FRAMES_UNSETTLED && watch->front_len > 0) {
        settle_frames(watch);
        feed_front(watch);
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
        response_text_end(watch);
        break;
    case FRAMES_EVENT:
    case FRAMES_UNSETTLED:
    case FRAMES_NONE:
        break;
    }
}

/* ---- questions ------------------------------------------------------------------- */

bool response_is_streamed(const struct response_watch *watch)
{
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
    case FRAMES_MESSAGES:
    case FRAMES_EVENT:
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

uint64_t response_watch_text_bytes(const struct response_watch *watch)
{
    return watch->text.bytes;
}

uint64_t response_watch_events(const struct response_watch *watch)
{
    switch ((enum frames)watch->frames) {
    case FRAMES_EVENTS:
        return watch->sse.events;
    case FRAMES_LINES:
    case FRAMES_ARRAY:
        return response_is_streamed(watch) ? watch->lines.documents : 0;
    case FRAMES_MESSAGES:
        return watch->messages->stream.messages;
    case FRAMES_EVENT:
        return watch->lines.documents;
    case FRAMES_UNSETTLED:
    case FRAMES_WHOLE:
    case FRAMES_NONE:
    default:
        return 0;
    }
}

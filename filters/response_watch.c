#include "filters/response.h"

#include <stdlib.h>

enum { GZIP_FIRST = 0x1f, GZIP_SECOND = 0x8b };

/* ---- codings --------------------------------------------------------------------- */

static void give_up(struct response_watch *watch, enum usage_flag flag)
{
    watch->flags |= (uint8_t)flag;
    watch->decode = decode_free(watch->decode);
    watch->reading = false;
}

static void begin_decode(struct response_watch *watch, struct span coding)
{
    if (!decode_known(coding)) {
        watch->odd_coding = true; /* such as "none": the bytes will tell */
        watch->may_be_gzip = true;
        return;
    }
    watch->decode = decode_new(coding, watch->pool->limits);
    if (watch->decode == NULL) {
        give_up(watch, USAGE_TRUNCATED);
    }
}

static void undo_coding(struct response_watch *watch, struct span bytes)
{
    enum decode_verdict verdict =
        decode_feed(watch->decode, bytes, response_frames_data, watch);

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
        response_frames_data(watch, bytes);
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

void response_end(struct response_watch *watch, bool whole)
{
    end_decode(watch, whole);
    response_frames_end(watch);
}

/* ---- life ------------------------------------------------------------------------ */

static void free_parts(struct response_watch *watch)
{
    watch->decode = decode_free(watch->decode);
    free(watch->messages);
    watch->messages = NULL;
    watch->line_reader = line_reader_free(watch->line_reader);
    response_text_over(watch);
    if (watch->answer != NULL) {
        watch_pool_answer_back(watch->pool, watch->answer);
        watch->answer = NULL;
    }
}

static bool is_counted(const struct dialect_route *route, const struct head *head,
                       const struct facts *facts)
{
    if (head->status < 200 || head->status >= 300) {
        return false;
    }
    return (route->flags & ROUTE_ONCE) != 0
               ? facts->awaited
               : (route->flags & (ROUTE_FREE | ROUTE_NO_USAGE)) == 0;
}

static struct response_watch *take_watch(struct watch_pool *pool,
                                         const struct dialect *dialect)
{
    struct response_watch *watch = pool->responses;

    if (watch != NULL) {
        pool->responses = watch->next;
        pool->response_count--;
    } else {
        watch = malloc(sizeof(*watch));
        if (watch == NULL) {
            return NULL;
        }
        watch->text = (struct sample){ 0 };
    }
    memset(watch, 0, offsetof(struct response_watch, sse));
    watch->reader = NULL;
    watch->line_reader = NULL;
    watch->pool = pool;
    watch->dialect = dialect;
    watch->plan = watch_pool_plans(pool, dialect)->response;
    watch->tallier.quoted = dialect->quoted_counts;
    return watch;
}

struct response_watch *response_watch_open(struct watch_pool *pool,
                                           const struct dialect *dialect,
                                           const struct dialect_route *route,
                                           const struct head *head,
                                           const struct facts *facts)
{
    const struct field *coding = head_field(head, FIELD_CONTENT_ENCODING);
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);
    struct response_watch *watch = take_watch(pool, dialect);

    if (watch == NULL) {
        return NULL;
    }
    watch->unfinished = facts->choices <= 1           ? 1
                        : facts->choices < UINT32_MAX ? (uint32_t)facts->choices
                                                      : UINT32_MAX;
    watch->media = (uint8_t)media_of(type == NULL ? SPAN("") : type->value);
    watch->counted = watch->plan != NULL && is_counted(route, head, facts);
    watch->input_only = (route->flags & ROUTE_INPUT_ONLY) != 0;
    watch->no_text = (route->flags & ROUTE_NO_TEXT) != 0;
    watch->later =
        (route->flags & (ROUTE_LATER | ROUTE_ONCE)) != 0 || facts->background;
    watch->streamed = facts->stream;
    watch->batch = (route->flags & ROUTE_BATCH) != 0;
    watch->by_lines = (route->flags & ROUTE_LINES) != 0;
    watch->reading = watch->counted;
    if (watch->counted) {
        tallier_fields(&watch->tallier, dialect->fields, head);
        watch->told_ahead = tally_has(&watch->tallier.tally, COUNT_BACKUP_OUTPUT);
    }
    if (watch->reading && coding != NULL && decode_needed(coding->value)) {
        begin_decode(watch, coding->value);
    } else {
        watch->may_be_gzip = true;
    }
    return watch;
}

bool response_watch_turns(struct response_watch *watch, const struct sketch_key *key,
                          struct call *call)
{
    const struct scan_plan *plan =
        watch_pool_plans(watch->pool, watch->dialect)->response_turns;

    if (!watch->counted || plan == NULL) {
        return true;
    }
    watch->answer = watch_pool_answer(watch->pool);
    if (watch->answer == NULL) {
        return false;
    }
    answer_begin(watch->answer, key, call);
    watch->plan = plan;
    return true;
}

/* ---- events over a WebSocket ----------------------------------------------------- */

struct response_watch *response_watch_open_response(struct watch_pool *pool,
                                                    const struct dialect *dialect)
{
    struct response_watch *watch = take_watch(pool, dialect);

    if (watch != NULL) {
        watch->counted = true;
        watch->unfinished = 1;
        watch->frames = FRAMES_EVENT;
        lines_init(&watch->lines);
    }
    return watch;
}

struct response_watch *response_watch_open_events(struct watch_pool *pool,
                                                  const struct dialect *dialect,
                                                  struct event *event)
{
    struct response_watch *watch = response_watch_open_response(pool, dialect);

    if (watch != NULL) {
        watch->event = event;
    }
    return watch;
}

static void begin_event(struct response_watch *events)
{
    *events->event = (struct event){ .kind = EVENT_NONE };
    events->tallier = (struct tallier){ .quoted = events->dialect->quoted_counts };
    sample_begin(&events->text);
    events->tools = 0;
    events->flags = 0;
    events->finished = false;
    events->error = false;
    events->model[0] = '\0';
    events->service_tier[0] = '\0';
    events->line_reader = line_reader_free(events->line_reader);
}

void response_watch_expect(struct response_watch *events,
                           const struct response_watch *response)
{
    events->answer = response == NULL ? NULL : response->answer;
    events->plan = response != NULL && response->answer != NULL
                       ? response->plan
                       : watch_pool_plans(events->pool, events->dialect)->response;
}

void response_watch_event_data(struct response_watch *events, struct span piece)
{
    if (events->reader == NULL) {
        begin_event(events);
    }
    response_text_data(events, piece);
}

void response_watch_event_end(struct response_watch *events)
{
    if (events->reader == NULL) {
        begin_event(events); /* an empty message */
    }
    response_text_end(events);
}

void response_watch_absorb(struct response_watch *watch, struct response_watch *events)
{
    const struct tally *said = &events->tallier.tally;
    bool anomalous = watch->tallier.tally.anomalous || said->anomalous;

    watch->lines.documents++;
    watch->flags |= events->flags;
    watch->error |= events->error;
    watch->finished |= events->finished;
    if (events->event->kind != EVENT_AUDIO) {
        sample_add(&watch->text, &events->text);
        watch->tools += events->tools;
    }
    /* Sound alone cannot be estimated: then the output is unknown, not nothing. */
    watch->no_text = watch->text.bytes == 0 &&
                     (watch->no_text || events->event->kind == EVENT_AUDIO);
    if (said->seen != 0 || said->bad != 0) {
        watch->tallier.tally = *said;
        watch->said_bytes = watch->text.bytes;
    }
    watch->tallier.tally.anomalous = anomalous;
    if (events->line_reader != NULL && events->line_reader->any) {
        line_reader_free(watch->line_reader);
        watch->line_reader = events->line_reader;
        events->line_reader = NULL;
    }
    if (events->model[0] != '\0') {
        memcpy(watch->model, events->model, sizeof(watch->model));
    }
    if (events->service_tier[0] != '\0') {
        memcpy(watch->service_tier, events->service_tier, sizeof(watch->service_tier));
    }
}

/* ---- readers --------------------------------------------------------------------- */

struct text_reader *watch_pool_reader(struct watch_pool *pool)
{
    struct text_reader *reader = pool->readers;

    if (reader == NULL) {
        return malloc(sizeof(*reader));
    }
    pool->readers = reader->next;
    pool->reader_count--;
    return reader;
}

void watch_pool_reader_back(struct watch_pool *pool, struct text_reader *reader)
{
    memset(reader->scan.text, 0, sizeof(reader->scan.text));
    __asm__ volatile("" : : "r"(reader->scan.text) : "memory"); /* not to be left out */
    if (pool->reader_count == WATCH_POOL_IDLE_MAX) {
        free(reader);
        return;
    }
    reader->next = pool->readers;
    pool->readers = reader;
    pool->reader_count++;
}

void text_reader_drop(struct text_reader *reader)
{
    while (reader != NULL) {
        struct text_reader *next = reader->next;

        free(reader);
        reader = next;
    }
}

/* ---- the end --------------------------------------------------------------------- */

struct response_watch *response_watch_close(struct response_watch *watch)
{
    if (watch == NULL) {
        return NULL;
    }
    free_parts(watch);
    if (watch->pool->response_count == WATCH_POOL_IDLE_MAX) {
        sample_wipe(&watch->text);
        free(watch);
        return NULL;
    }
    sample_clear(&watch->text);
    watch->next = watch->pool->responses;
    watch->pool->responses = watch;
    watch->pool->response_count++;
    return NULL;
}

void response_watch_drop(struct response_watch *watch)
{
    while (watch != NULL) {
        struct response_watch *next = watch->next;

        sample_wipe(&watch->text);
        free(watch);
        watch = next;
    }
}

const char *response_watch_model(const struct response_watch *watch)
{
    return watch->model;
}

uint64_t response_watch_object(const struct response_watch *watch)
{
    return watch->later ? watch->object : 0;
}

uint64_t response_watch_file(const struct response_watch *watch)
{
    return watch->file;
}

bool response_watch_finished(const struct response_watch *watch)
{
    return watch->finished;
}

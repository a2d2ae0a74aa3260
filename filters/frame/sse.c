#include "filters/frame/sse.h"

#include "filters/run.h"

_Static_assert(sizeof(struct sse) <= 192, "an event stream's state outgrew its budget");

enum state {
    SSE_START, /* perhaps a byte order mark */
    SSE_LINE,  /* at the first byte of a line */
    SSE_FIELD, /* in its field name */
    SSE_SPACE, /* behind the colon: one space is dropped */
    SSE_VALUE
};

enum field { FIELD_OTHER, FIELD_DATA, FIELD_EVENT, FIELD_ID };

/* One piece on its way through. */
struct feed {
    struct sse *sse;
    const struct sse_sink *sink;
    void *self;
    const char *end;
};

void sse_init(struct sse *sse)
{
    sse->events = 0;
    sse->state = SSE_START;
    sse->field = FIELD_OTHER;
    sse->after_cr = false;
    sse->has_data = false;
    sse->word_len = 0;
    sse->name_len = 0;
    sse->id_len = 0;
}

static void store(char *array, uint8_t *len, struct span bytes)
{
    size_t room = (size_t)SSE_NAME_MAX - *len;

    if (bytes.len > room) {
        bytes.len = room;
    }
    memcpy(array + *len, bytes.at, bytes.len);
    *len = (uint8_t)(*len + bytes.len);
}

static void begin_value(const struct feed *feed, enum field field)
{
    struct sse *sse = feed->sse;

    sse->field = (uint8_t)field;
    sse->state = SSE_SPACE;
    if (field == FIELD_DATA) {
        if (sse->has_data) {
            feed->sink->data(feed->self, SPAN("\n"));
        }
        sse->has_data = true;
    } else if (field == FIELD_EVENT) {
        sse->name_len = 0;
    } else if (field == FIELD_ID) {
        sse->next_id_len = 0;
        sse->id_has_nul = false;
    }
}

static void take_value(const struct feed *feed, struct span bytes)
{
    struct sse *sse = feed->sse;

    switch ((enum field)sse->field) {
    case FIELD_DATA:
        if (bytes.len > 0) {
            feed->sink->data(feed->self, bytes);
        }
        break;
    case FIELD_EVENT:
        store(sse->name, &sse->name_len, bytes);
        break;
    case FIELD_ID:
        store(sse->next_id, &sse->next_id_len, bytes);
        sse->id_has_nul |= bytes.len > 0 && memchr(bytes.at, '\0', bytes.len) != NULL;
        break;
    case FIELD_OTHER:
    default:
        break;
    }
}

static void dispatch(const struct feed *feed)
{
    struct sse *sse = feed->sse;

    if (sse->has_data) {
        sse->has_data = false;
        sse->events++;
        feed->sink->event(feed->self, span_of(sse->name, sse->name_len));
    }
    sse->name_len = 0;
}

/* An id that holds a NUL is ignored. */
static void keep_id(struct sse *sse)
{
    if (!sse->id_has_nul) {
        memcpy(sse->id, sse->next_id, sse->next_id_len);
        sse->id_len = sse->next_id_len;
    }
}

static enum field field_of(struct span word)
{
    if (span_equal(word, SPAN("data"))) {
        return FIELD_DATA;
    }
    if (span_equal(word, SPAN("event"))) {
        return FIELD_EVENT;
    }
    return span_equal(word, SPAN("id")) ? FIELD_ID : FIELD_OTHER;
}

/* A line without a colon is a field name with an empty value. */
static void end_field(const struct feed *feed)
{
    struct sse *sse = feed->sse;

    begin_value(feed, field_of(span_of(sse->word, sse->word_len)));
    sse->word_len = 0;
}

/* At LF or CR. */
static const char *end_line(const struct feed *feed, const char *at)
{
    struct sse *sse = feed->sse;

    switch ((enum state)sse->state) {
    case SSE_FIELD:
        end_field(feed);
        break;
    case SSE_LINE:
        dispatch(feed);
        break;
    case SSE_START:
    case SSE_SPACE:
    case SSE_VALUE:
    default:
        break;
    }
    if (sse->state != SSE_LINE && sse->field == FIELD_ID) {
        keep_id(sse);
    }
    sse->state = SSE_LINE;
    sse->after_cr = *at == '\r';
    return at + 1;
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static const char *read_field(const struct feed *feed, const char *at)
{
    struct sse *sse = feed->sse;

    for (; at < feed->end; at++) {
        if (*at == ':') {
            end_field(feed);
            return at + 1;
        }
        if (is_line_end(*at)) {
            return end_line(feed, at);
        }
        /* One byte more than the longest name is enough to tell it from all others. */
        if (sse->word_len < sizeof(sse->word)) {
            sse->word[sse->word_len++] = *at;
        }
    }
    return at;
}

static const char *read_value(const struct feed *feed, const char *at)
{
    const struct run_stops line_end = { '\n', '\r', '\r', false };
    const char *from = at;

    at = run_to(at, feed->end, line_end);
    take_value(feed, span_of(from, (size_t)(at - from)));
    return at < feed->end ? end_line(feed, at) : at;
}

static const char *read_line(const struct feed *feed, const char *at)
{
    struct sse *sse = feed->sse;

    if (is_line_end(*at)) {
        return end_line(feed, at);
    }
    if (feed->end - at > 5 && memcmp(at, "data:", 5) == 0) {
        begin_value(feed, FIELD_DATA);
        sse->state = SSE_VALUE;
        return read_value(feed, at + (at[5] == ' ' ? 6 : 5));
    }
    sse->state = SSE_FIELD;
    return read_field(feed, at);
}

/* The front of a byte order mark that turns out to be none makes an unknown field. */
static const char *read_start(const struct feed *feed, const char *at)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct sse *sse = feed->sse;

    if (*at == mark[sse->word_len]) {
        sse->word[sse->word_len++] = *at++;
        if (sse->word_len == sizeof(mark) - 1) {
            sse->word_len = 0;
            sse->state = SSE_LINE;
        }
    } else {
        sse->state = sse->word_len == 0 ? SSE_LINE : SSE_FIELD;
    }
    return at;
}

static const char *read_next(const struct feed *feed, const char *at)
{
    switch ((enum state)feed->sse->state) {
    case SSE_START:
        return read_start(feed, at);
    case SSE_FIELD:
        return read_field(feed, at);
    case SSE_SPACE:
        feed->sse->state = SSE_VALUE;
        return *at == ' ' ? at + 1 : at;
    case SSE_VALUE:
        return read_value(feed, at);
    case SSE_LINE:
    default:
        return read_line(feed, at);
    }
}

void sse_feed(struct sse *sse, struct span piece, const struct sse_sink *sink,
              void *self)
{
    struct feed feed = { .sse = sse, .sink = sink, .self = self };
    const char *at = piece.at;

    if (piece.len == 0) {
        return;
    }
    feed.end = piece.at + piece.len;
    while (at < feed.end) {
        if (sse->after_cr) {
            sse->after_cr = false;
            if (*at == '\n') {
                at++;
                continue;
            }
        }
        at = read_next(&feed, at);
    }
}

bool sse_end(struct sse *sse, const struct sse_sink *sink, void *self)
{
    const struct feed feed = { .sse = sse, .sink = sink, .self = self };
    bool unfinished;

    if (sse->state == SSE_FIELD) {
        end_field(&feed);
    }
    unfinished = sse->has_data;
    dispatch(&feed);
    sse->state = SSE_LINE;
    return unfinished;
}

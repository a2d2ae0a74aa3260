#include "filters/frame/sse.h"

#include "filters/run.h"

_Static_assert(sizeof(struct sse) <= 24, "an event stream's state outgrew its budget");

enum state {
    SSE_START, /* perhaps a byte order mark */
    SSE_LINE,  /* at the first byte of a line */
    SSE_FIELD, /* in its field name */
    SSE_SPACE, /* behind the colon: one space is dropped */
    SSE_VALUE
};

/* One piece on its way through. */
struct feed {
    struct sse *sse;
    const struct sse_sink *sink;
    void *self;
    const char *end;
};

void sse_init(struct sse *sse)
{
    *sse = (struct sse){ .state = SSE_START };
}

static void begin_value(const struct feed *feed, bool data)
{
    struct sse *sse = feed->sse;

    sse->in_data = data;
    sse->state = SSE_SPACE;
    if (data) {
        if (sse->has_data) {
            feed->sink->data(feed->self, SPAN("\n"));
        }
        sse->has_data = true;
    }
}

static void dispatch(const struct feed *feed)
{
    struct sse *sse = feed->sse;

    if (sse->has_data) {
        sse->has_data = false;
        sse->events++;
        feed->sink->event(feed->self);
    }
}

/* A line without a colon is a field name with an empty value. */
static void end_field(const struct feed *feed)
{
    struct sse *sse = feed->sse;

    begin_value(feed, span_equal(span_of(sse->word, sse->word_len), SPAN("data")));
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
        /* One byte more than "data" is enough to tell it from all others. */
        if (sse->word_len < sizeof(sse->word)) {
            sse->word[sse->word_len++] = *at;
        }
    }
    return at;
}

size_t sse_line_end(struct span text)
{
    const struct run_stops line_end = { '\n', '\r', '\r', RUN_ANY };

    return (size_t)(run_to(text.at, text.at + text.len, line_end) - text.at);
}

static const char *read_value(const struct feed *feed, const char *at)
{
    const char *from = at;

    at += sse_line_end(span_of(at, (size_t)(feed->end - at)));
    if (feed->sse->in_data && at > from) {
        feed->sink->data(feed->self, span_of(from, (size_t)(at - from)));
    }
    return at < feed->end ? end_line(feed, at) : at;
}

/* How much of the event's first data the sink has taken itself. */
static size_t take_value(const struct feed *feed, const char *at)
{
    return feed->sse->has_data || feed->sink->take == NULL
               ? 0
               : feed->sink->take(feed->self, span_of(at, (size_t)(feed->end - at)));
}

static const char *read_line(const struct feed *feed, const char *at)
{
    struct sse *sse = feed->sse;
    size_t taken;

    if (is_line_end(*at)) {
        return end_line(feed, at);
    }
    if (feed->end - at > 5 && memcmp(at, "data:", 5) == 0) {
        at += at[5] == ' ' ? 6 : 5;
        taken = take_value(feed, at);
        begin_value(feed, true);
        sse->state = SSE_VALUE;
        return read_value(feed, at + taken);
    }
    if (feed->end - at >= 4 && memcmp(at, "data", 4) != 0) {
        begin_value(feed, false); /* whatever its name is */
        sse->state = SSE_VALUE;
        return read_value(feed, at);
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

#include "filters/frame/lines.h"

#include "filters/run.h"

enum state {
    LINES_BETWEEN, /* documents */
    LINES_SCALAR,
    LINES_BRACKETS,
    LINES_STRING,
    LINES_ESCAPE
};

/* One piece on its way through. */
struct feed {
    struct lines *lines;
    const struct lines_sink *sink;
    void *self;
    const char *from; /* what of the document stands in this piece begins here */
    const char *end;
};

void lines_init(struct lines *lines)
{
    *lines = (struct lines){ .state = LINES_BETWEEN };
}

void lines_init_array(struct lines *lines)
{
    *lines = (struct lines){ .state = LINES_BETWEEN, .array = true };
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\x1e';
}

static bool is_array_mark(char c)
{
    return c == '[' || c == ',' || c == ']';
}

static void pass_data(const struct feed *feed, const char *at)
{
    if (at > feed->from) {
        feed->sink->data(feed->self, span_of(feed->from, (size_t)(at - feed->from)));
    }
}

static const char *end_document(const struct feed *feed, const char *at)
{
    struct lines *lines = feed->lines;

    pass_data(feed, at);
    lines->state = LINES_BETWEEN;
    lines->depth = 0;
    lines->documents++;
    feed->sink->document(feed->self);
    return at;
}

static const char *read_brackets(const struct feed *feed, const char *at)
{
    struct lines *lines = feed->lines;

    for (; at < feed->end; at++) {
        if (*at == '"') {
            lines->state = LINES_STRING;
            return at + 1;
        }
        if (*at == '{' || *at == '[') {
            lines->depth++;
        } else if ((*at == '}' || *at == ']') && --lines->depth == 0) {
            return end_document(feed, at + 1);
        }
    }
    return at;
}

static const char *read_string(const struct feed *feed, const char *at)
{
    const struct run_stops stops = { '"', '\\', '\n', RUN_ANY };
    struct lines *lines = feed->lines;

    at = run_to(at, feed->end, stops);
    if (at == feed->end) {
        return at;
    }
    if (*at == '\\') {
        lines->state = LINES_ESCAPE;
        return at + 1;
    }
    if (*at == '\n') {
        return end_document(feed, at);
    }
    if (lines->depth == 0) {
        return end_document(feed, at + 1);
    }
    lines->state = LINES_BRACKETS;
    return at + 1;
}

static const char *read_scalar(const struct feed *feed, const char *at)
{
    while (at < feed->end && !is_space(*at) && *at != '{' && *at != '[' && *at != '"') {
        at++;
    }
    return at < feed->end ? end_document(feed, at) : at;
}

static const char *read_between(struct feed *feed, const char *at)
{
    struct lines *lines = feed->lines;

    while (at < feed->end && (is_space(*at) || (lines->array && is_array_mark(*at)))) {
        at++;
    }
    feed->from = at;
    if (at == feed->end) {
        return at;
    }
    switch (*at) {
    case '{':
    case '[':
        lines->state = LINES_BRACKETS;
        return at; /* counted there */
    case '"':
        lines->state = LINES_STRING;
        return at + 1;
    default:
        lines->state = LINES_SCALAR;
        return at + 1;
    }
}

static const char *read_next(struct feed *feed, const char *at)
{
    switch ((enum state)feed->lines->state) {
    case LINES_SCALAR:
        return read_scalar(feed, at);
    case LINES_BRACKETS:
        return read_brackets(feed, at);
    case LINES_STRING:
        return read_string(feed, at);
    case LINES_ESCAPE:
        feed->lines->state = LINES_STRING;
        return *at == '\n' ? at : at + 1;
    case LINES_BETWEEN:
    default:
        return read_between(feed, at);
    }
}

void lines_feed(struct lines *lines, struct span piece, const struct lines_sink *sink,
                void *self)
{
    struct feed feed = { .lines = lines, .sink = sink, .self = self, .from = piece.at };
    const char *at = piece.at;

    if (piece.len == 0) {
        return;
    }
    feed.end = piece.at + piece.len;
    while (at < feed.end) {
        at = read_next(&feed, at);
    }
    if (lines->state != LINES_BETWEEN) {
        pass_data(&feed, at);
    }
}

bool lines_end(struct lines *lines, const struct lines_sink *sink, void *self)
{
    const struct feed feed = { .lines = lines, .sink = sink, .self = self };

    if (lines->state == LINES_BETWEEN) {
        return false;
    }
    (void)end_document(&feed, NULL);
    return true;
}

#include "filters/frame/multipart.h"

enum state {
    FORM_BODY,  /* of a part, or what is before the first one */
    FORM_AFTER, /* a delimiter */
    FORM_LINE,  /* of a part's head */
    FORM_OVER,
    FORM_BAD
};

/* One piece on its way through. Functions that read return where they stopped. */
struct feed {
    struct multipart *form;
    const char *end;
    multipart_seen *seen;
    void *self;
};

/* ---- parameters ------------------------------------------------------------------ */

/* Takes a parameter's value, quoted or not, off the front; quotes and
 * what escapes go. */
static bool take_value(struct span *rest, char *out, size_t size, size_t *len)
{
    bool quoted = span_starts(*rest, SPAN("\""));
    bool whole = true;

    *len = 0;
    *rest = span_after(*rest, quoted ? 1 : 0);
    while (rest->len > 0) {
        char c = rest->at[0];

        *rest = span_after(*rest, 1);
        if (quoted ? c == '"' : c == ';') {
            return whole;
        }
        if (quoted && c == '\\' && rest->len > 0) {
            c = rest->at[0];
            *rest = span_after(*rest, 1);
        }
        if (!quoted && (c == ' ' || c == '\t')) {
            continue;
        }
        if (*len < size) {
            out[(*len)++] = c;
        } else {
            whole = false;
        }
    }
    return whole && !quoted;
}

/* Finds a parameter in a header's value; *rest then begins with what it is set to. */
static bool find_parameter(struct span value, struct span name, struct span *rest)
{
    char passed[1];
    size_t len;

    *rest = span_after(value, span_find(value, ';'));
    while (rest->len > 0) {
        size_t equals;
        struct span key;

        if (memchr("; \t", rest->at[0], 3) != NULL) {
            *rest = span_after(*rest, 1);
            continue;
        }
        equals = span_find(*rest, '=');
        key = span_trim(span_of(rest->at, equals));
        *rest = span_after(*rest, equals < rest->len ? equals + 1 : equals);
        if (span_equal_nocase(key, name)) {
            return true;
        }
        (void)take_value(rest, passed, sizeof(passed), &len);
    }
    return false;
}

/* ---- heads of parts -------------------------------------------------------------- */

static void begin_head(struct multipart *form)
{
    form->state = FORM_LINE;
    form->line_len = 0;
    form->name_len = 0;
    form->value_len = 0;
    form->bytes = 0;
    form->file = false;
}

static void read_disposition(struct multipart *form, struct span value)
{
    struct span rest;
    size_t len;

    if (find_parameter(value, SPAN("name"), &rest) &&
        take_value(&rest, form->name, sizeof(form->name), &len)) {
        form->name_len = (uint8_t)len;
    }
    form->file = find_parameter(value, SPAN("filename"), &rest) ||
                 find_parameter(value, SPAN("filename*"), &rest);
}

static void end_line(struct multipart *form)
{
    struct span line = span_of(form->line, form->line_len);
    size_t colon = span_find(line, ':');

    form->line_len = 0;
    line.len -= line.len > 0 && line.at[line.len - 1] == '\r';
    if (line.len == 0) {
        form->state = FORM_BODY;
        form->matched = 0;
        form->file |= form->name_len == 0;
    } else if (span_equal_nocase(span_of(line.at, colon),
                                 SPAN("content-disposition"))) {
        read_disposition(form, line);
    }
}

static const char *read_line(const struct feed *feed, const char *at)
{
    struct multipart *form = feed->form;

    for (; at < feed->end; at++) {
        if (*at == '\n') {
            end_line(form);
            return at + 1;
        }
        if (form->line_len < MULTIPART_LINE_MAX) {
            form->line[form->line_len++] = *at;
        }
    }
    return at;
}

/* Behind a delimiter: two dashes end the form, a line's end begins a part. */
static const char *read_after(const struct feed *feed, const char *at)
{
    struct multipart *form = feed->form;

    if (*at == '\n') {
        begin_head(form);
    } else if (*at == '-') {
        form->state = ++form->line_len == 2 ? FORM_OVER : FORM_AFTER;
    } else if ((*at != ' ' && *at != '\t' && *at != '\r') || form->line_len > 0) {
        form->state = FORM_BAD;
    }
    return at + 1;
}

/* ---- bodies of parts ------------------------------------------------------------- */

static void keep(struct multipart *form, struct span bytes)
{
    size_t room = (size_t)MULTIPART_VALUE_MAX - form->value_len;

    form->bytes += bytes.len;
    if (!form->file) {
        bytes.len = bytes.len < room ? bytes.len : room;
        memcpy(form->value + form->value_len, bytes.at, bytes.len);
        form->value_len = (uint8_t)(form->value_len + bytes.len);
    }
}

static void end_part(const struct feed *feed)
{
    struct multipart *form = feed->form;

    if (!form->file) {
        feed->seen(feed->self, &(struct multipart_part){
                                   .name = span_of(form->name, form->name_len),
                                   .value = span_of(form->value, form->value_len),
                                   .bytes = form->bytes });
    }
    form->state = FORM_AFTER;
    form->line_len = 0;
}

/* What looked like a delimiter was none. No boundary holds a CR, so that a new one can
 * begin only with the byte that did not fit. */
static void give_back(struct multipart *form)
{
    keep(form, span_of(form->delimiter, form->matched));
    form->matched = 0;
}

static const char *read_body(const struct feed *feed, const char *at)
{
    struct multipart *form = feed->form;

    if (form->matched == 0) {
        const char *cr = memchr(at, '\r', (size_t)(feed->end - at));
        const char *stop = cr == NULL ? feed->end : cr;

        keep(form, span_of(at, (size_t)(stop - at)));
        form->matched = cr == NULL ? 0 : 1;
        return cr == NULL ? stop : stop + 1;
    }
    if (*at != form->delimiter[form->matched]) {
        give_back(form);
        return at;
    }
    if (++form->matched == form->delimiter_len) {
        end_part(feed);
    }
    return at + 1;
}

/* ---- the form -------------------------------------------------------------------- */

bool multipart_init(struct multipart *multipart, struct span content_type)
{
    struct span rest;
    size_t len = 0;

    *multipart = (struct multipart){ .state = FORM_BODY, .file = true };
    memcpy(multipart->delimiter, "\r\n--", 4);
    if (!find_parameter(content_type, SPAN("boundary"), &rest) ||
        !take_value(&rest, multipart->delimiter + 4, MULTIPART_BOUNDARY_MAX, &len) ||
        len == 0 || memchr(multipart->delimiter + 4, '\r', len) != NULL) {
        return false;
    }
    multipart->delimiter_len = (uint8_t)(4 + len);
    multipart->matched = 2; /* the first delimiter needs no line before it */
    return true;
}

void multipart_feed(struct multipart *multipart, struct span piece,
                    multipart_seen *seen, void *self)
{
    const struct feed feed = {
        .form = multipart, .end = piece.at + piece.len, .seen = seen, .self = self
    };
    const char *at = piece.at;

    while (at < feed.end) {
        switch ((enum state)multipart->state) {
        case FORM_BODY:
            at = read_body(&feed, at);
            break;
        case FORM_AFTER:
            at = read_after(&feed, at);
            break;
        case FORM_LINE:
            at = read_line(&feed, at);
            break;
        case FORM_OVER:
        case FORM_BAD:
        default:
            return;
        }
    }
}

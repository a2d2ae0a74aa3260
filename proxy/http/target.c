#include "proxy/http/target.h"

#include "proxy/base/digit.h"

/* How a character of a path may be written. */
enum {
    ESCAPED = 1, /* as an escape: ASCII that means nothing once decoded */
    PLAIN = 2 /* or plainly: pchar of RFC 3986, and what many programs do not escape */
};

/* One row per 16 characters. Not there at all are / \ ; ? # and %. Of the semicolon
 * some servers think that it ends the name. Beyond ASCII, charsets and normal forms
 * make names ambiguous. */
/* clang-format off */
static const uint8_t path_char[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1, 3, 3, 0, 3, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, /*  !"#$%&'()*+,-./ */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 3, 3, 3, 0, /* 0123456789:;<=>? */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* @ABCDEFGHIJKLMNO */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 3, 3, 3, /* PQRSTUVWXYZ[\]^_ */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* `abcdefghijklmno */
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, /* pqrstuvwxyz{|}~  */
};
/* clang-format on */

/* The canonical path as far as it is made. It never grows beyond what it is made from,
 * and the buffer has room for that. */
struct path {
    char *at;
    size_t len;
};

static void put(struct path *path, char c)
{
    path->at[path->len++] = c;
}

/* Reads the percent-escape at the start of s. */
static bool read_escape(struct span s, unsigned char *c)
{
    int high = s.len < 3 ? -1 : hex_digit(s.at[1]);
    int low = s.len < 3 ? -1 : hex_digit(s.at[2]);

    if (high < 0 || low < 0) {
        return false;
    }
    *c = (unsigned char)(high * 16 + low);
    return true;
}

/* A segment, or its part up to an escaped slash that somebody may decode: not empty,
 * not "." or "..", nor with a last dot for a file system to drop, nor with a space
 * around it for others to trim. */
static bool ends_well(const struct path *path, size_t start)
{
    char last = path->len > start ? path->at[path->len - 1] : '.';

    return last != '.' && last != ' ' && path->at[start] != ' ';
}

static bool put_escaped(struct path *path, unsigned char c, bool allow_slash,
                        size_t *start)
{
    if (c != '/') {
        put(path, (char)c);
        return (path_char[c] & ESCAPED) != 0;
    }
    if (!allow_slash || !ends_well(path, *start)) {
        return false;
    }
    put(path, '%');
    put(path, '2');
    put(path, 'F');
    *start = path->len;
    return true;
}

static bool put_segment(struct path *path, struct span segment, bool allow_slash)
{
    size_t start;

    put(path, '/');
    start = path->len;
    while (segment.len > 0) {
        unsigned char c = (unsigned char)segment.at[0];

        if ((path_char[c] & PLAIN) != 0) {
            put(path, (char)c);
            segment = span_after(segment, 1);
            continue;
        }
        if (c != '%' || !read_escape(segment, &c) ||
            !put_escaped(path, c, allow_slash, &start)) {
            return false;
        }
        segment = span_after(segment, 3);
    }
    return ends_well(path, start);
}

static bool put_path(struct path *path, struct span raw, unsigned flags)
{
    struct span rest = span_after(raw, 1);
    struct span segment;
    bool after_model = false;

    if (rest.len == 0) {
        put(path, '/');
        return true;
    }
    while (span_next(&rest, '/', &segment)) {
        bool allow_slash = after_model && (flags & TARGET_ALLOW_ENCODED_SLASH) != 0;

        if (!put_segment(path, segment, allow_slash)) {
            return false;
        }
        after_model = span_equal(segment, SPAN("model"));
    }
    return true;
}

/* Visible ASCII and whole escapes; what a query means is its reader's business. */
static bool is_query(struct span query)
{
    for (size_t i = 0; i < query.len; i++) {
        unsigned char c = (unsigned char)query.at[i];

        if (c <= ' ' || c >= 0x7f || c == '#' ||
            (c == '%' && !read_escape(span_after(query, i), &c))) {
            return false;
        }
    }
    return true;
}

enum fault target_parse(struct span raw, unsigned flags, char *buffer, size_t size,
                        struct target *target)
{
    struct path path = { .at = buffer };
    struct span path_part = span_of(raw.at, span_find(raw, '?'));

    if (span_equal(raw, SPAN("*"))) {
        return FAULT_NO_ROUTE;
    }
    if (path_part.len > size) {
        return FAULT_TARGET_TOO_LONG;
    }
    if (!span_starts(raw, SPAN("/")) || !put_path(&path, path_part, flags)) {
        return FAULT_BAD_TARGET;
    }
    target->path = span_of(path.at, path.len);
    target->query = span_after(raw, path_part.len);
    if (target->query.len > 0) {
        target->query = span_after(target->query, 1);
    }
    return is_query(target->query) ? FAULT_NONE : FAULT_BAD_TARGET;
}

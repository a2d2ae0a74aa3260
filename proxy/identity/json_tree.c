#include "proxy/identity/json_tree.h"

#include "proxy/base/digit.h"

struct reader {
    struct span rest;
    struct arena *arena;
    size_t nodes;
    unsigned depth;
};

static bool read_value(struct reader *reader, struct json_node *node);

static void skip_space(struct reader *reader)
{
    while (reader->rest.len > 0 && memchr(" \t\r\n", reader->rest.at[0], 4) != NULL) {
        reader->rest = span_after(reader->rest, 1);
    }
}

static bool take(struct reader *reader, char wanted)
{
    skip_space(reader);
    if (reader->rest.len == 0 || reader->rest.at[0] != wanted) {
        return false;
    }
    reader->rest = span_after(reader->rest, 1);
    return true;
}

static struct json_node *node_new(struct reader *reader)
{
    if (reader->nodes++ == JSON_TREE_NODES) {
        return NULL;
    }
    return arena_take(reader->arena, sizeof(struct json_node));
}

/* ---- strings --------------------------------------------------------------------- */

static bool read_hex4(struct reader *reader, uint32_t *unit)
{
    *unit = 0;
    if (reader->rest.len < 4) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(reader->rest.at[i]);

        if (digit < 0) {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    reader->rest = span_after(reader->rest, 4);
    return true;
}

static size_t utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Behind "\u": one unit, or a pair of surrogates. 0: refused. */
static size_t read_unicode(struct reader *reader, char *out)
{
    uint32_t code, low;

    if (!read_hex4(reader, &code) || code == 0 || (code & 0xfc00) == 0xdc00) {
        return 0;
    }
    if ((code & 0xfc00) == 0xd800) {
        if (!span_starts(reader->rest, SPAN("\\u"))) {
            return 0;
        }
        reader->rest = span_after(reader->rest, 2);
        if (!read_hex4(reader, &low) || (low & 0xfc00) != 0xdc00) {
            return 0;
        }
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
    }
    return utf8_put(out, code);
}

/* Behind a backslash. 0: refused. */
static size_t read_escape(struct reader *reader, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;
    char c;

    if (reader->rest.len == 0) {
        return 0;
    }
    c = reader->rest.at[0];
    reader->rest = span_after(reader->rest, 1);
    if (c == 'u') {
        return read_unicode(reader, out);
    }
    found = memchr(from, c, sizeof from - 1);
    if (found == NULL) {
        return 0;
    }
    *out = to[found - from];
    return 1;
}

/* Length of the well-formed UTF-8 character at the front (RFC 3629); 0:
 * there is none. */
static size_t utf8_length(struct span s)
{
    const unsigned char *at = (const unsigned char *)s.at;
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : low;
    high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : high;
    if (s.len < len || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* Bytes up to the closing quote; the whole length if there is none. */
static size_t string_length(struct span s)
{
    size_t at = 0;

    while (at < s.len && s.at[at] != '"') {
        at += s.at[at] == '\\' ? 2 : 1;
    }
    return at < s.len ? at : s.len;
}

/* Behind the opening quote. Undoing escapes never lengthens a string. */
static bool read_string(struct reader *reader, struct span *string)
{
    char *out = arena_take(reader->arena, string_length(reader->rest) + 4);
    size_t used = 0;

    if (out == NULL) {
        return false;
    }
    while (reader->rest.len > 0 && reader->rest.at[0] != '"') {
        size_t len;

        if (reader->rest.at[0] == '\\') {
            reader->rest = span_after(reader->rest, 1);
            len = read_escape(reader, out + used);
        } else {
            len = (unsigned char)reader->rest.at[0] < 0x20 ? 0
                                                           : utf8_length(reader->rest);
            memcpy(out + used, reader->rest.at, len);
            reader->rest = span_after(reader->rest, len);
        }
        if (len == 0) {
            return false;
        }
        used += len;
    }
    *string = span_of(out, used);
    return take(reader, '"');
}

/* ---- other values ---------------------------------------------------------------- */

static size_t digits(struct span s, size_t at)
{
    size_t begin = at;

    while (at < s.len && s.at[at] >= '0' && s.at[at] <= '9') {
        at++;
    }
    return at - begin;
}

/* Length of the number at the front; 0: there is none. */
static size_t number_length(struct span s)
{
    size_t at = s.len > 0 && s.at[0] == '-' ? 1 : 0;
    size_t whole = digits(s, at), n;

    if (whole == 0 || (whole > 1 && s.at[at] == '0')) {
        return 0;
    }
    at += whole;
    if (at < s.len && s.at[at] == '.') {
        n = digits(s, at + 1);
        if (n == 0) {
            return 0;
        }
        at += 1 + n;
    }
    if (at < s.len && (s.at[at] | 0x20) == 'e') {
        at++;
        at += at < s.len && (s.at[at] == '+' || s.at[at] == '-');
        n = digits(s, at);
        at = n == 0 ? 0 : at + n;
    }
    return at;
}

static bool read_number(struct reader *reader, struct json_node *node)
{
    size_t len = number_length(reader->rest);

    node->kind = JSON_NUMBER;
    node->text = arena_copy(reader->arena, span_of(reader->rest.at, len));
    reader->rest = span_after(reader->rest, len);
    return len > 0 && node->text.at != NULL;
}

static bool read_word(struct reader *reader, struct json_node *node)
{
    static const struct {
        struct span word;
        enum json_kind kind;
    } words[] = { { SPAN_INIT("null"), JSON_NULL },
                  { SPAN_INIT("false"), JSON_FALSE },
                  { SPAN_INIT("true"), JSON_TRUE } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_starts(reader->rest, words[i].word)) {
            reader->rest = span_after(reader->rest, words[i].word.len);
            node->kind = words[i].kind;
            return true;
        }
    }
    return false;
}

static bool read_array(struct reader *reader, struct json_node *array)
{
    const struct json_node **link = &array->first;

    array->kind = JSON_ARRAY;
    if (take(reader, ']')) {
        return true;
    }
    do {
        struct json_node *element = node_new(reader);

        if (element == NULL || !read_value(reader, element)) {
            return false;
        }
        *link = element;
        link = &element->next;
    } while (take(reader, ','));
    return take(reader, ']');
}

static bool read_member(struct reader *reader, struct json_node *member)
{
    return take(reader, '"') && read_string(reader, &member->key) &&
           take(reader, ':') && read_value(reader, member);
}

static bool read_object(struct reader *reader, struct json_node *object)
{
    const struct json_node **link = &object->first;
    size_t count = 0;

    object->kind = JSON_OBJECT;
    if (take(reader, '}')) {
        return true;
    }
    do {
        struct json_node *member = node_new(reader);

        if (member == NULL || count++ == JSON_TREE_MEMBERS ||
            !read_member(reader, member) || json_member(object, member->key) != NULL) {
            return false;
        }
        *link = member;
        link = &member->next;
    } while (take(reader, ','));
    return take(reader, '}');
}

static bool read_value(struct reader *reader, struct json_node *node)
{
    bool read;

    if (reader->depth == JSON_TREE_DEPTH) {
        return false;
    }
    reader->depth++;
    if (take(reader, '{')) {
        read = read_object(reader, node);
    } else if (take(reader, '[')) {
        read = read_array(reader, node);
    } else if (take(reader, '"')) {
        node->kind = JSON_STRING;
        read = read_string(reader, &node->text);
    } else {
        read = read_word(reader, node) || read_number(reader, node);
    }
    reader->depth--;
    return read;
}

/* ---- the tree -------------------------------------------------------------------- */

const struct json_node *json_tree_read(struct span text, struct arena *arena)
{
    struct reader reader = { .rest = text, .arena = arena };
    struct json_node *root = node_new(&reader);

    if (root == NULL || !read_value(&reader, root)) {
        return NULL;
    }
    skip_space(&reader);
    return reader.rest.len == 0 ? root : NULL;
}

const struct json_node *json_member(const struct json_node *object, struct span key)
{
    const struct json_node *member;

    if (object == NULL || object->kind != JSON_OBJECT) {
        return NULL;
    }
    member = object->first;
    while (member != NULL && !span_equal(member->key, key)) {
        member = member->next;
    }
    return member;
}

struct span json_string(const struct json_node *node)
{
    return node != NULL && node->kind == JSON_STRING ? node->text : span_of(NULL, 0);
}

const struct json_node *json_at(const struct json_node *object, struct span path)
{
    while (object != NULL) {
        const struct json_node *whole = json_member(object, path);
        size_t dot = span_find(path, '.');

        if (whole != NULL || dot == path.len) {
            return whole;
        }
        object = json_member(object, span_of(path.at, dot));
        path = span_after(path, dot + 1);
    }
    return NULL;
}

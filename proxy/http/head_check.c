#include "proxy/http/head_check.h"

#include <endian.h>
#ifdef __SSE2__
    #include <emmintrin.h>
#endif

/* One row per 16 characters; nothing beyond ASCII is a token character. */
/* clang-format off */
const bool head_token_char[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, /*  !"#$%&'()*+,-./ */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, /* 0123456789:;<=>? */
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* @ABCDEFGHIJKLMNO */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, /* PQRSTUVWXYZ[\]^_ */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, /* `abcdefghijklmno */
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, /* pqrstuvwxyz{|}~  */
};
/* clang-format on */

/* The framing fields' two words with any one character between them but the hyphen. */
bool head_framing_lookalike(struct span name)
{
    size_t hyphen = name.len == 14 ? 7 : 8;

    return ((name.len == 14 && span_starts_nocase(name, SPAN("content")) &&
             span_equal_nocase(span_after(name, 8), SPAN("length"))) ||
            (name.len == 17 && span_starts_nocase(name, SPAN("transfer")) &&
             span_equal_nocase(span_after(name, 9), SPAN("encoding")))) &&
           name.at[hyphen] != '-';
}

bool head_content_length(struct span value, uint64_t *length)
{
    return span_decimal(value, length) && (value.at[0] != '0' || value.len == 1) &&
           *length <= INT64_MAX;
}

static const uint64_t ones = UINT64_C(0x0101010101010101);
static const uint64_t highs = UINT64_C(0x8080808080808080);

/* Which of the eight bytes of a word are control characters, by their top bits. A borrow
 * can flag only bytes above a true hit, so the lowest flag is always right. */
static uint64_t controls_in(uint64_t word)
{
    uint64_t delete = word ^ (ones * 0x7f);

    return (((word - ones * 0x20) & ~word) | ((delete - ones) & ~delete)) & highs;
}

size_t head_find_control(struct span s)
{
    size_t i = 0;

#ifdef __SSE2__
    const __m128i last = _mm_set1_epi8(0x1f), delete = _mm_set1_epi8(0x7f);

    for (; i + 16 <= s.len; i += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(s.at + i));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, last), block);
        int found = _mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(block, delete)));

        if (found != 0) {
            return i + (size_t)__builtin_ctz((unsigned)found);
        }
    }
#endif
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        uint64_t found;

        memcpy(&word, s.at + i, 8);
        found = controls_in(le64toh(word));
        if (found != 0) {
            return i + ((size_t)__builtin_ctzll(found) >> 3);
        }
    }
    for (; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c < 0x20 || c == 0x7f) {
            return i;
        }
    }
    return s.len;
}

static bool is_crlf(struct span s, size_t at)
{
    return at + 2 <= s.len && s.at[at] == '\r' && s.at[at + 1] == '\n';
}

static size_t leading_crlf(struct span bytes)
{
    if (!is_crlf(bytes, 0)) {
        return 0;
    }
    return is_crlf(bytes, 2) ? 4 : 2;
}

/* Whether a first line can belong to HTTP/1.x at all, so that HTTP/0.9 and other
 * protocols are answered at once and not when a timer ends. */
static bool looks_like_http(struct span line)
{
    static const struct span version = SPAN_INIT(" HTTP/");

    return span_starts(line, SPAN("HTTP/")) ||
           (line.len > 9 && span_starts(span_after(line, line.len - 9), version));
}

static enum fault first_line_too_long(struct span line)
{
    struct span start = span_of(line.at, HEAD_LINE_MAX);

    return span_find(start, ' ') < start.len ? FAULT_TARGET_TOO_LONG : FAULT_BAD_HEAD;
}

/* The scan of head_find_end(): every verdict depends on the bytes up to its own
 * position alone, so that no split can change it. */
struct end_scan {
    struct span head;
    size_t start;   /* of the first line */
    size_t at;      /* all bytes before it are judged */
    bool past_line; /* the first line has ended before `at` */
    bool complete;
};

/* Judges the byte at scan->at, a control character, and moves past it; *more is false
 * if the next byte is needed first. */
static enum fault judge_control(struct end_scan *scan, bool *more)
{
    struct span head = scan->head;
    size_t at = scan->at;

    if (head.at[at] == '\t') {
        scan->at++;
        return FAULT_NONE;
    }
    if (head.at[at] != '\r') {
        return FAULT_BAD_HEAD;
    }
    if (at + 1 == head.len) {
        *more = false;
        return FAULT_NONE;
    }
    if (head.at[at + 1] != '\n' || at == scan->start) {
        return FAULT_BAD_HEAD;
    }
    if (!scan->past_line &&
        !looks_like_http(span_of(head.at + scan->start, at - scan->start))) {
        return FAULT_BAD_HEAD;
    }
    scan->complete = scan->past_line && is_crlf(head, at - 2);
    scan->past_line = true;
    scan->at += 2;
    return FAULT_NONE;
}

static enum fault scan_on(struct end_scan *scan)
{
    size_t line_end = scan->start + HEAD_LINE_MAX;
    bool more = true;
    enum fault fault;

    while (more && !scan->complete) {
        scan->at += head_find_control(span_after(scan->head, scan->at));
        if (!scan->past_line && scan->at > line_end) {
            return first_line_too_long(span_after(scan->head, scan->start));
        }
        if (scan->at == scan->head.len) {
            break;
        }
        fault = judge_control(scan, &more);
        if (fault != FAULT_NONE) {
            return fault;
        }
    }
    return !scan->complete && scan->head.len == HEAD_SIZE_MAX ? FAULT_HEAD_TOO_LARGE
                                                              : FAULT_NONE;
}

enum fault head_find_end(struct span bytes, size_t *scanned, size_t *size)
{
    struct end_scan scan = {
        .head =
            span_of(bytes.at, bytes.len < HEAD_SIZE_MAX ? bytes.len : HEAD_SIZE_MAX),
    };
    struct span seen;
    enum fault fault;

    *size = 0;
    if (bytes.len == 0) {
        return FAULT_NONE;
    }
    scan.start = leading_crlf(scan.head);
    scan.at = *scanned > scan.start ? *scanned : scan.start;
    seen = span_of(scan.head.at + scan.start, scan.at - scan.start);
    scan.past_line = span_find(seen, '\r') < seen.len;
    fault = scan_on(&scan);
    *scanned = scan.at;
    if (fault == FAULT_NONE && scan.complete) {
        *size = scan.at;
    }
    return fault;
}

/* Cuts the next line off *rest. Within it are no control characters but HTAB. */
static bool take_line(struct span *rest, struct span *line)
{
    size_t at = head_find_control(*rest);

    while (at < rest->len && rest->at[at] == '\t') {
        at++;
        at += head_find_control(span_after(*rest, at));
    }
    if (!is_crlf(*rest, at)) {
        return false;
    }
    *line = span_of(rest->at, at);
    *rest = span_after(*rest, at + 2);
    return true;
}

static size_t token_length(struct span s)
{
    size_t i = 0;

    while (i < s.len && head_token_char[(unsigned char)s.at[i]]) {
        i++;
    }
    return i;
}

/* field-line = field-name ":" OWS field-value OWS; a folded line has no name. */
static bool take_field(struct span *rest, struct field *field)
{
    size_t name_len = token_length(*rest);

    if (name_len == 0 || name_len == rest->len || rest->at[name_len] != ':') {
        return false;
    }
    field->name = span_of(rest->at, name_len);
    *rest = span_after(*rest, name_len + 1);
    if (!take_line(rest, &field->value)) {
        return false;
    }
    field->value = span_trim(field->value);
    field->id = field_name_of(field->name);
    return true;
}

static enum fault take_fields(struct span rest, struct head *head)
{
    head->field_count = 0;
    while (!is_crlf(rest, 0)) {
        if (head->field_count == HEAD_FIELDS_MAX) {
            return FAULT_HEAD_TOO_LARGE;
        }
        if (!take_field(&rest, &head->fields[head->field_count])) {
            return FAULT_BAD_HEAD;
        }
        head->field_count++;
    }
    return rest.len == 2 ? FAULT_NONE : FAULT_BAD_HEAD;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP-version = "HTTP/" DIGIT "." DIGIT, with its two letters' case */
static enum fault read_version(struct span text, unsigned *minor)
{
    if (text.len != 8 || !span_starts(text, SPAN("HTTP/")) || !is_digit(text.at[5]) ||
        text.at[6] != '.' || !is_digit(text.at[7])) {
        return FAULT_BAD_HEAD;
    }
    if (text.at[5] != '1' || text.at[7] > '1') {
        return FAULT_HTTP_VERSION;
    }
    *minor = (unsigned)(text.at[7] - '0');
    return FAULT_NONE;
}

static enum fault read_method(struct span text, enum method *method)
{
    for (unsigned i = METHOD_GET; i <= METHOD_OPTIONS; i++) {
        if (span_equal(text, method_text((enum method)i))) {
            *method = (enum method)i;
            return FAULT_NONE;
        }
    }
    return FAULT_METHOD;
}

/* request-line = method SP request-target SP HTTP-version */
static enum fault read_request_line(struct span line, struct head *head)
{
    struct span method = span_of(line.at, token_length(line));
    struct span version;
    enum fault fault;

    if (line.len > HEAD_LINE_MAX) {
        return first_line_too_long(line);
    }
    if (method.len == 0 || method.len == line.len || line.at[method.len] != ' ') {
        return FAULT_BAD_HEAD;
    }
    head->target = span_after(line, method.len + 1);
    head->target.len = span_find(head->target, ' ');
    if (head->target.len == 0 || method.len + 1 + head->target.len == line.len) {
        return FAULT_BAD_HEAD;
    }
    version = span_after(line, method.len + 1 + head->target.len + 1);
    fault = read_version(version, &head->minor);
    if (fault == FAULT_NONE) {
        fault = read_method(method, &head->method);
    }
    return fault;
}

/* status-line = HTTP-version SP 3DIGIT [ SP [ reason-phrase ] ] */
static enum fault read_status_line(struct span line, struct head *head)
{
    struct span version = span_of(line.at, line.len < 8 ? line.len : 8);
    enum fault fault = read_version(version, &head->minor);

    if (fault != FAULT_NONE) {
        return fault;
    }
    if (line.len < 12 || line.at[8] != ' ' || !is_digit(line.at[9]) ||
        !is_digit(line.at[10]) || !is_digit(line.at[11]) ||
        (line.len > 12 && line.at[12] != ' ')) {
        return FAULT_BAD_HEAD;
    }
    head->status = (unsigned)(line.at[9] - '0') * 100 +
                   (unsigned)(line.at[10] - '0') * 10 + (unsigned)(line.at[11] - '0');
    head->reason = span_after(line, line.len > 12 ? 13 : 12);
    return head->status >= 100 && head->status <= 599 ? FAULT_NONE : FAULT_BAD_HEAD;
}

static enum fault check(struct span raw, struct head *head,
                        enum fault (*read_start)(struct span line, struct head *head))
{
    struct span line;
    enum fault fault;

    if (!take_line(&raw, &line)) {
        return FAULT_BAD_HEAD;
    }
    fault = read_start(line, head);
    return fault == FAULT_NONE ? take_fields(raw, head) : fault;
}

enum fault head_check_request(struct span raw, struct head *head)
{
    return raw.len > HEAD_SIZE_MAX
               ? FAULT_HEAD_TOO_LARGE
               : check(span_after(raw, leading_crlf(raw)), head, read_request_line);
}

enum fault head_check_response(struct span raw, struct head *head)
{
    return raw.len > HEAD_SIZE_MAX ? FAULT_HEAD_TOO_LARGE
                                   : check(raw, head, read_status_line);
}

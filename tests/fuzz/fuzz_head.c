/* Request and response heads of arbitrary bytes.
 *
 * No split changes where a head ends or why it is refused. What is accepted consists of
 * spans of the input without a line break, and written anew it is the same message.
 * What follows the first head and fits its form is what the parser says of it. */
#include "proxy/base/text.h"
#include "proxy/http/head_form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static enum fault find_end(struct span bytes, size_t step, size_t *size)
{
    size_t scanned = 0;
    enum fault fault = FAULT_NONE;

    *size = 0;
    for (size_t len = 0; len < bytes.len && fault == FAULT_NONE && *size == 0;) {
        len = bytes.len - len < step ? bytes.len : len + step;
        fault = head_find_end(span_of(bytes.at, len), &scanned, size);
    }
    return fault;
}

static void check_span(struct span raw, struct span part)
{
    if (part.len == 0) {
        return;
    }
    CHECK(part.at >= raw.at && part.at + part.len <= raw.at + raw.len);
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.at[i];

        CHECK((c >= 0x20 && c != 0x7f) || c == '\t');
    }
}

static struct span write_anew(const struct head *head, bool request, char *memory)
{
    struct text text = text_over(memory, (size_t)2 * HEAD_SIZE_MAX);

    if (request) {
        text_put(&text, method_text(head->method));
        text_put_char(&text, ' ');
        text_put(&text, head->target);
        text_printf(&text, " HTTP/1.%u\r\n", head->minor);
    } else {
        text_printf(&text, "HTTP/1.%u %u ", head->minor, head->status);
        text_put(&text, head->reason);
        text_put(&text, SPAN("\r\n"));
    }
    for (size_t i = 0; i < head->field_count; i++) {
        text_put(&text, head->fields[i].name);
        text_put(&text, SPAN(":"));
        text_put(&text, head->fields[i].value);
        text_put(&text, SPAN("\r\n"));
    }
    text_put(&text, SPAN("\r\n"));
    CHECK(!text.full);
    return text_span(&text);
}

static enum fault parse(struct span raw, bool request, struct head *head)
{
    return request ? head_parse_request(raw, head)
                   : head_parse_response(raw, METHOD_POST, head);
}

static void check_same(const struct head *a, const struct head *b, bool request)
{
    CHECK(a->field_count == b->field_count && a->minor == b->minor);
    CHECK(a->framing == b->framing && a->length == b->length);
    CHECK(a->keep_alive == b->keep_alive && a->upgrade == b->upgrade);
    CHECK(a->expect_continue == b->expect_continue);
    CHECK(request ? a->method == b->method && span_equal(a->target, b->target)
                  : a->status == b->status && span_equal(a->reason, b->reason));
    for (size_t i = 0; i < a->field_count; i++) {
        CHECK(a->fields[i].id == b->fields[i].id);
        CHECK(a->fields[i].hop_by_hop == b->fields[i].hop_by_hop);
        CHECK(span_equal(a->fields[i].name, b->fields[i].name));
        CHECK(span_equal(a->fields[i].value, b->fields[i].value));
    }
}

static void check_head(struct span raw, bool request)
{
    static char memory[2 * HEAD_SIZE_MAX];
    struct head again;
    struct head head;
    size_t scanned = 0;
    size_t size;

    if (parse(raw, request, &head) != FAULT_NONE) {
        return;
    }
    /* parsing needs no help from head_find_end() to be strict */
    CHECK(head_find_end(raw, &scanned, &size) == FAULT_NONE && size == raw.len);
    check_span(raw, request ? head.target : head.reason);
    for (size_t i = 0; i < head.field_count; i++) {
        check_span(raw, head.fields[i].name);
        check_span(raw, head.fields[i].value);
    }
    CHECK(parse(write_anew(&head, request, memory), request, &again) == FAULT_NONE);
    check_same(&head, &again, request);
}

/* Whether the front of `bytes` fits the form; then the parser has to say the same. */
static bool check_fit(struct head_form *form, struct span bytes, bool request)
{
    size_t size, found, scanned = 0;
    const struct head *head = head_form_read(form, bytes, &size);
    struct head again;

    if (head == NULL) {
        return false;
    }
    CHECK(head_find_end(bytes, &scanned, &found) == FAULT_NONE && found == size);
    bytes.len = size;
    CHECK(parse(bytes, request, &again) == FAULT_NONE);
    check_same(head, &again, request);
    return true;
}

static void check_form(struct span first, struct span rest, bool request)
{
    struct head head;
    struct head_form *form;

    if (parse(first, request, &head) != FAULT_NONE) {
        return;
    }
    form = head_form_new(first, &head, request ? FIELD_AUTHORIZATION : FIELD_OTHER);
    if (form != NULL) {
        CHECK(check_fit(form, first, request));
        (void)check_fit(form, rest, request);
        head_form_free(form);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span input = span_of((const char *)bytes, size);
    size_t end;
    enum fault fault = find_end(input, SIZE_MAX, &end);
    char *raw;

    for (size_t step = 1; step < 100; step = step * 3 + 1) {
        size_t split_end;

        CHECK(find_end(input, step, &split_end) == fault && split_end == end);
    }
    check_head(input, true);
    check_head(input, false);
    if (fault == FAULT_NONE && end > 0) {
        check_form(span_of(input.at, end), span_after(input, end), true);
        check_form(span_of(input.at, end), span_after(input, end), false);
    }
    if (fault == FAULT_NONE && end > 0 && end < size) {
        raw = malloc(end); /* of its exact size, for the sanitizer's sake */
        CHECK(raw != NULL);
        memcpy(raw, bytes, end);
        check_head(span_of(raw, end), true);
        check_head(span_of(raw, end), false);
        free(raw);
    }
    return 0;
}

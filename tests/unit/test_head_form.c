/* What fits a form has to be what the parsers make of it. */
#include "proxy/http/head_form.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define JSON                                                                           \
    "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"                       \
    "Content-Type: application/json\r\nContent-Length: 812\r\n"                        \
    "x-request-id: req_011CV\r\nCF-RAY:  9a1b2c-FRA\r\nx-empty:\r\n"                   \
    "Connection: keep-alive, X-Hop\r\nx-hop: 1\r\nset-cookie: a=b\r\n\r\n"
#define EVENTS                                                                         \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"            \
    "Transfer-Encoding: chunked\r\nopenai-processing-ms: 41\r\n\r\n"
#define REQUEST                                                                        \
    "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: assay\r\n"                        \
    "Authorization: Bearer assay_aaaa\r\nContent-Length: 12\r\n"                       \
    "Accept: application/json\r\n\r\n"

static struct head parsed;

static struct head_form *form_of(const char *text, enum method method)
{
    struct span raw = span_text(text);

    if (method == METHOD_POST && span_starts(raw, SPAN("POST"))) {
        assert_int_equal(head_parse_request(raw, &parsed), FAULT_NONE);
        return head_form_new(raw, &parsed, FIELD_AUTHORIZATION);
    }
    assert_int_equal(head_parse_response(raw, method, &parsed), FAULT_NONE);
    return head_form_new(raw, &parsed, FIELD_OTHER);
}

static void assert_same_span(struct span ours, struct span theirs)
{
    assert_int_equal(ours.len, theirs.len);
    assert_true(ours.len == 0 || ours.at == theirs.at);
}

static void assert_same_head(const struct head *ours, const struct head *theirs)
{
    assert_int_equal(ours->method, theirs->method);
    assert_int_equal(ours->status, theirs->status);
    assert_int_equal(ours->minor, theirs->minor);
    assert_int_equal(ours->framing, theirs->framing);
    assert_true(ours->length == theirs->length);
    assert_int_equal(ours->keep_alive, theirs->keep_alive);
    assert_int_equal(ours->expect_continue, theirs->expect_continue);
    assert_int_equal(ours->upgrade, theirs->upgrade);
    assert_int_equal(ours->field_count, theirs->field_count);
    assert_same_span(ours->target, theirs->target);
    assert_same_span(ours->reason, theirs->reason);
    for (size_t i = 0; i < ours->field_count; i++) {
        assert_int_equal(ours->fields[i].id, theirs->fields[i].id);
        assert_int_equal(ours->fields[i].hop_by_hop, theirs->fields[i].hop_by_hop);
        assert_same_span(ours->fields[i].name, theirs->fields[i].name);
        assert_same_span(ours->fields[i].value, theirs->fields[i].value);
    }
}

/* Reads the bytes by the form. What fits must be what the parsers read. */
static bool fits(struct head_form *form, struct span bytes)
{
    size_t size, scanned = 0, found;
    const struct head *head = head_form_read(form, bytes, &size);

    if (head == NULL) {
        return false;
    }
    assert_int_equal(head_find_end(bytes, &scanned, &found), FAULT_NONE);
    assert_int_equal(size, found);
    bytes.len = size;
    assert_int_equal(head->status == 0
                         ? head_parse_request(bytes, &parsed)
                         : head_parse_response(bytes, head->method, &parsed),
                     FAULT_NONE);
    assert_same_head(head, &parsed);
    return true;
}

static bool text_fits(struct head_form *form, const char *text)
{
    return fits(form, span_text(text));
}

/* A text with `to` in place of `from`. */
static struct span changed(const char *text, const char *from, const char *to)
{
    static char raw[4096];
    const char *at = strstr(text, from);
    int len;

    assert_non_null(at);
    len = snprintf(raw, sizeof raw, "%.*s%s%s", (int)(at - text), text, to,
                   at + strlen(from));
    assert_in_range(len, 1, sizeof raw - 1);
    return span_of(raw, (size_t)len);
}

static void test_what_fits(void **state)
{
    struct head_form *json = form_of(JSON, METHOD_POST);
    struct head_form *events = form_of(EVENTS, METHOD_POST);
    struct head_form *request = form_of(REQUEST, METHOD_POST);

    (void)state;
    assert_true(text_fits(json, JSON));
    assert_true(text_fits(json, JSON "{\"and\": \"a body\"}"));
    assert_true(text_fits(events, EVENTS));
    assert_true(text_fits(request, REQUEST "{}"));
    assert_true(fits(json, changed(JSON, "812", "9223372036854775807")));
    assert_true(fits(json, changed(JSON, "812", "1")));
    assert_true(fits(json, changed(JSON, "req_011CV", "q")));
    assert_true(fits(json, changed(JSON, "req_011CV", "caf\xc3\xa9 \xff, \"x\": 7")));
    assert_true(fits(json, changed(JSON, "a=b", "__cf_bm=x; path=/; HttpOnly")));
    assert_true(fits(events, changed(EVENTS, "41", "1234567")));
    assert_true(fits(request, changed(REQUEST, "assay_aaaa", "another")));
    assert_false(text_fits(json, EVENTS));
    assert_false(text_fits(events, JSON));
    head_form_free(json);
    head_form_free(events);
    head_form_free(request);
}

static void test_what_does_not_fit(void **state)
{
    static const char *const others[][2] = {
        { "200 OK", "200 Ok" },
        { "200 OK", "201 OK" },
        { "HTTP/1.1", "HTTP/1.0" },
        { "812", "0" },
        { "812", "0812" },
        { "812", "" },
        { "812", "8 12" },
        { "812", "812 " },
        { "812", "+812" },
        { "812", "812,812" },
        { "812", "9223372036854775808" },
        { "812", "812\r\nContent-Length: 812" },
        { "Content-Length", "content-length" },
        { "Content-Length", "Content_Length" },
        { "application/json", "text/event-stream" },
        { "req_011CV", "" },
        { "req_011CV", " req" },
        { "req_011CV", "req " },
        { "req_011CV", "req\tr" },
        { "req_011CV", "req\rr" },
        { "req_011CV", "req\nr" },
        { "req_011CV", "req\001r" },
        { "req_011CV", "req\177r" },
        { "req_011CV", "req\r\nTransfer-Encoding: chunked" },
        { "req_011CV", "req\r\n folded" },
        { "x-empty:", "x-empty: full" },
        { "keep-alive, X-Hop", "close, X-Hop" },
        { "X-Hop", "X-Hip" },
        { "CF-RAY:  ", "CF-RAY: " },
        { "\r\nDate", "\nDate" },
        { "Date:", "Date :" },
    };
    struct head_form *form = form_of(JSON, METHOD_POST);

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (fits(form, changed(JSON, others[i][0], others[i][1]))) {
            fail_msg("fits: %s for %s", others[i][1], others[i][0]);
        }
    }
    for (size_t len = 0; len < strlen(JSON); len++) {
        assert_false(fits(form, span_of(JSON, len)));
    }
    head_form_free(form);
}

/* No form is made that its own head would not fit. */
static void test_heads_without_form(void **state)
{
    static char raw[8192];

    (void)state;
    assert_null(form_of("HTTP/1.1 200 OK\r\nx-a: b \r\n\r\n", METHOD_POST));
    assert_null(form_of("HTTP/1.1 200 OK\r\nx-a: b\tc\r\n\r\n", METHOD_POST));
    assert_null(form_of("HTTP/1.1 200 OK\r\nContent-Length: 5 \r\n\r\n", METHOD_POST));
    (void)snprintf(raw, sizeof raw, "HTTP/1.1 200 OK\r\nx-a: %04080d\r\n\r\n", 1);
    assert_null(form_of(raw, METHOD_POST));
}

static void test_what_stood_in_blanks_is_not_kept(void **state)
{
    struct head_form *form = form_of(REQUEST, METHOD_POST);

    (void)state;
    assert_non_null(memmem(form->text, form->text_len, "Accept", 6));
    assert_null(memmem(form->text, form->text_len, "aaaa", 4));
    head_form_free(form);
}

/* A length that was 0, or of a response without a body, is text like any other. */
static void test_lengths_that_are_text(void **state)
{
    const char *empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const char *none = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    struct head_form *form = form_of(empty, METHOD_GET);

    (void)state;
    assert_true(text_fits(form, empty));
    assert_false(fits(form, changed(empty, "0\r\n\r\n", "5\r\n\r\n")));
    head_form_free(form);
    form = form_of(none, METHOD_GET);
    assert_true(text_fits(form, none));
    assert_false(fits(form, changed(none, "5", "0")));
    head_form_free(form);
    form = form_of(JSON, METHOD_HEAD);
    assert_true(text_fits(form, JSON));
    assert_false(fits(form, changed(JSON, "812", "813")));
    head_form_free(form);
}

static void test_heads_over_the_limit(void **state)
{
    static char raw[HEAD_SIZE_MAX + 64];
    const char *front = "HTTP/1.1 200 OK\r\nx-a: ";
    struct head_form *form = form_of("HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n", METHOD_POST);

    (void)state;
    for (size_t size = HEAD_SIZE_MAX - 1; size <= HEAD_SIZE_MAX + 1; size++) {
        memset(raw, 'v', sizeof raw);
        memcpy(raw, front, strlen(front));
        memcpy(raw + size - 4, "\r\n\r\n", 4);
        assert_int_equal(fits(form, span_of(raw, size)), size <= HEAD_SIZE_MAX);
    }
    head_form_free(form);
}

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*state >> 33) % limit;
}

/* Overwrites, drops or repeats a few bytes at random places. */
static struct span mutate(uint64_t *state, const char *text, char *raw)
{
    static const char bytes[] = "\r\n\t :;,09aZ-_\"\x7f\x80\xff\x01 chunkedCLOSE";
    size_t len = strlen(text);
    unsigned changes = 1 + random_below(state, 3);

    memcpy(raw, text, len);
    while (changes-- > 0) {
        size_t at = random_below(state, (unsigned)len);
        size_t count = 1 + random_below(state, 8);

        count = count < len - at ? count : len - at;
        switch (random_below(state, 3)) {
        case 0:
            raw[at] = bytes[random_below(state, sizeof bytes)];
            break;
        case 1:
            memmove(raw + at, raw + at + count, len - at - count);
            len -= count;
            break;
        default:
            memmove(raw + at + count, raw + at, len - at);
            len += count;
            break;
        }
        if (len < 16) {
            break;
        }
    }
    return span_of(raw, len);
}

/* The property that makes forms safe: fits() asserts it. */
static void test_mutations(void **state)
{
    static const char *const heads[] = { JSON, EVENTS, REQUEST };
    uint64_t random = 20261122;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct head_form *form = form_of(heads[i], METHOD_POST);
        unsigned fitting = 0;

        for (unsigned round = 0; round < 50000; round++) {
            char raw[1024];

            fitting += fits(form, mutate(&random, heads[i], raw));
        }
        assert_in_range(fitting, 200, 49800);
        head_form_free(form);
    }
}

static const struct head *read_text(struct head_forms *forms, const char *text,
                                    enum method method)
{
    size_t size;

    return head_forms_read(forms, span_text(text), method, &size);
}

static void add_text(struct head_forms *forms, const char *text)
{
    struct span raw = span_text(text);

    assert_int_equal(head_parse_response(raw, METHOD_POST, &parsed), FAULT_NONE);
    head_forms_add(forms, raw, &parsed);
}

static void test_several_forms(void **state)
{
    struct head_forms forms = { 0 };
    char raw[64];

    (void)state;
    assert_null(read_text(&forms, JSON, METHOD_POST));
    add_text(&forms, JSON);
    add_text(&forms, EVENTS);
    assert_non_null(read_text(&forms, JSON, METHOD_POST));
    assert_null(read_text(&forms, JSON, METHOD_GET));
    assert_non_null(read_text(&forms, EVENTS, METHOD_POST));
    assert_int_equal(read_text(&forms, EVENTS, METHOD_POST)->framing, FRAMING_CHUNKED);
    /* whatever else comes takes the places of those that were not used for longest */
    for (int i = 0; i < 2 * HEAD_FORMS; i++) {
        (void)snprintf(raw, sizeof raw, "HTTP/1.1 200 OK\r\nx-%d: 1\r\n\r\n", i);
        add_text(&forms, raw);
        assert_non_null(read_text(&forms, raw, METHOD_POST));
        assert_non_null(read_text(&forms, JSON, METHOD_POST));
    }
    assert_null(read_text(&forms, EVENTS, METHOD_POST));
    head_forms_done(&forms);
    assert_null(read_text(&forms, JSON, METHOD_POST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_heads_without_form),
        cmocka_unit_test(test_what_stood_in_blanks_is_not_kept),
        cmocka_unit_test(test_lengths_that_are_text),
        cmocka_unit_test(test_heads_over_the_limit),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_several_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

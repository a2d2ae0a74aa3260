#include "filters/frame/multipart.h"
#include "proxy/base/text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Parts as "name=value;" one after the other, with the length where a value was cut. */
static void on_part(void *self, const struct multipart_part *part)
{
    struct text *told = self;

    text_put(told, part->name);
    text_put_char(told, '=');
    text_put(told, part->value);
    if (part->bytes > part->value.len) {
        text_put_char(told, '+');
        text_put_u64(told, part->bytes);
    }
    text_put_char(told, ';');
}

/* Every first piece, then the rest in steps. */
static void check(const char *type, struct span body, const char *want)
{
    for (size_t first = 1; first <= body.len; first++) {
        for (size_t step = 1; step <= body.len; step = step * 7 + first % 3) {
            char memory[2048];
            struct text told = text_over(memory, sizeof(memory));
            struct multipart form;
            struct span rest = body;
            size_t len = first;

            assert_true(multipart_init(&form, span_text(type)));
            while (rest.len > 0) {
                len = len < rest.len ? len : rest.len;
                multipart_feed(&form, span_of(rest.at, len), on_part, &told);
                rest = span_after(rest, len);
                len = step;
            }
            if (!span_equal(text_span(&told), span_text(want))) {
                fail_msg("first %zu step %zu: %.*s", first, step, (int)told.len,
                         told.at);
            }
        }
    }
}

#define PART(head, body)                                                               \
    "--b\r\nContent-Disposition: form-data; " head "\r\n\r\n" body "\r\n"

static void small_parts_are_read_and_files_skipped(void **state)
{
    (void)state;
    check("multipart/form-data; boundary=b",
          SPAN(PART("name=\"model\"", "whisper-1")
                   PART("name=\"file\"; filename=\"a.wav\"",
                        "RIFF\r\n-\r\n--\r\n--c data")
                       PART("name=stream", "true") "--b--\r\n"),
          "model=whisper-1;stream=true;");
}

static void delimiters_are_found_in_any_company(void **state)
{
    (void)state;
    check("multipart/form-data; charset=utf-8; boundary=\"b\"",
          SPAN("preamble\r\n--b \r\ncontent-disposition: form-data; name=\"a\"\r\n"
               "Content-Type: text/plain\r\n\r\n\r\r\n--\r\n-\r\n--B\r\n\r\n--b\r\n"
               "Content-Disposition: form-data; filename*=utf-8''x; name=\"f\"\r\n\r\nx"
               "\r\n--b--\r\nepilogue --b\r\n"),
          "a=\r\r\n--\r\n-\r\n--B\r\n;");
}

static void names_may_be_escaped(void **state)
{
    (void)state;
    check("multipart/form-data;boundary=b",
          SPAN(PART("x=\"; name=no\"; name=\"a\\\"b\"", "1") PART("name=\"\"", "2")
                   PART("name=\"n\"; filename=\"\"", "3") "--b--"),
          "a\"b=1;");
}

static void long_values_are_measured(void **state)
{
    static const char front[] = PART("name=\"prompt\"", "");
    char body[512], want[256];
    struct text text = text_over(body, sizeof(body));
    struct text wanted = text_over(want, sizeof(want));

    (void)state;
    text_put(&text, span_of(front, sizeof(front) - 3));
    text_put(&wanted, SPAN("prompt="));
    for (unsigned i = 0; i < 300; i++) {
        text_put_char(&text, 'x');
        if (i < MULTIPART_VALUE_MAX) {
            text_put_char(&wanted, 'x');
        }
    }
    text_put(&text, SPAN("\r\n--b--\r\n"));
    text_put(&wanted, SPAN("+300;"));
    text_put_char(&wanted, '\0');
    check("multipart/form-data; boundary=b", text_span(&text), want);
}

static void a_part_that_is_cut_is_not_told(void **state)
{
    (void)state;
    check("multipart/form-data; boundary=b",
          SPAN(PART("name=\"a\"", "1") PART("name=\"b\"", "2")), "a=1;");
    check("multipart/form-data; boundary=b", SPAN("--bx\r\n\r\n1\r\n--b--\r\n"), "");
}

static void boundaries_must_be_legal(void **state)
{
    struct multipart form;

    (void)state;
    assert_false(multipart_init(&form, SPAN("multipart/form-data")));
    assert_false(multipart_init(&form, SPAN("multipart/form-data; boundary=")));
    assert_false(multipart_init(&form, SPAN("multipart/form-data; boundary=\"\"")));
    assert_false(multipart_init(&form, SPAN("multipart/form-data; boundary="
                                            "012345678901234567890123456789012345678901"
                                            "23456789012345678901234567890")));
    assert_true(multipart_init(&form, SPAN("multipart/form-data; Boundary=a b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_parts_are_read_and_files_skipped),
        cmocka_unit_test(delimiters_are_found_in_any_company),
        cmocka_unit_test(names_may_be_escaped),
        cmocka_unit_test(long_values_are_measured),
        cmocka_unit_test(a_part_that_is_cut_is_not_told),
        cmocka_unit_test(boundaries_must_be_legal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

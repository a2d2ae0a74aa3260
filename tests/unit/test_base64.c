#include "filters/content/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *text, const char *want, bool bad)
{
    size_t len = strlen(text);

    for (size_t step = 1; step <= len + 1; step++) {
        struct base64 base64 = { 0 };
        char out[64];
        size_t at = 0;

        for (size_t i = 0; i < len; i += step) {
            size_t piece = step < len - i ? step : len - i;

            at += base64_feed(&base64, span_of(text + i, piece), out + at);
        }
        assert_int_equal(base64.bad, bad);
        assert_int_equal(at, strlen(want));
        assert_memory_equal(out, want, at);
    }
}

/* RFC 4648, section 10. */
static void texts_decode_at_every_split(void **state)
{
    (void)state;
    check("", "", false);
    check("Zg==", "f", false);
    check("Zm8=", "fo", false);
    check("Zm9v", "foo", false);
    check("Zm9vYg==", "foob", false);
    check("Zm9vYmE=", "fooba", false);
    check("Zm9vYmFy", "foobar", false);
    check("Zm9vYg", "foob", false);
    check("+/+/", "\xfb\xff\xbf", false);
}

static void bad_characters_are_left_out(void **state)
{
    (void)state;
    check("Zm 9v", "foo", true);
    check("Zg==Zg==", "f", true);
    check("-_", "", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_decode_at_every_split),
        cmocka_unit_test(bad_characters_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

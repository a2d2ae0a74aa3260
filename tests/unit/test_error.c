#include "proxy/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static char *printed(const struct error *error)
{
    char *lines = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&lines, &size);

    assert_non_null(out);
    error_print(error, out);
    assert_int_equal(fclose(out), 0);
    return lines;
}

static void test_nothing_is_no_error(void **state)
{
    struct error error;
    char *lines;

    (void)state;
    error_init(&error);
    assert_false(error_any(&error));
    lines = printed(&error);
    assert_string_equal(lines, "");
    free(lines);
    error_done(&error);
}

static void test_places(void **state)
{
    struct error error;
    char *lines;

    (void)state;
    error_init(&error);
    error_add(&error, (struct error_place){ "a.yaml", 3, 7 }, "unknown key %s", "prot");
    error_add(&error, (struct error_place){ "a.yaml", 4, 0 }, "line");
    error_add(&error, (struct error_place){ "a.yaml", 0, 9 }, "file");
    error_add(&error, (struct error_place){ 0 }, "nowhere");
    assert_true(error_any(&error));
    lines = printed(&error);
    assert_string_equal(lines, "a.yaml:3:7: unknown key prot\n"
                               "a.yaml:4: line\n"
                               "a.yaml: file\n"
                               "nowhere\n");
    free(lines);
    error_done(&error);
    assert_false(error_any(&error));
}

static void test_usable_after_done(void **state)
{
    struct error error;

    (void)state;
    error_init(&error);
    error_add(&error, (struct error_place){ 0 }, "one");
    error_done(&error);
    error_add(&error, (struct error_place){ 0 }, "two");
    assert_int_equal(error.count, 1);
    assert_string_equal(error.entries[0].words, "two");
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_no_error),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_usable_after_done),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}

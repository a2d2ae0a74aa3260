#include "proxy/base/fault.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_success_has_a_row(void **state)
{
    (void)state;
    assert_string_equal(fault_row(FAULT_NONE)->name, "none");
    assert_int_equal(fault_row(FAULT_NONE)->status, 0);
    assert_int_equal(fault_row(FAULT_NONE)->blame, BLAME_NONE);
}

static void test_rows_are_in_the_order_of_the_enum(void **state)
{
    (void)state;
#define FAULT(NAME, name_, status_, blame_, retry_, words_)                            \
    assert_string_equal(fault_row(FAULT_##NAME)->name, name_);                         \
    assert_int_equal(fault_row(FAULT_##NAME)->status, status_);                        \
    assert_string_equal(fault_row(FAULT_##NAME)->words, words_);
#include "proxy/base/fault.def"
#undef FAULT
}

/* Logs, the ledger and metrics show fault names in lower case, like
 * their other words. */
static void test_names_are_lower_case_words(void **state)
{
    (void)state;
    for (int i = 0; i < FAULT_COUNT; i++) {
        const char *name = fault_row((enum fault)i)->name;

        assert_true(strlen(name) > 0);
        for (; *name != '\0'; name++) {
            assert_true(islower((unsigned char)*name) || *name == '_');
        }
    }
}

static void test_blame_fits_the_status(void **state)
{
    (void)state;
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
        const struct fault_row *row = fault_row((enum fault)i);

        switch (row->blame) {
        case BLAME_CLIENT:
            assert_true(row->status / 100 == 4 || row->status == 505);
            break;
        case BLAME_POLICY:
            assert_true(row->status == 403 || row->status == 404 || row->status == 429);
            break;
        case BLAME_ASSAY:
            assert_int_equal(row->status, 503);
            break;
        case BLAME_UPSTREAM:
            assert_true(row->status == 502 || row->status == 504);
            break;
        case BLAME_NONE:
            fail();
        }
    }
}

static void test_words_are_one_clause(void **state)
{
    (void)state;
    for (int i = 0; i < FAULT_COUNT; i++) {
        const char *words = fault_row((enum fault)i)->words;

        assert_null(strchr(words, '\n'));
        assert_null(strchr(words, '"'));
        assert_true(words[strlen(words) - 1] != '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success_has_a_row),
        cmocka_unit_test(test_rows_are_in_the_order_of_the_enum),
        cmocka_unit_test(test_names_are_lower_case_words),
        cmocka_unit_test(test_blame_fits_the_status),
        cmocka_unit_test(test_words_are_one_clause),
    };

    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}

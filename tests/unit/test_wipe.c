#include "proxy/base/wipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void any_size_is_given_back(void **unused)
{
    (void)unused;
    for (size_t size = 1; size < 300; size++) {
        char *memory = malloc(size);

        assert_non_null(memory);
        memset(memory, 1, size);
        assert_int_equal(memory[size - 1], 1);
        wipe_free(memory);
    }
    wipe_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_size_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "filters/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct row {
    const char *pattern, *path;
    const char *model; /* NULL: does not fit */
} rows[] = {
    { "/v1/models", "/v1/models", "" },
    { "/v1/models", "/x/v1/models", NULL },
    { "/v1/models", "/v1/models/", NULL },
    { "**/v1/models", "/v1/models", "" },
    { "**/v1/models", "/a/b/v1/models", "" },
    { "**/v1/models", "/a/bv1/models", NULL },
    { "**/models/*", "/models/x", "" },
    { "**/models/*", "/models/", NULL },
    { "**/models/*", "/models/x/y", NULL },
    { "**", "/anything/at/all", "" },
    { "**", "/", "" },
    { "**/models/{*}:predict", "/v1/models/m:predict", "m" },
    { "**/models/{*}:predict", "/v1/models/a:b:predict", "a:b" },
    { "**/models/{*}:predict", "/v1/models/:predict", NULL },
    { "**/models/{*}:predict", "/v1/models/m:predictLongRunning", NULL },
    { "**/model/{*}/converse", "/model/arn:aws:x%2Fy/converse", "arn:aws:x%2Fy" },
    { "**/model/{*}/converse", "/model/a/b/converse", NULL },
    { "**/ai/run/{*/*/*}", "/accounts/a/ai/run/@cf/meta/llama", "@cf/meta/llama" },
    { "**/ai/run/{*/*/*}", "/accounts/a/ai/run/@cf/llama", NULL },
    { "/{*}", "/m", "m" },
};

static void paths_fit_their_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct span model;
        bool fits =
            pattern_matches(span_text(row->pattern), span_text(row->path), &model);

        if (fits != (row->model != NULL)) {
            fail_msg("%s and %s", row->pattern, row->path);
        }
        if (fits) {
            assert_int_equal(model.len, strlen(row->model));
            assert_memory_equal(model.at, row->model, model.len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_fit_their_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

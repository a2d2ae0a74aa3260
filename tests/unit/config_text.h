/* What the tests of the configuration share: reading text, comparing mistakes. */
#ifndef ASSAY_TESTS_CONFIG_TEXT_H
#define ASSAY_TESTS_CONFIG_TEXT_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const known_families[] = { "openai",  "anthropic", "gemini",
                                              "bedrock", "vertex",    NULL };

/* The smallest file: tests append to it what they are about. */
#define LISTEN    "listen: [{address: 127.0.0.1:1}]\n"
#define PROVIDERS "providers: {p: {url: 'http://localhost', dialects: [openai]}}\n"
#define LEAST     LISTEN PROVIDERS

/* Reads `yaml` as "/etc/f.yaml"; *mistakes is what error_print() makes of the mistakes,
 * to be freed by the caller. */
static inline struct config *read_text(const char *yaml, enum config_secrets secrets,
                                       char **mistakes)
{
    struct error error;
    struct config *config;
    size_t len;
    FILE *out = open_memstream(mistakes, &len);

    assert_non_null(out);
    error_init(&error);
    config =
        config_parse("/etc/f.yaml", span_text(yaml), known_families, secrets, &error);
    assert_true((config == NULL) == error_any(&error));
    error_print(&error, out);
    error_done(&error);
    assert_int_equal(fclose(out), 0);
    return config;
}

/* A file without mistakes. */
static inline struct config *read_good(const char *yaml)
{
    char *mistakes;
    struct config *config = read_text(yaml, CONFIG_WITHOUT_SECRETS, &mistakes);

    assert_string_equal(mistakes, "");
    free(mistakes);
    return config;
}

/* All mistakes of a file, without the file's name. */
static inline void assert_mistakes(const char *yaml, const char *expected)
{
    static const char name[] = "/etc/f.yaml";
    char *mistakes;
    char *kept;
    struct config *config = read_text(yaml, CONFIG_WITHOUT_SECRETS, &mistakes);

    assert_null(config);
    kept = mistakes;
    for (char *at = mistakes; *at != '\0';) {
        if (strncmp(at, name, sizeof name - 1) == 0) {
            at +=
                sizeof name; /* with the colon; a space follows where no line is told */
            at += *at == ' ' ? 1 : 0;
        } else {
            *kept++ = *at++;
        }
    }
    *kept = '\0';
    assert_string_equal(mistakes, expected);
    free(mistakes);
}

#endif

#include "config/document.h"
#include "config/field.h"
#include "tests/unit/config_text.h"

#include <stdlib.h>

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL) {
        fail_msg("%s is missing", path);
    }
    if (getdelim(&text, &size, '\0', file) < 0) {
        fail_msg("%s is empty", path);
    }
    fclose(file);
    return text;
}

static void assert_current(const char *path, void (*write)(FILE *), const char *format)
{
    char *committed = file_text(path);
    char *generated;
    size_t len;
    FILE *out = open_memstream(&generated, &len);

    assert_non_null(out);
    write(out);
    assert_int_equal(fclose(out), 0);
    if (strcmp(committed, generated) != 0) {
        fail_msg("%s is out of date: assay check --docs %s > %s", path, format, path);
    }
    free(committed);
    free(generated);
}

static void test_committed_files_are_current(void **state)
{
    (void)state;
    assert_current("config/README.md", config_write_markdown, "markdown");
    assert_current("config/assay.yaml.5", config_write_man, "man");
}

static void test_example_is_good(void **state)
{
    struct error error;
    struct config *config;

    (void)state;
    error_init(&error);
    config = config_load("config/assay.yaml", known_families, CONFIG_WITHOUT_SECRETS,
                         &error);
    error_print(&error, stderr);
    assert_non_null(config);
    config_free(config);
    error_done(&error);
}

/* Also uncommented, so that what is shown as the default can be written. */
static void test_uncommented_example_is_good(void **state)
{
    char *text = file_text("config/assay.yaml");
    char *plain = malloc(strlen(text) + 1);
    char *to = plain;

    (void)state;
    assert_non_null(plain);
    for (const char *line = text; *line != '\0';) {
        const char *end = strchrnul(line, '\n');
        size_t indent = strspn(line, " ");
        const char *rest = line + indent;

        memcpy(to, line, indent);
        to += indent;
        /* Prose begins with a capital letter, keys do not. */
        if (strncmp(rest, "# ", 2) == 0 && (rest[2] < 'A' || rest[2] > 'Z')) {
            rest += 2;
        }
        memcpy(to, rest, (size_t)(end - rest));
        to += end - rest;
        *to++ = '\n';
        line = *end == '\0' ? end : end + 1;
    }
    *to = '\0';
    config_free(read_good(plain));
    free(plain);
    free(text);
}

/* Each row has what the reference needs, and the example shows each key. */
static void check_group(const struct field_group *group, const char *example)
{
    for (const struct field *field = group->fields; field->key != NULL; field++) {
        char key[64];

        snprintf(key, sizeof key, "%s:", field->key);
        if (strstr(example, key) == NULL) {
            fail_msg("config/assay.yaml does not show '%s'", field->key);
        }
        assert_non_null(field->help);
        assert_true(strlen(field->help) > 0);
        assert_true(field->help[strlen(field->help) - 1] != '.');
        assert_true(field->required || field->fallback != NULL ||
                    field->without != NULL || field->type == FIELD_MAP);
        assert_true(field->least <= field->most || field->most == 0);
        assert_ptr_equal(field_find(group, field->key), field);
        if (field->group != NULL) {
            assert_non_null(field->group->title);
            check_group(field->group, example);
        }
    }
}

static void test_rows(void **state)
{
    char *example = file_text("config/assay.yaml");

    (void)state;
    check_group(&config_schema, example);
    assert_null(field_find(&config_schema, "nothing"));
    free(example);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_committed_files_are_current),
        cmocka_unit_test(test_example_is_good),
        cmocka_unit_test(test_uncommented_example_is_good),
        cmocka_unit_test(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

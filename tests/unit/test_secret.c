#include "proxy/base/secret.h"
#include "tests/support/remove_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/assay-test-secret-XXXXXX";
static char path[64];
static char source[80];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/key", folder);
    (void)snprintf(source, sizeof source, "file:%s", path);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static void write_file(struct span bytes, mode_t mode)
{
    int file;

    (void)unlink(path);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes.at, bytes.len), bytes.len);
    assert_int_equal(fchmod(file, mode), 0);
    assert_int_equal(close(file), 0);
}

static struct secret *read_secret(const char *from, struct error *error)
{
    error_init(error);
    return secret_read(span_text(from), (struct error_place){ "a.yaml", 1, 2 }, error);
}

static void assert_reads(const char *from, struct span wanted)
{
    struct error error;
    struct secret *secret = read_secret(from, &error);

    assert_non_null(secret);
    assert_true(span_equal(secret_reveal(secret), wanted));
    assert_false(error_any(&error));
    assert_null(secret_free(secret));
}

static void assert_refuses(const char *from, const char *because)
{
    struct error error;
    struct secret *secret = read_secret(from, &error);

    assert_null(secret);
    assert_int_equal(error.count, 1);
    assert_non_null(strstr(error.entries[0].words, because));
    assert_int_equal(error.entries[0].place.line, 1);
    error_done(&error);
}

static void test_new(void **state)
{
    char value[] = "sk-1234";
    struct secret *secret = secret_new(span_text(value));

    (void)state;
    assert_non_null(secret);
    explicit_bzero(value, sizeof value);
    assert_true(span_equal(secret_reveal(secret), SPAN("sk-1234")));
    assert_null(secret_free(secret));
    assert_null(secret_free(NULL));
}

static void test_equal(void **state)
{
    struct secret *secret = secret_new(SPAN("sk-1234"));

    (void)state;
    assert_true(secret_equal(secret, SPAN("sk-1234")));
    assert_false(secret_equal(secret, SPAN("sk-1235")));
    assert_false(secret_equal(secret, SPAN("Sk-1234")));
    assert_false(secret_equal(secret, SPAN("sk-123")));
    assert_false(secret_equal(secret, SPAN("")));
    (void)secret_free(secret);
}

static void test_env(void **state)
{
    (void)state;
    assert_int_equal(setenv("ASSAY_TEST_SECRET", "sk-env", 1), 0);
    assert_reads("env:ASSAY_TEST_SECRET", SPAN("sk-env"));
    assert_int_equal(setenv("ASSAY_TEST_SECRET", "", 1), 0);
    assert_refuses("env:ASSAY_TEST_SECRET", "ASSAY_TEST_SECRET is empty");
    assert_int_equal(unsetenv("ASSAY_TEST_SECRET"), 0);
    assert_refuses("env:ASSAY_TEST_SECRET", "ASSAY_TEST_SECRET is not set");
}

static void test_file(void **state)
{
    (void)state;
    write_file(SPAN("sk-file"), 0600);
    assert_reads(source, SPAN("sk-file"));
    write_file(SPAN("sk-file\n"), 0400);
    assert_reads(source, SPAN("sk-file"));
    write_file(SPAN("sk-file\r\n"), 0600);
    assert_reads(source, SPAN("sk-file"));
    write_file(SPAN("two\nlines\n\n"), 0600);
    assert_reads(source, SPAN("two\nlines\n"));
}

static void test_file_that_others_can_reach(void **state)
{
    (void)state;
    write_file(SPAN("sk-file"), 0640);
    assert_refuses(source, "open to group or others");
    write_file(SPAN("sk-file"), 0604);
    assert_refuses(source, "open to group or others");
    write_file(SPAN("sk-file"), 0620);
    assert_refuses(source, "open to group or others");
}

static void test_file_that_systemd_hands_over(void **state)
{
    (void)state;
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    write_file(SPAN("sk-file"), 0440);
    assert_reads(source, SPAN("sk-file"));
    write_file(SPAN("sk-file"), 0444);
    assert_refuses(source, "open to group or others");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/tmp/assay", 1), 0);
    write_file(SPAN("sk-file"), 0440);
    assert_refuses(source, "open to group or others");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void test_file_that_is_no_secret(void **state)
{
    static const char large[64 * 1024 + 1];

    (void)state;
    write_file(SPAN(""), 0600);
    assert_refuses(source, "is empty");
    write_file(SPAN("\n"), 0600);
    assert_refuses(source, "is empty");
    write_file(span_of(large, sizeof large), 0600);
    assert_refuses(source, "too long");
    assert_int_equal(unlink(path), 0);
    assert_refuses(source, "cannot open");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refuses(source, "not a regular file");
    assert_refuses("file:/", "not a regular file");
}

static void test_a_value_in_place_is_refused_and_not_repeated(void **state)
{
    struct error error;

    (void)state;
    assert_refuses("sk-1234", "env:NAME or file:/path");
    assert_refuses("", "env:NAME or file:/path");
    assert_null(read_secret("sk-1234", &error));
    assert_null(strstr(error.entries[0].words, "sk-1234"));
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_that_others_can_reach),
        cmocka_unit_test(test_file_that_systemd_hands_over),
        cmocka_unit_test(test_file_that_is_no_secret),
        cmocka_unit_test(test_a_value_in_place_is_refused_and_not_repeated),
    };

    return cmocka_run_group_tests_name("secret", tests, make_folder, drop_folder);
}

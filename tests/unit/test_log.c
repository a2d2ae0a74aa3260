#include "proxy/base/log.h"
#include "tests/support/remove_folder.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/assay-test-log-XXXXXX";
static char path[64];
static char rotated[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/log", folder);
    (void)snprintf(rotated, sizeof rotated, "%s/log.1", folder);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    log_close();
    (void)unlink(path);
    (void)unlink(rotated);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static void open_log(const char *file, enum log_format format, enum log_level least)
{
    struct error error;

    error_init(&error);
    assert_true(log_open(file, format, least, &error));
    assert_false(error_any(&error));
}

/* The file's bytes, for the caller to free. */
static char *read_file(const char *file)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *in = fopen(file, "re");

    assert_non_null(in);
    if (getdelim(&bytes, &size, '\0', in) < 0) {
        free(bytes);
        bytes = strdup("");
    }
    assert_int_equal(fclose(in), 0);
    return bytes;
}

static size_t lines_in(const char *bytes)
{
    size_t lines = 0;

    for (; *bytes != '\0'; bytes++) {
        lines += *bytes == '\n';
    }
    return lines;
}

static void test_json(void **state)
{
    char *bytes;

    (void)state;
    open_log(path, LOG_JSON, LOG_INFO);
    log_line(LOG_WARN, "reload_failed", "file %s: \"%d\"\nnext", "a.yaml", 7);
    log_line(LOG_DEBUG, "chatter", "left out");
    log_entry(SPAN("{\"id\":1}"));
    log_close();
    bytes = read_file(path);
    assert_int_equal(strncmp(bytes, "{\"time\":\"20", 11), 0);
    assert_non_null(strstr(bytes, "Z\",\"level\":\"warn\",\"event\":\"reload_failed\","
                                  "\"message\":\"file a.yaml: \\\"7\\\"\\nnext\"}\n"
                                  "{\"id\":1}\n"));
    assert_int_equal(lines_in(bytes), 2);
    free(bytes);
}

static void test_text_stays_one_line(void **state)
{
    char *bytes;

    (void)state;
    open_log(path, LOG_TEXT, LOG_INFO);
    log_line(LOG_ERROR, "event", "a\nb\x1b[31m\xff");
    log_close();
    bytes = read_file(path);
    assert_non_null(strstr(bytes, "Z error event: a\\nb\\u001b[31m\xEF\xBF\xBD\n"));
    assert_int_equal(lines_in(bytes), 1);
    free(bytes);
}

static void test_long_words_are_cut(void **state)
{
    static char words[5000];
    char *bytes;

    (void)state;
    memset(words, '\x01', sizeof words - 1);
    open_log(path, LOG_JSON, LOG_INFO);
    log_line(LOG_INFO, "long", "%s", words);
    log_close();
    bytes = read_file(path);
    assert_int_equal(lines_in(bytes), 1);
    assert_true(strlen(bytes) < 7000);
    assert_string_equal(bytes + strlen(bytes) - 3, "\"}\n");
    free(bytes);
}

static void test_file_is_not_for_everyone(void **state)
{
    struct stat status;

    (void)state;
    open_log(path, LOG_JSON, LOG_INFO);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & (S_IWGRP | S_IRWXO), 0);
}

static void test_unusable_file_is_an_operator_mistake(void **state)
{
    struct error error;

    (void)state;
    error_init(&error);
    assert_false(log_open("/nonexistent/log", LOG_JSON, LOG_INFO, &error));
    assert_int_equal(error.count, 1);
    error_done(&error);
}

static void wait_for_file(const char *file)
{
    for (int i = 0; i < 6000 && access(file, F_OK) != 0; i++) {
        (void)usleep(10000);
    }
    assert_int_equal(access(file, F_OK), 0);
}

static void test_reopen_after_rotation(void **state)
{
    char *bytes;

    (void)state;
    open_log(path, LOG_JSON, LOG_INFO);
    log_entry(SPAN("{\"before\":1}"));
    assert_int_equal(rename(path, rotated), 0);
    log_reopen();
    wait_for_file(path);
    log_entry(SPAN("{\"after\":1}"));
    log_close();
    bytes = read_file(rotated);
    assert_string_equal(bytes, "{\"before\":1}\n");
    free(bytes);
    bytes = read_file(path);
    assert_string_equal(bytes, "{\"after\":1}\n");
    free(bytes);
}

enum { WRITERS = 4, LINES_EACH = 500 };

static void *log_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES_EACH; i++) {
        log_line(LOG_INFO, "many", "line %d", i);
        if (i % 100 == 0) {
            log_reopen();
        }
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    uint64_t dropped = log_dropped();
    pthread_t threads[WRITERS];
    char *bytes;

    (void)state;
    open_log(path, LOG_JSON, LOG_INFO);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    log_close();
    bytes = read_file(path);
    if (log_dropped() == dropped) {
        assert_int_equal(lines_in(bytes), WRITERS * LINES_EACH);
    } else {
        assert_non_null(strstr(bytes, "log_lines_dropped"));
    }
    free(bytes);
}

/* Reads until `want` bytes contain the words, or the writer is silent. */
static bool pipe_says(int end, const char *words)
{
    static char bytes[1 << 20];
    size_t len = 0;

    for (int i = 0; i < 6000; i++) {
        ssize_t n = read(end, bytes + len, sizeof bytes - 1 - len);

        if (n > 0) {
            len += (size_t)n;
            bytes[len] = '\0';
            if (strstr(bytes, words) != NULL) {
                return true;
            }
        } else {
            (void)usleep(10000);
        }
    }
    return false;
}

/* F21: the reader of standard error stops; callers go on, and later hear
 * what was lost. */
static void test_a_stopped_reader_holds_nobody_up(void **state)
{
    uint64_t dropped = log_dropped();
    int saved = dup(STDERR_FILENO);
    int ends[2];
    bool told;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    open_log("-", LOG_JSON, LOG_INFO);
    while (log_dropped() == dropped) {
        log_line(LOG_INFO, "flood", "%0500d", 0);
    }
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    told = pipe_says(ends[0], "log_lines_dropped");
    log_close();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_true(told);
}

static void test_close_gives_up_on_a_stopped_reader(void **state)
{
    uint64_t dropped = log_dropped();
    int saved = dup(STDERR_FILENO);
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    open_log("-", LOG_JSON, LOG_INFO);
    for (int i = 0; i < 200; i++) {
        log_line(LOG_INFO, "flood", "%01000d", 0);
    }
    log_close();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_true(log_dropped() > dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_json, remove_files),
        cmocka_unit_test_teardown(test_text_stays_one_line, remove_files),
        cmocka_unit_test_teardown(test_long_words_are_cut, remove_files),
        cmocka_unit_test_teardown(test_file_is_not_for_everyone, remove_files),
        cmocka_unit_test(test_unusable_file_is_an_operator_mistake),
        cmocka_unit_test_teardown(test_reopen_after_rotation, remove_files),
        cmocka_unit_test_teardown(test_many_threads, remove_files),
        cmocka_unit_test(test_a_stopped_reader_holds_nobody_up),
        cmocka_unit_test(test_close_gives_up_on_a_stopped_reader),
    };

    return cmocka_run_group_tests_name("log", tests, make_folder, drop_folder);
}

#include "proxy/base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void fail_in_child(int pipe_end)
{
    const struct rlimit no_core = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGABRT, SIG_DFL); /* cmocka and sanitizers may have taken it */
    (void)dup2(pipe_end, STDERR_FILENO);
    CHECK(0 == 1);
    _exit(0);
}

/* What a process says that breaks a promise; asserts that it aborts. */
static void said_by_failure(char *words, size_t size)
{
    size_t len = 0;
    ssize_t n;
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fail_in_child(ends[1]);
    }
    (void)close(ends[1]);
    while ((n = read(ends[0], words + len, size - 1 - len)) > 0) {
        len += (size_t)n;
    }
    words[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_kept_promise(void **state)
{
    (void)state;
    CHECK(1 == 1);
}

static void test_broken_promise_says_where(void **state)
{
    char words[512];

    (void)state;
    said_by_failure(words, sizeof words);
    assert_non_null(strstr(words, "assay: broken promise: 0 == 1 at "));
    assert_non_null(strstr(words, "test_check.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_promise),
        cmocka_unit_test(test_broken_promise_says_where),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

#include "proxy/alert/outbox.h"
#include "tests/support/remove_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/assay-outbox-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int drop_folder(void **state)
{
    (void)state;
    return remove_folder(folder);
}

static struct outbox *box(void)
{
    struct error error;
    struct outbox *outbox;

    error_init(&error);
    outbox = outbox_open(folder, &error);
    error_print(&error, stderr);
    assert_non_null(outbox);
    error_done(&error);
    return outbox;
}

static struct outbox_message message(const char *id, int64_t made_ms)
{
    struct outbox_message made = { .made_ms = made_ms };

    snprintf(made.id, sizeof made.id, "%s", id);
    snprintf(made.body, sizeof made.body, "{\"id\":\"%s\"}", id);
    return made;
}

static enum outbox_put put(struct outbox *outbox, const char *receiver, const char *id,
                           int64_t made_ms, int64_t keep_ms)
{
    struct outbox_message made = message(id, made_ms);

    return outbox_put(outbox, receiver, &made, keep_ms);
}

static void test_once(void **state)
{
    struct outbox *outbox = box();
    struct outbox_message next;

    (void)state;
    assert_int_equal(put(outbox, "a", "one", 100, 5000), OUTBOX_NEW);
    assert_int_equal(put(outbox, "a", "one", 200, 5000), OUTBOX_KNOWN);
    assert_int_equal(put(outbox, "b", "one", 300, 5000), OUTBOX_NEW);
    assert_true(outbox_next(outbox, "a", &next));
    assert_string_equal(next.id, "one");
    assert_string_equal(next.body, "{\"id\":\"one\"}");
    assert_int_equal(next.next_ms, 100);
    assert_true(outbox_done(outbox, "a", "one"));
    assert_false(outbox_next(outbox, "a", &next));
    assert_int_equal(put(outbox, "a", "one", 400, 5000), OUTBOX_KNOWN);
    outbox_close(outbox);

    outbox = box(); /* it remembers */
    assert_int_equal(put(outbox, "a", "one", 500, 5000), OUTBOX_KNOWN);
    assert_true(outbox_next(outbox, "b", &next));
    outbox_sweep(outbox, 4999);
    assert_int_equal(put(outbox, "a", "one", 600, 5000), OUTBOX_KNOWN);
    outbox_sweep(outbox, 5000);
    assert_true(outbox_next(outbox, "b", &next)); /* what waits is not forgotten */
    assert_int_equal(put(outbox, "a", "one", 700, 9000), OUTBOX_NEW);
    assert_true(outbox_done(outbox, "a", "one") && outbox_done(outbox, "b", "one"));
    outbox_sweep(outbox, 9000);
    outbox_close(outbox);
}

static void test_later(void **state)
{
    struct outbox *outbox = box();
    struct outbox_message next;

    (void)state;
    assert_int_equal(put(outbox, "a", "one", 100, 0), OUTBOX_NEW);
    assert_int_equal(put(outbox, "a", "two", 200, 0), OUTBOX_NEW);
    assert_true(outbox_later(outbox, "a", "one", 300));
    assert_true(outbox_next(outbox, "a", &next));
    assert_string_equal(next.id, "two");
    assert_int_equal(next.tries, 0);
    assert_true(outbox_done(outbox, "a", "two"));
    assert_true(outbox_next(outbox, "a", &next));
    assert_string_equal(next.id, "one");
    assert_int_equal(next.tries, 1);
    assert_int_equal(next.made_ms, 100);
    assert_true(outbox_done(outbox, "a", "one"));
    outbox_close(outbox);
}

static void test_full(void **state)
{
    struct outbox *outbox = box();
    char id[OUTBOX_ID_SIZE];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "full%u", i);
        assert_int_equal(put(outbox, "a", id, i, 0), OUTBOX_NEW);
    }
    assert_int_equal(put(outbox, "a", "more", 1, 0), OUTBOX_FULL);
    assert_int_equal(put(outbox, "b", "more", 1, 0), OUTBOX_NEW);
    outbox_close(outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}

#include "proxy/meter/quota_lease.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LIMIT = 1000, SLICE = 50 };

static struct quota_leases *begin(bool fail_open)
{
    struct quota_leases *leases = quota_leases_new(8, 5, fail_open);

    quota_lease_begin(leases, 3, LIMIT);
    quota_leases_reachable(leases, true);
    return leases;
}

static void a_slice_is_free_at_first(void **state)
{
    struct quota_leases *leases = begin(false);

    (void)state;
    assert_int_equal(quota_lease_bound(leases, 3, LIMIT), SLICE);
    assert_int_equal(quota_lease_room(leases, 3, LIMIT), LIMIT);
    quota_lease_begin(leases, 4, 1);
    assert_int_equal(quota_lease_bound(leases, 4, 1), 1);
    quota_leases_free(leases);
}

static void bounds_follow_what_is_heard(void **state)
{
    struct quota_leases *leases = begin(false);
    struct quota_lease *lease = quota_lease_at(leases, 3);

    (void)state;
    assert_int_equal(quota_lease_wanted(lease, 30, false), 30 + SLICE);
    assert_int_equal(quota_lease_wanted(lease, 30, true), 30);
    quota_lease_heard(lease, LIMIT, 30, 80, 100);
    assert_int_equal(quota_lease_bound(leases, 3, LIMIT), 80);
    assert_int_equal(quota_lease_room(leases, 3, LIMIT), 900);
    quota_lease_heard(lease, LIMIT, 30, 30, 100); /* idle: a slice beyond */
    assert_int_equal(quota_lease_bound(leases, 3, LIMIT), 80);
    quota_lease_heard(lease, LIMIT, 30, 30, 950); /* but not beyond the limit */
    assert_int_equal(quota_lease_bound(leases, 3, LIMIT), 50);
    quota_lease_heard(lease, LIMIT, 30, 30, 2000);
    assert_int_equal(quota_lease_bound(leases, 3, LIMIT), 30);
    assert_int_equal(quota_lease_room(leases, 3, LIMIT), 0);
    quota_leases_free(leases);
}

static void silence_is_open_or_closed(void **state)
{
    struct quota_leases *open = begin(true), *closed = begin(false);

    (void)state;
    quota_lease_heard(quota_lease_at(open, 3), LIMIT, 30, 80, 100);
    quota_lease_heard(quota_lease_at(closed, 3), LIMIT, 30, 80, 100);
    quota_leases_reachable(open, false);
    quota_leases_reachable(closed, false);
    assert_int_equal(quota_lease_bound(open, 3, LIMIT), 900);
    assert_int_equal(quota_lease_bound(closed, 3, LIMIT), 80);
    quota_leases_free(open);
    quota_leases_free(closed);
}

static bool is_readable(const struct quota_leases *leases)
{
    struct pollfd fd = { .fd = quota_leases_fd(leases), .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

static void what_moves_is_queued_once(void **state)
{
    struct quota_leases *leases = begin(false);
    atomic_uint_least32_t uses = 0;

    (void)state;
    quota_lease_begin(leases, 5, LIMIT);
    quota_lease_moved(leases, 3, 1, &uses); /* nobody knows of it */
    quota_lease_moved(leases, 3, 2, &uses);
    quota_lease_moved(leases, 5, 2, &uses);
    assert_int_equal(atomic_load(&uses), 2);
    assert_true(is_readable(leases));
    assert_int_equal(quota_leases_take(leases), 5);
    assert_false(is_readable(leases));
    assert_int_equal(quota_leases_next(leases, 5), 3);
    assert_int_equal(quota_leases_next(leases, 3), 0);
    assert_int_equal(quota_leases_take(leases), 0);

    quota_lease_heard(quota_lease_at(leases, 3), LIMIT, 100, 150, 0);
    quota_lease_moved(leases, 3, 125, &uses); /* half a slice is left */
    quota_lease_moved(leases, 3, 60, &uses);
    assert_int_equal(quota_leases_take(leases), 0);
    quota_lease_moved(leases, 3, 126, &uses);
    assert_int_equal(quota_leases_take(leases), 3);
    quota_leases_next(leases, 3);
    quota_lease_moved(leases, 3, 49, &uses); /* far too much is leased */
    assert_int_equal(quota_leases_take(leases), 3);
    quota_leases_free(leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_is_free_at_first),
        cmocka_unit_test(bounds_follow_what_is_heard),
        cmocka_unit_test(silence_is_open_or_closed),
        cmocka_unit_test(what_moves_is_queued_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

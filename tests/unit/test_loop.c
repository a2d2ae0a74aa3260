#include "proxy/net/loop.h"
#include "tests/unit/streaming.h"

#include <sys/eventfd.h>

enum { WATCHED = 2 * LOOP_EVENTS };

/* A descriptor that is ready, and what is done when the loop says so. */
struct bell {
    struct rig *rig;
    struct loop_watch watch;
    int fd;
    unsigned rung;
    struct bell *silences;
};

static void bell_rings(void *self, uint32_t events)
{
    struct bell *bell = self;
    uint64_t count;

    assert_true((events & EPOLLIN) != 0);
    assert_int_equal(read(bell->fd, &count, sizeof count), sizeof count);
    bell->rung++;
    if (bell->silences != NULL) {
        loop_unwatch(bell->rig->loop, bell->silences->fd, &bell->silences->watch);
    }
}

static void bell_open(struct bell *bell, struct rig *rig)
{
    *bell = (struct bell){ .rig = rig, .fd = eventfd(0, EFD_NONBLOCK) };
    bell->watch = (struct loop_watch){ bell_rings, bell };
    assert_true(loop_watch(rig->loop, bell->fd, EPOLLIN, &bell->watch));
}

static void rig_open_with_two(struct rig *rig, struct bell *first, struct bell *second)
{
    rig_open(rig);
    bell_open(first, rig);
    bell_open(second, rig);
}

static void rig_close_with_two(struct rig *rig, const struct bell *first,
                               const struct bell *second)
{
    close(first->fd);
    close(second->fd);
    rig_close(rig);
}

static void bell_ring(const struct bell *bell)
{
    const uint64_t one = 1;

    assert_int_equal(write(bell->fd, &one, sizeof one), sizeof one);
}

static void events_reach_their_watch(void **state)
{
    struct rig rig;
    struct bell bell;

    (void)state;
    rig_open(&rig);
    bell_open(&bell, &rig);
    turn(&rig, 2);
    assert_int_equal(bell.rung, 0);
    bell_ring(&bell);
    TURN_UNTIL(&rig, bell.rung == 1);
    loop_unwatch(rig.loop, bell.fd, &bell.watch);
    bell_ring(&bell);
    turn(&rig, 2);
    assert_int_equal(bell.rung, 1);
    close(bell.fd);
    rig_close(&rig);
}

/* Not even an event that was fetched together with that of the one who says so. */
static void who_is_unwatched_is_not_told(void **state)
{
    struct rig rig;
    struct bell first, second;

    (void)state;
    rig_open_with_two(&rig, &first, &second);
    first.silences = &second;
    second.silences = &first;
    bell_ring(&first);
    bell_ring(&second);
    turn(&rig, 3);
    assert_int_equal(first.rung + second.rung, 1);
    rig_close_with_two(&rig, &first, &second);
}

/* Who is told first asks whether the other is still to be told, and of what. */
static void bell_asks(void *self, uint32_t events)
{
    struct bell *bell = self;

    if (bell->silences != NULL && bell->silences->rung == 0) {
        bell->rung += loop_input_waits(bell->rig->loop, &bell->silences->watch);
    }
    bell_rings(self, events);
}

static void input_that_waits_is_known(void **state)
{
    struct rig rig;
    struct bell first, second;

    (void)state;
    rig_open_with_two(&rig, &first, &second);
    first.watch.happened = bell_asks;
    assert_false(loop_input_waits(rig.loop, &first.watch));
    first.silences = &second;
    bell_ring(&first);
    bell_ring(&second);
    TURN_UNTIL(&rig, first.rung > 0);
    assert_int_equal(first.rung, 2); /* once for asking */
    assert_false(loop_input_waits(rig.loop, &second.watch));
    loop_unwatch(rig.loop, first.fd, &first.watch);
    rig_close_with_two(&rig, &first, &second);
}

static void more_events_than_a_turn_serves_are_not_lost(void **state)
{
    static struct bell bells[WATCHED];
    unsigned rung = 0;
    struct rig rig;

    (void)state;
    rig_open(&rig);
    for (size_t i = 0; i < WATCHED; i++) {
        bell_open(&bells[i], &rig);
        bell_ring(&bells[i]);
    }
    turn(&rig, 4);
    for (size_t i = 0; i < WATCHED; i++) {
        rung += bells[i].rung;
        close(bells[i].fd);
    }
    assert_int_equal(rung, WATCHED);
    rig_close(&rig);
}

static void what_cannot_be_watched_is_said(void **state)
{
    struct loop_watch watch = { bell_rings, NULL };
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_false(loop_watch(rig.loop, -1, EPOLLIN, &watch));
    rig_close(&rig);
}

static void note(void *self)
{
    unsigned *times = self;

    (*times)++;
}

/* It sleeps until the deadline, not beyond and not without rest. */
static void the_loop_wakes_for_deadlines(void **state)
{
    unsigned times = 0, turns = 0;
    struct deadline deadline = { .expired = note, .owner = &times };
    uint64_t begun_ns = clock_monotonic_ns();
    struct rig rig;

    (void)state;
    rig_open(&rig);
    assert_true(deadline_set(&rig.loop->deadlines, &deadline, rig.loop->now_ns,
                             (uint64_t)30 * NS_PER_MS));
    while (times == 0) {
        loop_turn(rig.loop);
        turns++;
    }
    assert_true(clock_monotonic_ns() - begun_ns >= (uint64_t)30 * NS_PER_MS);
    assert_in_range(turns, 1, 2);
    rig_close(&rig);
}

static void nothing_is_freed_twice(void **state)
{
    (void)state;
    assert_null(loop_free(NULL));
    assert_null(loop_free(loop_new()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_reach_their_watch),
        cmocka_unit_test(who_is_unwatched_is_not_told),
        cmocka_unit_test(input_that_waits_is_known),
        cmocka_unit_test(more_events_than_a_turn_serves_are_not_lost),
        cmocka_unit_test(what_cannot_be_watched_is_said),
        cmocka_unit_test(the_loop_wakes_for_deadlines),
        cmocka_unit_test(nothing_is_freed_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

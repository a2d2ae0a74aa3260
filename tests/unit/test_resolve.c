#include "proxy/net/resolve.h"
#include "tests/unit/streaming.h"

#include <stdio.h>

/* No DNS server is asked here: literal addresses, the hosts file, and names that no query
 * can carry. */
static const char no_name[] =
    "a-label-of-more-than-sixty-three-characters-cannot-be-asked-for.invalid";

struct resolving {
    struct rig rig;
    struct resolver *resolver;
    struct resolve_name *name;
};

/* Somebody who waits. */
struct waiting {
    struct resolve_wait wait;
    struct resolving *resolving;
    unsigned done;
    bool found;
    bool frees; /* the name, when it is done */
    struct waiting *cancels;
};

static void waiting_done(void *self, bool found)
{
    struct waiting *waiting = self;

    waiting->done++;
    waiting->found = found;
    if (waiting->cancels != NULL) {
        resolve_cancel(&waiting->cancels->wait);
    }
    if (waiting->frees) {
        waiting->resolving->name = resolve_name_free(waiting->resolving->name);
    }
}

static struct waiting waiting_for(struct resolving *resolving)
{
    struct waiting waiting = { .resolving = resolving };

    waiting.wait.done = waiting_done;
    return waiting;
}

static int resolving_open(void **state)
{
    struct resolving *resolving = calloc(1, sizeof *resolving);

    rig_open(&resolving->rig);
    resolving->resolver = resolver_new(resolving->rig.loop);
    assert_non_null(resolving->resolver);
    *state = resolving;
    return 0;
}

static int resolving_close(void **state)
{
    struct resolving *resolving = *state;

    resolve_name_free(resolving->name);
    resolver_free(resolving->resolver);
    rig_close(&resolving->rig);
    free(resolving);
    return 0;
}

static void name_it(struct resolving *resolving, const char *host)
{
    resolving->name = resolve_name_new(resolving->resolver, host, 8443);
    assert_non_null(resolving->name);
}

static bool look_up(struct resolving *resolving, struct waiting *waiting, char *text,
                    size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = 0;

    waiting->wait.owner = waiting;
    if (!resolve_address(resolving->name, &waiting->wait, &address, &length)) {
        return false;
    }
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;

        assert_int_equal(length, sizeof *v4);
        assert_int_equal(ntohs(v4->sin_port), 8443);
        assert_non_null(inet_ntop(AF_INET, &v4->sin_addr, text, (socklen_t)size));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;

        assert_int_equal(address.ss_family, AF_INET6);
        assert_int_equal(length, sizeof *v6);
        assert_int_equal(ntohs(v6->sin6_port), 8443);
        assert_non_null(inet_ntop(AF_INET6, &v6->sin6_addr, text, (socklen_t)size));
    }
    return true;
}

static void literals_need_no_answer(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "::1", "192.0.2.7",
                                         "2001:db8::1" };
    struct resolving *resolving = *state;

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct waiting waiting = waiting_for(resolving);
        char text[64];

        name_it(resolving, hosts[i]);
        for (int again = 0; again < 3; again++) {
            assert_true(look_up(resolving, &waiting, text, sizeof text));
            assert_string_equal(text, hosts[i]);
        }
        assert_false(resolve_failing(resolving->name));
        assert_int_equal(waiting.done, 0);
        resolving->name = resolve_name_free(resolving->name);
    }
}

static void the_hosts_file_is_read(void **state)
{
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);
    char text[64] = "";

    name_it(resolving, "localhost");
    if (!look_up(resolving, &waiting, text, sizeof text)) {
        TURN_UNTIL(&resolving->rig, waiting.done == 1);
        assert_true(waiting.found);
        assert_true(look_up(resolving, &waiting, text, sizeof text));
    }
    assert_true(strcmp(text, "127.0.0.1") == 0 || strcmp(text, "::1") == 0);
    assert_false(resolve_failing(resolving->name));
    /* An old answer serves while another is fetched. */
    resolving->rig.loop->now_ns += (uint64_t)(RESOLVE_FRESH_S + 1) * NS_PER_S;
    assert_true(look_up(resolving, &waiting, text, sizeof text));
    assert_false(resolve_failing(resolving->name));
}

static void a_failure_is_told_later_and_once(void **state)
{
    struct resolving *resolving = *state;
    struct waiting one = waiting_for(resolving), two = waiting_for(resolving);
    char text[64];

    name_it(resolving, no_name);
    assert_false(look_up(resolving, &one, text, sizeof text));
    assert_false(look_up(resolving, &two, text, sizeof text));
    assert_int_equal(one.done + two.done, 0);
    TURN_UNTIL(&resolving->rig, one.done == 1 && two.done == 1);
    assert_false(one.found || two.found);
    assert_true(resolve_failing(resolving->name));
    turn(&resolving->rig, 3);
    assert_int_equal(one.done + two.done, 2);
}

static void who_cancels_is_not_called(void **state)
{
    struct resolving *resolving = *state;
    struct waiting one = waiting_for(resolving), two = waiting_for(resolving),
                   three = waiting_for(resolving);
    char text[64];

    name_it(resolving, no_name);
    assert_false(look_up(resolving, &one, text, sizeof text));
    assert_false(look_up(resolving, &two, text, sizeof text));
    assert_false(look_up(resolving, &three, text, sizeof text));
    one.cancels = &three;
    resolve_cancel(&two.wait);
    resolve_cancel(&two.wait);
    TURN_UNTIL(&resolving->rig, one.done == 1);
    turn(&resolving->rig, 3);
    assert_int_equal(two.done + three.done, 0);
}

/* The last exchange of a retired configuration ends because of the failure, and the name
 * goes with it. */
static void the_last_to_wait_may_free_the_name(void **state)
{
    struct resolving *resolving = *state;
    struct waiting one = waiting_for(resolving), two = waiting_for(resolving);
    char text[64];

    name_it(resolving, no_name);
    assert_false(look_up(resolving, &one, text, sizeof text));
    assert_false(look_up(resolving, &two, text, sizeof text));
    two.frees = true;
    TURN_UNTIL(&resolving->rig, two.done == 1);
    assert_int_equal(one.done, 1);
    assert_null(resolving->name);
}

int main(void)
{
#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, resolving_open, resolving_close)
    const struct CMUnitTest tests[] = {
        TEST(literals_need_no_answer),
        TEST(the_hosts_file_is_read),
        TEST(a_failure_is_told_later_and_once),
        TEST(who_cancels_is_not_called),
        TEST(the_last_to_wait_may_free_the_name),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/net/resolve.h"
#include "tests/unit/streaming.h"

#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

/* Literal addresses, the hosts file and names that no query can carry need no server.
 * The other tests have one of their own, in a network that has nothing else. */
static const char no_name[] =
    "a-label-of-more-than-sixty-three-characters-can-not-be-asked-for.invalid";

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
    /* An old answer serves while another is fetched. */
    resolving->rig.loop->now_ns += (uint64_t)(RESOLVE_FRESH_S + 1) * NS_PER_S;
    assert_true(look_up(resolving, &waiting, text, sizeof text));
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

/* The last exchange of a retired configuration ends because of the failure, and the
 * name goes with it. */
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

/* ---- with a server --------------------------------------------------------------- */

enum { DNS_PORT = 53, DNS_HEAD = 12, DNS_A = 1, DNS_NAME_ERROR = 3 };

static int server = -1; /* -1: this machine allows no network of its own */

static bool loopback_up(void)
{
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bool up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;

    close(fd);
    return up;
}

/* The resolver looks for its servers in /etc/resolv.conf only. */
static bool resolv_conf_mount(void)
{
    static const char text[] = "nameserver 127.0.0.1\n";
    char path[] = "/tmp/test_resolve.XXXXXX";
    int fd = mkstemp(path);
    bool mounted = write(fd, text, sizeof text - 1) == sizeof text - 1 &&
                   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                   mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;

    close(fd);
    unlink(path);
    return mounted;
}

static int server_start(void **state)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(DNS_PORT),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    (void)state;
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 || !loopback_up() ||
        !resolv_conf_mount()) {
        return 0;
    }
    server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    return bind(server, (const struct sockaddr *)&address, sizeof address);
}

static int server_stop(void **state)
{
    (void)state;
    return server < 0 ? 0 : close(server);
}

/* Answers one question, if there is one: to one for IPv4 with `count` addresses,
 * 192.0.2.1 and on, to others with none; or that there is no such name. */
static bool server_answers(unsigned count)
{
    static const unsigned char record[] = { 0xc0, DNS_HEAD, 0, DNS_A, 0,   1, 0, 0,
                                            0,    60,       0, 4,     192, 0, 2 };
    unsigned char packet[512];
    struct sockaddr_in asker;
    socklen_t size = sizeof asker;
    ssize_t n = recvfrom(server, packet, sizeof packet / 2, 0,
                         (struct sockaddr *)&asker, &size);
    size_t len = (size_t)n, name = DNS_HEAD;

    if (n < DNS_HEAD) {
        return false;
    }
    while (packet[name] != 0) {
        name += packet[name] + 1U;
    }
    len = name + 5; /* without what may follow the question */
    memset(packet + 6, 0, DNS_HEAD - 6);
    packet[2] = 0x81; /* an answer, recursion desired */
    packet[3] = 0x80 | (count == 0 ? DNS_NAME_ERROR : 0);
    if (packet[name + 2] == DNS_A) {
        packet[7] = (unsigned char)count;
        for (unsigned i = 1; i <= count; i++) {
            memcpy(packet + len, record, sizeof record);
            len += sizeof record;
            packet[len++] = (unsigned char)i;
        }
    }
    assert_int_equal(sendto(server, packet, len, 0, (struct sockaddr *)&asker, size),
                     len);
    return true;
}

static void serve_until_done(struct resolving *resolving, struct waiting *waiting,
                             unsigned count)
{
    while (waiting->done == 0) {
        server_answers(count);
        turn(&resolving->rig, 1);
    }
}

/* Names a host that only the server knows, and begins to look it up. */
static void ask_the_server(struct resolving *resolving, struct waiting *waiting)
{
    char text[64];

    if (server < 0) {
        skip();
    }
    name_it(resolving, "provider.test");
    assert_false(look_up(resolving, waiting, text, sizeof text));
}

/* Asks so long after the last answer, by a clock that runs ahead; is the server asked
 * again? It says that there is no such name. */
static bool asks_again(struct resolving *resolving, uint64_t after_s)
{
    struct loop *loop = resolving->rig.loop;
    struct waiting waiting = waiting_for(resolving);
    bool asked = false;
    char text[64];

    deadline_clear(&resolving->rig.guard);
    loop->now_ns += after_s * NS_PER_S + NS_PER_MS;
    (void)look_up(resolving, &waiting, text, sizeof text);
    for (int i = 0; i < 20; i++) {
        asked |= server_answers(0);
        usleep(1000);
        loop->now_ns += (uint64_t)10 * NS_PER_MS;
        deadlines_expire(&loop->deadlines, loop->now_ns);
    }
    resolve_cancel(&waiting.wait);
    return asked;
}

static void addresses_rotate(void **state)
{
    static const char *const want[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3",
                                        "192.0.2.1" };
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);
    char text[64];

    ask_the_server(resolving, &waiting);
    serve_until_done(resolving, &waiting, 3);
    assert_true(waiting.found);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(look_up(resolving, &waiting, text, sizeof text));
        assert_string_equal(text, want[i]);
    }
    assert_false(asks_again(resolving, 0));
}

static void more_addresses_than_fit_are_left_out(void **state)
{
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);
    char text[64];

    ask_the_server(resolving, &waiting);
    serve_until_done(resolving, &waiting, RESOLVE_ADDRESSES_MAX + 4);
    for (int i = 0; i < RESOLVE_ADDRESSES_MAX; i++) {
        assert_true(look_up(resolving, &waiting, text, sizeof text));
    }
    assert_true(look_up(resolving, &waiting, text, sizeof text));
    assert_string_equal(text, "192.0.2.1");
}

static void old_addresses_outlive_a_failing_server(void **state)
{
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);
    char text[64];

    ask_the_server(resolving, &waiting);
    serve_until_done(resolving, &waiting, 1);
    assert_true(asks_again(resolving, RESOLVE_FRESH_S));
    assert_true(look_up(resolving, &waiting, text, sizeof text));
    assert_string_equal(text, "192.0.2.1");
    assert_int_equal(waiting.done, 1);
    assert_true(asks_again(resolving, RESOLVE_RETRY_S));
}

/* A server that failed once is asked again soon. */
static void a_failure_is_not_kept_for_long(void **state)
{
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);

    ask_the_server(resolving, &waiting);
    serve_until_done(resolving, &waiting, 0);
    assert_false(waiting.found);
    assert_false(asks_again(resolving, 0));
    assert_true(asks_again(resolving, RESOLVE_RETRY_S));
}

/* The name of a retired configuration goes with its question. */
static void a_question_may_be_given_up(void **state)
{
    struct resolving *resolving = *state;
    struct waiting waiting = waiting_for(resolving);
    char text[64];

    ask_the_server(resolving, &waiting);
    resolve_cancel(&waiting.wait);
    resolving->name = resolve_name_free(resolving->name);
    turn(&resolving->rig, 20);
    assert_int_equal(waiting.done, 0);
    /* Nothing is waited for any longer. */
    assert_int_equal(deadlines_due(&resolving->rig.loop->deadlines),
                     resolving->rig.guard.at_ns);
    /* And one that is under way when the resolver goes. */
    name_it(resolving, "other.test");
    assert_false(look_up(resolving, &waiting, text, sizeof text));
    resolve_cancel(&waiting.wait);
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
        TEST(addresses_rotate),
        TEST(more_addresses_than_fit_are_left_out),
        TEST(old_addresses_outlive_a_failing_server),
        TEST(a_failure_is_not_kept_for_long),
        TEST(a_question_may_be_given_up),
    };
#undef TEST

    return cmocka_run_group_tests(tests, server_start, server_stop);
}

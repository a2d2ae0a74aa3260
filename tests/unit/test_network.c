#include "config/network.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool holds(const char *network, const char *address)
{
    struct config_networks networks = { .count = 1 };
    uint8_t bytes[16] = { [10] = 0xff, [11] = 0xff };

    assert_true(network_parse(network, &networks.at[0]));
    if (strcmp(address, "unix") == 0) {
        return networks_hold(&networks, NULL);
    }
    if (inet_pton(AF_INET, address, bytes + 12) != 1) {
        assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
    }
    return networks_hold(&networks, bytes);
}

static void addresses_are_in_their_networks(void **state)
{
    (void)state;
    assert_true(holds("10.1.2.3", "10.1.2.3"));
    assert_false(holds("10.1.2.3", "10.1.2.4"));
    assert_true(holds("10.0.0.0/8", "10.255.0.1"));
    assert_false(holds("10.0.0.0/8", "11.0.0.0"));
    assert_true(holds("192.168.4.0/22", "192.168.7.255"));
    assert_false(holds("192.168.4.0/22", "192.168.8.0"));
    assert_true(holds("0.0.0.0/0", "203.0.113.9"));
    assert_false(holds("0.0.0.0/0", "::1"));
    assert_true(holds("::/0", "203.0.113.9"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("::ffff:10.0.0.1", "10.0.0.1"));
    assert_true(holds("unix", "unix"));
    assert_false(holds("unix", "127.0.0.1"));
    assert_false(holds("::/0", "unix"));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "10",           "10.0.0.0/33", "10.0.0.1/8",
        "10.0.0.0/", "10.0.0/8",     "::/129",      "::1/127",
        "x",         "10.0.0.0/8/8", "10.0.0.0/ 8", " 10.0.0.0",
        "localhost", "/8",           "010.0.0.0/8",
    };
    struct config_network network;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (network_parse(wrong[i], &network)) {
            fail_msg("'%s' was taken", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_in_their_networks),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

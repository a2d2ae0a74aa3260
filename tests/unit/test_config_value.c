#include "config/address.h"
#include "config/nearest.h"
#include "config/quantity.h"
#include "config/value.h"
#include "tests/unit/config_text.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        { "0", 0 },           { "512", 512 },
        { "512B", 512 },      { "64k", 65536 },
        { "64K", 65536 },     { "64 KiB", 65536 },
        { "64kib", 65536 },   { "32 MiB", 33554432 },
        { "1g", 1073741824 }, { "17179869183 GiB", UINT64_C(17179869183) << 30 },
    };
    static const char *const bad[] = { "",
                                       "k",
                                       "-1",
                                       "1.5k",
                                       "1 KB",
                                       "1 TiB",
                                       "1 k i b",
                                       "0x10",
                                       " 1",
                                       "1kk",
                                       "1e3",
                                       "17179869184 GiB",
                                       "18446744073709551616" };
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(size_parse(span_text(good[i].text), &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(size_parse(span_text(bad[i]), &bytes));
    }
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t milliseconds;
    } good[] = {
        { "0", 0 },        { "0s", 0 },      { "500ms", 500 },  { "30s", 30000 },
        { "30 s", 30000 }, { "5m", 300000 }, { "2H", 7200000 }, { "1d", 86400000 },
    };
    static const char *const bad[] = { "",      "5",     "s",
                                       "1.5s",  "-1s",   "1w",
                                       "1 min", "1s5ms", "999999999999999999d" };
    uint64_t milliseconds;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_true(duration_parse(span_text(good[i].text), &milliseconds));
        assert_true(milliseconds == good[i].milliseconds);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(duration_parse(span_text(bad[i]), &milliseconds));
    }
}

static void assert_put(enum field_type type, uint64_t number, const char *expected)
{
    char memory[32];
    struct text text = text_over(memory, sizeof memory);

    value_put(&text, type, number);
    assert_true(span_equal(text_span(&text), span_text(expected)));
}

static void test_numbers_are_shown_as_written(void **state)
{
    (void)state;
    assert_put(FIELD_COUNT, 16384, "16384");
    assert_put(FIELD_SIZE, 0, "0");
    assert_put(FIELD_SIZE, 1000, "1000");
    assert_put(FIELD_SIZE, 65536, "64 KiB");
    assert_put(FIELD_SIZE, 1536 * 1024, "1536 KiB");
    assert_put(FIELD_SIZE, UINT64_C(1) << 36, "64 GiB");
    assert_put(FIELD_DURATION, 0, "0");
    assert_put(FIELD_DURATION, 1500, "1500ms");
    assert_put(FIELD_DURATION, 90000, "90s");
    assert_put(FIELD_DURATION, 3600000, "1h");
}

struct arena_case {
    struct arena_pool pool;
    struct arena arena;
};

static struct arena *arena_begin(struct arena_case *memory)
{
    arena_pool_init(&memory->pool, 0);
    arena_init(&memory->arena, &memory->pool, 1 << 20);
    return &memory->arena;
}

static void arena_end(struct arena_case *memory)
{
    arena_done(&memory->arena);
    arena_pool_done(&memory->pool);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *host, *path;
        uint16_t port;
        bool loopback;
    } good[] = {
        { "127.0.0.1:8080", "127.0.0.1", NULL, 8080, true },
        { "127.255.0.9:1", "127.255.0.9", NULL, 1, true },
        { "0.0.0.0:65535", "0.0.0.0", NULL, 65535, false },
        { "10.1.2.3:80", "10.1.2.3", NULL, 80, false },
        { "[::1]:8080", "::1", NULL, 8080, true },
        { "[::]:8080", "::", NULL, 8080, false },
        { "[0:0:0:0::1]:80", "::1", NULL, 80, true },
        { "[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", NULL, 80, true },
        { "[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", NULL, 80, false },
        { "unix:/run/a b", NULL, "/run/a b", 0, true },
    };
    static const char *const bad[] = {
        "",
        "8080",
        ":8080",
        "localhost:80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.1:80",
        "127.0.0.1:8o",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1",
        "[127.0.0.1]:80",
        "[]:80",
        "[fe80::1%lo]:8",
        "*:80",
        "unix:",
        "unix:relative",
        "127.0.0.1:+8",
        "127.0.0.01:80",
        "127.0.0.1:008080",
    };
    struct arena_case memory;
    struct arena *arena = arena_begin(&memory);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct config_address address = { 0 };

        assert_null(address_parse(good[i].text, arena, &address));
        assert_string_equal(address.text, good[i].text);
        assert_true(span_equal(span_text(address.host), span_text(good[i].host)));
        assert_true(span_equal(span_text(address.path), span_text(good[i].path)));
        assert_int_equal(address.port, good[i].port);
        assert_int_equal(address.loopback, good[i].loopback);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct config_address address = { 0 };

        assert_non_null(address_parse(bad[i], arena, &address));
    }
    arena_end(&memory);
}

static void test_socket_path_limit(void **state)
{
    struct config_address address = { 0 };
    char text[5 + 108 + 1];
    struct arena_case memory;
    struct arena *arena = arena_begin(&memory);

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, "unix:/", 6);
    text[sizeof text - 1] = '\0';
    assert_non_null(address_parse(text, arena, &address));
    text[sizeof text - 2] = '\0';
    assert_null(address_parse(text, arena, &address));
    arena_end(&memory);
}

static void test_urls(void **state)
{
    static const struct {
        const char *text, *host, *base;
        uint16_t port;
        bool tls, loopback;
    } good[] = {
        { "https://api.openai.com", "api.openai.com", "", 443, true, false },
        { "HTTPS://API.OpenAI.com/", "api.openai.com", "", 443, true, false },
        { "https://h/v1/", "h", "/v1", 443, true, false },
        { "https://h:8443/a/b-c_d.e~f", "h", "/a/b-c_d.e~f", 8443, true, false },
        { "http://localhost", "localhost", "", 80, false, true },
        { "http://LocalHost:1", "localhost", "", 1, false, true },
        { "http://127.0.0.1:65535", "127.0.0.1", "", 65535, false, true },
        { "https://[::1]:8443/x", "::1", "/x", 8443, true, true },
        { "https://[2001:DB8::1]", "2001:db8::1", "", 443, true, false },
        { "https://my_host.a-b.example", "my_host.a-b.example", "", 443, true, false },
    };
    static const char *const bad[] = {
        "",
        "api.openai.com",
        "ftp://h",
        "https:/h",
        "https://",
        "https:///v1",
        "https://h?x",
        "https://h/#x",
        "https://user@h",
        "https://user:pass@h/x",
        "https://h:0",
        "https://h:",
        "https://h:65536",
        "https://h:80x",
        "https://-h",
        "https://h-",
        "https://a..b",
        "https://.a",
        "https://a.",
        "https://a b",
        "https://a,b",
        "https://127.1",
        "https://1.2.3.4.5",
        "https://0x7f.0.0.1",
        "https://2130706433",
        "https://[::1",
        "https://[::1]x",
        "https://[1.2.3.4]",
        "https://h//a",
        "https://h/a//b",
        "https://h/../a",
        "https://h/.",
        "https://h/a%2fb",
        "https://h/a b",
        "https://h/a\\b",
        "https://h\xc3\xa9",
    };
    struct arena_case memory;
    struct arena *arena = arena_begin(&memory);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct config_url url = { 0 };

        assert_null(url_parse(good[i].text, arena, &url));
        assert_string_equal(url.text, good[i].text);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.base, good[i].base);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.tls, good[i].tls);
        assert_int_equal(url.loopback, good[i].loopback);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct config_url url = { 0 };

        assert_non_null(url_parse(bad[i], arena, &url));
        assert_null(url.text); /* later rules see that there is none */
    }
    arena_end(&memory);
}

/* Values that a row refuses, with the words for it. */
static void test_refused_values(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } bad[] = {
        { "workers", "257", "'257' is out of range: 0 to 256" },
        { "workers", "two", "'two' is not a whole number" },
        { "workers", "-1", "'-1' is not a whole number" },
        { "workers", "\"\"", "'' is not a whole number" },
        { "state", "\"\"", "an empty path" },
        { "limits", "{body: 2 GiB}", "'2 GiB' is out of range: 1 KiB to 1 GiB" },
        { "limits", "{head_timeout: 1ms}", "'1ms' is out of range: 10ms to 1h" },
        { "limits", "{keep_alive: 75}",
          "'75' is not a duration, such as 500ms, 30s, 5m or 2h" },
        { "log", "{exchanges: maybe}", "'maybe' is neither on nor off" },
        { "providers", "{p: {on_client_abort: stop}}",
          "'stop' is not drain or cancel" },
        { "providers", "{p: {unknown_paths: Deny}}", "'Deny' is not deny or relay" },
        { "providers", "{p: {credential_header: 'a b'}}",
          "'a b' is not the name of a header field" },
        { "providers", "{p: {url: 'http://u:hunter2@h'}}",
          "the URL holds a user name; credentials go into the key 'credential'" },
        { "providers", "{p: {credential: hunter2}}",
          "a credential is env:NAME, file:/path, aws, google, passthrough or none, and "
          "never the secret itself" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char yaml[256];
        char *mistakes;

        snprintf(yaml, sizeof yaml, "%s: %s\n", bad[i].key, bad[i].value);
        assert_null(read_text(yaml, CONFIG_WITHOUT_SECRETS, &mistakes));
        assert_non_null(strstr(mistakes, bad[i].words));
        assert_null(strstr(mistakes, "hunter2"));
        free(mistakes);
    }
}

static void test_switches(void **state)
{
    static const struct {
        const char *text;
        bool on;
    } words[] = {
        { "on", true },   { "true", true },   { "yes", true }, { "ON", true },
        { "off", false }, { "false", false }, { "no", false }, { "No", false }
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        char yaml[256];
        struct config *config;

        snprintf(yaml, sizeof yaml, LEAST "admin: {enabled: %s}\n", words[i].text);
        config = read_good(yaml);
        assert_int_equal(config->admin_on, words[i].on);
        config_free(config);
    }
}

static void assert_nearest(const char *wanted, const char *expected)
{
    static const char *const words[] = { "providers", "prices", "log", "limits",
                                         "ca",        "tls",    NULL };
    struct nearest nearest = nearest_to(wanted);

    nearest_offer_all(&nearest, words);
    assert_true(span_equal(span_text(nearest.word), span_text(expected)));
}

static void test_nearest(void **state)
{
    (void)state;
    assert_nearest("provders", "providers");
    assert_nearest("porviders", "providers");
    assert_nearest("Providers", "providers");
    assert_nearest("price", "prices");
    assert_nearest("limit", "limits");
    assert_nearest("lgo", "log");
    assert_nearest("cs", "ca");
    assert_nearest("tsl", "tls");
    assert_nearest("lim", NULL);
    assert_nearest("limt", "limits");
    assert_nearest("ssl", NULL);
    assert_nearest("x", NULL);
    assert_nearest("", NULL);
    assert_nearest("completely different", NULL);
    assert_nearest("providersprovidersprovidersprovidersproviders", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_numbers_are_shown_as_written),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_socket_path_limit),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

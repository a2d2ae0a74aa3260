#include "config/config.h"
#include "tests/unit/config_text.h"

#define PROVIDER(url, more)                                                            \
    LISTEN "providers: {p: {url: '" url "', dialects: [openai]" more "}}\n"
#define NAMED(name)                                                                    \
    LISTEN "providers: {'" name "': {url: 'https://h', dialects: [openai]}}\n"
#define TEAM(callers) LEAST "teams: {t: {callers: [" callers "]}}\n"

/* A file that breaks one rule, and what is said about it. */
static const struct broken {
    const char *yaml;
    const char *mistakes;
} broken[] = {
    { "listen: [{address: 127.0.0.1:80}, {address: '[::1]:80'}, {address: "
      "127.0.0.1:80}]\n" PROVIDERS,
      "1:68: two listeners have the address 127.0.0.1:80\n" },
    { "listen: [{address: '[::1]:80'}, {address: '[0:0::1]:80'}]\n" PROVIDERS,
      "1:43: two listeners have the address [0:0::1]:80\n" },
    { "listen: [{address: 'unix:/a'}, {address: 'unix:/a'}]\n" PROVIDERS,
      "1:42: two listeners have the address unix:/a\n" },
    { LEAST "admin: {address: 127.0.0.1:1}\n",
      "1:20: 127.0.0.1:1 is the address of 'admin' already\n" },
    { LEAST "admin: {address: 0.0.0.0:9090}\n",
      "3:18: the admin port asks nobody who he is; beyond loopback (0.0.0.0:9090) it "
      "needs 'users'\n"
      "3:18: beyond loopback (0.0.0.0:9090) the admin port needs 'tls': tokens and "
      "what "
      "it tells would be read on the way\n" },
    { LEAST "admin: {address: '[::]:9090'}\n",
      "3:18: the admin port asks nobody who he is; beyond loopback ([::]:9090) it "
      "needs 'users'\n"
      "3:18: beyond loopback ([::]:9090) the admin port needs 'tls': tokens and what "
      "it "
      "tells would be read on the way\n" },
    { PROVIDER("http://example.org", ""),
      "2:22: plain http only to loopback: 'example.org' must be reached by https\n" },
    { PROVIDER("http://localhost.example.org", ""),
      "2:22: plain http only to loopback: 'localhost.example.org' must be reached by "
      "https\n" },
    { PROVIDER("http://128.0.0.1", ""),
      "2:22: plain http only to loopback: '128.0.0.1' must be reached by https\n" },
    { PROVIDER("https://example.org", ", insecure_for_tests: on"),
      "2:85: insecure_for_tests is for loopback only, not for 'example.org'; name the "
      "authority that signs it with 'ca'\n" },
    { PROVIDER("https://h", ", credential_header: Host, credential: 'env:X'"),
      "2:74: a credential cannot be sent as 'host'\n" },
    { PROVIDER("https://h", ", credential_header: x-key"),
      "2:74: credential_header needs a credential of env: or file: to send\n" },
    { PROVIDER("https://bedrock-runtime.example.org", ", credential: aws"),
      "2:22: 'bedrock-runtime.example.org' names no region to sign for: add 'aws: "
      "{region: us-east-1}'\n" },
    { PROVIDER("https://h", ", aws: {profile: p, region: r}"),
      "2:70: this has a meaning only with 'credential: aws'\n"
      "2:81: this has a meaning only with 'credential: aws'\n" },
    { PROVIDER("https://h", ", google: {scope: s}"),
      "2:71: this has a meaning only with 'credential: google'\n" },
    { LEAST "quota: {redis: {url: 'redis://h', ca: /x}}\n",
      "3:39: this has a meaning only with 'url: rediss://...'\n" },
    { LEAST "quota: {redis: {url: 'unix:/s', certificate: /x, key: /y}}\n",
      "3:46: this has a meaning only with 'url: rediss://...'\n"
      "3:55: this has a meaning only with 'url: rediss://...'\n" },
    { LEAST "quota: {redis: {url: 'rediss://h', certificate: /x}}\n",
      "3:49: 'certificate' and 'key' need each other\n" },
    { LEAST "quota: {redis: {url: 'rediss://h', key: /x}}\n",
      "3:41: 'certificate' and 'key' need each other\n" },
    { LEAST "quota: {redis: {url: 'redis+tls://h'}}\n",
      "3:22: the URL is not redis://host, rediss://host or unix:/path\n" },
    { LISTEN "providers: {p: {url: 'https://h', dialects: [opnai, openai, openai]}}\n",
      "2:46: unknown dialect 'opnai'; did you mean 'openai'?\n"
      "2:61: dialect 'openai' stands here twice\n" },
    { LISTEN "providers: {p: {url: 'https://h', dialects: [smoke-signals]}}\n",
      "2:46: unknown dialect 'smoke-signals'\n" },
    { LISTEN "providers:\n"
             "  a: {url: 'https://h', dialects: [openai, gemini], default: on}\n"
             "  b: {url: 'https://h', dialects: [anthropic], default: on}\n"
             "  c: {url: 'https://h', dialects: [gemini], default: off}\n"
             "  d: {url: 'https://h', dialects: [gemini], default: on}\n",
      "6:54: provider 'a' is the default for dialect 'gemini' already\n" },
    { NAMED("OpenAI"), "2:13: provider name 'OpenAI' is not 1 to 31 of a-z, 0-9 and -, "
                       "with no - at either end\n" },
    { NAMED("-a"), "2:13: provider name '-a' is not 1 to 31 of a-z, 0-9 and -, with no "
                   "- at either end\n" },
    { NAMED("a/b"), "2:13: provider name 'a/b' is not 1 to 31 of a-z, 0-9 and -, with "
                    "no - at either end\n" },
    { NAMED(""), "2:13: provider name '' is not 1 to 31 of a-z, 0-9 and -, with no - "
                 "at either end\n" },
    { NAMED("a123456789b123456789c123456789d1"),
      "2:13: provider name 'a123456789b123456789c123456789d1' is not 1 to 31 of a-z, "
      "0-9 and -, with no - at either end\n" },
    { NAMED("v1"),
      "2:13: a provider cannot be named 'v1': the providers' own paths begin "
      "with it\n" },
    { TEAM("ana, bo, cy, bo, bo"), "3:36: caller 'bo' stands in team 't' twice\n"
                                   "3:40: caller 'bo' stands in team 't' twice\n" },
    { TEAM("'a b'"), "3:23: 'a b' is not a name of letters, digits and . _ - @ +\n" },
    { TEAM("'a,b', ''"), "3:23: 'a,b' is not a name of letters, digits and . _ - @ +\n"
                         "3:30: '' is not a name of letters, digits and . _ - @ +\n" },
    { LEAST "teams: {'t/u': {callers: [a]}}\n",
      "3:9: team name 't/u' is not 1 to 31 letters, digits and . _ - @ +\n" },
    { LEAST "limits: {body: 2 MiB, held: 1 MiB}\n",
      "3:29: limits.held is below limits.body: a body of that size could never be "
      "held\n" },
    { LEAST "limits: {body: 512 MiB}\n", "3:16: limits.held is below limits.body: a "
                                         "body of that size could never be held\n" },
    { LEAST "journal: {slots: 1024}\n", "3:18: journal.slots (1024) is below "
                                        "limits.exchanges (16384): each open exchange "
                                        "takes a slot\n" },
    { LEAST "limits: {exchanges: 20000}\n",
      "3:21: journal.slots (16384) is below limits.exchanges (20000): each open "
      "exchange "
      "takes a slot\n" },
};

static void test_broken_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_mistakes(broken[i].yaml, broken[i].mistakes);
    }
}

static void test_kept_rules(void **state)
{
    static const char *const kept[] = {
        PROVIDER("http://localhost:1", ""),
        PROVIDER("http://LOCALHOST", ""),
        PROVIDER("http://127.9.9.9", ""),
        PROVIDER("http://[::1]:8000/v1", ", insecure_for_tests: on"),
        PROVIDER("https://h", ", credential: 'file:/x', credential_header: X-Key"),
        "listen: [{address: 127.0.0.1:80}, {address: 127.0.0.2:80}]\n" PROVIDERS,
        LEAST "admin: {address: 0.0.0.0:9090, enabled: off}\n",
        LEAST "teams: {a: {callers: [x, y]}, b: {callers: [x]}}\n", /* in two teams */
        LEAST "journal: {slots: 16384}\n",
        NAMED("a"),
        NAMED("openai-eu-2"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        config_free(read_good(kept[i]));
    }
}

/* Without a list of families, any word is taken. */
static void test_any_family(void **state)
{
    static const char yaml[] =
        LISTEN "providers: {p: {url: 'https://h', dialects: [anything]}}\n";
    struct error error;
    struct config *config;

    (void)state;
    error_init(&error);
    config = config_parse("f", span_text(yaml), NULL, CONFIG_WITHOUT_SECRETS, &error);
    assert_non_null(config);
    config_free(config);
    error_done(&error);
}

static void test_named_files(void **state)
{
    static const char yaml[] =
        "listen: [{address: 127.0.0.1:1, tls: {certificates: [{chain: none.pem, key: "
        "/etc/passwd}]}}]\n"
        "providers: {p: {url: 'https://h', dialects: [openai], ca: no-ca}}\n"
        "prices: no-prices\n"
        "clients: no-clients\n";
    char *mistakes;

    (void)state;
    config_free(read_good(yaml)); /* without resolving, files are not looked at */
    assert_null(read_text(yaml, CONFIG_WITH_SECRETS, &mistakes));
    assert_string_equal(
        mistakes,
        "/etc/f.yaml:1:62: '/etc/none.pem' cannot be read: No such file or directory\n"
        "/etc/f.yaml:2:59: '/etc/no-ca' cannot be read: No such file or directory\n"
        "/etc/f.yaml:3:9: '/etc/no-prices' cannot be read: No such file or directory\n"
        "/etc/f.yaml:4:10: '/etc/no-clients' cannot be read: No such file or "
        "directory\n");
    free(mistakes);
}

#define TLS "tls: {certificates: [{chain: a, key: b}]}"

/* What a reload cannot change is told; everything else passes. */
static void test_reload(void **state)
{
    static const struct {
        const char *wanted;
        const char *mistakes;
    } changes[] = {
        { LEAST, "" },
        { LISTEN "providers: {q: {url: 'https://h', dialects: [gemini]}}\n"
                 "teams: {t: {callers: [a]}}\nlimits: {body: 1 MiB}\nlog: {file: x}\n",
          "" },
        { "listen: [{address: 127.0.0.1:2}]\n" PROVIDERS,
          "f:1:20: listen.address is changed; only a restart can change it\n" },
        { "listen: [{address: 127.0.0.1:1}, {address: 127.0.0.1:2}]\n" PROVIDERS,
          "f:1:9: listen has more or fewer elements; only a restart can change "
          "that\n" },
        { "listen: [{address: 127.0.0.1:1, " TLS "}]\n" PROVIDERS,
          "f:1:20: listen.address goes from or to TLS; only a restart can change "
          "that\n" },
        { LEAST "state: /elsewhere\nworkers: 3\n",
          "f:3:8: state is changed; only a restart can change it\n"
          "f:4:10: workers is changed; only a restart can change it\n" },
        { LEAST "admin: {enabled: off}\njournal: {slots: 20000}\n"
                "limits: {series: 99, exchanges: 99, connections: 99}\n",
          "f:3:18: admin.enabled is changed; only a restart can change it\n"
          "f:5:33: limits.exchanges is changed; only a restart can change it\n"
          "f:5:50: limits.connections is changed; only a restart can change it\n"
          "f:5:18: limits.series is changed; only a restart can change it\n"
          "f:4:18: journal.slots is changed; only a restart can change it\n" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct config *old = read_good(LEAST);
        struct error error;
        struct config *wanted;
        char *mistakes;
        size_t len;
        FILE *out = open_memstream(&mistakes, &len);

        assert_non_null(out);
        error_init(&error);
        wanted = config_parse("f", span_text(changes[i].wanted), known_families,
                              CONFIG_WITHOUT_SECRETS, &error);
        assert_non_null(wanted);
        config_reload_check(old, wanted, &error);
        error_print(&error, out);
        fclose(out);
        assert_string_equal(mistakes, changes[i].mistakes);
        free(mistakes);
        error_done(&error);
        config_free(old);
        config_free(wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_rules), cmocka_unit_test(test_kept_rules),
        cmocka_unit_test(test_any_family),   cmocka_unit_test(test_named_files),
        cmocka_unit_test(test_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "config/config.h"
#include "config/tree.h"
#include "tests/unit/config_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The surface as it was promised. */
static const char whole[] =
    "listen:\n"
    "  - address: 127.0.0.1:8080\n"
    "  - address: '[::1]:8443'\n"
    "    tls: {certificates: [{chain: tls/a.pem, key: /k/a.key}, {chain: b, key: c}]}\n"
    "admin: {address: 'unix:/run/assay.sock'}\n"
    "state: state\n"
    "providers:\n"
    "  openai:\n"
    "    url: https://API.openai.com\n"
    "    dialects: [openai]\n"
    "    credential: env:OPENAI_API_KEY\n"
    "    default: true\n"
    "  anthropic:\n"
    "    url: https://api.anthropic.com:8443/base/\n"
    "    dialects: [anthropic, openai]\n"
    "    credential: file:/etc/assay/anthropic.key\n"
    "    credential_header: X-Key\n"
    "    on_client_abort: cancel\n"
    "    unknown_paths: relay\n"
    "    inject_usage: off\n"
    "    ca: ca.pem\n"
    "    timeouts: {connect: 1s, first_byte: 2m, idle: 500ms}\n"
    "    pool: {idle: 1h, size: 3}\n"
    "    drain: {timeout: 4s, bytes: 5k, at_once: 6}\n"
    "  local:\n"
    "    url: http://127.0.0.1:9999\n"
    "    dialects: [gemini]\n"
    "    credential: passthrough\n"
    "    insecure_for_tests: yes\n"
    "teams:\n"
    "  platform: {callers: [ana, bo]}\n"
    "  ml: {callers: [ana]}\n"
    "limits: {body: 1 MiB, held: 2 MiB, decoded: 3 MiB, decoded_ratio: 4, exchanges: "
    "5,\n"
    "  connections: 6, head_timeout: 7s, body_timeout: 8s, keep_alive: 9s,\n"
    "  write_timeout: 10s, stop_timeout: 0, series: 99}\n"
    "log: {file: assay.log, exchanges: on}\n"
    "journal: {slots: 64}\n"
    "workers: 2\n"
    "prices: /p.yaml\n"
    "clients: c.yaml\n";

static void assert_listeners(const struct config *config)
{
    const struct config_listener *plain = &config->listeners[0];
    const struct config_listener *tls = &config->listeners[1];

    assert_int_equal(config->listener_count, 2);
    assert_string_equal(plain->address.text, "127.0.0.1:8080");
    assert_string_equal(plain->address.host, "127.0.0.1");
    assert_int_equal(plain->address.port, 8080);
    assert_true(plain->address.loopback);
    assert_int_equal(plain->tls.certificate_count, 0);
    assert_string_equal(tls->address.host, "::1");
    assert_int_equal(tls->tls.certificate_count, 2);
    assert_string_equal(tls->tls.certificates[0].chain, "/etc/tls/a.pem");
    assert_string_equal(tls->tls.certificates[0].key, "/k/a.key");
    assert_int_equal(tls->tls.certificates[1].place.line, 4);
    assert_int_equal(tls->tls.certificates[1].place.column, 61);
    assert_true(config->admin_on);
    assert_string_equal(config->admin.path, "/run/assay.sock");
    assert_null(config->admin.host);
}

static void assert_providers(const struct config_provider *providers)
{
    const struct config_provider *openai = &providers[0];
    const struct config_provider *anthropic = &providers[1];
    const struct config_provider *local = &providers[2];

    assert_string_equal(openai->name, "openai");
    assert_string_equal(openai->url, "https://API.openai.com");
    assert_string_equal(openai->host, "api.openai.com");
    assert_string_equal(openai->base, "");
    assert_int_equal(openai->port, 443);
    assert_true(openai->tls);
    assert_true(openai->is_default);
    assert_int_equal(openai->credential, CREDENTIAL_SECRET);
    assert_null(openai->secret);
    assert_int_equal(openai->place.line, 8);
    assert_int_equal(openai->place.column, 3);

    assert_string_equal(anthropic->base, "/base");
    assert_int_equal(anthropic->port, 8443);
    assert_string_equal(anthropic->dialects[1], "openai");
    assert_null(anthropic->dialects[2]);
    assert_string_equal(anthropic->credential_field, "x-key");
    assert_int_equal(anthropic->on_client_abort, ABORT_CANCEL);
    assert_int_equal(anthropic->unknown_paths, UNKNOWN_RELAY);
    assert_false(anthropic->inject_usage);
    assert_string_equal(anthropic->ca, "/etc/ca.pem");
    assert_int_equal(anthropic->connect_timeout_ms, 1000);
    assert_int_equal(anthropic->first_byte_timeout_ms, 120000);
    assert_int_equal(anthropic->idle_timeout_ms, 500);
    assert_int_equal(anthropic->pool_idle_ms, 3600000);
    assert_int_equal(anthropic->pool_size, 3);
    assert_int_equal(anthropic->drain_timeout_ms, 4000);
    assert_int_equal(anthropic->drain_bytes, 5120);
    assert_int_equal(anthropic->drain_limit, 6);

    assert_false(local->tls);
    assert_true(local->loopback);
    assert_int_equal(local->credential, CREDENTIAL_PASSTHROUGH);
    assert_true(local->insecure_for_tests);
}

static void test_all_keys(void **state)
{
    struct config *config = read_good(whole);

    (void)state;
    assert_string_equal(config->file, "/etc/f.yaml");
    assert_listeners(config);
    assert_int_equal(config->provider_count, 3);
    assert_providers(config->providers);
    assert_string_equal(config->state, "/etc/state");
    assert_int_equal(config->team_count, 2);
    assert_string_equal(config->teams[1].name, "ml");
    assert_string_equal(config->teams[0].callers[1], "bo");
    assert_null(config->teams[0].callers[2]);
    assert_int_equal(config->limits.body_bytes, 1 << 20);
    assert_int_equal(config->limits.held_bytes, 2 << 20);
    assert_int_equal(config->limits.decoded_bytes, 3 << 20);
    assert_int_equal(config->limits.decoded_ratio, 4);
    assert_int_equal(config->limits.exchanges, 5);
    assert_int_equal(config->limits.connections, 6);
    assert_int_equal(config->limits.head_timeout_ms, 7000);
    assert_int_equal(config->limits.body_timeout_ms, 8000);
    assert_int_equal(config->limits.keep_alive_ms, 9000);
    assert_int_equal(config->limits.write_timeout_ms, 10000);
    assert_int_equal(config->limits.stop_timeout_ms, 0);
    assert_int_equal(config->limits.series, 99);
    assert_string_equal(config->log_file, "/etc/assay.log");
    assert_true(config->log_exchanges);
    assert_int_equal(config->journal_slots, 64);
    assert_int_equal(config->workers, 2);
    assert_string_equal(config->prices, "/p.yaml");
    assert_string_equal(config->clients, "/etc/c.yaml");
    config_free(config);
}

static void test_defaults(void **state)
{
    struct config *config = read_good(LEAST);
    const struct config_provider *provider = &config->providers[0];

    (void)state;
    assert_true(config->admin_on);
    assert_string_equal(config->admin.text, "127.0.0.1:9090");
    assert_string_equal(config->state, "/var/lib/assay");
    assert_int_equal(config->team_count, 0);
    assert_int_equal(provider->credential, CREDENTIAL_NONE);
    assert_null(provider->credential_field);
    assert_false(provider->is_default);
    assert_int_equal(provider->on_client_abort, ABORT_DRAIN);
    assert_int_equal(provider->unknown_paths, UNKNOWN_DENY);
    assert_true(provider->inject_usage);
    assert_null(provider->ca);
    assert_false(provider->insecure_for_tests);
    assert_int_equal(provider->port, 80);
    assert_int_equal(provider->connect_timeout_ms, 5000);
    assert_int_equal(provider->first_byte_timeout_ms, 600000);
    assert_int_equal(provider->idle_timeout_ms, 300000);
    assert_int_equal(provider->pool_idle_ms, 60000);
    assert_int_equal(provider->pool_size, 256);
    assert_int_equal(provider->drain_timeout_ms, 120000);
    assert_int_equal(provider->drain_bytes, 64 << 20);
    assert_int_equal(provider->drain_limit, 64);
    assert_int_equal(config->limits.body_bytes, 32 << 20);
    assert_int_equal(config->limits.held_bytes, 256 << 20);
    assert_int_equal(config->limits.decoded_bytes, 64 << 20);
    assert_int_equal(config->limits.decoded_ratio, 200);
    assert_int_equal(config->limits.exchanges, 16384);
    assert_int_equal(config->limits.connections, 16384);
    assert_int_equal(config->limits.head_timeout_ms, 10000);
    assert_int_equal(config->limits.body_timeout_ms, 30000);
    assert_int_equal(config->limits.keep_alive_ms, 75000);
    assert_int_equal(config->limits.write_timeout_ms, 60000);
    assert_int_equal(config->limits.stop_timeout_ms, 30000);
    assert_int_equal(config->limits.series, 2000);
    assert_int_equal(config->journal_slots, 16384);
    assert_int_equal(config->workers, 0);
    assert_null(config->prices);
    assert_null(config->clients);
    assert_string_equal(config->log_file, "-");
    assert_false(config->log_exchanges);
    config_free(config);
}

static void test_empty_maps_are_defaults(void **state)
{
    struct config *config =
        read_good(LEAST "limits:\nteams: {}\nlog: ~\nadmin: {enabled: off}\n");

    (void)state;
    assert_int_equal(config->limits.series, 2000);
    assert_int_equal(config->team_count, 0);
    assert_false(config->admin_on);
    config_free(config);
}

/* Every mistake of the second pass, in the order of the file and with
 * its exact place. */
static void test_places(void **state)
{
    (void)state;
    assert_mistakes("listen:\n"
                    "  - address: localhost:8080\n"
                    "  - {address: 127.0.0.1:1, tls: }\n"
                    "provders: 3\n"
                    "limits: {body: 5 TiB, haed_timeout: 5s}\n"
                    "providers:\n"
                    "  p:\n"
                    "    url: http://localhost\n"
                    "    dialects: openai\n"
                    "    ca:\n"
                    "    timeouts: 5s\n"
                    "  q: {url: [x], dialects: []}\n"
                    "teams: [a]\n"
                    "nonsense-far-from-all: 1\n",
                    "2:14: 'localhost:8080' is not an address, such as 127.0.0.1:8080, "
                    "[::1]:8080 or unix:/path\n"
                    "3:28: missing key 'certificates'\n"
                    "4:1: unknown key 'provders'; did you mean 'providers'?\n"
                    "5:16: '5 TiB' is not a size, such as 512, 64 KiB, 32 MiB or 1 "
                    "GiB\n"
                    "5:23: unknown key 'haed_timeout'; did you mean 'head_timeout'?\n"
                    "9:15: 'dialects' is a single value; a list is wanted\n"
                    "10:5: 'ca' has no value\n"
                    "11:15: a single value; a map of keys is wanted here\n"
                    "12:12: 'url' is a list; a single value is wanted\n"
                    "12:27: 'dialects' needs at least 1 element\n"
                    "13:8: 'teams' is a list; a map of keys is wanted\n"
                    "14:1: unknown key 'nonsense-far-from-all'\n");
}

/* In a small map, what it could be is told; of a key in the wrong place,
 * where it belongs. */
static void test_unknown_keys(void **state)
{
    (void)state;
    assert_mistakes(LISTEN PROVIDERS "quotas:\n"
                                     "  - {name: a, limit: 5 tokens, per: day, "
                                     "for: {user: ana}}\n",
                    "4:48: unknown key 'user'; here may stand team, caller, service, "
                    "provider, model, tool, mode and grade\n");
    assert_mistakes(LISTEN PROVIDERS "timeouts: {connect: 1s}\n"
                                     "first_byte: 3s\n"
                                     "teams: {a: {providers: x}}\n",
                    "3:1: unknown key 'timeouts'; it is one of providers.NAME\n"
                    "4:1: unknown key 'first_byte'; it is one of "
                    "providers.NAME.timeouts\n"
                    "5:13: unknown key 'providers'; it is one of the file's own, at "
                    "the "
                    "left margin\n");
}

static void test_missing_keys(void **state)
{
    (void)state;
    assert_mistakes("workers: 1\n", "missing key 'listen'\n"
                                    "missing key 'providers'\n");
    assert_mistakes(LISTEN "providers:\n  p: {default: on}\n  q:\n",
                    "3:3: missing key 'url'\n3:3: missing key 'dialects'\n"
                    "4:3: missing key 'url'\n4:3: missing key 'dialects'\n");
    assert_mistakes("listen: [{}]\n" PROVIDERS, "1:10: missing key 'address'\n");
}

/* What YAML itself, or the tree, refuses. */
static void test_shape(void **state)
{
    (void)state;
    assert_mistakes("", "the file is empty\n");
    assert_mistakes("# nothing\n", "the file is empty\n");
    assert_mistakes("- a\n", "1:1: a list; a map of keys is wanted here\n");
    assert_mistakes(LEAST "workers: 1\nworkers: 2\nworkers: 3\n",
                    "4:1: duplicate key 'workers'; it stands at line 3 already\n"
                    "5:1: duplicate key 'workers'; it stands at line 3 already\n");
    assert_mistakes("a: &x 1\n", "1:4: anchors (&name) are not used here\n");
    assert_mistakes("a: &x [1]\n", "1:4: anchors (&name) are not used here\n");
    assert_mistakes("a: &x {b: 1}\n", "1:4: anchors (&name) are not used here\n");
    assert_mistakes("a: *x\n", "1:4: aliases (*name) are not used here\n");
    assert_mistakes("a: !!str x\n", "1:4: tags (!name) are not used here\n");
    assert_mistakes("a: ! [x]\n", "1:4: tags (!name) are not used here\n");
    assert_mistakes("a: !m {}\n", "1:4: tags (!name) are not used here\n");
    assert_mistakes(LEAST "---\na: 1\n",
                    "3:1: a second document; one file holds one\n");
    assert_mistakes("[a]: 1\n", "1:1: a key must be plain text\n");
    assert_mistakes("state: \"a\\0b\"\n",
                    "1:8: a control character or line break in a value\n");
    assert_mistakes("state: |\n  a\n  b\n",
                    "1:8: a control character or line break in a value\n");
    assert_mistakes("a: [1\nb: 2\n",
                    "2:2: not valid YAML: while parsing a flow sequence, "
                    "did not find expected ',' or ']'\n");
    assert_mistakes("a: \xff\n", "1:4: not valid text: invalid leading UTF-8 octet\n");
    assert_mistakes("a: b\n# \xc3\xa9 \xff\n",
                    "2:6: not valid text: invalid leading UTF-8 octet\n");
    assert_mistakes("listen:\n\t- address: 127.0.0.1:1\n",
                    "2:1: not valid YAML: a tab; lines are indented with spaces\n");
    assert_mistakes("a: [[[[[[[[1]]]]]]]]\n", "1:11: nested too deeply\n");
}

static void test_too_many_values(void **state)
{
    size_t size = (size_t)TREE_NODE_LIMIT * 2 + 1000;
    char *text = malloc(size + 1);
    char *mistakes;

    (void)state;
    assert_non_null(text);
    memset(text, ',', size);
    memcpy(text, "a: [", 4);
    for (size_t i = 4; i + 1 < size; i += 2) {
        text[i] = '1';
    }
    memcpy(text + size - 2, "]\n", 3);
    assert_null(read_text(text, CONFIG_WITHOUT_SECRETS, &mistakes));
    assert_non_null(strstr(mistakes, "too many values"));
    free(mistakes);
    free(text);
}

static void test_too_large(void **state)
{
    size_t size = TREE_SIZE_LIMIT + 1;
    char *text = malloc(size + 1);

    (void)state;
    assert_non_null(text);
    memset(text, '#', size);
    text[size] = '\0';
    assert_mistakes(text, "larger than 1048576 bytes\n");
    free(text);
}

/* A file cut anywhere is read or refused, and nothing is lost
 * or doubled (sanitizers). */
static void test_every_cut(void **state)
{
    struct error error;

    (void)state;
    for (size_t len = 0; len < sizeof whole; len++) {
        char *text = malloc(len > 0 ? len : 1);
        struct config *config;

        assert_non_null(text);
        memcpy(text, whole, len);
        error_init(&error);
        config = config_parse("f", span_of(text, len), known_families,
                              CONFIG_WITHOUT_SECRETS, &error);
        assert_true((config == NULL) == error_any(&error));
        config_free(config);
        error_done(&error);
        free(text);
    }
}

static void assert_load_refused(const char *path, const char *expected)
{
    struct error error;

    error_init(&error);
    assert_null(config_load(path, known_families, CONFIG_WITHOUT_SECRETS, &error));
    assert_int_equal(error.count, 1);
    assert_string_equal(error.entries[0].words, expected);
    assert_string_equal(error.entries[0].place.file, path);
    error_done(&error);
}

static void test_files(void **state)
{
    char folder[] = "/tmp/test_config_load.XXXXXX";
    char path[64];
    char expected[64];
    FILE *file;
    struct config *config;
    struct error error;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/assay.yaml", folder);
    assert_load_refused(path, "cannot be read: No such file or directory");
    assert_load_refused(folder, "cannot be read: Is a directory");
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(LEAST "state: here\n", file);
    assert_int_equal(fclose(file), 0);
    error_init(&error);
    config = config_load(path, known_families, CONFIG_WITH_SECRETS, &error);
    assert_non_null(config);
    snprintf(expected, sizeof expected, "%s/here", folder);
    assert_string_equal(config->state, expected);
    config_free(config);
    error_done(&error);
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *path, const char *words)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(words, file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
}

static void test_secret_beside_the_configuration(void **state)
{
    char folder[] = "/tmp/test_config_load.XXXXXX";
    char path[64], key[64];
    struct config *config;
    struct error error;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/assay.yaml", folder);
    snprintf(key, sizeof key, "%s/provider.key", folder);
    write_file(path, LISTEN "providers: {p: {url: 'https://h', dialects: [openai], "
                            "credential: 'file:provider.key'}}\n");
    write_file(key, "s3cret\n");
    error_init(&error);
    config = config_load(path, known_families, CONFIG_WITH_SECRETS, &error);
    assert_non_null(config);
    assert_true(secret_equal(config->providers[0].secret, SPAN("s3cret")));
    config_free(config);
    error_done(&error);
    unlink(key);
    unlink(path);
    rmdir(folder);
}

static void test_secrets(void **state)
{
    static const char env_yaml[] =
        LISTEN "providers: {p: {url: 'https://h', dialects: [openai], "
               "credential: 'env:ASSAY_TEST_SECRET'}}\n";
    char *mistakes;
    struct config *config;

    (void)state;
    assert_int_equal(setenv("ASSAY_TEST_SECRET", "s3cret", 1), 0);
    config = read_text(env_yaml, CONFIG_WITH_SECRETS, &mistakes);
    assert_non_null(config);
    assert_true(secret_equal(config->providers[0].secret, SPAN("s3cret")));
    config_free(config);
    free(mistakes);

    assert_int_equal(setenv("ASSAY_TEST_SECRET", "s3\nx-evil: 1", 1), 0);
    assert_null(read_text(env_yaml, CONFIG_WITH_SECRETS, &mistakes));
    assert_non_null(strstr(mistakes, "env:ASSAY_TEST_SECRET holds a space"));
    assert_null(strstr(mistakes, "evil"));
    free(mistakes);
    assert_int_equal(setenv("ASSAY_TEST_SECRET", "", 1), 0);
    assert_null(read_text(env_yaml, CONFIG_WITH_SECRETS, &mistakes));
    assert_non_null(strstr(mistakes, "/etc/f.yaml:2:67: "));
    free(mistakes);

    assert_int_equal(unsetenv("ASSAY_TEST_SECRET"), 0);
    assert_null(read_text(env_yaml, CONFIG_WITH_SECRETS, &mistakes));
    free(mistakes);
    config_free(read_good(env_yaml));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_empty_maps_are_defaults),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_too_many_values),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_secret_beside_the_configuration),
        cmocka_unit_test(test_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

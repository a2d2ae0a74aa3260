/* assay keys and assay certs, run as from a shell. */
#include "proxy/cli/command.h"
#include "proxy/identity/virtual_key.h"
#include "tests/unit/shell.h"

#include <cjson/cJSON.h>

/* A field of the n-th key as `list` shows it; "" for null. */
static const char *listed(int n, const char *name)
{
    static char value[64];
    cJSON *rows;
    const char *text;

    assert_int_equal(run("assay keys list --format json"), COMMAND_OK);
    rows = cJSON_Parse(out);
    text = cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, n), name));
    snprintf(value, sizeof value, "%s", text == NULL ? "" : text);
    cJSON_Delete(rows);
    return value;
}

static void a_new_key_stands_alone_on_stdout(void **state)
{
    size_t len;

    (void)state;
    assert_int_equal(run("assay keys add --team platform --caller ana --expires 90d"),
                     COMMAND_OK);
    len = strlen(out);
    assert_int_equal(len, KEY_TEXT_SIZE); /* with the newline */
    assert_true(key_well_formed(span_of(out, len - 1)));
    out[len - 1] = '\0';
    assert_null(strstr(err, out));
    assert_non_null(strstr(err, "OPENAI_BASE_URL=http://127.0.0.1:8080/openai/v1"));
    assert_string_equal(listed(0, "status"), "active");
    assert_string_equal(listed(0, "team"), "platform");
    assert_string_equal(listed(0, "caller"), "ana");
    assert_string_not_equal(listed(0, "expires"), "");
    assert_string_equal(listed(0, "revoked"), "");
}

static void strangers_get_no_key(void **state)
{
    (void)state;
    assert_int_equal(run("assay keys add --team plattform --caller ana"),
                     COMMAND_MISUSED);
    assert_non_null(strstr(err, "did you mean 'platform'?"));
    assert_int_equal(run("assay keys add --team platform --caller anna"),
                     COMMAND_MISUSED);
    assert_non_null(strstr(err, "did you mean 'ana'?"));
    assert_int_equal(run("assay keys add --team platform"), COMMAND_MISUSED);
    assert_string_equal(out, "");
    assert_string_equal(listed(0, "id"), "");
}

static void keys_are_rotated_and_revoked(void **state)
{
    char id[KEY_ID_SIZE];

    (void)state;
    assert_int_equal(run("assay keys add --team platform --caller bo"), COMMAND_OK);
    snprintf(id, sizeof id, "%.12s", listed(0, "id"));
    assert_int_equal(run_with("assay keys rotate %s --grace 2h", id), COMMAND_OK);
    assert_int_equal(strlen(out), KEY_TEXT_SIZE);
    assert_int_equal(run_with("assay keys rotate %s", id), COMMAND_FAILED);
    assert_int_equal(run("assay keys list"), COMMAND_OK);
    assert_non_null(strstr(out, "  ending "));
    assert_non_null(strstr(out, "  active "));
    assert_int_equal(run_with("assay keys revoke %s", id), COMMAND_OK);
    assert_int_equal(run("assay keys list"), COMMAND_OK);
    assert_non_null(strstr(out, "  revoked "));
    assert_int_equal(run("assay keys revoke 000000000000"), COMMAND_FAILED);
}

static void misuse_is_told(void **state)
{
    static const char *const lines[] = {
        "assay keys",
        "assay keys lst",
        "assay keys list --team platform",
        "assay keys list --format xml",
        "assay keys list more",
        "assay keys revoke",
        "assay keys revoke 000000000000 --at yesterday",
        "assay keys rotate 000000000000 --grace long",
        "assay keys add --team platform --caller ana --expires 2001-01-01",
        "assay keys add --team platform --caller ana --expires 2027-02-31",
        "assay certs",
        "assay certs --out /tmp/nowhere --days 0",
        "assay certs --out /tmp/nowhere --file ../ca",
        "assay certs --out /tmp/nowhere --file ca",
        "assay certs --out /tmp/nowhere --name a/b",
        "assay certs --out /tmp/nowhere --client",
        "assay certs --out /tmp/nowhere --client --spiffe https://x",
    };

    (void)state;
    assert_misused(lines, sizeof lines / sizeof *lines);
}

static void certs_are_minted_and_the_ca_is_kept(void **state)
{
    struct stat first;
    struct stat second;

    (void)state;
    assert_int_equal(run_with("assay certs --out %s/certs", folder), COMMAND_OK);
    assert_non_null(strstr(out, "for localhost 127.0.0.1 ::1"));
    assert_int_equal(stat(path("certs/server.key"), &first), 0);
    assert_int_equal(first.st_mode & 0777, 0600);
    assert_int_equal(stat(path("certs/ca.pem"), &first), 0);
    assert_int_equal(
        run_with("assay certs --out %s/certs --client --spiffe spiffe://x/y", folder),
        COMMAND_OK);
    assert_int_equal(stat(path("certs/ca.pem"), &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_int_equal(stat(path("certs/client.pem"), &second), 0);
    assert_int_equal(run_with("assay certs --out %s/none/such", folder),
                     COMMAND_FAILED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_key_stands_alone_on_stdout),    TEST(strangers_get_no_key),
        TEST(keys_are_rotated_and_revoked),        TEST(misuse_is_told),
        TEST(certs_are_minted_and_the_ca_is_kept),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}

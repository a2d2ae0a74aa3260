#include "filters/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char shipped[] = "config/clients.yaml";

static struct clients *load_shipped(void)
{
    struct error error;
    struct clients *clients;

    error_init(&error);
    clients = clients_load(shipped, &error);
    error_print(&error, stderr);
    error_done(&error);
    assert_non_null(clients);
    return clients;
}

/* Names and values in turn, NULL at the end. */
static struct claims claims_of(const struct clients *clients, const char *const *fields)
{
    struct head head = { .minor = 1 };
    struct claims claims;

    for (; *fields != NULL; fields += 2) {
        struct field *field = &head.fields[head.field_count++];

        field->name = span_text(fields[0]);
        field->value = span_text(fields[1]);
        field->id = field_name_of(field->name);
    }
    clients_claims(clients, &head, &claims);
    return claims;
}

static const struct row {
    const char *fields[14];
    const char *tool, *version, *mode, *session, *agent;
    uint32_t retry;
} rows[] = {
    { { "User-Agent", "claude-cli/2.1.42 (external, cli)", "x-app", "cli",
        "X-Claude-Code-Session-Id", "4c9f", "x-stainless-retry-count", "2" },
      "claude-code",
      "2.1.42",
      "interactive",
      "4c9f",
      "",
      2 },
    { { "User-Agent", "claude-cli/2.1.42 (external, sdk-cli)", "x-app", "cli",
        "x-claude-code-session-id", "s", "x-claude-code-agent-id", "a1" },
      "claude-code",
      "2.1.42",
      "headless",
      "s",
      "a1",
      0 },
    { { "User-Agent", "claude-cli/2.1.42 (external, cli)", "x-app", "cli-bg" },
      "claude-code",
      "2.1.42",
      "headless",
      "",
      "",
      0 },
    { { "User-Agent", "claude-cli/2.1.42 (external, sdk-py, agent-sdk/0.1.9)" },
      "claude-code",
      "2.1.42",
      "headless",
      "",
      "",
      0 },
    { { "User-Agent", "node", "x-claude-code-session-id", "s" },
      "claude-code",
      "",
      "",
      "s",
      "",
      0 },
    { { "User-Agent", "codex_cli_rs/0.121.0 (Debian 12; x86_64) xterm", "originator",
        "codex_cli_rs", "session_id", "old", "x-codex-turn-metadata",
        "{\"turn_id\":\"t\",\"thread_id\":\"th\\u002d1\"}" },
      "codex",
      "0.121.0",
      "interactive",
      "th-1",
      "",
      0 },
    { { "User-Agent", "codex_exec/0.121.0 (Debian)", "originator", "codex_exec",
        "session-id", "sid", "x-openai-subagent", "review" },
      "codex",
      "0.121.0",
      "headless",
      "sid",
      "review",
      0 },
    { { "User-Agent", "GeminiCLI/0.9.1/gemini-2.5-pro (linux; x64; terminal)" },
      "gemini-cli",
      "0.9.1",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "opencode/1.0 ai-sdk/provider-utils/3.0.9 runtime/bun/1.3",
        "x-session-affinity", "ses_1" },
      "opencode",
      "1.0",
      "",
      "ses_1",
      "",
      0 },
    { { "User-Agent", "my-app/7 ai-sdk/provider-utils/3.0.9 runtime/node.js/22" },
      "vercel-ai",
      "3.0.9",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "OpenAI/Python 1.99.1", "X-Stainless-Lang", "python" },
      "openai-python",
      "1.99.1",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "Anthropic/JS 0.60.0", "x-stainless-retry-count", "x" },
      "anthropic-js",
      "0.60.0",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "x", "x-stainless-lang", "ruby", "x-stainless-package-version",
        "0.9.0" },
      "stainless-sdk",
      "0.9.0",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "node-fetch", "X-Title", "Cline" }, "cline", "", "", "", "", 0 },
    { { "User-Agent", "curl/8.5.0" }, "curl", "8.5.0", "", "", "", 0 },
    { { "User-Agent", "python-requests/2.31.0" },
      "python-requests",
      "2.31.0",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "nightly-batch/3.2 (cron)" },
      "nightly-batch",
      "3.2",
      "",
      "",
      "",
      0 },
    { { "User-Agent", "a\x80z\"b" }, "a?z\"b", "", "", "", "", 0 },
    { { "Host", "x" }, "", "", "", "", "", 0 },
    { { "User-Agent", "" }, "", "", "", "", "", 0 },
    { { "User-Agent", "an-agent-whose-name-is-far-too-long/1.2.3-beta.4+build.5678" },
      "an-agent-whose-name-is-",
      "1.2.3-beta.4+bu",
      "",
      "",
      "",
      0 },
};

static void heads_are_recognised(void **state)
{
    struct clients *clients = load_shipped();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct claims claims = claims_of(clients, rows[i].fields);

        assert_string_equal(claims.tool, rows[i].tool);
        assert_string_equal(claims.tool_version, rows[i].version);
        assert_string_equal(claims.mode, rows[i].mode);
        assert_string_equal(claims.session, rows[i].session);
        assert_string_equal(claims.agent, rows[i].agent);
        assert_int_equal(claims.retry, rows[i].retry);
    }
    clients_free(clients);
}

static void without_a_table_the_product_is_the_tool(void **state)
{
    const char *const fields[] = { "User-Agent", "curl/8.5.0", NULL };
    struct error error;
    struct clients *clients;

    (void)state;
    error_init(&error);
    clients = clients_load(NULL, &error);
    assert_string_equal(claims_of(clients, fields).tool, "curl");
    clients_free(clients);
    error_done(&error);
}

static void sessions_stand_in_bodies(void **state)
{
    static const struct {
        const char *user, *session;
    } users[] = {
        { "user_0a1b_account_9c8d_session_5e6f-7a", "5e6f-7a" },
        { "{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"5e6f\"}",
          "5e6f" },
        { "d\",\"session_id\":\"5e6f\",\"parent_session_id\":\"99\"}", "5e6f" },
        { "{\"parent_session_id\":\"99\"}", "" },
        { "ceo", "" },
        { "", "" },
        { "_session_", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct claims claims = { .retry = 0 };

        clients_user(span_text(users[i].user), &claims);
        assert_string_equal(claims.session, users[i].session);
    }
}

static void the_head_names_the_session_first(void **state)
{
    struct claims claims = { .session = "head" };

    (void)state;
    clients_session(SPAN("body"), &claims);
    clients_user(SPAN("x_session_body"), &claims);
    assert_string_equal(claims.session, "head");
}

/* ---- mistakes -------------------------------------------------------------------- */

static const struct mistake {
    const char *text;
    unsigned line, column;
    const char *words;
} mistakes[] = {
    { "clients: 5\n", 1, 10, "clients must be a list of at most 512 clients" },
    { "client: []\n", 1, 1, "unknown key client; did you mean clients?" },
    { "clients:\n  - tool: x\n    mtach: [a]\n    match: [a]\n", 3, 5,
      "unknown key mtach; did you mean match?" },
    { "clients:\n  - match: [a]\n", 2, 5, "a client needs a tool" },
    { "clients:\n  - tool: x\n", 2, 5, "a client needs a condition in match" },
    { "clients:\n  - tool: a-name-of-too-many-letters\n    match: [a]\n", 2, 11,
      "a tool's name has at most 23 characters" },
    { "clients:\n  - tool: x\n    match: [\"User-Agent: x\"]\n", 3, 13,
      "\"User-Agent\" is no header field name in lower case" },
    { "clients:\n  - tool: x\n    match: [\"a: *\"]\n", 3, 13,
      "there is no text behind the colon" },
    { "clients:\n  - tool: x\n    match: a\n", 3, 12, "match must be a list" },
    { "session: [[a]]\n", 1, 11, "an element of session must be a text" },
    { "agent: [a/B]\n", 1, 9, "\"B\" is no member's name" },
    { "- a\n", 1, 1, "the file must be a map" },
};

static void mistakes_have_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        char path[] = "/tmp/assay-test-clients-XXXXXX";
        int file = mkstemp(path);
        struct error error;
        bool found = false;

        assert_true(file >= 0);
        assert_int_equal(write(file, mistakes[i].text, strlen(mistakes[i].text)),
                         strlen(mistakes[i].text));
        error_init(&error);
        assert_null(clients_load(path, &error));
        for (size_t k = 0; k < error.count; k++) {
            const struct error_entry *entry = &error.entries[k];

            found |= strcmp(entry->words, mistakes[i].words) == 0 &&
                     entry->place.line == mistakes[i].line &&
                     entry->place.column == mistakes[i].column;
        }
        if (!found) {
            error_print(&error, stderr);
        }
        assert_true(found);
        error_done(&error);
        close(file);
        unlink(path);
    }
}

static void a_missing_file_is_told(void **state)
{
    struct error error;

    (void)state;
    error_init(&error);
    assert_null(clients_load("/nonexistent/clients.yaml", &error));
    assert_int_equal(error.count, 1);
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_recognised),
        cmocka_unit_test(without_a_table_the_product_is_the_tool),
        cmocka_unit_test(sessions_stand_in_bodies),
        cmocka_unit_test(the_head_names_the_session_first),
        cmocka_unit_test(mistakes_have_their_place),
        cmocka_unit_test(a_missing_file_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/base/clock.h"
#include "proxy/identity/kept_evidence.h"

#include <cjson/cJSON.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t now = 1000 * (uint64_t)NS_PER_S;

static char folder[] = "/tmp/test_identity.XXXXXX";
static char key[KEY_TEXT_SIZE];
static struct config_listener listener = { .identify = { 1, { IDENTIFY_KEY } } };
static struct config_team teams[] = { { .name = "platform" } };
static const struct config config = { .state = folder,
                                      .teams = teams,
                                      .team_count = 1 };
static struct jwks_keeper *keeper;
static struct trust *trust;
static struct verifier *verifier;

static int set_up(void **state)
{
    struct key_record wanted = { .team = "platform", .caller = "ana", .created = 1 };
    struct key_record made;
    struct error error;

    (void)state;
    error_init(&error);
    assert_non_null(mkdtemp(folder));
    assert_true(key_add(folder, &wanted, key, &made, &error));
    keeper = jwks_keeper_new(&config, NULL, &error);
    assert_non_null(keeper);
    trust = trust_new(&config, keeper, &error);
    assert_non_null(trust);
    verifier = verifier_new();
    assert_non_null(verifier);
    return 0;
}

static int tear_down(void **state)
{
    char path[64];

    (void)state;
    verifier_free(verifier);
    trust_unref(trust);
    jwks_keeper_unref(keeper);
    snprintf(path, sizeof path, "%s/keys.db", folder);
    remove(path);
    remove(folder);
    return 0;
}

static void head_add(struct head *head, enum field_name id, const char *value)
{
    head->fields[head->field_count++] =
        (struct field){ .id = id, .value = span_text(value) };
}

static enum fault verify(const struct head *head, bool passthrough,
                         struct caller *caller)
{
    *caller = (struct caller){ 0 };
    return identity_verify(verifier, trust,
                           &(struct evidence){ .head = head,
                                               .listener = &listener,
                                               .passthrough = passthrough,
                                               .now_unix_ns = now },
                           caller);
}

static const char *bearer(void)
{
    static char value[7 + KEY_TEXT_SIZE];

    snprintf(value, sizeof value, "Bearer %s", key);
    return value;
}

/* The five fields that may carry a credential. */
static const enum field_name carriers[] = { FIELD_X_ASSAY_KEY, FIELD_AUTHORIZATION,
                                            FIELD_X_API_KEY, FIELD_API_KEY,
                                            FIELD_X_GOOG_API_KEY };
enum { CARRIERS = sizeof carriers / sizeof *carriers };

static const char *good_value(enum field_name id)
{
    return id == FIELD_AUTHORIZATION ? bearer() : key;
}

/* Every subset of the five fields, each holding the good key. */
static void head_of_subset(struct head *head, unsigned subset)
{
    *head = (struct head){ 0 };
    head_add(head, FIELD_HOST, "localhost");
    for (unsigned i = 0; i < CARRIERS; i++) {
        if ((subset & (1U << i)) != 0) {
            head_add(head, carriers[i], good_value(carriers[i]));
        }
    }
}

static void exactly_one_credential_is_wanted(void **state)
{
    static struct head head;
    struct caller caller;

    (void)state;
    for (unsigned subset = 0; subset < 1U << CARRIERS; subset++) {
        int count = __builtin_popcount(subset);
        enum fault wanted = count == 0   ? FAULT_NO_CREDENTIAL
                            : count == 1 ? FAULT_NONE
                                         : FAULT_MANY_CREDENTIALS;

        head_of_subset(&head, subset);
        assert_int_equal(verify(&head, false, &caller), wanted);
        if (wanted == FAULT_NONE) {
            assert_string_equal(caller.known->team, "platform");
            assert_string_equal(caller.known->name, "ana");
            assert_int_equal(caller.credential, head.fields[1].id);
        } else {
            assert_null(caller.known);
        }
    }
}

static void what_is_kept_of_a_head_proves_the_same(void **state)
{
    static struct head head, again;
    struct caller caller;

    (void)state;
    for (unsigned subset = 0; subset < 1U << CARRIERS; subset++) {
        char value[sizeof "Bearer " + KEY_TEXT_SIZE];
        struct kept_evidence *kept;
        enum fault wanted;

        head_of_subset(&head, subset);
        snprintf(value, sizeof value, "%s",
                 subset == 0 ? "" : head.fields[head.field_count - 1].value.at);
        head.fields[head.field_count - 1].value = span_text(value);
        wanted = verify(&head, false, &caller);
        kept = kept_evidence_new(&listener, &head);
        assert_non_null(kept);
        memset(value, 'x', sizeof value);
        memset(&head, 0, sizeof head);
        kept_evidence_head(kept, &again);
        assert_int_equal(again.field_count, __builtin_popcount(subset));
        assert_int_equal(verify(&again, false, &caller), wanted);
        kept_evidence_free(kept);
    }
}

static void with_passthrough_the_key_is_ours_and_one_other_passes(void **state)
{
    static struct head head;
    struct caller caller;

    (void)state;
    for (unsigned subset = 0; subset < 1U << CARRIERS; subset++) {
        bool own = (subset & 1) != 0;
        int others = __builtin_popcount(subset & ~1U);
        enum fault wanted = others > 1 ? FAULT_MANY_CREDENTIALS
                            : own      ? FAULT_NONE
                                       : FAULT_NO_CREDENTIAL;

        head_of_subset(&head, subset);
        assert_int_equal(verify(&head, true, &caller), wanted);
        if (wanted == FAULT_NONE) {
            assert_int_equal(caller.credential, FIELD_X_ASSAY_KEY);
        }
    }
}

static void the_same_field_twice_is_two(void **state)
{
    struct caller caller;

    (void)state;
    for (unsigned i = 0; i < CARRIERS; i++) {
        static struct head head;

        head = (struct head){ 0 };
        head_add(&head, carriers[i], good_value(carriers[i]));
        head_add(&head, carriers[i], good_value(carriers[i]));
        assert_int_equal(verify(&head, false, &caller), FAULT_MANY_CREDENTIALS);
        head_add(&head, FIELD_X_ASSAY_KEY, key);
        assert_int_equal(verify(&head, true, &caller), FAULT_MANY_CREDENTIALS);
    }
}

static void an_empty_field_is_a_bad_credential_and_counts(void **state)
{
    struct caller caller;

    (void)state;
    for (unsigned i = 0; i < CARRIERS; i++) {
        static struct head head;

        head = (struct head){ 0 };
        head_add(&head, carriers[i], "");
        assert_int_equal(verify(&head, false, &caller), FAULT_BAD_CREDENTIAL);
        head_add(&head, carriers[(i + 1) % CARRIERS],
                 good_value(carriers[(i + 1) % CARRIERS]));
        assert_int_equal(verify(&head, false, &caller), FAULT_MANY_CREDENTIALS);
    }
}

/* What an SDK of AWS sends whose access key id is `id`. */
static const char *signature(const char *id)
{
    static char value[512];

    (void)snprintf(value, sizeof value,
                   "AWS4-HMAC-SHA256 Credential=%s/20261121/us-east-1/bedrock/"
                   "aws4_request, SignedHeaders=host;x-amz-date, Signature=0f",
                   id);
    return value;
}

static enum fault verify_signature(const char *id, enum field_name beside)
{
    struct head head = { 0 };
    struct caller caller;

    head_add(&head, FIELD_AUTHORIZATION, signature(id));
    if (beside != FIELD_OTHER) {
        head_add(&head, beside, key);
    }
    return verify(&head, false, &caller);
}

static void a_signature_names_a_key(void **state)
{
    struct head head = { 0 };
    struct caller caller;

    (void)state;
    assert_int_equal(verify_signature(key, FIELD_OTHER), FAULT_NONE);
    assert_int_equal(verify_signature("AKIDEXAMPLE", FIELD_OTHER),
                     FAULT_BAD_CREDENTIAL);
    assert_int_equal(verify_signature("AKIDEXAMPLE", FIELD_X_ASSAY_KEY), FAULT_NONE);
    assert_int_equal(verify_signature(key, FIELD_X_ASSAY_KEY), FAULT_NONE);
    assert_int_equal(verify_signature(key, FIELD_X_API_KEY), FAULT_MANY_CREDENTIALS);
    assert_int_equal(verify_signature(key, FIELD_AUTHORIZATION),
                     FAULT_MANY_CREDENTIALS);
    head_add(&head, FIELD_AUTHORIZATION, "AWS4-HMAC-SHA256 Credentials");
    assert_int_equal(verify(&head, false, &caller), FAULT_BAD_CREDENTIAL);
}

static void authorization_is_bearer_only(void **state)
{
    static const struct {
        const char *format;
        enum fault fault;
    } cases[] = {
        { "Bearer %s", FAULT_NONE },
        { "bearer %s", FAULT_NONE },
        { "BEARER   %s", FAULT_NONE },
        { "%s", FAULT_BAD_CREDENTIAL },
        { "Bearer%s", FAULT_BAD_CREDENTIAL },
        { "Bearer\t%s", FAULT_BAD_CREDENTIAL },
        { "Bearer %s x", FAULT_BAD_CREDENTIAL },
        { "Bearer %s,%s", FAULT_BAD_CREDENTIAL },
        { "Bearer", FAULT_BAD_CREDENTIAL },
        { "Bearer ", FAULT_BAD_CREDENTIAL },
        { "Basic %s", FAULT_BAD_CREDENTIAL },
        { "Token %s", FAULT_BAD_CREDENTIAL },
        { "AWS4-HMAC-SHA256 Credential=%s", FAULT_BAD_CREDENTIAL },
        { "Bearer sk-live-someone-elses-key", FAULT_BAD_CREDENTIAL },
    };
    struct caller caller;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct head head;
        const char *percent = strstr(cases[i].format, "%s");
        char value[160];

        snprintf(value, sizeof value, "%.*s%s%s",
                 percent == NULL ? (int)strlen(cases[i].format)
                                 : (int)(percent - cases[i].format),
                 cases[i].format, percent == NULL ? "" : key,
                 percent == NULL ? "" : percent + 2);
        head = (struct head){ 0 };
        head_add(&head, FIELD_AUTHORIZATION, value);
        assert_int_equal(verify(&head, false, &caller), cases[i].fault);
    }
}

static void only_the_exact_key_is_good(void **state)
{
    static struct head head;
    struct caller caller;
    char other[KEY_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < KEY_TEXT_SIZE - 1; i++) {
        memcpy(other, key, sizeof other);
        other[i] = other[i] == 'z' ? 'y' : 'z';
        head = (struct head){ 0 };
        head_add(&head, FIELD_X_API_KEY, other);
        assert_int_equal(verify(&head, false, &caller), FAULT_BAD_CREDENTIAL);
    }
}

/* What the parser makes of a name. */
static enum field_name field_id(const char *name)
{
    static const char *const names[] = {
        NULL,
#define FIELD(identifier, text) text,
#include "proxy/http/field_name.def"
#undef FIELD
    };

    for (unsigned i = 1; i < FIELD_NAME_COUNT; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return (enum field_name)i;
        }
    }
    return FIELD_OTHER;
}

static void spoof_check(const char *name, const char *value)
{
    static struct head head;
    struct caller caller;

    head = (struct head){ 0 };
    head_add(&head, field_id(name), value);
    assert_true(verify(&head, false, &caller) != FAULT_NONE);
    assert_null(caller.known);
    head = (struct head){ 0 };
    head_add(&head, FIELD_X_ASSAY_KEY, key);
    head_add(&head, field_id(name), value);
    if (verify(&head, false, &caller) == FAULT_NONE) {
        assert_string_equal(caller.known->name, "ana");
    }
}

static void no_header_that_claims_a_person_names_a_caller(void **state)
{
    FILE *file = fopen("../shared/vectors/own-headers/spoof.jsonl", "r");
    char line[2048];
    int count = 0;

    (void)state;
    if (file == NULL) {
        skip();
    }
    while (fgets(line, sizeof line, file) != NULL) {
        cJSON *spoof = cJSON_Parse(line);

        assert_non_null(spoof);
        spoof_check(cJSON_GetStringValue(cJSON_GetObjectItem(spoof, "header")),
                    cJSON_GetStringValue(cJSON_GetObjectItem(spoof, "value")));
        cJSON_Delete(spoof);
        count++;
    }
    fclose(file);
    assert_int_equal(count, 225);
}

/* ---- what listeners take --------------------------------------------------------- */

/* A request with up to three fields "name: value" to a listener that takes these. */
static enum fault verify_at(const struct config_words *identify,
                            const char *certificate, bool from_proxy,
                            const char *const (*fields)[2], struct caller *caller)
{
    static struct head head;
    struct config_listener other = {
        .identify = *identify,
        .trusted_header = { .name = "x-user", .team = "x-team" },
        .default_team = "platform",
    };

    head = (struct head){ 0 };
    for (size_t i = 0; i < 3 && fields[i][0] != NULL; i++) {
        head.fields[head.field_count++] =
            (struct field){ .id = field_name_of(span_text(fields[i][0])),
                            .name = span_text(fields[i][0]),
                            .value = span_text(fields[i][1]) };
    }
    *caller = (struct caller){ 0 };
    return identity_verify(verifier, trust,
                           &(struct evidence){ .head = &head,
                                               .listener = &other,
                                               .certificate = span_text(certificate),
                                               .from_proxy = from_proxy,
                                               .now_unix_ns = now },
                           caller);
}

static void each_listener_takes_what_it_lists(void **state)
{
    static const struct config_words keys = { 1, { IDENTIFY_KEY } },
                                     tokens = { 1, { IDENTIFY_JWT } },
                                     certificates = { 1, { IDENTIFY_CERTIFICATE } },
                                     headers = { 1, { IDENTIFY_HEADER } },
                                     all = { 4,
                                             { IDENTIFY_KEY, IDENTIFY_JWT,
                                               IDENTIFY_CERTIFICATE,
                                               IDENTIFY_HEADER } };
    const struct {
        const struct config_words *identify;
        const char *certificate;
        bool from_proxy;
        const char *fields[3][2];
        enum fault fault;
        const char *name;
    } cases[] = {
        { &keys,
          "bo",
          true,
          { { "x-api-key", key }, { "X-User", "cy" } },
          FAULT_NONE,
          "ana" },
        { &tokens, "", false, { { "x-api-key", key } }, FAULT_BAD_CREDENTIAL, NULL },
        { &certificates, "bo", true, { { "X-User", "cy" } }, FAULT_NONE, "bo" },
        { &certificates, "", true, { { "X-User", "cy" } }, FAULT_NO_CREDENTIAL, NULL },
        { &certificates,
          "bo",
          false,
          { { "authorization", "Bearer dummy" } },
          FAULT_NONE,
          "bo" },
        { &certificates,
          "bo",
          false,
          { { "x-api-key", key } },
          FAULT_MANY_CREDENTIALS,
          NULL },
        { &certificates,
          "bo",
          false,
          { { "x-assay-key", "x" } },
          FAULT_MANY_CREDENTIALS,
          NULL },
        { &certificates, "b o", false, { { NULL } }, FAULT_BAD_CREDENTIAL, NULL },
        { &headers, "bo", true, { { "X-User", "cy" } }, FAULT_NONE, "cy" },
        { &headers, "bo", false, { { "X-User", "cy" } }, FAULT_NO_CREDENTIAL, NULL },
        { &headers,
          "",
          true,
          { { "x-user", "cy" }, { "x-user", "cy" } },
          FAULT_MANY_CREDENTIALS,
          NULL },
        { &headers,
          "",
          true,
          { { "x-user", "cy" }, { "x-team", "a" }, { "x-team", "b" } },
          FAULT_MANY_CREDENTIALS,
          NULL },
        { &headers, "", true, { { "x-user", "" } }, FAULT_BAD_CREDENTIAL, NULL },
        { &headers, "", true, { { "x_user", "cy" } }, FAULT_NO_CREDENTIAL, NULL },
        { &all, "bo", true, { { NULL } }, FAULT_NONE, "bo" },
        { &all, "", true, { { "x-user", "cy" } }, FAULT_NONE, "cy" },
        { &all, "", true, { { "x-goog-api-key", key } }, FAULT_NONE, "ana" },
        { &all, "bo", true, { { "x-user", "bo" } }, FAULT_MANY_CREDENTIALS, NULL },
        { &all, "bo", true, { { "x-api-key", "" } }, FAULT_MANY_CREDENTIALS, NULL },
        { &all,
          "",
          true,
          { { "x-user", "cy" }, { "authorization", "Basic x" } },
          FAULT_MANY_CREDENTIALS,
          NULL },
        { &all,
          "",
          false,
          { { "x-user", "cy" }, { "x-api-key", key } },
          FAULT_NONE,
          "ana" },
        { &all, "", false, { { NULL } }, FAULT_NO_CREDENTIAL, NULL },
    };
    struct caller caller;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum fault fault = verify_at(cases[i].identify, cases[i].certificate,
                                     cases[i].from_proxy, cases[i].fields, &caller);

        if (fault != cases[i].fault) {
            fail_msg("case %zu: %s", i, fault_row(fault)->name);
        }
        if (cases[i].name != NULL) {
            assert_string_equal(caller.known->name, cases[i].name);
            assert_string_equal(caller.known->team, "platform");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_credential_is_wanted),
        cmocka_unit_test(what_is_kept_of_a_head_proves_the_same),
        cmocka_unit_test(with_passthrough_the_key_is_ours_and_one_other_passes),
        cmocka_unit_test(the_same_field_twice_is_two),
        cmocka_unit_test(an_empty_field_is_a_bad_credential_and_counts),
        cmocka_unit_test(authorization_is_bearer_only),
        cmocka_unit_test(a_signature_names_a_key),
        cmocka_unit_test(only_the_exact_key_is_good),
        cmocka_unit_test(no_header_that_claims_a_person_names_a_caller),
        cmocka_unit_test(each_listener_takes_what_it_lists),
    };

    return cmocka_run_group_tests_name("identity", tests, set_up, tear_down);
}

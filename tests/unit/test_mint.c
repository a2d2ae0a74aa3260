#include "certs/mint.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[40];
static struct error error;

static int set_up(void **state)
{
    (void)state;
    error_init(&error);
    snprintf(folder, sizeof folder, "/tmp/test_mint.XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static const char *path(const char *file)
{
    static char made[80];

    snprintf(made, sizeof made, "%s/%s", folder, file);
    return made;
}

static int tear_down(void **state)
{
    static const char *const files[] = { "ca.pem", "ca.key", "leaf.pem", "leaf.key" };

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        remove(path(files[i]));
    }
    assert_int_equal(rmdir(folder), 0); /* nothing else was left behind */
    error_done(&error);
    return 0;
}

/* The n-th certificate of a file; the caller frees it. */
static X509 *certificate(const char *file, int n)
{
    FILE *stream = fopen(path(file), "r");
    X509 *read = NULL;

    assert_non_null(stream);
    for (int i = 0; i <= n; i++) {
        X509_free(read);
        read = PEM_read_X509(stream, NULL, NULL, NULL);
    }
    fclose(stream);
    return read;
}

static mode_t mode(const char *file)
{
    struct stat status;

    assert_int_equal(stat(path(file), &status), 0);
    return status.st_mode & 0777;
}

static void ca(void)
{
    assert_true(mint_ca(folder, "assay test CA", 30, &error));
}

static void mint(const struct mint_leaf *leaf)
{
    ca();
    assert_true(mint_leaf(folder, "leaf", leaf, &error));
}

static bool critical(const X509 *of, int nid)
{
    X509_EXTENSION *extension = X509_get_ext(of, X509_get_ext_by_NID(of, nid, -1));

    return X509_EXTENSION_get_critical(extension) == 1;
}

static void the_ca_is_a_ca_and_no_more(void **state)
{
    X509 *made;

    (void)state;
    ca();
    made = certificate("ca.pem", 0);
    assert_int_equal(X509_check_ca(made), 1);
    assert_int_equal(X509_get_pathlen(made), 0);
    assert_int_equal(X509_get_key_usage(made), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_true(critical(made, NID_basic_constraints));
    assert_true(critical(made, NID_key_usage));
    assert_non_null(X509_get0_subject_key_id(made));
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(made)), 256);
    assert_int_equal(X509_get_signature_nid(made), NID_ecdsa_with_SHA256);
    assert_int_equal(X509_verify(made, X509_get0_pubkey(made)), 1);
    assert_int_equal(mode("ca.key"), 0600);
    assert_int_equal(mode("ca.pem"), 0644);
    X509_free(made);
}

static void an_existing_ca_stays(void **state)
{
    X509 *first;
    X509 *second;

    (void)state;
    ca();
    first = certificate("ca.pem", 0);
    ca();
    second = certificate("ca.pem", 0);
    assert_int_equal(X509_cmp(first, second), 0);
    X509_free(first);
    X509_free(second);
}

static void a_leaf_has_its_names_and_its_chain(void **state)
{
    static const char *const names[] = { "localhost", "*.example.test", "127.0.0.1",
                                         "::1", NULL };
    const struct mint_leaf wanted = { .names = names, .days = 10 };
    X509 *leaf;
    X509 *issuer;

    (void)state;
    mint(&wanted);
    leaf = certificate("leaf.pem", 0);
    issuer = certificate("leaf.pem", 1);
    assert_int_equal(X509_verify(leaf, X509_get0_pubkey(issuer)), 1);
    assert_int_equal(X509_check_issued(issuer, leaf), X509_V_OK);
    assert_int_equal(X509_check_host(leaf, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(leaf, "a.example.test", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(leaf, "example.test", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(leaf, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(leaf, "127.0.0.2", 0), 0);
    assert_int_equal(X509_check_ca(leaf), 0);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_non_null(X509_get0_subject_key_id(leaf));
    assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf),
                                           X509_get0_subject_key_id(issuer)),
                     0);
    assert_int_equal(mode("leaf.key"), 0600);
    X509_free(leaf);
    X509_free(issuer);
}

static void a_client_leaf_names_a_workload(void **state)
{
    const struct mint_leaf wanted = { .spiffe = "spiffe://example.test/agent/7",
                                      .days = 1,
                                      .client = true };
    GENERAL_NAMES *names;
    const GENERAL_NAME *name;
    X509 *leaf;

    (void)state;
    mint(&wanted);
    leaf = certificate("leaf.pem", 0);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_CLIENT);
    names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    name = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(name->type, GEN_URI);
    assert_string_equal((const char *)ASN1_STRING_get0_data(
                            name->d.uniformResourceIdentifier),
                        wanted.spiffe);
    assert_true(critical(leaf, NID_subject_alt_name)); /* the subject is empty */
    GENERAL_NAMES_free(names);
    X509_free(leaf);
}

static void bad_dates_can_be_minted(void **state)
{
    static const char *const names[] = { "localhost", NULL };
    struct mint_leaf wanted = { .names = names, .days = 1 };
    X509 *leaf;

    (void)state;
    wanted.not_before = time(NULL) - 10 * 86400;
    mint(&wanted);
    leaf = certificate("leaf.pem", 0);
    assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(leaf)), -1);
    X509_free(leaf);
    wanted.not_before = time(NULL) + 86400;
    mint(&wanted);
    leaf = certificate("leaf.pem", 0);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(leaf)), 1);
    X509_free(leaf);
}

static void serials_are_random_and_long(void **state)
{
    static const char *const names[] = { "localhost", NULL };
    const struct mint_leaf wanted = { .names = names, .days = 1 };
    X509 *first;
    X509 *second;

    (void)state;
    mint(&wanted);
    first = certificate("leaf.pem", 0);
    mint(&wanted);
    second = certificate("leaf.pem", 0);
    assert_true(ASN1_INTEGER_cmp(X509_get0_serialNumber(first),
                                 X509_get0_serialNumber(second)) != 0);
    assert_true(ASN1_STRING_length(X509_get0_serialNumber(first)) >= 14);
    X509_free(first);
    X509_free(second);
}

static void what_cannot_be_done_is_told(void **state)
{
    static const char *const names[] = { "localhost", NULL };
    const struct mint_leaf wanted = { .names = names, .days = 1 };

    (void)state;
    assert_false(mint_leaf(folder, "leaf", &wanted, &error)); /* no CA */
    assert_int_equal(error.count, 1);
    assert_false(mint_ca("/nonexistent/folder", "x", 1, &error));
    assert_int_equal(error.count, 2);
    assert_non_null(strstr(error.entries[1].words, "No such file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_ca_is_a_ca_and_no_more),
        TEST(an_existing_ca_stays),
        TEST(a_leaf_has_its_names_and_its_chain),
        TEST(a_client_leaf_names_a_workload),
        TEST(bad_dates_can_be_minted),
        TEST(serials_are_random_and_long),
        TEST(what_cannot_be_done_is_told),
    };

    return cmocka_run_group_tests_name("mint", tests, NULL, NULL);
}

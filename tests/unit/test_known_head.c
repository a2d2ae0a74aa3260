#include "proxy/engine/known_head.h"
#include "tests/unit/routing.h"

#include <stdlib.h>

static const char key_a[] = "assay_aaaaaaaaaaaaaaaaaaaaaaaaaa000000";
static const char key_b[] = "assay_bbbbbbbbbbbbbbbbbbbbbbbbbb000000";

static const struct known_caller known_ana = { .team = "platform",
                                               .name = "ana",
                                               .key_id = "0123456789ab" };
static const struct caller ana = { .known = &known_ana,
                                   .credential = FIELD_AUTHORIZATION };

/* A head as SDKs send it: the credential and the length are given. */
static struct span write_head(char *raw, size_t size, const char *key,
                              const char *length, const char *agent)
{
    int len = snprintf(raw, size,
                       "POST /local/v1/chat/completions?a=b HTTP/1.1\r\n"
                       "Host: assay\r\n"
                       "User-Agent: %s\r\n"
                       "Authorization: Bearer %s\r\n"
                       "%s"
                       "Accept-Encoding: gzip\r\n"
                       "Content-Type: application/json\r\n\r\n",
                       agent, key, length);

    assert_in_range(len, 1, size - 1);
    return span_of(raw, (size_t)len);
}

/* A table that has met the head `times` times. */
static struct known_heads *after(struct span raw, unsigned times)
{
    static const char upstream[] = "POST /v1/chat/completions HTTP/1.1\r\nhost: up\r\n";
    struct known_heads *heads = known_heads_new();
    struct claims claims = { .tool = "sdk" };
    struct exchange exchange = { .head = span_text(upstream),
                                 .accept = SPAN("gzip"),
                                 .claims = &claims };
    struct route route = { .target = SPAN("") };
    static struct head head;

    assert_non_null(heads);
    assert_int_equal(head_parse_request(raw, &head), FAULT_NONE);
    route.target = span_after(head.target, strlen("/local"));
    while (times-- > 0) {
        known_heads_add(heads, raw, &head, &route, &ana, &exchange);
    }
    return heads;
}

static const struct known_head *find(struct known_heads *heads, struct span raw)
{
    uint64_t hash;

    return known_heads_find(heads, raw, &hash);
}

static void assert_same_span(struct span ours, struct span theirs)
{
    assert_true(span_equal(ours, theirs));
}

/* What is known of a head says what the parser says of it. */
static void assert_same_head(const struct head *known, struct span raw)
{
    static struct head head;

    assert_int_equal(head_parse_request(raw, &head), FAULT_NONE);
    assert_int_equal(known->method, head.method);
    assert_int_equal(known->minor, head.minor);
    assert_int_equal(known->framing, head.framing);
    assert_int_equal(known->length, head.length);
    assert_int_equal(known->keep_alive, head.keep_alive);
    assert_int_equal(known->expect_continue, head.expect_continue);
    assert_int_equal(known->upgrade, head.upgrade);
    assert_same_span(known->target, head.target);
    assert_int_equal(known->field_count, head.field_count);
    for (size_t i = 0; i < head.field_count; i++) {
        assert_int_equal(known->fields[i].id, head.fields[i].id);
        assert_int_equal(known->fields[i].hop_by_hop, head.fields[i].hop_by_hop);
        assert_same_span(known->fields[i].name, head.fields[i].name);
        assert_same_span(known->fields[i].value, head.fields[i].value);
    }
}

static void test_known_from_the_third_time_on(void **state)
{
    char raw[1024];
    struct span head =
        write_head(raw, sizeof raw, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(head, 0);

    (void)state;
    assert_null(find(heads, head));
    known_heads_free(heads);
    heads = after(head, 1);
    assert_null(find(heads, head));
    known_heads_free(heads);
    heads = after(head, 2);
    assert_non_null(find(heads, head));
    known_heads_free(heads);
}

static void test_what_is_known(void **state)
{
    static const char *const lengths[] = { "Content-Length: 7\r\n",
                                           "Content-Length: 123456\r\n" };
    char first[1024], raw[1024];
    struct span began =
        write_head(first, sizeof first, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(began, 2);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct span head = write_head(raw, sizeof raw, key_a, lengths[i], "x/1");
        const struct known_head *known = find(heads, head);

        assert_non_null(known);
        assert_same_head(known->head, head);
        assert_same_span(known->route.target, SPAN("/v1/chat/completions?a=b"));
        assert_string_equal(known->claims.tool, "sdk");
        assert_string_equal(known->caller, "ana");
        assert_string_equal(known->key_id, "0123456789ab");
        assert_true(span_starts(known->forwarded, SPAN("POST /v1/chat")));
        assert_same_span(known->accept, SPAN("gzip"));
        assert_int_equal(known->encoding.len, 0);
    }
    known_heads_free(heads);
}

/* Every byte counts but the length's digits; so does every byte more or less. */
static void test_no_other_head_is_like_it(void **state)
{
    char first[1024], raw[1024];
    struct span began =
        write_head(first, sizeof first, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(began, 2);
    size_t digits = (size_t)(strstr(first, "12\r\n") - first);

    (void)state;
    for (size_t i = 0; i < began.len; i++) {
        memcpy(raw, first, began.len);
        raw[i] ^= 1;
        if (i != digits && i != digits + 1) {
            assert_null(find(heads, span_of(raw, began.len)));
        }
        memcpy(raw, first, i);
        memcpy(raw + i, first + i + 1, began.len - i - 1);
        if (i != digits && i != digits + 1) {
            assert_null(find(heads, span_of(raw, began.len - 1)));
        }
    }
    assert_non_null(find(heads, began));
    known_heads_free(heads);
}

/* A length that the parser would refuse, or that changes whether there is a body. */
static void test_lengths_that_are_not_alike(void **state)
{
    static const char *const others[] = {
        "Content-Length: 0\r\n",
        "Content-Length: 012\r\n",
        "Content-Length: \r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: 12,12\r\n",
        "Content-Length: 12\r\nContent-Length: 12\r\n",
        "content-length: 12\r\n",
        "",
    };
    char first[1024], raw[1024];
    struct span began =
        write_head(first, sizeof first, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(began, 2);

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_null(find(heads, write_head(raw, sizeof raw, key_a, others[i], "x/1")));
    }
    known_heads_free(heads);
}

/* The credential is verified by others: it points into the bytes that were looked up. */
static void test_credential_is_looked_up_anew(void **state)
{
    char first[1024], raw[1024];
    struct span began =
        write_head(first, sizeof first, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(began, 2);
    struct span head =
        write_head(raw, sizeof raw, key_a, "Content-Length: 5\r\n", "x/1");
    const struct known_head *known = find(heads, head);
    const struct field *field;

    (void)state;
    assert_non_null(known);
    field = head_field(known->head, FIELD_AUTHORIZATION);
    assert_ptr_equal(field->value.at, strstr(raw, "Bearer"));
    head = write_head(raw, sizeof raw, key_b, "Content-Length: 5\r\n", "x/1");
    assert_null(find(heads, head));
    known_heads_free(heads);
}

/* What comes next on a connection whose last head is known: its length, its credential
 * and what follows it may differ. */
static void test_again(void **state)
{
    char first[1024], raw[1024];
    struct span began =
        write_head(first, sizeof first, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = after(began, 2);
    struct span head =
        write_head(raw, sizeof raw, "other", "Content-Length: 345\r\n", "x/1");
    const struct known_head *known;
    uint64_t hash;
    size_t size;

    (void)state;
    assert_non_null(known_heads_find(heads, began, &hash));
    memcpy(raw + head.len, "{}", 2);
    known = known_heads_again(heads, hash, span_of(raw, head.len + 2), &size);
    assert_non_null(known);
    assert_int_equal(size, head.len);
    assert_same_head(known->head, head);
    assert_same_span(known->route.target, SPAN("/v1/chat/completions?a=b"));
    for (size_t len = 0; len < head.len; len++) {
        assert_null(known_heads_again(heads, hash, span_of(raw, len), &size));
    }
    assert_null(known_heads_again(heads, hash + 1, head, &size));
    assert_null(known_heads_again(heads, 0, head, &size));
    head = write_head(raw, sizeof raw, key_a, "Content-Length: 12\r\n", "x/2");
    assert_null(known_heads_again(heads, hash, head, &size));
    known_heads_free(heads);
}

/* A caller who is known by a certificate: no field can be told to be the credential. */
static void test_credential_that_is_no_field(void **state)
{
    static const struct known_caller known_bo = { .team = "platform", .name = "bo" };
    static const struct caller bo = { .known = &known_bo, .credential = FIELD_OTHER };
    char raw[1024];
    struct span bytes =
        write_head(raw, sizeof raw, key_a, "Content-Length: 12\r\n", "x/1");
    struct known_heads *heads = known_heads_new();
    struct claims claims = { .tool = "" };
    struct exchange exchange = { .head = SPAN("upstream"), .claims = &claims };
    static struct head head;
    struct route route;

    (void)state;
    assert_int_equal(head_parse_request(bytes, &head), FAULT_NONE);
    route = (struct route){ .target = head.target };
    for (unsigned i = 0; i < 3; i++) {
        known_heads_add(heads, bytes, &head, &route, &bo, &exchange);
    }
    assert_null(find(heads, bytes));
    known_heads_free(heads);
}

static void test_without_a_body(void **state)
{
    char raw[1024];
    struct span head = write_head(raw, sizeof raw, key_a, "", "x/1");
    struct known_heads *heads = after(head, 2);
    const struct known_head *known = find(heads, head);

    (void)state;
    assert_non_null(known);
    assert_same_head(known->head, head);
    known_heads_free(heads);
    head = write_head(raw, sizeof raw, key_a, "Transfer-Encoding: chunked\r\n", "x/1");
    heads = after(head, 2);
    known = find(heads, head);
    assert_non_null(known);
    assert_same_head(known->head, head);
    known_heads_free(heads);
}

static void test_long_heads_are_not_kept(void **state)
{
    static char raw[8192], agent[4097];
    struct span head;
    struct known_heads *heads;

    (void)state;
    memset(agent, 'a', sizeof agent - 1);
    head = write_head(raw, sizeof raw, key_a, "Content-Length: 12\r\n", agent);
    heads = after(head, 3);
    assert_null(find(heads, head));
    known_heads_free(heads);
}

/* More heads than there are places: each either is known as what it is, or is not. */
static void test_many_heads(void **state)
{
    char raw[1024], agent[16];
    struct known_heads *heads = known_heads_new();
    struct claims claims = { .tool = "" };
    struct exchange exchange = { .head = SPAN("upstream"), .claims = &claims };
    static struct head head;
    struct route route = { .target = SPAN("") };
    unsigned known_count = 0;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 500; i++) {
            struct span bytes;
            const struct known_head *known;

            (void)snprintf(agent, sizeof agent, "agent/%u", i);
            bytes = write_head(raw, sizeof raw, key_a, "Content-Length: 12\r\n", agent);
            known = find(heads, bytes);
            if (known != NULL) {
                known_count++;
                assert_same_head(known->head, bytes);
                continue;
            }
            assert_int_equal(head_parse_request(bytes, &head), FAULT_NONE);
            route.target = head.target;
            known_heads_add(heads, bytes, &head, &route, &ana, &exchange);
        }
    }
    assert_in_range(known_count, 1, 500);
    known_heads_free(heads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_from_the_third_time_on),
        cmocka_unit_test(test_what_is_known),
        cmocka_unit_test(test_no_other_head_is_like_it),
        cmocka_unit_test(test_lengths_that_are_not_alike),
        cmocka_unit_test(test_credential_is_looked_up_anew),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_credential_that_is_no_field),
        cmocka_unit_test(test_without_a_body),
        cmocka_unit_test(test_long_heads_are_not_kept),
        cmocka_unit_test(test_many_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/credential/sigv4.h"

#include "proxy/base/date.h"
#include "proxy/base/digit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdio.h>
#include <stdlib.h>

#define ALGORITHM SPAN("AWS4-HMAC-SHA256")
#define SCOPE_END SPAN("aws4_request")

enum { TO_SIGN_MAX = 256, SECRET_MAX = 1024, DAY_SIZE = 8 };

void sigv4_date(uint64_t unix_s, char date[SIGV4_DATE_SIZE])
{
    const struct date day = date_of_days((int64_t)(unix_s / DATE_DAY_S));
    unsigned second = (unsigned)(unix_s % DATE_DAY_S);
    char wide[64];

    (void)snprintf(wide, sizeof wide, "%04d%02u%02uT%02u%02u%02uZ", (int)day.year,
                   day.month, day.day, second / 3600, second / 60 % 60, second % 60);
    memcpy(date, wide, SIGV4_DATE_SIZE - 1);
    date[SIGV4_DATE_SIZE - 1] = '\0';
}

struct span sigv4_hex(const unsigned char digest[SIGV4_DIGEST_SIZE],
                      char text[SIGV4_DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < SIGV4_DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    return span_of(text, SIGV4_DIGEST_HEX);
}

/* ---- the canonical request, hashed as it is written ------------------------------ */

struct canonical {
    EVP_MD_CTX *hasher;
    bool failed;
};

static void put(struct canonical *out, struct span bytes)
{
    if (bytes.len > 0 && EVP_DigestUpdate(out->hasher, bytes.at, bytes.len) != 1) {
        out->failed = true;
    }
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

static size_t escape(char c, char out[3])
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;

    if (is_unreserved(c)) {
        out[0] = c;
        return 1;
    }
    out[0] = '%';
    out[1] = digits[byte >> 4];
    out[2] = digits[byte & 15];
    return 3;
}

static void put_path(struct canonical *out, struct span path)
{
    char escaped[3];

    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] == '/') {
            put(out, SPAN("/"));
        } else {
            put(out, span_of(escaped, escape(path.at[i], escaped)));
        }
    }
}

/* The byte at the front of an escaped text, which is dropped. */
static char unescape(struct span *rest)
{
    int high = rest->len > 2 && *rest->at == '%' ? hex_digit(rest->at[1]) : -1;
    int low = high < 0 ? -1 : hex_digit(rest->at[2]);
    char c = *rest->at;

    if (low < 0) {
        *rest = span_after(*rest, 1);
        return c;
    }
    *rest = span_after(*rest, 3);
    return (char)(high << 4 | low);
}

/* Written with escapes where a signature wants them, whatever way it was sent. */
static void put_escaped(struct canonical *out, struct span sent)
{
    char escaped[3];

    while (sent.len > 0) {
        put(out, span_of(escaped, escape(unescape(&sent), escaped)));
    }
}

struct parameter {
    struct span name, value;
};

/* By what stands escaped, byte by byte. */
static int compare_escaped(struct span a, struct span b)
{
    while (a.len > 0 && b.len > 0) {
        char x[3] = "", y[3] = "";
        int order;

        (void)escape(unescape(&a), x);
        (void)escape(unescape(&b), y);
        order = memcmp(x, y, sizeof x);
        if (order != 0) {
            return order;
        }
    }
    return (a.len > 0) - (b.len > 0);
}

static int compare_parameters(const void *a, const void *b)
{
    const struct parameter *left = a, *right = b;
    int order = compare_escaped(left->name, right->name);

    return order != 0 ? order : compare_escaped(left->value, right->value);
}

static void put_query(struct canonical *out, struct span query)
{
    struct parameter parameters[SIGV4_PARAMETERS_MAX];
    size_t count = 0;
    struct span pair;

    while (query.len > 0 && span_next(&query, '&', &pair)) {
        size_t equals = span_find(pair, '=');

        if (count == SIGV4_PARAMETERS_MAX) {
            out->failed = true;
            return;
        }
        parameters[count++] = (struct parameter){
            .name = span_of(pair.at, equals),
            .value = span_after(pair, equals < pair.len ? equals + 1 : equals),
        };
    }
    qsort(parameters, count, sizeof *parameters, compare_parameters);
    for (size_t i = 0; i < count; i++) {
        put(out, i == 0 ? SPAN("") : SPAN("&"));
        put_escaped(out, parameters[i].name);
        put(out, SPAN("="));
        put_escaped(out, parameters[i].value);
    }
}

static void put_fields(struct canonical *out, const struct sigv4_request *request)
{
    for (size_t i = 0; i < request->field_count; i++) {
        put(out, request->fields[i].name);
        put(out, SPAN(":"));
        put(out, span_trim(request->fields[i].value));
        put(out, SPAN("\n"));
    }
    put(out, SPAN("\n"));
    for (size_t i = 0; i < request->field_count; i++) {
        put(out, i == 0 ? SPAN("") : SPAN(";"));
        put(out, request->fields[i].name);
    }
    put(out, SPAN("\n"));
}

static bool canonical_digest(const struct sigv4_request *request,
                             unsigned char digest[SIGV4_DIGEST_SIZE])
{
    struct canonical out = { .hasher = EVP_MD_CTX_new() };

    out.failed =
        out.hasher == NULL || EVP_DigestInit_ex2(out.hasher, EVP_sha256(), NULL) != 1;
    if (!out.failed) {
        put(&out, request->method);
        put(&out, SPAN("\n"));
        put_path(&out, request->path);
        put(&out, SPAN("\n"));
        put_query(&out, request->query);
        put(&out, SPAN("\n"));
        put_fields(&out, request);
        put(&out, request->payload);
        out.failed = out.failed || EVP_DigestFinal_ex(out.hasher, digest, NULL) != 1;
    }
    EVP_MD_CTX_free(out.hasher);
    return !out.failed;
}

/* ---- the signature --------------------------------------------------------------- */

static void put_scope(struct text *out, const struct sigv4_signer *signer)
{
    text_put(out, span_of(signer->date, DAY_SIZE));
    text_put_char(out, '/');
    text_put(out, signer->region);
    text_put_char(out, '/');
    text_put(out, signer->service);
    text_put_char(out, '/');
    text_put(out, SCOPE_END);
}

static bool mac(unsigned char key[SIGV4_DIGEST_SIZE], struct span message)
{
    return HMAC(EVP_sha256(), key, SIGV4_DIGEST_SIZE, (const unsigned char *)message.at,
                message.len, key, NULL) != NULL;
}

/* The day's key for one region and service. */
static bool derive_key(const struct sigv4_signer *signer,
                       unsigned char key[SIGV4_DIGEST_SIZE])
{
    char memory[SECRET_MAX];
    struct text secret = text_over(memory, sizeof memory);
    bool sound;

    text_put(&secret, SPAN("AWS4"));
    text_put(&secret, signer->secret_access_key);
    sound = !secret.full &&
            HMAC(EVP_sha256(), secret.at, (int)secret.len,
                 (const unsigned char *)signer->date, DAY_SIZE, key, NULL) != NULL &&
            mac(key, signer->region) && mac(key, signer->service) &&
            mac(key, SCOPE_END);
    explicit_bzero(memory, sizeof memory);
    return sound;
}

static bool signature(const struct sigv4_request *request,
                      const struct sigv4_signer *signer,
                      unsigned char key[SIGV4_DIGEST_SIZE])
{
    unsigned char digest[SIGV4_DIGEST_SIZE];
    char memory[TO_SIGN_MAX], hex[SIGV4_DIGEST_HEX];
    struct text to_sign = text_over(memory, sizeof memory);

    if (!canonical_digest(request, digest)) {
        return false;
    }
    text_put(&to_sign, ALGORITHM);
    text_put_char(&to_sign, '\n');
    text_put(&to_sign, span_of(signer->date, SIGV4_DATE_SIZE - 1));
    text_put_char(&to_sign, '\n');
    put_scope(&to_sign, signer);
    text_put_char(&to_sign, '\n');
    text_put(&to_sign, sigv4_hex(digest, hex));
    return !to_sign.full && derive_key(signer, key) && mac(key, text_span(&to_sign));
}

bool sigv4_sign(const struct sigv4_request *request, const struct sigv4_signer *signer,
                struct text *authorization)
{
    unsigned char key[SIGV4_DIGEST_SIZE];
    char hex[SIGV4_DIGEST_HEX];

    if (!signature(request, signer, key)) {
        explicit_bzero(key, sizeof key);
        return false;
    }
    text_put(authorization, ALGORITHM);
    text_put(authorization, SPAN(" Credential="));
    text_put(authorization, signer->access_key_id);
    text_put_char(authorization, '/');
    put_scope(authorization, signer);
    text_put(authorization, SPAN(", SignedHeaders="));
    for (size_t i = 0; i < request->field_count; i++) {
        text_put(authorization, i == 0 ? SPAN("") : SPAN(";"));
        text_put(authorization, request->fields[i].name);
    }
    text_put(authorization, SPAN(", Signature="));
    text_put(authorization, sigv4_hex(key, hex));
    return !authorization->full;
}

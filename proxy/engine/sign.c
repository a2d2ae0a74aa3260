#include "proxy/engine/sign.h"

#include "config/aws_host.h"
#include "proxy/base/clock.h"
#include "proxy/credential/sigv4.h"
#include "proxy/engine/worker.h"

#include <openssl/evp.h>

enum { SIGNATURE_MAX = 8 * 1024, FIELDS = 4 };

bool sign_waits(const struct exchange *x)
{
    return x->origin->provider->credential == CREDENTIAL_AWS;
}

static bool held_digest(const struct exchange *x,
                        unsigned char digest[SIGV4_DIGEST_SIZE])
{
    EVP_MD_CTX *hasher = EVP_MD_CTX_new();
    const struct block *cursor = NULL;
    struct span bytes;
    bool sound = hasher != NULL && EVP_DigestInit_ex2(hasher, EVP_sha256(), NULL) == 1;

    while (sound && (bytes = block_next(&x->held, &cursor)).len > 0) {
        sound = EVP_DigestUpdate(hasher, bytes.at, bytes.len) == 1;
    }
    sound = sound && EVP_DigestFinal_ex(hasher, digest, NULL) == 1;
    EVP_MD_CTX_free(hasher);
    return sound;
}

/* The method, path, query and host of the head as forward_head() wrote it: its first
 * line, and "host: " in its second. */
static struct span read_head(struct span head, struct sigv4_request *request)
{
    struct span line, target, host;

    CHECK(span_next(&head, '\n', &line) && span_next(&line, ' ', &request->method) &&
          span_next(&line, ' ', &target) && span_next(&head, '\n', &host));
    request->path = span_of(target.at, span_find(target, '?'));
    request->query = request->path.len < target.len
                         ? span_after(target, request->path.len + 1)
                         : span_of(NULL, 0);
    return span_of(host.at + 6, host.len - 7); /* between "host: " and its CR */
}

static void put_line(struct text *out, struct span name, struct span value)
{
    text_put(out, name);
    text_put(out, SPAN(": "));
    text_put(out, value);
    text_put(out, SPAN("\r\n"));
}

static struct span region_of(const struct config_provider *provider)
{
    return provider->aws.region != NULL ? span_text(provider->aws.region)
                                        : aws_host_region(provider->host);
}

static struct span service_of(const struct config_provider *provider)
{
    return provider->aws.service != NULL ? span_text(provider->aws.service)
                                         : aws_host_service(provider->host);
}

enum fault sign_request(struct exchange *x)
{
    const struct config_provider *provider = x->origin->provider;
    const struct credential *key = wallet_find(x->worker->wallet, provider);
    unsigned char digest[SIGV4_DIGEST_SIZE];
    char memory[SIGNATURE_MAX], date[SIGV4_DATE_SIZE], hex[SIGV4_DIGEST_HEX];
    struct text lines = text_over(memory, sizeof memory);
    struct sigv4_request request = { 0 };
    struct sigv4_field fields[FIELDS];

    if (key == NULL) {
        return FAULT_NO_PROVIDER_CREDENTIAL;
    }
    if (!held_digest(x, digest)) {
        return FAULT_NO_MEMORY;
    }
    sigv4_date(clock_unix_ns() / NS_PER_S, date);
    request.payload = sigv4_hex(digest, hex);
    request.fields = fields;
    fields[0] = (struct sigv4_field){ SPAN("host"), read_head(x->head, &request) };
    fields[1] = (struct sigv4_field){ SPAN("x-amz-content-sha256"), request.payload };
    fields[2] = (struct sigv4_field){ SPAN("x-amz-date"), span_text(date) };
    request.field_count = 3;
    if (key->session != NULL) {
        fields[3] = (struct sigv4_field){ SPAN("x-amz-security-token"),
                                          secret_reveal(key->session) };
        request.field_count = 4;
    }
    for (size_t i = 1; i < request.field_count; i++) {
        put_line(&lines, fields[i].name, fields[i].value);
    }
    text_put(&lines, SPAN("authorization: "));
    if (!sigv4_sign(&request,
                    &(struct sigv4_signer){
                        .access_key_id = span_text(key->access_key_id),
                        .secret_access_key = secret_reveal(key->secret),
                        .region = region_of(provider),
                        .service = service_of(provider),
                        .date = date },
                    &lines)) {
        return FAULT_HEAD_TOO_LARGE;
    }
    text_put(&lines, SPAN("\r\n"));
    x->signature = arena_copy(&x->arena, text_span(&lines));
    return x->signature.at == NULL ? FAULT_NO_MEMORY : FAULT_NONE;
}

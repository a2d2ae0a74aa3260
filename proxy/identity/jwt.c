#include "proxy/identity/jwt.h"

#include "proxy/identity/base64url.h"

enum { PARTS = 3, SECONDS_DIGITS_MAX = 12 };

bool jwt_looks_like(struct span text)
{
    size_t dots = 0;
    struct span part;

    while (dots <= PARTS && span_next(&text, '.', &part)) {
        dots++;
    }
    return dots == PARTS;
}

static bool parts_cut(struct span text, struct span parts[PARTS])
{
    size_t count = 0;
    struct span part;

    while (span_next(&text, '.', &part)) {
        if (count == PARTS) {
            return false;
        }
        parts[count++] = part;
    }
    return count == PARTS;
}

/* A token of another kind (a logout, a proof of possession) says so in its type. */
static bool type_fits(const struct json_node *header)
{
    static const struct span known[] = { SPAN_INIT("JWT"), SPAN_INIT("at+jwt"),
                                         SPAN_INIT("JOSE") };
    const struct json_node *node = json_member(header, SPAN("typ"));
    struct span type = json_string(node);

    if (node == NULL) {
        return true;
    }
    if (span_starts_nocase(type, SPAN("application/"))) {
        type = span_after(type, strlen("application/"));
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (span_equal_nocase(type, known[i])) {
            return true;
        }
    }
    return false;
}

/* Extensions that have to be understood, and keys that the token itself brings along or
 * wants to have fetched. */
static bool header_asks_too_much(const struct json_node *header)
{
    return json_member(header, SPAN("crit")) != NULL ||
           json_member(header, SPAN("jwk")) != NULL ||
           json_member(header, SPAN("jku")) != NULL ||
           json_member(header, SPAN("x5u")) != NULL;
}

static bool header_fits(const struct json_node *header)
{
    const struct json_node *id = json_member(header, SPAN("kid"));

    return json_string(json_member(header, SPAN("alg"))).len > 0 &&
           (id == NULL || json_string(id).len > 0) && type_fits(header) &&
           !header_asks_too_much(header);
}

enum jwt_verdict jwt_take_apart(struct span text, struct arena *arena, struct jwt *jwt)
{
    struct span parts[PARTS], header;

    if (text.len > JWT_BYTES_MAX || !parts_cut(text, parts)) {
        return JWT_MALFORMED;
    }
    header = base64url_read(parts[0], arena);
    jwt->payload = base64url_read(parts[1], arena);
    jwt->signature = base64url_read(parts[2], arena);
    jwt->signed_text = span_of(text.at, parts[0].len + 1 + parts[1].len);
    if (header.at == NULL || jwt->payload.at == NULL || jwt->signature.at == NULL ||
        jwt->signature.len == 0) {
        return JWT_MALFORMED;
    }
    jwt->header = json_tree_read(header, arena);
    return header_fits(jwt->header) ? JWT_GOOD : JWT_MALFORMED;
}

enum jwt_verdict jwt_verify(const struct jwt *jwt, const struct jwks *jwks)
{
    struct span id = json_string(json_member(jwt->header, SPAN("kid")));
    struct span algorithm = json_string(json_member(jwt->header, SPAN("alg")));
    const struct jwk *jwk = jwks_find(jwks, id, algorithm);

    if (jwk == NULL) {
        return id.len > 0 && !jwks_knows(jwks, id) ? JWT_UNKNOWN_KEY
                                                   : JWT_BAD_SIGNATURE;
    }
    return jwk_verify(jwk, jwt->signed_text, jwt->signature) ? JWT_GOOD
                                                             : JWT_BAD_SIGNATURE;
}

/* A NumericDate: seconds, whose fraction is dropped. */
static bool seconds_of(const struct json_node *node, int64_t *seconds)
{
    uint64_t value;
    struct span whole, fraction;

    if (node == NULL || node->kind != JSON_NUMBER) {
        return false;
    }
    fraction = node->text;
    if (!span_next(&fraction, '.', &whole) || whole.len > SECONDS_DIGITS_MAX ||
        !span_decimal(whole, &value) || span_find(fraction, 'e') != fraction.len ||
        span_find(fraction, 'E') != fraction.len) {
        return false;
    }
    *seconds = (int64_t)value;
    return true;
}

/* A moment that is absent or not after `limit`. */
static bool has_come(const struct json_node *claims, struct span name, int64_t limit)
{
    const struct json_node *node = json_member(claims, name);
    int64_t moment;

    return node == NULL || (seconds_of(node, &moment) && moment <= limit);
}

static bool is_among(struct span audience, const char *const *wanted)
{
    for (; *wanted != NULL; wanted++) {
        if (span_equal(audience, span_text(*wanted))) {
            return true;
        }
    }
    return false;
}

static bool audience_fits(const struct json_node *audience, const char *const *wanted)
{
    if (audience == NULL || audience->kind != JSON_ARRAY) {
        return is_among(json_string(audience), wanted);
    }
    for (const struct json_node *node = audience->first; node != NULL;
         node = node->next) {
        if (is_among(json_string(node), wanted)) {
            return true;
        }
    }
    return false;
}

enum jwt_verdict jwt_judge(const struct json_node *claims,
                           const struct jwt_rules *rules, int64_t *expires)
{
    struct span issuer = json_string(json_member(claims, SPAN("iss")));

    if (!span_equal(issuer, span_text(rules->issuer))) {
        return JWT_OTHER_ISSUER;
    }
    if (!audience_fits(json_member(claims, SPAN("aud")), rules->audience)) {
        return JWT_OTHER_AUDIENCE;
    }
    if (!seconds_of(json_member(claims, SPAN("exp")), expires) ||
        *expires + rules->leeway <= rules->now) {
        return JWT_EXPIRED;
    }
    return has_come(claims, SPAN("nbf"), rules->now + rules->leeway) &&
                   has_come(claims, SPAN("iat"), rules->now + rules->leeway)
               ? JWT_GOOD
               : JWT_NOT_YET;
}

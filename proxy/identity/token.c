#include "proxy/identity/token.h"

#include "proxy/base/text.h"
#include "proxy/identity/jwt.h"

/* More than TAGS_MAX claims can come to. */
enum { CLAIMED_TAGS_SIZE = 18 * MEMBER_TAGS_SIZE };

static bool issuer_find(const struct trust *trust, struct span name, size_t *index)
{
    for (size_t i = 0; i < trust->issuer_count; i++) {
        if (span_equal(span_text(trust->issuers[i].issuer), name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Without keys nothing can be said of a token, whoever asked for them last. */
static enum fault signature_check(const struct jwt *jwt, const struct trust *trust,
                                  size_t index)
{
    const struct jwks *keys = trust->issuer_keys[index];
    enum jwt_verdict verdict = keys == NULL ? JWT_UNKNOWN_KEY : jwt_verify(jwt, keys);

    if (verdict == JWT_UNKNOWN_KEY &&
        (jwks_keeper_want(trust->keeper, index) || keys == NULL)) {
        return FAULT_KEYS_PENDING;
    }
    return verdict == JWT_GOOD ? FAULT_NONE : FAULT_BAD_CREDENTIAL;
}

static enum fault claims_check(const struct json_node *claims,
                               const struct config_issuer *issuer, int64_t now,
                               int64_t *expires)
{
    const struct jwt_rules rules = { .issuer = issuer->issuer,
                                     .audience = issuer->audience,
                                     .now = now,
                                     .leeway = issuer->leeway_ms / 1000 };

    switch (jwt_judge(claims, &rules, expires)) {
    case JWT_GOOD:
        *expires += rules.leeway;
        return FAULT_NONE;
    case JWT_EXPIRED:
        return FAULT_TOKEN_EXPIRED;
    case JWT_OTHER_AUDIENCE:
        return FAULT_TOKEN_AUDIENCE;
    case JWT_MALFORMED:
    case JWT_UNKNOWN_KEY:
    case JWT_BAD_SIGNATURE:
    case JWT_NOT_YET:
    case JWT_OTHER_ISSUER:
        break;
    }
    return FAULT_BAD_CREDENTIAL;
}

/* ---- what the claims say --------------------------------------------------------- */

static const struct member *claimed_team(const struct json_node *claim,
                                         const struct directory *directory)
{
    const struct member *team = NULL;

    if (claim == NULL || claim->kind != JSON_ARRAY) {
        return directory_team(directory, json_string(claim));
    }
    for (const struct json_node *node = claim->first; node != NULL && team == NULL;
         node = node->next) {
        team = directory_team(directory, json_string(node));
    }
    return team;
}

static bool is_tag_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f ||
            value.at[i] == ',' || value.at[i] == '=') {
            return false;
        }
    }
    return value.len > 0;
}

/* Claims that are no texts or numbers make no tag. Of a value that is longer than all
 * tags may be, so much is taken that it is seen to be left out. */
static void claimed_tags(const struct json_node *claims,
                         const struct config_issuer *issuer, struct text *tags)
{
    for (size_t i = 0; i < issuer->tag_count; i++) {
        const struct config_pair *tag = &issuer->tags[i];
        const struct json_node *claim = json_at(claims, span_text(tag->value));
        struct span value = claim != NULL && claim->kind == JSON_NUMBER
                                ? claim->text
                                : json_string(claim);

        if (is_tag_value(value)) {
            text_put(tags, tags->len == 0 ? SPAN("") : SPAN(","));
            text_put(tags, span_text(tag->name));
            text_put(tags, SPAN("="));
            text_put(tags, span_of(value.at, value.len < MEMBER_TAGS_SIZE
                                                 ? value.len
                                                 : MEMBER_TAGS_SIZE));
        }
    }
}

static enum fault claims_resolve(const struct json_node *claims,
                                 const struct config_issuer *issuer,
                                 const struct directory *directory,
                                 struct known_caller *caller)
{
    SCRATCH char memory[CLAIMED_TAGS_SIZE];
    struct text tags = text_over(memory, sizeof memory);
    struct subject subject = {
        .method = "jwt",
        .issuer = issuer->name,
        .name = json_string(json_at(claims, span_text(issuer->caller_claim))),
        .default_team = issuer->default_team,
    };

    if (issuer->team_claim != NULL) {
        subject.team =
            claimed_team(json_at(claims, span_text(issuer->team_claim)), directory);
    }
    claimed_tags(claims, issuer, &tags);
    subject.tags = text_span(&tags);
    return subject_resolve(&subject, directory, caller);
}

enum fault token_verify(struct span token, const struct trust *trust, int64_t now,
                        struct arena *arena, struct known_caller *caller,
                        int64_t *expires)
{
    const struct json_node *claims;
    struct jwt jwt;
    size_t index;
    enum fault fault;

    if (jwt_take_apart(token, arena, &jwt) != JWT_GOOD) {
        return FAULT_BAD_CREDENTIAL;
    }
    claims = json_tree_read(jwt.payload, arena);
    if (!issuer_find(trust, json_string(json_member(claims, SPAN("iss"))), &index)) {
        return FAULT_BAD_CREDENTIAL;
    }
    fault = signature_check(&jwt, trust, index);
    if (fault == FAULT_NONE) {
        fault = claims_check(claims, &trust->issuers[index], now, expires);
    }
    return fault != FAULT_NONE ? fault
                               : claims_resolve(claims, &trust->issuers[index],
                                                trust->directory, caller);
}

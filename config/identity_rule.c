#include "config/identity_rule.h"

#include "config/load.h"
#include "config/nearest.h"

#include <errno.h>
#include <unistd.h>

struct identity_checker {
    const struct config *config;
    const struct validation *validation;
    struct error *error;
};

static struct error_place at(const struct identity_checker *checker, const void *member,
                             struct error_place otherwise)
{
    return config_place(checker->config, member, otherwise);
}

bool identity_rule_takes(const struct config_listener *listener,
                         enum config_identify identify)
{
    return memchr(listener->identify.at, (int)identify, listener->identify.count) !=
           NULL;
}

static bool names_team(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->team_count; i++) {
        if (strcmp(config->teams[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_team(const struct identity_checker *checker, const char *const *team,
                       struct error_place otherwise)
{
    const struct config *config = checker->config;
    struct nearest nearest;

    if (*team == NULL || names_team(config, *team)) {
        return;
    }
    nearest = nearest_to(*team);
    for (size_t i = 0; i < config->team_count; i++) {
        nearest_offer(&nearest, config->teams[i].name);
    }
    error_add(checker->error, at(checker, team, otherwise),
              nearest.word == NULL ? "no team is called '%s'%s"
                                   : "no team is called '%s'; did you mean '%s'?",
              *team, nearest.word == NULL ? "" : nearest.word);
}

/* ---- listeners ------------------------------------------------------------------- */

static void check_clients(const struct identity_checker *checker,
                          const struct config_tls *tls, struct error_place place)
{
    if (tls->client_crl != NULL && tls->client_ca == NULL) {
        error_add(checker->error, at(checker, &tls->client_crl, place),
                  "a revocation list needs the authorities it is of: 'ca'");
    }
}

static void check_identify(const struct identity_checker *checker,
                           const struct config_listener *listener)
{
    struct error_place place = at(checker, &listener->identify, listener->place);
    bool header = identity_rule_takes(listener, IDENTIFY_HEADER);

    if (identity_rule_takes(listener, IDENTIFY_JWT) &&
        checker->config->issuer_count == 0) {
        error_add(checker->error, place,
                  "tokens cannot be verified here: there is no 'issuers'");
    }
    if (identity_rule_takes(listener, IDENTIFY_CERTIFICATE) &&
        listener->tls.client_ca == NULL) {
        error_add(checker->error, place,
                  "certificates cannot be verified here: there is no 'tls' with "
                  "'clients: {ca: ...}'");
    }
    if (header && listener->trusted_header.name == NULL) {
        error_add(checker->error, place,
                  "no header can be trusted here: there is no 'trusted_header'");
    }
    if (!header && listener->trusted_header.name != NULL) {
        error_add(checker->error,
                  at(checker, &listener->trusted_header.name, listener->place),
                  "a header is trusted, but 'identify' does not list 'header'");
    }
}

static bool is_credential_field(const char *name)
{
    static const char *const fields[] = { "authorization",  "x-api-key",   "api-key",
                                          "x-goog-api-key", "x-assay-key", NULL };

    for (const char *const *field = fields; *field != NULL; field++) {
        if (strcmp(*field, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_header(const struct identity_checker *checker,
                         const struct config_listener *listener)
{
    const struct config_trusted_header *header = &listener->trusted_header;
    struct error_place place = at(checker, &header->name, listener->place);

    if (header->name == NULL) {
        return;
    }
    if (is_credential_field(header->name)) {
        error_add(checker->error, place,
                  "'%s' carries credentials; a proxy's word needs another field",
                  header->name);
    }
    if (strchr(header->name, '_') != NULL ||
        (header->team != NULL && strchr(header->team, '_') != NULL)) {
        error_add(checker->error, place,
                  "write the field's name with dashes: underscores mean the same to "
                  "many servers");
    }
    for (size_t i = 0; i < header->from.count; i++) {
        if (header->from.at[i].local != (listener->address.path != NULL)) {
            error_add(checker->error, at(checker, &header->from, place),
                      listener->address.path != NULL
                          ? "on a Unix socket only 'unix' can be trusted"
                          : "'unix' is of a Unix socket, which this listener is not");
            return;
        }
    }
}

/* Whoever may take what nobody can verify: an issuer that no listener asks for. */
static void check_asked(const struct identity_checker *checker)
{
    const struct config *config = checker->config;

    for (size_t i = 0; i < config->listener_count; i++) {
        if (identity_rule_takes(&config->listeners[i], IDENTIFY_JWT)) {
            return;
        }
    }
    if (config->issuer_count > 0) {
        error_add(checker->error, config->issuers[0].place,
                  "no listener takes tokens: write identify: [key, jwt] at one");
    }
}

/* ---- issuers --------------------------------------------------------------------- */

static void check_jwks(const struct identity_checker *checker,
                       const struct config_issuer *issuer)
{
    const struct config_jwks *jwks = &issuer->jwks;
    struct error_place place = at(checker, jwks, issuer->place);

    if (jwks->url.host != NULL && !jwks->url.tls && !jwks->url.loopback) {
        error_add(checker->error, place,
                  "keys are fetched by https only: '%s' is not loopback",
                  jwks->url.host);
    }
    if (jwks->file != NULL && checker->validation->look_at_files &&
        access(jwks->file, R_OK) != 0) {
        error_add(checker->error, place, "'%s' cannot be read: %s", jwks->file,
                  strerror(errno));
    }
    if (issuer->ca != NULL && !jwks->url.tls) {
        error_add(checker->error, at(checker, &issuer->ca, issuer->place),
                  "'ca' is of keys that are fetched by https");
    }
}

static bool is_rsa_algorithm(const char *name)
{
    static const char *const names[] = { "RS256", "RS384", "RS512", "PS256",
                                         "PS384", "PS512", NULL };

    for (const char *const *known = names; *known != NULL; known++) {
        if (strcmp(*known, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_issuer(const struct identity_checker *checker,
                         const struct config_issuer *issuer)
{
    check_jwks(checker, issuer);
    check_team(checker, &issuer->default_team, issuer->place);
    if (issuer->rsa_algorithm != NULL && !is_rsa_algorithm(issuer->rsa_algorithm)) {
        error_add(checker->error, at(checker, &issuer->rsa_algorithm, issuer->place),
                  "'%.60s' is not RS256, RS384, RS512, PS256, PS384 or PS512",
                  issuer->rsa_algorithm);
    }
    for (const struct config_issuer *other = checker->config->issuers; other < issuer;
         other++) {
        if (issuer->issuer != NULL && other->issuer != NULL &&
            strcmp(issuer->issuer, other->issuer) == 0) {
            error_add(checker->error, at(checker, &issuer->issuer, issuer->place),
                      "two issuers have the iss '%.60s'", issuer->issuer);
        }
    }
}

/* ---- teams ----------------------------------------------------------------------- */

static void check_tags(const struct identity_checker *checker,
                       const struct config_pair *tags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strpbrk(tags[i].name, "=,") != NULL) {
            error_add(checker->error, tags[i].place,
                      "the tag '%.60s' has '=' or ',' in its name", tags[i].name);
        }
    }
}

/* What is written for tags together, and a comma each: at most what a record has room
 * for. */
static void check_room(const struct identity_checker *checker,
                       const struct config_pair *tags, size_t count, bool values)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += strlen(tags[i].name) + (values ? strlen(tags[i].value) : 0) + 2;
        if (size > CONFIG_TAGS_SIZE) {
            error_add(checker->error, tags[i].place,
                      "the tags take more than the %d characters that a record has for "
                      "them%s",
                      CONFIG_TAGS_SIZE - 1, values ? "" : ", without a value yet");
            return;
        }
    }
}

static void check_tag_values(const struct identity_checker *checker,
                             const struct config_team *team)
{
    for (size_t i = 0; i < team->tag_count; i++) {
        if (strpbrk(team->tags[i].value, "=,") != NULL) {
            error_add(checker->error, team->tags[i].place,
                      "the value of '%.60s' has '=' or ',' in it", team->tags[i].name);
        }
    }
}

static bool holds(const char *const *names, const char *name)
{
    while (names != NULL && *names != NULL) {
        if (strcmp(*names++, name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_aliases(const struct identity_checker *checker,
                          const struct config_team *team)
{
    for (size_t i = 0; i < team->alias_count; i++) {
        const struct config_pair *alias = &team->aliases[i];

        if (!holds(team->callers, alias->value) &&
            !holds(team->services, alias->value)) {
            error_add(checker->error, alias->place,
                      "'%.60s' is neither a caller nor a service of team '%.60s'",
                      alias->value, team->name);
        }
    }
}

static void check_services(const struct identity_checker *checker,
                           const struct config_team *team)
{
    for (size_t i = 0; team->services != NULL && team->services[i] != NULL; i++) {
        if (holds(team->callers, team->services[i])) {
            error_add(checker->error, at(checker, &team->services[i], team->place),
                      "'%s' is a caller and a service of team '%.60s'",
                      team->services[i], team->name);
        }
    }
}

/* ---- the admin port -------------------------------------------------------------- */

static void check_user(const struct identity_checker *checker,
                       const struct config_admin_user *user)
{
    const struct config *config = checker->config;
    bool token =
        config_place(config, &user->token, (struct error_place){ 0 }).line != 0;

    if (token == (user->certificate != NULL)) {
        error_add(checker->error, user->place,
                  "user '%.60s' needs a 'token' or a 'certificate'%s", user->name,
                  token ? ", not both" : "");
    }
    if (user->certificate != NULL && config->admin_tls.client_ca == NULL) {
        error_add(checker->error, at(checker, &user->certificate, user->place),
                  "admin asks for no certificates: there is no 'tls' with 'clients'");
    }
    if ((user->role == ROLE_LEAD) != (user->team != NULL)) {
        error_add(checker->error, at(checker, &user->team, user->place),
                  user->role == ROLE_LEAD ? "a lead needs the 'team' that he leads"
                                          : "only a lead has a 'team'");
    }
    check_team(checker, &user->team, user->place);
}

static void check_admin(const struct identity_checker *checker)
{
    const struct config *config = checker->config;
    const struct config_address *admin = &config->admin;
    struct error_place place =
        at(checker, admin, (struct error_place){ .file = config->file });

    check_clients(checker, &config->admin_tls, place);
    for (size_t i = 0; i < config->admin_user_count; i++) {
        check_user(checker, &config->admin_users[i]);
    }
    if (!config->admin_on || admin->host == NULL || admin->loopback) {
        return;
    }
    if (config->admin_user_count == 0) {
        error_add(checker->error, place,
                  "the admin port asks nobody who he is; beyond loopback (%s) it "
                  "needs 'users'",
                  admin->text);
    }
    if (config->admin_tls.certificate_count == 0) {
        error_add(checker->error, place,
                  "beyond loopback (%s) the admin port needs 'tls': tokens and what "
                  "it tells would be read on the way",
                  admin->text);
    }
}

void identity_rules_validate(const struct config *config,
                             const struct validation *validation)
{
    struct identity_checker checker = { config, validation, validation->error };

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];

        check_identify(&checker, listener);
        check_header(&checker, listener);
        check_clients(&checker, &listener->tls, listener->place);
        check_team(&checker, &listener->default_team, listener->place);
    }
    for (size_t i = 0; i < config->issuer_count; i++) {
        check_issuer(&checker, &config->issuers[i]);
        check_tags(&checker, config->issuers[i].tags, config->issuers[i].tag_count);
        check_room(&checker, config->issuers[i].tags, config->issuers[i].tag_count,
                   false);
    }
    for (size_t i = 0; i < config->team_count; i++) {
        const struct config_team *team = &config->teams[i];

        check_tags(&checker, team->tags, team->tag_count);
        check_tag_values(&checker, team);
        check_room(&checker, team->tags, team->tag_count, true);
        check_aliases(&checker, team);
        check_services(&checker, team);
    }
    check_asked(&checker);
    check_admin(&checker);
}

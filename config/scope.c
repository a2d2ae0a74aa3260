#include "config/scope.h"

#include "config/load.h"
#include "config/nearest.h"

/* ---- which calls ----------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool scope_fits_name(struct span pattern, struct span model)
{
    size_t p = 0, m = 0;
    size_t star = SIZE_MAX, resume = 0; /* behind the last *, and what it stands for */

    while (m < model.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = ++p;
            resume = m;
        } else if (p < pattern.len && lower(pattern.at[p]) == lower(model.at[m])) {
            p++;
            m++;
        } else if (star != SIZE_MAX) {
            p = star;
            m = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static bool is_pattern(const char *model)
{
    return strchr(model, '*') != NULL;
}

static bool words_meet(const char *one, const char *other)
{
    return one == NULL || other == NULL || strcmp(one, other) == 0;
}

/* 0: any. */
static bool choices_meet(unsigned one, unsigned other)
{
    return one == 0 || other == 0 || one == other;
}

static bool models_meet(const char *one, const char *other)
{
    if (one == NULL || other == NULL || (is_pattern(one) && is_pattern(other))) {
        return true;
    }
    return is_pattern(one) ? scope_fits_name(span_text(one), span_text(other))
                           : scope_fits_name(span_text(other), span_text(one));
}

bool scopes_meet(const struct config_scope *one, const struct config_scope *other)
{
    return words_meet(one->team, other->team) &&
           words_meet(one->caller, other->caller) &&
           words_meet(one->provider, other->provider) &&
           words_meet(one->tool, other->tool) && words_meet(one->mode, other->mode) &&
           models_meet(one->model, other->model) &&
           choices_meet(one->service, other->service) &&
           choices_meet(one->grade, other->grade);
}

/* ---- rules ----------------------------------------------------------------------- */

struct scope_checker {
    const struct config *config;
    const struct config_scope *scope;
    struct error_place place;
    struct error *error;
};

static struct error_place at(const struct scope_checker *checker, const void *member)
{
    return config_place(checker->config, member, checker->place);
}

static const struct config_team *team_named(const struct config *config,
                                            const char *name)
{
    for (size_t i = 0; i < config->team_count; i++) {
        if (strcmp(config->teams[i].name, name) == 0) {
            return &config->teams[i];
        }
    }
    return NULL;
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

static bool has_caller(const struct config_team *team, const char *name)
{
    return holds(team->callers, name) || holds(team->services, name);
}

/* Can there be callers whom no team of the configuration lists? */
static bool knows_others(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].default_team != NULL ||
            config->listeners[i].trusted_header.team != NULL) {
            return true;
        }
    }
    return config->issuer_count > 0;
}

/* "no team is called 'X'", with the nearest word that there is. */
static void tell_nothing(const struct scope_checker *checker, const void *member,
                         const char *what, const struct nearest *nearest)
{
    const char *name = *(const char *const *)member;

    if (nearest->word == NULL) {
        error_add(checker->error, at(checker, member), "no %s is called '%s'", what,
                  name);
    } else {
        error_add(checker->error, at(checker, member),
                  "no %s is called '%s'; did you mean '%s'?", what, name,
                  nearest->word);
    }
}

static void check_team(const struct scope_checker *checker)
{
    const struct config *config = checker->config;
    const char *const *team = &checker->scope->team;
    struct nearest nearest;

    if (*team == NULL || team_named(config, *team) != NULL) {
        return;
    }
    nearest = nearest_to(*team);
    for (size_t i = 0; i < config->team_count; i++) {
        nearest_offer(&nearest, config->teams[i].name);
    }
    tell_nothing(checker, team, "team", &nearest);
}

static void check_caller(const struct scope_checker *checker)
{
    const struct config *config = checker->config;
    const struct config_scope *scope = checker->scope;
    struct nearest nearest;

    if (scope->caller == NULL) {
        return;
    }
    nearest = nearest_to(scope->caller);
    for (size_t i = 0; i < config->team_count; i++) {
        const struct config_team *team = &config->teams[i];

        if (scope->team != NULL && strcmp(scope->team, team->name) != 0) {
            continue;
        }
        if (has_caller(team, scope->caller)) {
            return;
        }
        for (size_t k = 0; team->callers != NULL && team->callers[k] != NULL; k++) {
            nearest_offer(&nearest, team->callers[k]);
        }
    }
    if (knows_others(config)) {
        return;
    }
    tell_nothing(checker, &scope->caller,
                 scope->team == NULL ? "caller" : "caller of that team", &nearest);
}

static void check_provider(const struct scope_checker *checker)
{
    const struct config *config = checker->config;
    const char *const *provider = &checker->scope->provider;
    struct nearest nearest;

    if (*provider == NULL) {
        return;
    }
    nearest = nearest_to(*provider);
    for (size_t i = 0; i < config->provider_count; i++) {
        if (strcmp(config->providers[i].name, *provider) == 0) {
            return;
        }
        nearest_offer(&nearest, config->providers[i].name);
    }
    tell_nothing(checker, provider, "provider", &nearest);
}

void scope_validate(const struct config *config, const struct config_scope *scope,
                    struct error_place place, struct error *error)
{
    struct scope_checker checker = { config, scope, place, error };

    check_team(&checker);
    check_caller(&checker);
    check_provider(&checker);
}

#include "config/quota_rule.h"

#include "config/load.h"
#include "config/nearest.h"

/* ---- which calls ---------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool quota_rule_fits_model(struct span pattern, struct span model)
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

static bool models_meet(const char *one, const char *other)
{
    if (one == NULL || other == NULL || (is_pattern(one) && is_pattern(other))) {
        return true;
    }
    return is_pattern(one) ? quota_rule_fits_model(span_text(one), span_text(other))
                           : quota_rule_fits_model(span_text(other), span_text(one));
}

bool quota_rules_meet(const struct config_quota *one, const struct config_quota *other)
{
    return words_meet(one->team, other->team) &&
           words_meet(one->caller, other->caller) &&
           words_meet(one->provider, other->provider) &&
           words_meet(one->tool, other->tool) && words_meet(one->mode, other->mode) &&
           models_meet(one->model, other->model);
}

/* ---- rules ---------------------------------------------------------------------------- */

struct quota_checker {
    const struct config *config;
    const struct config_quota *quota;
    struct error *error;
};

static struct error_place at(const struct quota_checker *checker, const void *member)
{
    return config_place(checker->config, member, checker->quota->place);
}

static bool is_written(const struct quota_checker *checker, const void *member)
{
    return config_place(checker->config, member, (struct error_place){ 0 }).line != 0;
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

static bool has_caller(const struct config_team *team, const char *name)
{
    for (size_t i = 0; team->callers != NULL && team->callers[i] != NULL; i++) {
        if (strcmp(team->callers[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* "no team is called 'X'", with the nearest word that there is. */
static void tell_nothing(const struct quota_checker *checker, const void *member,
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

static void check_team(const struct quota_checker *checker)
{
    const struct config *config = checker->config;
    const char *const *team = &checker->quota->team;
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

static void check_caller(const struct quota_checker *checker)
{
    const struct config *config = checker->config;
    const struct config_quota *quota = checker->quota;
    struct nearest nearest;

    if (quota->caller == NULL) {
        return;
    }
    nearest = nearest_to(quota->caller);
    for (size_t i = 0; i < config->team_count; i++) {
        const struct config_team *team = &config->teams[i];

        if (quota->team != NULL && strcmp(quota->team, team->name) != 0) {
            continue;
        }
        if (has_caller(team, quota->caller)) {
            return;
        }
        for (size_t k = 0; team->callers != NULL && team->callers[k] != NULL; k++) {
            nearest_offer(&nearest, team->callers[k]);
        }
    }
    tell_nothing(checker, &quota->caller,
                 quota->team == NULL ? "caller" : "caller of that team", &nearest);
}

static void check_provider(const struct quota_checker *checker)
{
    const struct config *config = checker->config;
    const char *const *provider = &checker->quota->provider;
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

static void check_period(const struct quota_checker *checker)
{
    const struct config_quota *quota = checker->quota;
    const struct config_period *period = &quota->period;
    bool concurrent = quota->limit.unit == LIMIT_CONCURRENT;

    if (quota->limit.amount == 0) {
        return;
    }
    if (concurrent && is_written(checker, period)) {
        error_add(checker->error, at(checker, period),
                  "a limit of concurrent calls has no 'per': it holds at every moment");
    }
    if (concurrent && quota->warn != NULL) {
        error_add(checker->error, at(checker, &quota->warn),
                  "a limit of concurrent calls has no share to warn at");
    }
    if (quota->timezone != NULL && (concurrent || period->unit == PERIOD_ROLLING)) {
        error_add(checker->error, at(checker, &quota->timezone),
                  "there is no calendar here that a time zone could change");
    }
    if (!concurrent && !is_written(checker, period)) {
        error_add(checker->error, quota->place,
                  "quota '%.60s' needs 'per': minute, hour, day, week, month or such "
                  "as "
                  "rolling 5h",
                  quota->name == NULL ? "" : quota->name);
    }
}

static void check_name(const struct quota_checker *checker)
{
    const struct config_quota *quota = checker->quota;

    for (const struct config_quota *other = checker->config->quotas; other < quota;
         other++) {
        if (quota->name != NULL && other->name != NULL &&
            strcmp(quota->name, other->name) == 0) {
            error_add(checker->error, at(checker, &quota->name),
                      "two quotas are called '%s'", quota->name);
            return;
        }
    }
}

static void check_meeting(const struct quota_checker *checker)
{
    const struct config *config = checker->config;
    size_t count = 0;

    for (size_t i = 0; i < config->quota_count; i++) {
        count += quota_rules_meet(checker->quota, &config->quotas[i]);
    }
    if (count > QUOTAS_MET_MAX) {
        error_add(checker->error, checker->quota->place,
                  "%zu quotas may count the same call; at most %d can", count,
                  QUOTAS_MET_MAX);
    }
}

void quota_rules_validate(const struct config *config,
                          const struct validation *validation)
{
    struct quota_checker checker = { .config = config, .error = validation->error };

    for (size_t i = 0; i < config->quota_count; i++) {
        checker.quota = &config->quotas[i];
        check_name(&checker);
        check_team(&checker);
        check_caller(&checker);
        check_provider(&checker);
        check_period(&checker);
        check_meeting(&checker);
    }
}

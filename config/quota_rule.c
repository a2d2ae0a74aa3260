#include "config/quota_rule.h"

#include "config/load.h"
#include "config/scope.h"

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

static void check_burst(const struct quota_checker *checker)
{
    const struct config_quota *quota = checker->quota;
    const struct config_limit *burst = &quota->burst;

    if (burst->amount == 0 || quota->limit.amount == 0) {
        return;
    }
    if (burst->unit != quota->limit.unit) {
        error_add(checker->error, at(checker, burst),
                  "burst and limit are not of the same kind: '%s' and '%s'",
                  burst->text, quota->limit.text);
    } else if (burst->amount > quota->limit.amount) {
        error_add(checker->error, at(checker, burst),
                  "a burst of %s is more than the limit of %s", burst->text,
                  quota->limit.text);
    }
    if (quota->period.unit == PERIOD_NONE || quota->period.unit == PERIOD_ROLLING) {
        error_add(checker->error, at(checker, burst),
                  "a burst needs windows, such as per day: their pace is what it is "
                  "ahead of");
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
        count += scopes_meet(&checker->quota->scope, &config->quotas[i].scope);
    }
    if (count > QUOTAS_MET_MAX) {
        error_add(checker->error, checker->quota->place,
                  "%zu quotas may count the same call; at most %d can", count,
                  QUOTAS_MET_MAX);
    }
}

/* Behind one that fits any model, others never count. */
static void check_weights(const struct config *config, struct error *error)
{
    for (size_t i = 1; i < config->weights_count; i++) {
        if (config->weights[i - 1].model == NULL) {
            error_add(error, config->weights[i].place,
                      "the weights before these fit any model: put them last");
        }
    }
}

void quota_rules_validate(const struct config *config,
                          const struct validation *validation)
{
    struct quota_checker checker = { .config = config, .error = validation->error };

    for (size_t i = 0; i < config->quota_count; i++) {
        checker.quota = &config->quotas[i];
        check_name(&checker);
        scope_validate(config, &checker.quota->scope, checker.quota->place,
                       validation->error);
        check_period(&checker);
        check_burst(&checker);
        check_meeting(&checker);
    }
    check_weights(config, validation->error);
}

/* ---- permits --------------------------------------------------------------------- */

static void check_permit_name(const struct config *config,
                              const struct config_permit *permit, struct error *error)
{
    for (const struct config_permit *other = config->permits; other < permit; other++) {
        if (permit->name != NULL && other->name != NULL &&
            strcmp(permit->name, other->name) == 0) {
            error_add(error, config_place(config, &permit->name, permit->place),
                      "two permits are called '%s'", permit->name);
            return;
        }
    }
}

void permit_rules_validate(const struct config *config,
                           const struct validation *validation)
{
    for (size_t i = 0; i < config->permit_count; i++) {
        const struct config_permit *permit = &config->permits[i];

        check_permit_name(config, permit, validation->error);
        scope_validate(config, &permit->scope, permit->place, validation->error);
        if (permit->models == NULL && permit->service_tiers == NULL &&
            permit->paid_tools == NULL && permit->max_output == 0) {
            error_add(validation->error, permit->place,
                      "permit '%.60s' restricts nothing: it needs models, max_output, "
                      "service_tiers or paid_tools",
                      permit->name == NULL ? "" : permit->name);
        }
    }
}

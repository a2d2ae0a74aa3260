#include "proxy/meter/quota_policy.h"

#include "config/limit.h"
#include "proxy/base/arena.h"
#include "proxy/base/date.h"
#include "proxy/meter/call_scope.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ARENA_BUDGET = 1 << 20, ROLLING_STEPS = 20 };

struct quota_policies {
    atomic_uint references;
    struct arena_pool pool;
    struct arena arena;     /* of all strings and weights */
    struct weights weights; /* all the policies' */
    size_t count;
    struct quota_policy policies[];
};

/* ---- compiling ------------------------------------------------------------------- */

static void keep(struct quota_policies *policies, const char **text)
{
    struct span copy;

    if (*text != NULL) {
        copy = arena_copy(&policies->arena, span_text(*text));
        CHECK(copy.at != NULL);
        *text = copy.at;
    }
}

static void keep_weights(struct quota_policies *policies, const struct config *config)
{
    size_t size = config->weights_count * sizeof config->weights[0];
    struct config_weights *rows;

    if (size == 0) {
        return;
    }
    rows = arena_take(&policies->arena, size);
    CHECK(rows != NULL);
    memcpy(rows, config->weights, size);
    for (size_t i = 0; i < config->weights_count; i++) {
        keep(policies, &rows[i].model);
    }
    policies->weights = (struct weights){ rows, config->weights_count };
}

static void keep_rule(struct quota_policies *policies, struct config_quota *rule)
{
    const char **texts[] = { &rule->name,         &rule->scope.team,
                             &rule->scope.caller, &rule->scope.provider,
                             &rule->scope.tool,   &rule->scope.mode,
                             &rule->scope.model,  &rule->limit.text,
                             &rule->burst.text,   &rule->period.text,
                             &rule->timezone,     &rule->contact };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        keep(policies, texts[i]);
    }
}

/* A name that is absent differs from every name that is there. */
static uint64_t mix(uint64_t hash, const char *text)
{
    return XXH3_64bits_withSeed(text, text == NULL ? 0 : strlen(text) + 1, hash);
}

/* Other weights make another count. */
static uint64_t mix_weights(uint64_t hash, const struct weights *weights)
{
    for (size_t i = 0; i < weights->count; i++) {
        const struct config_weights *row = &weights->rows[i];
        const uint32_t numbers[] = { row->input, row->cache_read, row->cache_write,
                                     row->cache_keep, row->output };

        hash = mix(XXH3_64bits_withSeed(numbers, sizeof numbers, hash), row->model);
    }
    return hash;
}

static uint64_t meaning_of(const struct config_quota *rule,
                           const struct weights *weights)
{
    const struct config_scope *scope = &rule->scope;
    const char *const texts[] = { rule->name,      scope->team,   scope->caller,
                                  scope->provider, scope->tool,   scope->mode,
                                  scope->model,    rule->timezone };
    const uint32_t numbers[] = { rule->each,        rule->limit.unit,
                                 rule->period.unit, rule->period.rolling_s,
                                 scope->service,    scope->grade };
    uint64_t hash = XXH3_64bits(numbers, sizeof numbers);

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        hash = mix(hash, texts[i]);
    }
    return rule->limit.unit == LIMIT_WEIGHTED ? mix_weights(hash, weights) : hash;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

static void read_warnings(struct quota_policy *policy)
{
    const char *const *warn = policy->rule.warn;
    size_t count = 0;

    for (; warn != NULL && warn[count] != NULL && count < QUOTA_WARNINGS_MAX; count++) {
        bool good = share_parse(span_text(warn[count]), &policy->warn[count]);

        CHECK(good);
    }
    qsort(policy->warn, count, sizeof policy->warn[0], by_number);
    policy->rule.warn = NULL;
}

/* The least amount that is this share of the limit. */
static uint64_t share_of(uint64_t limit, uint32_t percent)
{
    return limit / 100 * percent + (limit % 100 * percent + 99) / 100;
}

/* Nobody is told of a policy that only counts, or has no window. */
static void find_tellings(struct quota_policy *policy)
{
    const struct config_quota *rule = &policy->rule;

    if (rule->over == OVER_SHADOW || rule->period.unit == PERIOD_NONE) {
        return;
    }
    for (size_t i = 0; i < QUOTA_WARNINGS_MAX && policy->warn[i] != 0; i++) {
        if (policy->warn[i] < 100) {
            policy->telling[policy->telling_count++] =
                share_of(rule->limit.amount, policy->warn[i]);
        }
    }
    policy->telling[policy->telling_count++] = rule->limit.amount;
}

static bool compile(struct quota_policies *policies, const struct config_quota *rule,
                    struct error *error)
{
    struct quota_policy *policy = &policies->policies[policies->count++];
    const char *zone = rule->timezone == NULL ? "UTC" : rule->timezone;

    policy->rule = *rule;
    policy->weights = policies->weights;
    policy->meaning = meaning_of(rule, &policies->weights);
    policy->step_s = (rule->period.rolling_s + ROLLING_STEPS - 1) / ROLLING_STEPS;
    read_warnings(policy);
    find_tellings(policy);
    keep_rule(policies, &policy->rule);
    policy->zone = zone_load(zone);
    if (policy->zone == NULL) {
        error_add(error, rule->place, "time zone %s cannot be read", zone);
    }
    return policy->zone != NULL;
}

struct quota_policies *quota_policies_new(const struct config *config,
                                          struct error *error)
{
    struct quota_policies *policies =
        calloc(1, sizeof *policies + config->quota_count * sizeof(struct quota_policy));
    bool good = true;

    CHECK(policies != NULL);
    atomic_init(&policies->references, 1);
    arena_pool_init(&policies->pool, 0);
    arena_init(&policies->arena, &policies->pool, ARENA_BUDGET);
    keep_weights(policies, config);
    for (size_t i = 0; i < config->quota_count; i++) {
        good = compile(policies, &config->quotas[i], error) && good;
    }
    return good ? policies : quota_policies_unref(policies);
}

struct quota_policies *quota_policies_ref(struct quota_policies *policies)
{
    atomic_fetch_add_explicit(&policies->references, 1, memory_order_relaxed);
    return policies;
}

struct quota_policies *quota_policies_unref(struct quota_policies *policies)
{
    if (policies == NULL ||
        atomic_fetch_sub_explicit(&policies->references, 1, memory_order_acq_rel) > 1) {
        return NULL;
    }
    for (size_t i = 0; i < policies->count; i++) {
        zone_free(policies->policies[i].zone);
    }
    arena_done(&policies->arena);
    arena_pool_done(&policies->pool);
    free(policies);
    return NULL;
}

size_t quota_policies_count(const struct quota_policies *policies)
{
    return policies->count;
}

struct quota_policy *quota_policy_at(struct quota_policies *policies, size_t index)
{
    CHECK(index < policies->count);
    return &policies->policies[index];
}

/* ---- which calls ----------------------------------------------------------------- */

struct quota_policy *quota_policy_next(struct quota_policies *policies,
                                       const struct entry *call, size_t *index)
{
    while (*index < policies->count) {
        struct quota_policy *policy = &policies->policies[(*index)++];

        if (call_scope_fits(&policy->rule.scope, call)) {
            return policy;
        }
    }
    return NULL;
}

static bool needs_body(const struct config_quota *rule)
{
    return rule->scope.model != NULL || rule->each == EACH_SESSION ||
           rule->each == EACH_MODEL ||
           (rule->limit.unit != LIMIT_REQUESTS && rule->limit.unit != LIMIT_CONCURRENT);
}

bool quota_policies_need_body(const struct quota_policies *policies,
                              const struct entry *call)
{
    for (size_t i = 0; i < policies->count; i++) {
        const struct config_quota *rule = &policies->policies[i].rule;

        if (needs_body(rule) && call_scope_fits_sender(&rule->scope, call)) {
            return true;
        }
    }
    return false;
}

struct span quota_subject(const struct quota_policy *policy, const struct entry *call)
{
    switch (policy->rule.each) {
    case EACH_CALLER:
        return span_text(call->caller);
    case EACH_TEAM:
        return span_text(call->team);
    case EACH_KEY:
        return span_text(call->key);
    case EACH_SESSION:
        return span_text(call->session);
    case EACH_MODEL:
        return span_text(call->request_model);
    case EACH_ALL:
        break;
    }
    return SPAN("");
}

/* ---- windows --------------------------------------------------------------------- */

static int64_t floor_to(int64_t value, int64_t unit)
{
    int64_t rest = value % unit;

    return value - rest - (rest < 0 ? unit : 0);
}

/* Minutes and hours as the wall clock shows them. They do not go by zone_reach(): the
 * hour that a wall clock shows twice is two hours. */
static struct quota_window short_window(int64_t unix_s, int64_t local, int64_t length)
{
    int64_t begins = unix_s - (local - floor_to(local, length));

    return (struct quota_window){ begins, begins + length };
}

static struct quota_window month_window(const struct zone *zone, int64_t local)
{
    struct date date = date_of_days(floor_to(local, DATE_DAY_S) / DATE_DAY_S);
    struct date next;

    date.day = 1;
    next = date;
    next.year += date.month == 12 ? 1 : 0;
    next.month = date.month == 12 ? 1 : date.month + 1;
    return (struct quota_window){ zone_reach(zone, date_days(&date) * DATE_DAY_S),
                                  zone_reach(zone, date_days(&next) * DATE_DAY_S) };
}

static struct quota_window day_window(const struct zone *zone, int64_t local,
                                      int64_t days)
{
    const int64_t monday = -3 * (int64_t)DATE_DAY_S; /* 1969-12-29 */
    int64_t from = days == 7 ? monday : 0;
    int64_t begins = from + floor_to(local - from, days * DATE_DAY_S);

    return (struct quota_window){ zone_reach(zone, begins),
                                  zone_reach(zone, begins + days * DATE_DAY_S) };
}

struct quota_window quota_window_at(const struct quota_policy *policy, int64_t unix_s)
{
    int64_t local = zone_local(policy->zone, unix_s);

    switch (policy->rule.period.unit) {
    case PERIOD_MINUTE:
        return short_window(unix_s, local, 60);
    case PERIOD_HOUR:
        return short_window(unix_s, local, 60 * 60);
    case PERIOD_DAY:
        return day_window(policy->zone, local, 1);
    case PERIOD_WEEK:
        return day_window(policy->zone, local, 7);
    case PERIOD_MONTH:
        return month_window(policy->zone, local);
    case PERIOD_NONE:
    case PERIOD_ROLLING:
        break;
    }
    return (struct quota_window){ 0, 0 };
}

/* ---- words ----------------------------------------------------------------------- */

const char *quota_unit_name(enum config_limit_unit unit)
{
    static const char *const names[] = {
        [LIMIT_TOKENS] = "tokens",
        [LIMIT_INPUT] = "input_tokens",
        [LIMIT_OUTPUT] = "output_tokens",
        [LIMIT_NANOUSD] = "nanousd",
        [LIMIT_REQUESTS] = "requests",
        [LIMIT_CONCURRENT] = "concurrent",
        [LIMIT_WEIGHTED] = "weighted_tokens",
    };

    CHECK((size_t)unit < sizeof names / sizeof names[0]);
    return names[unit];
}

/* Dollars with as many decimals as it takes, at least two. */
static void put_dollars(struct text *text, uint64_t nanousd)
{
    uint64_t whole = nanousd / 1000000000, rest = nanousd % 1000000000;
    int places = 9;

    while (places > 2 && rest % 10 == 0) {
        rest /= 10;
        places--;
    }
    text_printf(text, "$%llu.%0*llu", (unsigned long long)whole, places,
                (unsigned long long)rest);
}

void quota_put_amount(struct text *text, enum config_limit_unit unit, uint64_t amount)
{
    static const char *const words[] = {
        [LIMIT_TOKENS] = "tokens",
        [LIMIT_INPUT] = "input tokens",
        [LIMIT_OUTPUT] = "output tokens",
        [LIMIT_REQUESTS] = "requests",
        [LIMIT_CONCURRENT] = "concurrent calls",
        [LIMIT_WEIGHTED] = "weighted tokens",
    };

    if (unit == LIMIT_NANOUSD) {
        put_dollars(text, amount);
    } else {
        text_printf(text, "%llu %s", (unsigned long long)amount, words[unit]);
    }
}

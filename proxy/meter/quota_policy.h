/* Quotas as they are applied: compiled from the configuration, immutable but for two
 * counters, and counted, for they outlive the configuration they came from. */
#ifndef ASSAY_METER_QUOTA_POLICY_H
#define ASSAY_METER_QUOTA_POLICY_H

#include "config/config.h"
#include "proxy/base/check.h"
#include "proxy/base/zone.h"
#include "proxy/meter/weight.h"

#include <stdatomic.h>

enum { QUOTA_WARNINGS_MAX = 8 };

/* Room for what a policy counts apart: a caller's name, a model's ... */
enum { QUOTA_SUBJECT_SIZE = 64 };

struct quota_policy {
    struct config_quota rule; /* its strings are the policies' own */
    struct weights weights;   /* for a limit of weighted tokens */
    struct zone *zone;
    uint64_t meaning; /* hash of all but the amount and what follows from crossing it:
                         policies of the same meaning share their counters */
    uint32_t number;  /* of its counters, from 1; see quota_adopt() */
    bool fresh; /* its counters are new, and the ledger was not read for them yet */
    uint32_t warn[QUOTA_WARNINGS_MAX]; /* percent, ascending; 0 behind the last */
    /* The amounts at which somebody is told, ascending: those of `warn`,
     * and the limit. */
    uint64_t telling[QUOTA_WARNINGS_MAX + 1];
    size_t telling_count;
    uint32_t step_s;                /* of a rolling period: what expires together */
    atomic_uint_least64_t refused;  /* calls */
    atomic_uint_least64_t exceeded; /* calls that crossed it and were let through */
};

struct quota_policies;

/* Compiles the quotas of a configuration, which config_load() found good. NULL and an
 * entry in *error where a time zone is gone. */
struct quota_policies *quota_policies_new(const struct config *config,
                                          struct error *error);
struct quota_policies *quota_policies_ref(struct quota_policies *policies);
/* Takes NULL; returns NULL. The last one frees them. */
struct quota_policies *quota_policies_unref(struct quota_policies *policies);

size_t quota_policies_count(const struct quota_policies *policies);
struct quota_policy *quota_policy_at(struct quota_policies *policies, size_t index);

/* The next policy that counts this call, from *index on, which is moved behind it; NULL
 * after the last. Reads who, which provider, model, tool and mode from the entry. */
struct quota_policy *quota_policy_next(struct quota_policies *policies,
                                       const struct entry *call, size_t *index);

/* Does a policy that may count this call need what only its body tells: the model, the
 * session, how many tokens it may use? Reads who and which provider from the entry. */
bool quota_policies_need_body(const struct quota_policies *policies,
                              const struct entry *call);

/* What the policy counts this call under: "" where it has one counter for all. */
struct span quota_subject(const struct quota_policy *policy, const struct entry *call);

/* When a counter begins and ends, as Unix time in seconds: a calendar window of the
 * policy's time zone. {0, 0} for periods that are not windows. */
struct quota_window {
    int64_t begins;
    int64_t ends; /* exclusive; 0: never */
};
struct quota_window quota_window_at(const struct quota_policy *policy, int64_t unix_s);

/* "tokens", "nanousd" ...: as in metrics. */
const char *quota_unit_name(enum config_limit_unit unit);

/* An amount as people read it: "1234567 tokens", "$12.50", "3 requests". */
void quota_put_amount(struct text *text, enum config_limit_unit unit, uint64_t amount);

#endif

/* Counters and histograms of what was metered: one shard per worker (its only writer),
 * summed by readers. Labels are bounded; people are in the ledger, not in labels. */
#ifndef ASSAY_METER_METRICS_H
#define ASSAY_METER_METRICS_H

#include "proxy/base/check.h"
#include "proxy/base/text.h"
#include "proxy/meter/entry.h"

struct metrics_shard;

/* States of an exchange that the in-flight gauges know by name. */
enum { METRICS_STATES_MAX = 16 };

/* At most `series_limit` label sets per shard; further ones fall into "_other" and are
 * counted in assay_series_overflow_total. NULL without memory. */
struct metrics_shard *metrics_shard_new(size_t series_limit);
struct metrics_shard *metrics_shard_free(struct metrics_shard *shard);

/* Owner: counts one settled exchange. */
void metrics_count(struct metrics_shard *shard, const struct entry *entry);

/* Owner: one exchange more (+1) or less (-1) in state number `state`. */
void metrics_in_flight(struct metrics_shard *shard, unsigned state, int change);

/* Plain counters of a shard, one row each in metrics.def:
 * METRIC(identifier, "exported_name", COUNTER or GAUGE, "help"). */
enum metric {
#define METRIC(identifier, name, type, help) METRIC_##identifier,
#include "proxy/meter/metrics.def"
#undef METRIC
    METRIC_COUNT
};

/* Owner: adds to a plain counter or gauge. */
void metrics_add(struct metrics_shard *shard, enum metric metric, int64_t amount);

/* Any thread: the sum of all shards in Prometheus' text format. `state_names` has an
 * entry per state, NULL at its end. Writes through `write` in pieces. */
void metrics_write(struct metrics_shard *const *shards, size_t count,
                   const char *const *state_names,
                   void (*write)(void *self, struct span piece), void *self);

#endif

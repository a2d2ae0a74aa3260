/* What tokens cost. Integers only: pico-dollars per token in the table,
 * nano-dollars per call. A model that is not in the table is unpriced, which is a
 * state and not $0. */
#ifndef ASSAY_METER_PRICE_H
#define ASSAY_METER_PRICE_H

#include "proxy/base/error.h"
#include "proxy/base/span.h"
#include "proxy/meter/usage.h"

/* Rates in pico-dollars (10^-12 USD) per token. A rate of PRICE_UNSET falls back:
 * cache classes to the input rate, reasoning to the output rate, modalities to
 * their class. A model without rates of input and output is charged by the length
 * of its audio only. */
#define PRICE_UNSET (-1)

struct price_rates {
    int64_t input, cache_read, cache_write, cache_write_30m, cache_write_1h,
        cache_write_12h;
    int64_t output, reasoning;
    int64_t input_audio, input_image, input_video, output_audio, output_image;
    int64_t audio_minute; /* micro-dollars (10^-6 USD) a minute of input; then audio's
                             tokens are not charged */
};

struct price_table;

/* Reads config/prices.yaml's format. NULL and entries in *error on failure; nothing of
 * a wrong file is used. */
struct price_table *price_table_load(const char *path, struct error *error);

/* Reads the community's model_prices_and_context_window.json and writes it to
 * `out` in prices.yaml's format. Models without token prices are left out; *taken
 * and *left count. */
bool price_table_import(const char *path, FILE *out, size_t *taken, size_t *left,
                        struct error *error);

struct price_table *price_table_free(struct price_table *table);

/* What identifies a price: the provider as configured (a provider-specific
 * price wins over a general one), the model, the service tier ("" is standard),
 * and the time, because prices have dates of validity. All input of the call
 * decides long-context tiers. */
struct price_key {
    struct span provider, model, service_tier;
    uint64_t at_unix_ns;
    uint64_t input_tokens;
};

/* While nobody looks anything up yet: a model without a price at this provider costs as
 * much as `model` from now on. false if that has no price then, or without memory. */
bool price_table_stand_in(struct price_table *table, struct span provider,
                          struct span model, uint64_t at_unix_ns);

/* The rates in force; false if the model is unpriced. Dated snapshots
 * ("gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929") fall back to their alias. */
bool price_find(const struct price_table *table, const struct price_key *key,
                struct price_rates *rates);

/* Do the rates say what this usage costs? Not those of tokens for what is told by its
 * length only, and the other way round. */
bool price_covers(const struct price_rates *rates, const struct usage *usage);

/* Cost in nano-dollars, rounded half up once, at the end; saturating. */
int64_t price_cost(const struct price_rates *rates, const struct usage *usage);

size_t price_table_count(const struct price_table *table);

#endif

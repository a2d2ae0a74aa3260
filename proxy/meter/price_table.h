/* What a price table is made of: shared by the files that fill it and that
 * look it up. */
#ifndef ASSAY_METER_PRICE_TABLE_H
#define ASSAY_METER_PRICE_TABLE_H

#include "proxy/base/arena.h"
#include "proxy/base/check.h"
#include "proxy/meter/price.h"

/* All rates of struct price_rates; in a file, `per_minute:
 * {audio}` and `per_million`. */
#define PRICE_RATES(RATE)                                                              \
    PRICE_TOKEN_RATES(RATE)                                                            \
    RATE(audio_minute)

/* Those by token, by the names they have in a file. */
#define PRICE_TOKEN_RATES(RATE)                                                        \
    RATE(input)                                                                        \
    RATE(cache_read)                                                                   \
    RATE(cache_write)                                                                  \
    RATE(cache_write_30m)                                                              \
    RATE(cache_write_1h)                                                               \
    RATE(cache_write_12h)                                                              \
    RATE(output)                                                                       \
    RATE(reasoning)                                                                    \
    RATE(input_audio)                                                                  \
    RATE(input_image)                                                                  \
    RATE(input_video)                                                                  \
    RATE(output_audio)                                                                 \
    RATE(output_image)

/* $1 per million tokens is 10^6 pico-dollars per token. */
enum { PICO_PER_MICRO = 1000 * 1000, PRICE_DECIMALS = 6 };

/* $1,000,000 per million tokens; more is a mistake. */
#define PRICE_RATE_MAX (INT64_C(1000000) * PICO_PER_MICRO)

/* Rates for calls whose whole input exceeds `over` tokens. */
struct price_long {
    uint64_t over;
    struct price_rates rates;
    struct price_long *next; /* of a smaller `over` */
};

/* Rates of a service tier: a part of the standard ones, or its own. */
struct price_tier {
    struct span name;
    int64_t percent; /* 0: own rates */
    struct price_rates rates;
    struct price_tier *next;
};

/* One price of one model for one time. */
struct price_row {
    struct span provider; /* empty: any */
    uint64_t from_ns;     /* Unix time, inclusive */
    uint64_t until_ns;    /* exclusive */
    struct price_rates rates;
    struct price_long *longs;
    struct price_tier *tiers;
    struct error_place place;
};

/* A name that a row is found by: its model or an alias. */
struct price_name {
    struct span model;
    const struct price_row *row; /* NULL: an empty place */
    uint64_t hash;               /* of provider and model */
};

/* What a provider's models without a price cost as much as. */
struct price_stand_in {
    struct span provider, model;
    struct price_stand_in *next;
};

struct price_table {
    struct arena_pool pool;
    struct arena arena;
    struct price_name *names; /* open addressing; never full */
    size_t places;            /* a power of two */
    size_t name_count;
    size_t row_count;
    struct span *prefixes; /* of model names, as routers put in front */
    size_t prefix_count;
    struct price_stand_in *stand_ins;
};

struct price_table *price_table_new(void);

/* Adds a name; the row of another price that has it at the same time, if any. */
const struct price_row *price_table_add(struct price_table *table, struct span model,
                                        const struct price_row *row);

#endif

#include "proxy/meter/calibration.h"

#include "proxy/base/check.h"
#include "proxy/meter/ledger.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    MODELS = 1024,
    SMALL = 40,  /* tokens */
    ENOUGH = 3,  /* calls */
    MEMORY = 32, /* calls that an average reaches back to */
    LEAST = 250, /* a provider that is further off is broken, not calibrated for */
    MOST = 4000
};

/* A model of another name with the same place takes it over. */
struct place {
    atomic_uint_least32_t name; /* of the hash */
    atomic_uint_least32_t calls;
    atomic_uint_least32_t per_mille, error;
};

struct calibration {
    struct place places[MODELS];
};

struct calibration *calibration_new(void)
{
    struct calibration *calibration = calloc(1, sizeof *calibration);

    CHECK(calibration != NULL);
    return calibration;
}

struct calibration *calibration_free(struct calibration *calibration)
{
    free(calibration);
    return NULL;
}

static uint32_t get(const atomic_uint_least32_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(atomic_uint_least32_t *value, uint32_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

/* A step towards `value`, of one in `calls`. */
static uint32_t nearer(uint32_t average, uint32_t value, uint32_t calls)
{
    int64_t step = ((int64_t)value - (int64_t)average) / (int64_t)calls;

    return (uint32_t)((int64_t)average + step);
}

void calibration_learn(struct calibration *calibration, const char *model,
                       uint64_t reported, uint64_t counted)
{
    uint64_t hash = XXH3_64bits(model, strlen(model));
    struct place *place = &calibration->places[hash % MODELS];
    uint32_t name = (uint32_t)(hash >> 32), ratio, calls, average;

    if (counted < SMALL || reported < SMALL || reported > UINT32_MAX) {
        return;
    }
    ratio =
        reported * 1000 / counted > MOST ? MOST : (uint32_t)(reported * 1000 / counted);
    ratio = ratio < LEAST ? LEAST : ratio;
    calls = get(&place->name) == name ? get(&place->calls) + 1 : 1;
    average = calls == 1 ? ratio : get(&place->per_mille);
    calls = calls < MEMORY ? calls : MEMORY;
    set(&place->name, name);
    set(&place->error,
        nearer(calls == 1 ? 0 : get(&place->error),
               ratio > average ? ratio - average : average - ratio, calls));
    set(&place->per_mille, nearer(average, ratio, calls));
    set(&place->calls, calls);
}

uint32_t calibration_of(const struct calibration *calibration, const char *model,
                        uint32_t *error)
{
    uint64_t hash = XXH3_64bits(model, strlen(model));
    const struct place *place = &calibration->places[hash % MODELS];

    if (get(&place->name) != (uint32_t)(hash >> 32) || get(&place->calls) < ENOUGH) {
        return 0;
    }
    *error = get(&place->error);
    return get(&place->per_mille);
}

/* ---- after a restart ------------------------------------------------------------- */

static void load_model(void *self, const struct ledger_drift *drift)
{
    struct calibration *calibration = self;
    uint32_t spread = 0;

    /* As if every call had been the average one. */
    for (uint64_t i = 0; i < drift->calls && i < MEMORY; i++) {
        calibration_learn(calibration, drift->model, drift->reported / drift->calls,
                          drift->counted / drift->calls);
    }
    if (calibration_of(calibration, drift->model, &spread) != 0 && drift->counted > 0) {
        uint64_t hash = XXH3_64bits(drift->model, strlen(drift->model));

        set(&calibration->places[hash % MODELS].error,
            (uint32_t)(drift->off / (drift->counted / 1000 + 1)));
    }
}

bool calibration_load(struct calibration *calibration, const char *directory,
                      struct error *error)
{
    const struct ledger_query query = { 0 };

    return ledger_drifts(directory, &query, CALIBRATION_CALLS, load_model, calibration,
                         error);
}

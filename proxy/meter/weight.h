/* What tokens weigh, in hundredths of an input token, by class and model: for
 * limits of weighted tokens. Where nothing is configured, as most list prices
 * relate to each other. */
#ifndef ASSAY_METER_WEIGHT_H
#define ASSAY_METER_WEIGHT_H

#include "config/config.h"
#include "proxy/meter/entry.h"

/* The first that fits a model counts; what fits none weighs as by default. */
struct weights {
    const struct config_weights *rows;
    size_t count;
};

/* What a call came to, its lines by their own models; saturating. */
uint64_t weight_of_call(const struct weights *weights, const struct entry *call);

/* The most that so many tokens of a request's model may weigh,
 * whatever their classes. */
uint64_t weight_at_most(const struct weights *weights, const struct entry *call,
                        uint64_t input, uint64_t output);

#endif

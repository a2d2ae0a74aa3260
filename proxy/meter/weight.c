#include "proxy/meter/weight.h"

#include "config/scope.h"

static const struct config_weights usual = { .input = WEIGHT_USUAL_INPUT,
                                             .cache_read = WEIGHT_USUAL_CACHE_READ,
                                             .cache_write = WEIGHT_USUAL_CACHE_WRITE,
                                             .cache_keep = WEIGHT_USUAL_CACHE_KEEP,
                                             .output = WEIGHT_USUAL_OUTPUT };

static const struct config_weights *find(const struct weights *weights,
                                         const char *model)
{
    for (size_t i = 0; i < weights->count; i++) {
        const struct config_weights *row = &weights->rows[i];

        if (row->model == NULL ||
            scope_fits_name(span_text(row->model), span_text(model))) {
            return row;
        }
    }
    return &usual;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t weigh(uint64_t tokens, uint64_t weight)
{
    uint64_t product;

    return __builtin_mul_overflow(tokens, weight, &product) ? UINT64_MAX : product;
}

static uint64_t weigh_cache(const struct config_weights *row, const struct usage *usage)
{
    uint64_t written = usage->tokens[TOKENS_CACHE_WRITE];
    uint64_t listed =
        add(usage->cache_write[LIFETIME_1H], usage->cache_write[LIFETIME_12H]);
    uint64_t kept = listed < written ? listed : written;

    return add(weigh(usage->tokens[TOKENS_CACHE_READ], row->cache_read),
               add(weigh(kept, row->cache_keep),
                   weigh(written - kept, row->cache_write)));
}

static uint64_t weigh_usage(const struct config_weights *row, const struct usage *usage)
{
    return add(add(weigh(usage->tokens[TOKENS_INPUT], row->input),
                   weigh_cache(row, usage)),
               weigh(usage_output(usage), row->output));
}

uint64_t weight_of_call(const struct weights *weights, const struct entry *call)
{
    const char *model =
        call->response_model[0] != '\0' ? call->response_model : call->request_model;
    struct usage own = entry_own_usage(call);
    uint64_t sum = weigh_usage(find(weights, model), &own);

    for (uint8_t i = 0; i < call->line_count; i++) {
        const struct line *line = &call->lines[i];
        const char *other = line->model[0] != '\0' ? line->model : model;

        sum = add(sum, weigh_usage(find(weights, other), &line->usage));
    }
    return sum;
}

static uint32_t heavier(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint64_t weight_at_most(const struct weights *weights, const struct entry *call,
                        uint64_t input, uint64_t output)
{
    const struct config_weights *row = find(weights, call->request_model);
    uint32_t most = heavier(heavier(row->input, row->cache_read),
                            heavier(row->cache_write, row->cache_keep));

    return add(weigh(input, most), weigh(output, row->output));
}

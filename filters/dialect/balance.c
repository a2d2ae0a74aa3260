#include "filters/dialect/balance.h"

static const enum count modality_counts[MODALITIES] = {
    [MODALITY_INPUT_TEXT] = COUNT_INPUT_TEXT,
    [MODALITY_INPUT_AUDIO] = COUNT_INPUT_AUDIO,
    [MODALITY_INPUT_IMAGE] = COUNT_INPUT_IMAGE,
    [MODALITY_INPUT_VIDEO] = COUNT_INPUT_VIDEO,
    [MODALITY_INPUT_DOCUMENT] = COUNT_INPUT_DOCUMENT,
    [MODALITY_OUTPUT_AUDIO] = COUNT_OUTPUT_AUDIO,
    [MODALITY_OUTPUT_IMAGE] = COUNT_OUTPUT_IMAGE,
    [MODALITY_OUTPUT_REJECTED] = COUNT_OUTPUT_REJECTED,
};

static const enum count lifetime_counts[CACHE_LIFETIMES] = {
    [LIFETIME_5M] = COUNT_WRITE_5M,
    [LIFETIME_30M] = COUNT_WRITE_30M,
    [LIFETIME_1H] = COUNT_WRITE_1H,
    [LIFETIME_12H] = COUNT_WRITE_12H,
};

void balance_class(const struct tally *tally, enum count count, enum token_class class,
                   struct usage *usage)
{
    if (tally_has(tally, count)) {
        usage_set(usage, class, tally->value[count]);
    }
}

void balance_lifetimes(const struct tally *tally, struct usage *usage)
{
    for (unsigned i = 0; i < CACHE_LIFETIMES; i++) {
        if (tally_has(tally, lifetime_counts[i])) {
            usage->cache_write[i] = tally->value[lifetime_counts[i]];
            usage->known_lifetimes |= (uint8_t)(1U << i);
        }
    }
}

void balance_searches(const struct tally *tally, struct usage *usage)
{
    if (tally_has(tally, COUNT_WEB_SEARCHES)) {
        usage->web_searches = tally->value[COUNT_WEB_SEARCHES];
    }
}

static bool is_other_input(unsigned modality)
{
    return modality >= MODALITY_INPUT_AUDIO && modality <= MODALITY_INPUT_DOCUMENT;
}

void balance_modality(const struct tally *tally, struct usage *usage)
{
    bool cached = tally_has(tally, COUNT_CACHED) && tally->value[COUNT_CACHED] > 0;

    for (unsigned i = 0; i < MODALITIES; i++) {
        if (!tally_has(tally, modality_counts[i])) {
            continue;
        }
        usage->modality[i] = tally->value[modality_counts[i]];
        usage->known_modalities |= (uint8_t)(1U << i);
        if (cached && is_other_input(i) && usage->modality[i] > 0) {
            usage->flags |= USAGE_OVERLAP_ASSUMED;
        }
    }
}

void balance_reasoning(const struct tally *tally, uint64_t output, struct usage *usage)
{
    uint64_t reasoning = 0;

    if (tally_has(tally, COUNT_REASONING)) {
        reasoning = tally->value[COUNT_REASONING];
        if (reasoning > output) {
            reasoning = output;
            usage->flags |= USAGE_ANOMALY;
        }
        usage_set(usage, TOKENS_REASONING, reasoning);
    }
    usage_set(usage, TOKENS_OUTPUT, output - reasoning);
}

static void back_up(struct tally *tally, enum count count, uint64_t number)
{
    tally->value[count] = number;
    tally->seen |= UINT32_C(1) << count;
}

struct tally balance_backup(const struct tally *tally)
{
    struct tally backed = *tally;
    uint64_t cache = 0;

    if (!tally_has(tally, COUNT_OUTPUT) && tally_has(tally, COUNT_BACKUP_OUTPUT)) {
        back_up(&backed, COUNT_OUTPUT, tally->value[COUNT_BACKUP_OUTPUT]);
    }
    if (tally_has(tally, COUNT_INPUT) || !tally_has(tally, COUNT_BACKUP_INPUT)) {
        return backed;
    }
    if (tally_has(tally, COUNT_BACKUP_CACHED)) {
        cache += tally->value[COUNT_BACKUP_CACHED];
        back_up(&backed, COUNT_CACHED, tally->value[COUNT_BACKUP_CACHED]);
    }
    if (tally_has(tally, COUNT_BACKUP_CACHE_WRITE)) {
        cache += tally->value[COUNT_BACKUP_CACHE_WRITE];
        back_up(&backed, COUNT_CACHE_WRITE, tally->value[COUNT_BACKUP_CACHE_WRITE]);
    }
    back_up(&backed, COUNT_INPUT, tally->value[COUNT_BACKUP_INPUT] + cache);
    return backed;
}

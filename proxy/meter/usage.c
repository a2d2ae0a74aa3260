#include "proxy/meter/usage.h"

#include "proxy/base/check.h"

static const char *const class_names[TOKEN_CLASSES] = {
    [TOKENS_INPUT] = "input",
    [TOKENS_CACHE_READ] = "cache_read",
    [TOKENS_CACHE_WRITE] = "cache_write",
    [TOKENS_OUTPUT] = "output",
    [TOKENS_REASONING] = "reasoning",
};

static const char *const lifetime_names[CACHE_LIFETIMES] = {
    [LIFETIME_5M] = "5m",
    [LIFETIME_30M] = "30m",
    [LIFETIME_1H] = "1h",
    [LIFETIME_12H] = "12h",
};

static const char *const modality_names[MODALITIES] = {
    [MODALITY_INPUT_TEXT] = "input_text",
    [MODALITY_INPUT_AUDIO] = "input_audio",
    [MODALITY_INPUT_IMAGE] = "input_image",
    [MODALITY_INPUT_VIDEO] = "input_video",
    [MODALITY_INPUT_DOCUMENT] = "input_document",
    [MODALITY_OUTPUT_AUDIO] = "output_audio",
    [MODALITY_OUTPUT_IMAGE] = "output_image",
    [MODALITY_OUTPUT_REJECTED] = "output_rejected",
};

static const char *const source_names[USAGE_SOURCES] = {
    [USAGE_NONE] = "none",
    [USAGE_ESTIMATED] = "estimated",
    [USAGE_PARTIAL] = "partial",
    [USAGE_REPORTED] = "reported",
};

static const char *const outcome_names[OUTCOMES] = {
    [OUTCOME_COMPLETE] = "complete",         [OUTCOME_CLIENT_ABORT] = "client_abort",
    [OUTCOME_UPSTREAM_CUT] = "upstream_cut", [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_REFUSED] = "refused",           [OUTCOME_UNKNOWN] = "unknown",
    [OUTCOME_QUOTA_CUT] = "quota_cut",
};

static const char *const flag_names[USAGE_FLAGS] = {
    "anomaly", "inferred", "overlap_assumed", "framing_error", "truncated", "error",
};

void usage_set(struct usage *usage, enum token_class class, uint64_t count)
{
    CHECK(class < TOKEN_CLASSES);
    usage->tokens[class] = count;
    usage->known_tokens |= (uint8_t)(1U << class);
}

bool usage_knows(const struct usage *usage, enum token_class class)
{
    return (usage->known_tokens >> class & 1) != 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

uint64_t usage_input(const struct usage *usage)
{
    return add(add(usage->tokens[TOKENS_INPUT], usage->tokens[TOKENS_CACHE_READ]),
               usage->tokens[TOKENS_CACHE_WRITE]);
}

uint64_t usage_output(const struct usage *usage)
{
    return add(usage->tokens[TOKENS_OUTPUT], usage->tokens[TOKENS_REASONING]);
}

uint64_t usage_total(const struct usage *usage)
{
    return add(usage_input(usage), usage_output(usage));
}

const char *token_class_name(enum token_class class)
{
    CHECK(class < TOKEN_CLASSES);
    return class_names[class];
}

const char *cache_lifetime_name(enum cache_lifetime lifetime)
{
    CHECK(lifetime < CACHE_LIFETIMES);
    return lifetime_names[lifetime];
}

const char *modality_name(enum modality modality)
{
    CHECK(modality < MODALITIES);
    return modality_names[modality];
}

const char *usage_source_name(enum usage_source source)
{
    CHECK((unsigned)source < USAGE_SOURCES);
    return source_names[source];
}

const char *outcome_name(enum outcome outcome)
{
    CHECK((unsigned)outcome < OUTCOMES);
    return outcome_names[outcome];
}

const char *usage_flag_name(unsigned bit)
{
    CHECK(bit < USAGE_FLAGS);
    return flag_names[bit];
}

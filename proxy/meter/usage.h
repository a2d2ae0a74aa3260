/* How many tokens of which class a call used, and how far the numbers can be trusted.
 * Classes are disjoint: their sum is what was used. */
#ifndef ASSAY_METER_USAGE_H
#define ASSAY_METER_USAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Disjoint: input + cache_read + cache_write is all input, output +
 * reasoning all output. */
enum token_class {
    TOKENS_INPUT, /* neither read from nor written to a cache */
    TOKENS_CACHE_READ,
    TOKENS_CACHE_WRITE, /* all lifetimes together */
    TOKENS_OUTPUT,      /* visible output */
    TOKENS_REASONING,   /* hidden output */
    TOKEN_CLASSES
};

/* Parts of TOKENS_CACHE_WRITE by time to live; what is not listed is
 * of unknown lifetime. */
enum cache_lifetime {
    LIFETIME_5M,
    LIFETIME_30M,
    LIFETIME_1H,
    LIFETIME_12H,
    CACHE_LIFETIMES
};

/* A second partition of the same tokens: parts of the input and of the output by kind.
 * Never added to the classes. */
enum modality {
    MODALITY_INPUT_TEXT,
    MODALITY_INPUT_AUDIO,
    MODALITY_INPUT_IMAGE,
    MODALITY_INPUT_VIDEO,
    MODALITY_INPUT_DOCUMENT,
    MODALITY_OUTPUT_AUDIO,
    MODALITY_OUTPUT_IMAGE,
    MODALITY_OUTPUT_REJECTED, /* predicted tokens that were billed but not shown */
    MODALITIES
};

enum usage_source {
    USAGE_NONE,      /* nothing is known and nothing could be estimated */
    USAGE_ESTIMATED, /* counted or estimated here */
    USAGE_PARTIAL,   /* some classes by the provider, the rest unknown or estimated */
    USAGE_REPORTED   /* by the provider, for the whole call */
};
enum { USAGE_SOURCES = USAGE_REPORTED + 1 };

enum outcome {
    OUTCOME_COMPLETE,
    OUTCOME_CLIENT_ABORT, /* the client left; the upstream was drained or cancelled */
    OUTCOME_UPSTREAM_CUT, /* the provider ended early, reset, or broke its framing */
    OUTCOME_TIMEOUT,
    OUTCOME_REFUSED,  /* nothing went upstream */
    OUTCOME_UNKNOWN,  /* assay itself was killed in mid-exchange */
    OUTCOME_QUOTA_CUT /* assay ended a stream that a quota had no room for */
};
enum { OUTCOMES = OUTCOME_QUOTA_CUT + 1 };

/* What is odd about the numbers, as bits of usage.flags. */
enum usage_flag {
    USAGE_ANOMALY = 1 << 0,         /* counts contradict each other or the total */
    USAGE_INFERRED = 1 << 1,        /* a class was computed from the others */
    USAGE_OVERLAP_ASSUMED = 1 << 2, /* cached and non-text input may overlap */
    USAGE_FRAMING_ERROR = 1 << 3,   /* the body broke its own format */
    USAGE_TRUNCATED = 1 << 4,       /* a meter limit cut the copy that was read */
    USAGE_ERROR = 1 << 5            /* a good status, and then an error in the answer */
};
enum { USAGE_FLAGS = 6 };

struct usage {
    uint64_t tokens[TOKEN_CLASSES];
    uint64_t cache_write[CACHE_LIFETIMES];
    uint64_t modality[MODALITIES];
    uint64_t web_searches;  /* a counter, not tokens */
    uint64_t audio_ms;      /* of input that is told by its length; 0: none is */
    uint64_t billed_input;  /* what is charged where that is said apart from what was */
    uint64_t billed_output; /* used; both 0: it was not */
    int64_t reported_nanousd; /* the provider's own price; negative: none given */
    uint8_t known_tokens;     /* bit per token_class: a provider or estimate said so */
    uint8_t known_lifetimes;  /* bit per cache_lifetime */
    uint8_t known_modalities; /* bit per modality */
    uint8_t flags;            /* enum usage_flag */
    uint8_t source;           /* enum usage_source */
};

/* Sets one class and marks it known. */
void usage_set(struct usage *usage, enum token_class class, uint64_t count);

/* Is this class known (a 0 that somebody reported) rather than merely not reported? */
bool usage_knows(const struct usage *usage, enum token_class class);

/* All input, all output, everything; saturating. */
uint64_t usage_input(const struct usage *usage);
uint64_t usage_output(const struct usage *usage);
uint64_t usage_total(const struct usage *usage);

/* Lower-case words as in exports, metrics and reports: "cache_read", "partial",
 * "client_abort", "input_audio", "5m". */
const char *token_class_name(enum token_class class);
const char *cache_lifetime_name(enum cache_lifetime lifetime);
const char *modality_name(enum modality modality);
const char *usage_source_name(enum usage_source source);
const char *outcome_name(enum outcome outcome);
const char *usage_flag_name(unsigned bit); /* by bit number, from 0 */

#endif

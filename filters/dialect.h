/* A dialect: how one API speaks. Mostly tables: which requests are its own, where facts
 * stand in a request, where counts stand in a response, how counts become disjoint
 * classes, and what a refusal looks like. Adding one: a file and a line in filters.def. */
#ifndef ASSAY_FILTERS_DIALECT_H
#define ASSAY_FILTERS_DIALECT_H

#include "filters/facts.h"
#include "filters/json/scan.h"
#include "proxy/base/fault.h"
#include "proxy/base/text.h"
#include "proxy/http/head.h"
#include "proxy/meter/usage.h"

/* A request that a dialect claims. `path` is matched against the canonical path without
 * the provider's prefix; a "*" stands for one segment, a leading "**" for any prefix of
 * segments ("" and "/v1" alike). */
struct dialect_route {
    enum method method;
    const char *path;
    const char *operation; /* OpenTelemetry's gen_ai.operation.name */
    unsigned flags;
};

enum dialect_route_flag {
    ROUTE_FREE = 1 << 0,      /* providers do not charge for it: recorded with zero tokens */
    ROUTE_NO_BODY = 1 << 1,   /* nothing to scan in the request */
    ROUTE_NO_USAGE = 1 << 2,  /* nothing to count in the response (a list, a deletion) */
    ROUTE_MULTIPART = 1 << 3  /* the facts are form parts */
};

/* What a value in a request body means: tags of `request` paths. */
enum fact {
    FACT_MODEL = 1,
    FACT_STREAM,
    FACT_STREAM_OPTIONS,
    FACT_INCLUDE_USAGE,
    FACT_MAX_OUTPUT, /* the greatest wins */
    FACT_CHOICES,    /* the greatest wins */
    FACT_SERVICE_TIER,
    FACT_BACKGROUND,
    FACT_SESSION,    /* a claim */
    FACT_INPUT_TEXT  /* text that costs input tokens: pieces, for estimates and turns */
};

/* What a value in a response means: tags of `response` paths. */
enum count {
    COUNT_USAGE = 1, /* the object the counts stand in; null does not begin one */
    COUNT_INPUT,
    COUNT_OUTPUT,
    COUNT_TOTAL,
    COUNT_CACHED,
    COUNT_CACHE_WRITE,
    COUNT_WRITE_5M,
    COUNT_WRITE_30M,
    COUNT_WRITE_1H,
    COUNT_WRITE_12H,
    COUNT_REASONING,
    COUNT_INPUT_TEXT,
    COUNT_INPUT_AUDIO,
    COUNT_INPUT_IMAGE,
    COUNT_INPUT_VIDEO,
    COUNT_INPUT_DOCUMENT,
    COUNT_OUTPUT_AUDIO,
    COUNT_OUTPUT_IMAGE,
    COUNT_OUTPUT_REJECTED,
    COUNT_TOOL_INPUT, /* input beside COUNT_INPUT (Gemini's tool-use prompt) */
    COUNT_WEB_SEARCHES,
    COUNT_COST,       /* USD as a JSON number */
    COUNTS,           /* tags below are not counts */
    SEEN_MODEL = COUNTS,
    SEEN_TYPE,        /* the event's type, where it decides something */
    SEEN_TIER,
    SEEN_TEXT,        /* generated text: pieces, for estimates and echoes */
    SEEN_ERROR,       /* an error object in the body or stream */
    SEEN_CHOICES      /* the array of choices, for the extra usage chunk */
};

/* The counts of one response as they stand, before balance(). */
struct tally {
    uint64_t value[COUNTS];
    uint32_t seen; /* bit per enum count: a legal number stood there */
    uint32_t bad;  /* bit per enum count: something else stood there (negative, text ...) */
    bool usage_twice; /* one body held two usage objects */
};

static inline bool tally_has(const struct tally *tally, enum count count)
{
    return (tally->seen >> count & 1) != 0;
}

/* How a later usage object of the same stream meets an earlier one. */
enum merge {
    MERGE_REPLACE, /* the last one that is not null counts */
    MERGE_FIELDS   /* field by field: the last number counts, absent and null keep; a zero
                      never replaces a non-zero count of input */
};

/* A refusal in the dialect's own shape, so that an SDK raises its right exception. */
struct refusal {
    enum fault fault;
    int status;          /* may differ from the fault's, see refuse() */
    struct span words;   /* for a person */
    struct span id;      /* exchange id */
    bool stream;         /* the request asked for a stream */
};

struct dialect {
    const char *name;   /* "openai.chat" */
    const char *family; /* the word in a provider's `dialects`: "openai" */
    const struct dialect_route *routes; /* path NULL at the end */
    const struct scan_path *request;    /* path NULL at the end; NULL: nothing to scan */
    const struct scan_path *response;
    enum merge merge;
    bool usage_splice; /* streams report usage only if stream_options asks for it */
    /* The header a provider of this family wants its credential in, and how. */
    const char *credential_field;  /* "authorization", "x-api-key" ... */
    const char *credential_prefix; /* "Bearer " or "" */
    /* Is an event of this type the stream's regular end? NULL: every end is. */
    bool (*terminal)(struct span type, struct span data_front);
    /* Makes counts disjoint: fills tokens, lifetimes, modality, known bits and flags. */
    void (*balance)(const struct tally *tally, struct usage *usage);
    /* Writes further header lines ("name: value\r\n") and the JSON body of a refusal. */
    void (*refuse)(const struct refusal *refusal, struct text *lines, struct text *body);
};

/* All dialects in the order of filters.def, `unknown` last; NULL at the end. */
extern const struct dialect *const dialects[];

#endif

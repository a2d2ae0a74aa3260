/* A dialect: how one API speaks. Mostly tables: which requests are its own,
 * where facts stand in a request, where counts stand in a response, how counts
 * become disjoint classes, and what a refusal looks like. Adding one: a file
 * and a line in filters.def. */
#ifndef ASSAY_FILTERS_DIALECT_H
#define ASSAY_FILTERS_DIALECT_H

#include "filters/facts.h"
#include "filters/json/scan.h"
#include "proxy/base/fault.h"
#include "proxy/base/text.h"
#include "proxy/http/head.h"
#include "proxy/meter/usage.h"

/* A request that a dialect claims. `path` is a pattern (filters/pattern.h) for the
 * canonical path without the provider's prefix: "*" stands for a segment or its front,
 * a leading "**" for any prefix of segments ("" and "/v1" alike). What stands in braces
 * is the model, which then decides instead of the body's:
 * "/models/{*}:generateContent"; with ROUTE_ONCE it is an object's id. */
struct dialect_route {
    enum method method;
    const char *path;
    const char *operation; /* OpenTelemetry's gen_ai.operation.name */
    unsigned flags;
};

enum dialect_route_flag {
    ROUTE_FREE = 1 << 0,    /* providers do not charge for it: recorded, never billed */
    ROUTE_NO_BODY = 1 << 1, /* nothing to scan in the request */
    ROUTE_NO_USAGE = 1 << 2, /* nothing to count in the response (a list, a deletion) */
    ROUTE_MULTIPART = 1 << 3, /* the body may be a form; its parts are the facts then */
    ROUTE_STREAM = 1 << 4,    /* the path asks for a stream, whatever the body says */
    ROUTE_STREAM_UNSAID = 1 << 5, /* a body that says nothing else asks for a stream */
    ROUTE_INPUT_ONLY = 1 << 6,    /* generates nothing: usage is whole without output */
    ROUTE_NO_TEXT = 1 << 7, /* what is generated is no text: it cannot be estimated */
    ROUTE_LATER = 1 << 8,   /* the answer may come later: nothing is estimated now */
    ROUTE_ONCE = 1 << 9,   /* shows an object, named in braces, that was made by another
                               call: its usage is counted once, if that call awaits it */
    ROUTE_BATCH = 1 << 10, /* what is counted has the price of a batch */
    ROUTE_LINES = 1 << 11, /* the body is JSON lines, whatever type it claims */
    ROUTE_WEBSOCKET = 1 << 12 /* a WebSocket, whose responses are calls of their own */
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
    FACT_SPEED,      /* a service tier under another name: "fast" */
    FACT_SESSION,    /* a claim: the value is a session's name (pieces) */
    FACT_USER,       /* a claim: the value may hold a session's name (pieces) */
    FACT_INPUT_TEXT, /* text that costs input tokens: measured, for estimates */
    FACT_INPUT_JSON, /* an object or array that costs input tokens as it stands: tools */
    FACT_MORE_MODELS, /* models to fall back to */
    FACT_TOOL,        /* the type of a tool: the provider's own, or "function" */
    FACT_WEB_SEARCH,  /* presence says that such a tool may be used ... */
    FACT_MAPS_SEARCH,
    FACT_CODE_EXECUTION,
    FACT_URL_CONTEXT,
    FACT_FILE_SEARCH,
    FACT_COMPUTER_USE,
    FACT_SOCKET_TYPE, /* of a message over a WebSocket */
    FACT_SOCKET_LANE, /* ... the stream it belongs to */
    FACT_ROOT,        /* the body itself; the registry adds its row to every table */
    /* what the turn gate reads, in the order of enum fresh_tag; the first three are text
       that costs input tokens, the others are scanned for the gate only */
    FACT_SAID,   /* text of a message, or of a block of it (raw) */
    FACT_SYSTEM, /* text of the system prompt (raw) */
    FACT_PROMPT, /* a prompt without a role (raw) */
    FACT_MESSAGE,
    FACT_ROLE,
    FACT_TYPE, /* of a message or a block */
    FACT_RESULT,
    FACT_IMAGE,
    FACT_PREDECESSOR
};

/* Is a row scanned for the turn gate only? */
static inline bool fact_is_turns(unsigned fact)
{
    return fact >= FACT_MESSAGE;
}

/* A key of this meaning may stand only once: providers take the last,
 * others the first. */
static inline bool fact_decides(enum fact fact)
{
    return fact <= FACT_SPEED || fact == FACT_ROOT;
}

/* What a value in a response means: tags of `response` paths. */
enum count {
    COUNT_USAGE = 1, /* the object the counts stand in; null does not begin one */
    COUNT_INPUT,
    COUNT_OUTPUT,
    COUNT_OUTPUT_START, /* a placeholder that a later COUNT_OUTPUT replaces */
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
    COUNT_TOOL_INPUT,    /* input beside COUNT_INPUT (Gemini's tool-use prompt) */
    COUNT_AUDIO_SECONDS, /* of input; the tally has milliseconds. Tokens beyond the stated
                            ones are audio then */
    COUNT_WEB_SEARCHES,
    COUNT_COST,       /* USD as a JSON number; the tally has nano-dollars */
    COUNT_COST_TICKS, /* 10^-10 USD; the tally has them under COUNT_COST */
    COUNT_ALL_INPUT, /* cache included, where COUNT_INPUT of the same shape is without */
    COUNT_BACKUP_INPUT, /* counts for a side that the others leave out: balance_backup() */
    COUNT_BACKUP_CACHED,
    COUNT_BACKUP_CACHE_WRITE,
    COUNT_BACKUP_OUTPUT,
    COUNTS, /* tags below are not counts */
    SEEN_MODEL = COUNTS,
    SEEN_TYPE,   /* the event's type: asked of terminal() */
    SEEN_FINISH, /* a string or number: the stream says why it ends; usage may follow */
    SEEN_END,    /* true here: the stream's regular end */
    SEEN_TIER,   /* "ON_DEMAND_FLEX" is kept as "flex", "ON_DEMAND" as "" */
    SEEN_TEXT,   /* generated text: measured, for estimates */
    SEEN_ERROR,  /* an error object in the body or stream */
    SEEN_BYTES,  /* base64 of a further JSON text of the same dialect (pieces) */
    SEEN_VECTOR, /* an embedding: nothing is generated */
    SEEN_BLOCKED, /* "INTERVENED": a guardrail stopped the prompt or the answer */
    SEEN_STATUS,  /* of a whole answer: asked of terminal() as well */
    SEEN_FILE,    /* the id of the file that the answer of a batch is in */
    /* generated too, measured for estimates; the turn gate reads it (pieces, the name
       whole), in the order of enum answer_tag */
    SEEN_SAID,          /* visible text */
    SEEN_ARGUMENTS,     /* a tool's arguments: the text of a JSON text */
    SEEN_ARGUMENT,      /* a value within a tool's arguments, for the gate only */
    SEEN_TOOL,          /* a tool's name */
    SEEN_ID,            /* the response's own: if it comes later, it is known by this */
    SEEN_PART,          /* a part of the answer, for the gate only */
    SEEN_THOUGHT,       /* true in it: its text is a thought; likewise */
    SEEN_LANE,          /* over a WebSocket: the stream an event belongs to */
    SEEN_SESSION_MODEL, /* ... the model of responses that name none */
    SEEN_TRANSCRIBER_MODEL, /* ... the model that writes down what is heard */
    /* counts that come in lists of {name, number}: the object of a list,
     * and within it */
    LIST_INPUT,    /* ... parts of the input by modality: "TEXT", "audio" ... */
    LIST_OUTPUT,   /* ... parts of the output by modality */
    LIST_LIFETIME, /* ... cache writes by time to live: "5m", "1h" */
    LIST_NAME,
    LIST_NUMBER,
    SUM_INPUT, /* numbers that add up to a count: one per element of a list */
    SUM_OUTPUT,
    /* lines of the record: tokens beside the usage, or parts of it by model */
    LINES_ANEW, /* a list of lines: it replaces what the same event had before */
    LINE_IS_IMAGE_TOOL, /* an object that is a line: of a tool that makes images */
    LINE_IS_SVG,
    LINE_IS_ITERATION, /* ... of the kind that its IN_LINE(SEEN_TYPE) says */
    LINE_IS_SUB_MODEL,
    LINE_IS_PART, /* ... of the sum that the main usage is, by the model of the text */
    LINE_TOOL_MODEL, /* the model of a tool that makes images */
    LINE_VALUES      /* above it: values within a line */
};

/* The tag of a count, of SEEN_MODEL or SEEN_TYPE within a line. */
#define IN_LINE(tag) (LINE_VALUES + (tag))

/* Is a row scanned for the turn gate only? */
static inline bool seen_is_turns(unsigned seen)
{
    return seen == SEEN_ARGUMENT || seen == SEEN_PART || seen == SEEN_THOUGHT;
}

/* The counts of one response as they stand, before balance(). Where a format spells one
 * count in several ways, their rows share a tag, and the greatest number counts. */
struct tally {
    uint64_t value[COUNTS];
    uint32_t seen;  /* bit per enum count: a legal number stood there */
    uint32_t bad;   /* bit per enum count: it was no count (negative, text ...) */
    bool anomalous; /* a count stood twice in one object, or a zero was not believed */
    const char *model; /* that was called, for balance(): some shapes vary by vendor */
};

_Static_assert(COUNTS <= 32, "a count is a bit of tally.seen");

static inline bool tally_has(const struct tally *tally, enum count count)
{
    return (tally->seen >> count & 1) != 0;
}

/* How a later usage object of the same stream meets an earlier one. */
enum merge {
    MERGE_REPLACE, /* the last one that is neither null nor empty counts */
    MERGE_FIELDS   /* field by field: the last number counts, absent and null keep. Zero
                      counts of input are believed only beside a non-zero one */
};

/* A count that stands in a field of the response's head, under its lower-case name. */
struct count_field {
    const char *name;
    enum count count;
};

/* A refusal in the dialect's own shape, so that an SDK raises its right exception. */
struct refusal {
    enum fault fault;
    int status;        /* the fault's, or what refusal_status() says */
    struct span words; /* for a person */
    struct span id;    /* exchange id */
    bool stream;       /* the request asked for a stream ... */
    bool events;       /* ... by alt=sse: of events (Gemini's other ones are arrays) */
    uint64_t retry_after_s; /* 0: not known */
};

/* Adds the exchange's id to the lines of a refusal's head, in the field where the API's
 * SDKs look for it. A request that was refused before it had one has none. */
static inline void refusal_put_id(const struct refusal *refusal, struct span field,
                                  struct text *lines)
{
    if (refusal->id.len > 0) {
        text_put(lines, field);
        text_put(lines, SPAN(": "));
        text_put(lines, refusal->id);
        text_put(lines, SPAN("\r\n"));
    }
}

/* What an event of a provider's means for the calls over a WebSocket. */
enum socket_event {
    EVENT_NONE,       /* it belongs to no response */
    EVENT_PART,       /* of the response that its id, or else its lane, names */
    EVENT_CREATED,    /* a response begins */
    EVENT_TERMINAL,   /* it has ended, with its usage */
    EVENT_ERROR,      /* a request was refused, or a response failed */
    EVENT_AUDIO,      /* as EVENT_PART, but what it carries is no text */
    EVENT_TRANSCRIBED /* something heard was written down: a call of its own */
};

struct dialect {
    const char *name;   /* "openai.chat" */
    const char *family; /* the word in a provider's `dialects`: "openai"; "" for none */
    const struct dialect_route *routes; /* path NULL at the end */
    const struct scan_path *request; /* path NULL at the end; NULL: nothing to scan */
    const struct scan_path *response;
    const struct count_field *fields; /* name NULL at the end; NULL: none */
    enum merge merge;
    bool usage_splice;  /* streams report usage only if stream_options asks for it */
    bool quoted_counts; /* counts may be strings (JSON of protocol buffers) */
    bool several_texts; /* what is called JSON may be several texts in a row */
    bool guessed;       /* the shape is unknown: what is found is at most a part */
    bool counts_end;    /* the end of an answer is a token of the output, too */
    const char *object_prefix; /* of the ids that SEEN_ID takes; NULL: any */
    /* The type (SEEN_TYPE) of events that repeat a tool's call as a whole, which is
     * counted when it comes in parts; NULL: none. */
    const char *repeat_type;
    /* The header a provider of this family wants its credential in, and how. */
    const char *credential_field;  /* "authorization", "x-api-key" ... */
    const char *credential_prefix; /* "Bearer " or "" */
    /* Is an event of this type (SEEN_TYPE) the stream's regular end? NULL: no
     * type is. "[DONE]", and an output count beside or behind SEEN_FINISH,
     * end every dialect's. */
    bool (*terminal)(struct span type);
    /* Over a WebSocket: the type of messages that ask for a response, and what a
     * provider's event is. NULL where the dialect has none. */
    const char *request_type;
    enum socket_event (*event)(struct span type);
    /* Makes counts disjoint: fills tokens, lifetimes, modality, known bits and flags of
     * a usage that is zero but for reported_nanousd. NULL: nothing is ever counted. */
    void (*balance)(const struct tally *tally, struct usage *usage);
    /* The status of a refusal where this API has another for it; NULL:
     * the fault's own. */
    int (*refusal_status)(enum fault fault);
    /* Writes further header lines ("name: value\r\n") and the JSON body
     * of a refusal. */
    void (*refuse)(const struct refusal *refusal, struct text *lines,
                   struct text *body);
    /* Writes what ends a stream of server-sent events early, after so many of them.
     * NULL: the body of the refusal as one event. */
    void (*cut)(const struct refusal *refusal, uint64_t events, struct text *out);
};

/* A word in a provider's `dialects` that means those of another family (its parent)
 * with the credential in another header; it may have dialects of its own besides. */
struct dialect_family {
    const char *name;
    const char *parent;
    const char *credential_field;
    const char *credential_prefix;
};

#define DIALECT(name) extern const struct dialect dialect_##name;
#include "filters/filters.def"
#undef DIALECT

/* All dialects in the order of filters.def, `unknown` last; NULL at the end. */
extern const struct dialect *const dialects[];

#endif

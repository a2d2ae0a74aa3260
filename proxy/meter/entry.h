/* One exchange as plain data: what the journal keeps, the ledger stores, the log prints
 * and the metrics count. Fixed size, C strings (cut where too long). Its lines lie in
 * room of their own, because few calls have any. */
#ifndef ASSAY_METER_ENTRY_H
#define ASSAY_METER_ENTRY_H

#include "proxy/base/text.h"
#include "proxy/meter/grade.h"
#include "proxy/meter/usage.h"

/* Why tokens of a call are billed at a model of their own. */
enum line_kind {
    LINE_IMAGE_TOOL, /* images that a model had made on its way */
    LINE_SVG,
    LINE_COMPACTION, /* the conversation was summed up to make room */
    LINE_ADVISOR,    /* another model was asked */
    LINE_FALLBACK,   /* an attempt that was given up after it had output */
    LINE_SUB_MODEL   /* a model that a compound system called */
};
enum { LINE_KINDS = LINE_SUB_MODEL + 1, LINES_MAX = 4 };

/* Tokens of a call beside, or within, its main usage. */
struct line {
    struct usage usage;
    int64_t cost_nanousd; /* 0 where !priced */
    char model[64];       /* empty: nobody said */
    uint8_t kind;         /* enum line_kind */
    uint8_t priced;
    uint8_t within; /* 1: the main usage has these tokens too */
};

/* What a call means for its conversation. */
enum turn_class {
    TURN_CLASS_NONE, /* nobody looked */
    TURN_CLASS_HUMAN,
    TURN_CLASS_TOOL,     /* a tool's result */
    TURN_CLASS_SUBAGENT, /* a call of a subagent */
    TURN_CLASS_RETRY,
    TURN_CLASS_HARNESS,     /* the harness's own text */
    TURN_CLASS_HOUSEKEEPING /* a title, a summary, a check of the quota */
};
enum { TURN_CLASSES = TURN_CLASS_HOUSEKEEPING + 1 };

struct entry {
    uint64_t id;          /* unique; increasing in time; see entry_id_text() */
    uint64_t started_ns;  /* Unix time of the request head's first byte */
    uint64_t duration_us; /* until the last byte, or the cut */
    uint64_t ttfb_us;     /* until the response's first byte; 0: there was none */
    uint64_t ttft_us;     /* until the first event of a stream; 0: there was none */
    uint64_t overhead_us; /* time that assay itself held the request head */
    uint64_t request_bytes;
    uint64_t response_bytes;
    uint64_t events;            /* frames of a streamed response */
    uint64_t input_text_bytes;  /* of text that costs input tokens */
    uint64_t output_text_bytes; /* of generated text that was seen */
    uint64_t local_input;       /* tokens as counted here; 0: they were not */
    uint64_t local_output;
    uint64_t object; /* keyed by this hash, the call is billed once; 0: by itself */
    int64_t cost_nanousd;     /* of the main usage; 0 where !priced */
    uint64_t max_output;      /* the request's output limit; 0: none given */
    uint64_t reserved_input;  /* tokens held in quotas before it was sent: estimated */
    uint64_t reserved_output; /* the same: bounded by its output limit */
    struct usage usage;
    uint32_t retry;  /* which attempt the client says this is, from 0 */
    uint16_t status; /* what the client saw; 0: nothing */
    uint8_t outcome; /* enum outcome */
    uint8_t fault;   /* enum fault */
    uint8_t stream;  /* 1: the response was streamed */
    uint8_t priced;  /* 1: cost_nanousd is meant; 0: unpriced. Lines have their own */
    uint8_t free;    /* 1: an operation that providers do not charge */
    uint8_t drained; /* 1: read to its end after the client had left */
    uint8_t service; /* 1: the caller is declared automation */
    uint8_t grade;   /* enum grade, of the identity when the call was let through */
    uint8_t turn;    /* enum turn_class */
    uint8_t line_count;
    /* verified */
    char team[32];
    char caller[48];
    char key[16]; /* public id of the virtual key */
    /* claimed */
    char tool[24];
    char tool_version[16];
    char mode[12]; /* "interactive", "headless" or empty */
    char session[48];
    char agent[40]; /* sub-agent id */
    /* what was called, in OpenTelemetry's words where it has them */
    char provider[24];
    char dialect[24];
    char operation[20]; /* gen_ai.operation.name: chat, embeddings ... */
    char request_model[64];
    char response_model[64];
    char service_tier[16];
    char tags[128]; /* of the caller, comma-separated */
    /* line_count of them, in room for LINES_MAX that is borrowed; NULL:
     * there is none */
    struct line *lines;
};

/* Copies an entry into one that has room for lines of its own. */
void entry_copy(struct entry *copy, const struct entry *entry);

/* The whole call: the main usage and the lines beside it, each
 * token once; saturating. */
uint64_t entry_input(const struct entry *entry);
uint64_t entry_output(const struct entry *entry);

/* What is priced of the main usage and of the lines; is all of it priced? */
int64_t entry_cost(const struct entry *entry);
bool entry_priced(const struct entry *entry);

/* The main usage without what lines have of it: what is billed at the
 * call's own model. */
struct usage entry_own_usage(const struct entry *entry);

const char *line_kind_name(enum line_kind kind);
const char *turn_class_name(enum turn_class class);

/* The exchange id as text: "ax-" and 13 characters of lower-case base 32, sorting by
 * time. ENTRY_ID_SIZE includes the final NUL. */
enum { ENTRY_ID_SIZE = 17 };
void entry_id_text(uint64_t id, char text[ENTRY_ID_SIZE]);
bool entry_id_parse(struct span text, uint64_t *id);

/* An id is 63 bits: 41 of milliseconds since 2024-01-01 UTC, 8 of the worker, 14 of a
 * sequence within the millisecond. So ids sort by time, and time is a range of ids. */
enum { ENTRY_ID_WORKER_BITS = 8, ENTRY_ID_SEQUENCE_BITS = 14, ENTRY_ID_TIME_BITS = 41 };

/* The least id of the millisecond that `unix_ns` is in; 0 before 2024. */
uint64_t entry_id_at(uint64_t unix_ns);

/* An id of this worker that is greater than `last`, whose time is that of
 * `unix_ns` or, if the clock stepped back or the millisecond's sequence is used
 * up, the next after last. */
uint64_t entry_id_next(uint64_t last, uint64_t unix_ns, unsigned worker);

/* The millisecond an id was made in, as Unix time in nanoseconds. */
uint64_t entry_id_time(uint64_t id);

/* Brings every value into its range, so that whatever bytes stood in the entry, every
 * reader can take it: strings end, enums are known, bits have meanings. */
void entry_make_legal(struct entry *entry);

/* Appends the entry as one JSON object without a newline, in the format of
 * `assay export --format jsonl`. Unknown token counts are null, never 0. */
void entry_json(const struct entry *entry, struct text *out);

/* Room that entry_json() needs at most. */
enum { ENTRY_JSON_MAX = 16 * 1024 };

#endif

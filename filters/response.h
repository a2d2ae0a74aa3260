/* What the parts of the response watch share. Private to them.
 *
 *   response_watch.c    codings, life and questions
 *   response_frames.c   frames out of bytes, JSON texts out of frames, values out of texts
 *   response_settle.c   what it all comes to */
#ifndef ASSAY_FILTERS_RESPONSE_H
#define ASSAY_FILTERS_RESPONSE_H

#include "filters/content/base64.h"
#include "filters/count/sample.h"
#include "filters/frame/eventstream.h"
#include "filters/frame/lines.h"
#include "filters/frame/sse.h"
#include "filters/line_reader.h"
#include "filters/registry.h"
#include "filters/tally.h"
#include "filters/watch_pool.h"
#include "proxy/http/media.h"

/* How a body is cut into JSON texts. */
enum frames {
    FRAMES_UNSETTLED, /* too few bytes came to tell */
    FRAMES_WHOLE,
    FRAMES_EVENTS,
    FRAMES_LINES,
    FRAMES_ARRAY,    /* one array, whose objects are the texts */
    FRAMES_MESSAGES, /* of an AWS event stream */
    FRAMES_EVENT,    /* a WebSocket's messages, each a text */
    FRAMES_NONE      /* nothing that could be read */
};

enum { FRONT_SIZE = 8 }; /* bytes that tell how a body is framed */

/* An AWS event stream. Its messages may wrap JSON texts in base64. */
struct messages {
    struct eventstream stream;
    struct tallier before; /* counts before the message that is being read */
    struct base64 base64;
    bool in_wrapped; /* a wrapped text has begun */
    bool unwrapping; /* values come from within: no text is wrapped twice */
    struct scan wrapped;
};

/* What reads a JSON text, and is not needed between two. Most texts come whole, so that
 * a worker's streams share a few of these. */
struct text_reader {
    struct text_reader *next; /* in the pool */
    struct scan scan;
    struct tally before; /* the tallier's */
};

struct response_watch {
    struct response_watch *next; /* in the pool */
    struct watch_pool *pool;
    const struct dialect *dialect;
    const struct scan_plan *plan;
    struct decode *decode;     /* NULL: nothing to undo */
    struct messages *messages; /* NULL: the body is no AWS event stream */
    struct answer *answer;     /* NULL: the turn gate does not read along */
    uint64_t object;           /* hash of the answer's id; 0: not seen */
    uint64_t file;             /* ... of the file's it is in */
    struct event *event;       /* NULL: it does not read the events of a WebSocket */
    uint64_t said_bytes;       /* ... before the provider's last count of output */
    uint32_t tools;            /* calls of tools in it */
    uint32_t unfinished;       /* choices that have not said why they end */
    struct tallier tallier;
    uint8_t flags; /* enum usage_flag */
    uint8_t media; /* as Content-Type says */
    uint8_t frames;
    uint8_t front_len;
    uint8_t done_at; /* bytes of [DONE] that the event's data began with, or DONE_NOT */
    bool may_be_gzip; /* no coding was named; no byte has told yet */
    bool gzip_first;  /* the first byte of gzip's mark came */
    bool odd_coding;  /* one was named that nobody knows */
    bool thought;     /* text was seen that is no visible answer */
    bool terminal;    /* the event being read ends the stream */
    bool repeats;     /* ... says nothing new */
    bool finished;
    bool error;      /* an error object stood in the body */
    bool reading;    /* until nothing more can be read of it */
    bool counted;    /* a body that costs tokens */
    bool input_only; /* nothing is generated */
    bool no_text;    /* ... but no text */
    bool blocked;    /* a guardrail intervened */
    bool later;      /* the answer comes later, and is counted then */
    bool streamed;   /* the request asked for a stream */
    bool batch;      /* it has the price of a batch */
    bool told_ahead; /* the head counts what the whole call used */
    bool by_lines;   /* JSON lines, whatever type it claims */
    char front[FRONT_SIZE];
    char model[64];
    char service_tier[16];
    union {
        struct sse sse;
        struct lines lines;
    };
    struct text_reader *reader;      /* NULL: no JSON text has begun */
    struct line_reader *line_reader; /* NULL: nothing for it came yet */
    struct sample text;              /* generated */
};

/* The next bytes of the body, without its coding. */
void response_frames_data(void *self, struct span piece);

/* The body has ended: whatever is open is ended too. */
void response_frames_end(struct response_watch *watch);

/* The next piece of a JSON text, and its end. */
void response_text_data(void *self, struct span piece);
void response_text_end(void *self);

/* The text that was being read, if any, is over. */
void response_text_over(struct response_watch *watch);

/* Is the body a stream, as far as can be told? */
bool response_is_streamed(const struct response_watch *watch);

/* The body has ended, by its framing (`whole`) or by a cut: reads what
 * was held back. */
void response_end(struct response_watch *watch, bool whole);

#endif

/* What a body is, from its Content-Type and, where that lies, from its first bytes. */
#ifndef ASSAY_HTTP_MEDIA_H
#define ASSAY_HTTP_MEDIA_H

#include "proxy/base/span.h"

enum media {
    MEDIA_UNKNOWN,
    MEDIA_JSON,        /* application/json and +json */
    MEDIA_EVENTS,      /* text/event-stream */
    MEDIA_JSON_LINES,  /* application/x-ndjson, application/jsonl ... */
    MEDIA_EVENTSTREAM, /* application/vnd.amazon.eventstream */
    MEDIA_MULTIPART,   /* multipart/form-data */
    MEDIA_OPAQUE       /* audio, image, video */
};

/* From a Content-Type value; parameters and case do not matter. */
enum media media_of(struct span content_type);

/* Corrects a claim by the body's first bytes (white space and a UTF-8 BOM skipped):
 * providers send JSON as text/event-stream and the other way round. Returns `claimed`
 * where the bytes do not contradict it. */
enum media media_sniff(enum media claimed, struct span first_bytes);

#endif

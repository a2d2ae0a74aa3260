/* One HTTP/1.1 message head, parsed. All spans point into the raw bytes it was parsed
 * from: a head lives no longer than they do. */
#ifndef ASSAY_HTTP_HEAD_H
#define ASSAY_HTTP_HEAD_H

#include "proxy/base/check.h"
#include "proxy/base/fault.h"
#include "proxy/base/span.h"

enum {
    HEAD_LINE_MAX = 8 * 1024,   /* of a request's start line */
    HEAD_TARGET_MAX = 8 * 1024, /* of a request target */
    HEAD_SIZE_MAX = 64 * 1024,  /* of a whole head, the blank line included */
    HEAD_FIELDS_MAX = 100
};

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS
};

/* How the end of a message's body is known (RFC 9112, section 6.3). */
enum framing {
    FRAMING_NONE,    /* no body */
    FRAMING_LENGTH,  /* Content-Length */
    FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
    FRAMING_CLOSE    /* responses only: until the connection ends */
};

/* Names that somebody below reads, so that nobody compares strings twice; one row each
 * in field_name.def: FIELD(identifier, "name-in-lower-case"). */
enum field_name {
    FIELD_OTHER,
#define FIELD(identifier, text) FIELD_##identifier,
#include "proxy/http/field_name.def"
#undef FIELD
    FIELD_NAME_COUNT
};

struct field {
    enum field_name id;
    bool hop_by_hop;   /* the connection's own, or named by Connection: not forwarded */
    struct span name;  /* as it came */
    struct span value; /* without white space around it */
};

struct head {
    enum method method; /* requests */
    unsigned status;    /* responses: 100 to 599 */
    unsigned minor;     /* HTTP/1.minor: 0 or 1 */
    struct span target; /* requests: origin-form, path and query; or * (OPTIONS) */
    struct span reason; /* responses; may be empty */
    enum framing framing;
    uint64_t length;      /* with FRAMING_LENGTH, at most 2^63-1 */
    bool keep_alive;      /* the sender lets the connection live on; never HTTP/1.0 */
    bool expect_continue; /* requests: the body waits for a 100 (Continue) */
    bool upgrade;         /* an Upgrade field stood in it */
    size_t field_count;
    struct field fields[HEAD_FIELDS_MAX];
};

/* Finds the end of a head in bytes that may still be growing. *scanned remembers how
 * far an earlier call looked (start with 0). Returns FAULT_NONE with *size = 0 while
 * the end has not come, with *size = bytes up to and with the blank line when it has.
 * Illegal bytes (a bare CR or LF, NUL and other controls) and heads over HEAD_SIZE_MAX
 * are faults as soon as they are seen; so are a first line over HEAD_LINE_MAX and one
 * that no HTTP/1.x message begins with. A request may be preceded by at most two CRLF
 * (RFC 9112, section 2.2), which count as part of its head. The faults name what is
 * wrong with a request; in a response each of them means FAULT_UPSTREAM_HEAD. */
enum fault head_find_end(struct span bytes, size_t *scanned, size_t *size) MUST_CHECK;

/* Parses and judges one whole request head, as found by head_find_end(): every rule of
 * the framing policy (one framing, one Host, origin-form, known method ...). A second
 * parser (llhttp, strict) reads the same bytes; FAULT_PARSERS_DISAGREE if it sees
 * another message. *head is valid only with FAULT_NONE. */
enum fault head_parse_request(struct span raw, struct head *head) MUST_CHECK;

/* The same for one response head, in answer to a request of `method`. Interim heads
 * (1xx) are returned as they are; faults are FAULT_UPSTREAM_HEAD. For HEAD requests,
 * 204 and 304 the framing is FRAMING_NONE whatever the fields say; a body announced on
 * a 204 makes keep_alive false. */
enum fault head_parse_response(struct span raw, enum method method,
                               struct head *head) MUST_CHECK;

/* The first field of that name; NULL if there is none. */
const struct field *head_field(const struct head *head, enum field_name id);

/* The id of a field name in any case; FIELD_OTHER if nobody reads it. `name` may hold
 * any bytes but control characters other than HTAB. */
enum field_name field_name_of(struct span name);

/* The method as it stands on the wire: "GET" ... */
struct span method_text(enum method method);

/* How often a head was refused because the two parsers disagreed, since the start. */
uint64_t head_disagreements(void);

#endif

/* The byte-level guard (RFC 9112, sections 2 to 5, without anything obsolete): it takes
 * a raw head apart and refuses whatever two readers could take apart differently. It
 * knows the grammar; what the fields mean is judged in head.c. */
#ifndef ASSAY_HTTP_HEAD_CHECK_H
#define ASSAY_HTTP_HEAD_CHECK_H

#include "proxy/http/head.h"

/* True for the characters of a token (RFC 9110, section 5.6.2). */
extern const bool head_token_char[256];

/* content_length, Transfer.Encoding ...: not the framing fields themselves, but names
 * that a gateway behind us (CGI and its descendants) may read as such. */
bool head_framing_lookalike(struct span name);

/* Where the first control character (below 0x20, or DEL) stands in s; s.len if
 * nowhere. */
size_t head_find_control(struct span s);

/* Content-Length's value: "0", or digits that do not begin with one, up to 2^63-1. */
bool head_content_length(struct span value, uint64_t *length) MUST_CHECK;

/* Reads method, target, version and fields of one whole request head; everything else
 * in *head is left alone. */
enum fault head_check_request(struct span raw, struct head *head) MUST_CHECK;

/* Reads version, status, reason and fields of one whole response head. Nothing may
 * precede the status line. */
enum fault head_check_response(struct span raw, struct head *head) MUST_CHECK;

#endif

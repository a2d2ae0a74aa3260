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

/* Reads method, target, version and fields of one whole request head; everything else
 * in *head is left alone. */
enum fault head_check_request(struct span raw, struct head *head) MUST_CHECK;

/* Reads version, status, reason and fields of one whole response head. Nothing may
 * precede the status line. */
enum fault head_check_response(struct span raw, struct head *head) MUST_CHECK;

#endif

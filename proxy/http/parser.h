/* The second opinion: llhttp reads a head that we have taken apart already and has to
 * see the very same message. It decides nothing else; our reading fills struct head. */
#ifndef ASSAY_HTTP_PARSER_H
#define ASSAY_HTTP_PARSER_H

#include "proxy/http/head.h"

/* What the framing fields of a head announce, whether or not a body may follow. */
struct announced {
    bool chunked;
    bool sized;
    uint64_t length; /* if sized */
};

/* Whether llhttp, strict, sees in `raw` the method, version, target, fields and framing
 * that stand in *head and *announced, and the end of the head at the end of `raw`. */
bool parser_sees_request(struct span raw, const struct head *head,
                         const struct announced *announced) MUST_CHECK;
bool parser_sees_response(struct span raw, const struct head *head,
                          const struct announced *announced) MUST_CHECK;

#endif

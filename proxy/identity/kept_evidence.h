/* The fields of a request that said who calls, kept for a connection on which more is
 * asked for later: what they prove may have ended by then. Wiped when it is freed. */
#ifndef ASSAY_IDENTITY_KEPT_EVIDENCE_H
#define ASSAY_IDENTITY_KEPT_EVIDENCE_H

#include "proxy/identity/identity.h"

struct kept_evidence;

/* Copies them; NULL without memory. */
struct kept_evidence *kept_evidence_new(const struct config_listener *listener,
                                        const struct head *head);

/* Takes NULL; returns NULL. */
struct kept_evidence *kept_evidence_free(struct kept_evidence *kept);

/* Makes a head of these fields alone, for identity_verify(). It borrows from `kept`. */
void kept_evidence_head(const struct kept_evidence *kept, struct head *head);

#endif

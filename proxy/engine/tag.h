/* The provider is told who calls, where its configuration says so: as a keyed hash, in
 * a field of the head or in the place that its API has for it in the body. Where
 * nothing is configured not a byte is changed; where it is, the hash replaces what the
 * client says there. */
#ifndef ASSAY_ENGINE_TAG_H
#define ASSAY_ENGINE_TAG_H

#include "proxy/engine/exchange.h"
#include "proxy/identity/caller_tag.h"

/* Does the tag go into this exchange's body? The whole of it is then held first. */
bool tag_waits(const struct exchange *x);

/* Writes it into the body that is held. FAULT_DUPLICATE_KEY if its place stands there
 * twice, FAULT_NO_MEMORY. */
enum fault tag_body(struct exchange *x) MUST_CHECK;

/* Appends the head's field, if there is one to tell. */
void tag_put_field(const struct exchange *x, struct text *out);

#endif

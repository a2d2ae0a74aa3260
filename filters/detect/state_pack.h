/* The state of an identity without its zeros: what newcomers take up in memory, and all on
 * disk. Lossless. */
#ifndef ASSAY_FILTERS_DETECT_STATE_PACK_H
#define ASSAY_FILTERS_DETECT_STATE_PACK_H

#include "filters/detect/identity_state.h"
#include "proxy/base/check.h"
#include "proxy/base/span.h"

/* Another layout of the state has another number: what was packed in it means nothing. */
enum { STATE_LAYOUT = 7 };

/* No packed state is longer: no word is zero. */
enum { STATE_PACKED_MAX = sizeof(struct identity_state) + 64 };

/* Returns how long it is. */
size_t state_pack(const struct identity_state *state,
                  unsigned char packed[STATE_PACKED_MAX]);

/* false if the bytes are not what state_pack() writes. Whatever they are, the state can be
 * used. */
bool state_unpack(struct span packed, struct identity_state *state) MUST_CHECK;

#endif

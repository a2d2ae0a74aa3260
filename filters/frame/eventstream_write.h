/* Writes messages of an AWS event stream (see eventstream.h). */
#ifndef ASSAY_FILTERS_FRAME_EVENTSTREAM_WRITE_H
#define ASSAY_FILTERS_FRAME_EVENTSTREAM_WRITE_H

#include "proxy/base/text.h"

/* Appends an exception of this name with a JSON payload, whole or not at all. */
void eventstream_put_exception(struct text *out, struct span name, struct span payload);

#endif

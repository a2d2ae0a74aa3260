/* What zlib decodes through is wiped when it is given back: its window is the last 32 KiB
 * of a prompt or an answer. */
#ifndef ASSAY_FILTERS_CONTENT_ZLIB_MEMORY_H
#define ASSAY_FILTERS_CONTENT_ZLIB_MEMORY_H

#include "proxy/base/wipe.h"

#include <stdlib.h>
#include <zlib.h>

static inline voidpf zlib_memory_take(voidpf unused, uInt items, uInt size)
{
    (void)unused;
    return calloc(items, size);
}

static inline void zlib_memory_free(voidpf unused, voidpf memory)
{
    (void)unused;
    wipe_free(memory);
}

/* A stream to be given to inflateInit2(). */
static inline z_stream zlib_memory_stream(void)
{
    return (z_stream){ .zalloc = zlib_memory_take, .zfree = zlib_memory_free };
}

#endif

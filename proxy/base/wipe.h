/* Memory that prompts went through, given back by libraries: wiped before it is free. */
#ifndef ASSAY_BASE_WIPE_H
#define ASSAY_BASE_WIPE_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* As free(). */
static inline void wipe_free(void *memory)
{
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

#endif

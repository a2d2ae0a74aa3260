#include "proxy/base/wipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Not inline: beside the malloc() the compiler knows how much was asked for, and takes
 * writing to all that there is for an overflow. */
__attribute__((noinline)) void wipe_free(void *memory)
{
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

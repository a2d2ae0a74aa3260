#include "filters/object.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t object_hash(struct span id)
{
    uint64_t hash = XXH3_64bits(id.at, id.len);

    return hash != 0 ? hash : 1;
}

/* XXH3 for inputs of hundreds of bytes: with the widest vectors that the machine turns
 * out to have, where the library offers the choice. The hashes are XXH3's in any
 * case. */
#ifndef ASSAY_BASE_XXH3_LONG_H
#define ASSAY_BASE_XXH3_LONG_H

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
    #include <xxh_x86dispatch.h>
#else
    #include <xxhash.h>
#endif

#endif

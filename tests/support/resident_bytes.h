/* What the test's own process holds of memory. */
#ifndef ASSAY_TESTS_SUPPORT_RESIDENT_BYTES_H
#define ASSAY_TESTS_SUPPORT_RESIDENT_BYTES_H

#include "proxy/base/check.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static inline uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    CHECK(file != NULL);
    CHECK(fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#endif

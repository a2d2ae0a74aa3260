/* The two clocks. Code below the engine takes time as an argument and never asks.
 *
 * The program that tests build with ASSAY_TEST_CLOCK reads both from a file that a
 * test maps and advances (see tests/README.md); it says so in --version. */
#ifndef ASSAY_BASE_CLOCK_H
#define ASSAY_BASE_CLOCK_H

#include <stdint.h>

enum { NS_PER_US = 1000, NS_PER_MS = 1000 * 1000, NS_PER_S = 1000 * 1000 * 1000 };

/* Nanoseconds since an arbitrary start; never steps back. For
 * durations and deadlines. */
uint64_t clock_monotonic_ns(void);

/* Nanoseconds since 1970-01-01 UTC; may be set by an administrator. For records. */
uint64_t clock_unix_ns(void);

/* Whole seconds of either clock. */
static inline int64_t clock_seconds(uint64_t ns)
{
    return (int64_t)(ns / NS_PER_S);
}

#endif

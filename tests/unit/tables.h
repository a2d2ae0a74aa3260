/* Waiting for the rank tables, which a thread of their own loads. */
#ifndef ASSAY_TESTS_UNIT_TABLES_H
#define ASSAY_TESTS_UNIT_TABLES_H

#include "filters/count/bpe.h"

#include <time.h>

static inline void wait_for_tables(void)
{
    const struct timespec moment = { .tv_nsec = 5000000 };

    while (!bpe_ready(ENCODING_O200K_BASE) || !bpe_ready(ENCODING_CL100K_BASE)) {
        nanosleep(&moment, NULL);
    }
}

#endif

/* The tokens of a text that comes in pieces of one size. */
#ifndef ASSAY_TESTS_SUPPORT_COUNT_IN_STEPS_H
#define ASSAY_TESTS_SUPPORT_COUNT_IN_STEPS_H

#include "filters/count/bpe.h"

static inline uint64_t count_in_steps(enum encoding encoding, struct span text,
                                      size_t step)
{
    struct bpe_stream stream;

    bpe_stream_init(&stream, encoding);
    while (text.len > 0) {
        size_t len = text.len < step ? text.len : step;

        bpe_stream_feed(&stream, span_of(text.at, len));
        text = span_after(text, len);
    }
    return bpe_stream_end(&stream);
}

#endif

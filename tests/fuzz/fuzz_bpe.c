/* Counting arbitrary bytes: every split counts as the whole does, and a token is never
 * less than a byte of the text after it was decoded. */
#include "filters/count/bpe.h"
#include "proxy/base/check.h"
#include "tests/support/count_in_steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const enum encoding encodings[] = { ENCODING_CL100K_BASE,
                                               ENCODING_O200K_BASE };
    struct span text = span_of((const char *)bytes, size);

    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        uint64_t whole = bpe_count(encodings[i], text);

        /* One bad byte becomes the three of U+FFFD. */
        CHECK(whole <= 3 * size && (whole > 0) == (size > 0));
        for (size_t step = 1; step < 100; step = step * 3 + 1) {
            CHECK(count_in_steps(encodings[i], text, step) == whole);
        }
    }
    return 0;
}

/* How many tokens a text is, where the provider did not say: a guess from its length in
 * bytes and the model's family. It is right within about a quarter for English prose and
 * code, and low for other scripts. Whoever uses it says so (USAGE_ESTIMATED). */
#ifndef ASSAY_FILTERS_COUNT_TOKENS_H
#define ASSAY_FILTERS_COUNT_TOKENS_H

#include "proxy/base/span.h"

/* `model` may carry a vendor's prefix ("openai/gpt-4o"). 0 only for no bytes. */
uint64_t tokens_estimate(struct span model, uint64_t bytes);

#endif

/* How many tokens a text is, where the provider did not say. Whoever uses it says so
 * (USAGE_ESTIMATED, USAGE_PARTIAL). How good it is: README.md. */
#ifndef ASSAY_FILTERS_COUNT_TOKENS_H
#define ASSAY_FILTERS_COUNT_TOKENS_H

#include "filters/count/sample.h"

/* From its length in bytes and the model's family alone: right within about a quarter
 * for English prose and code, and low for other scripts. `model` may carry a vendor's
 * prefix ("openai/gpt-4o"). 0 only for no bytes. */
uint64_t tokens_estimate(struct span model, uint64_t bytes);

/* From the text itself, how many tool calls were in it, and whether thoughts were:
 * exact but for what surrounds the text where the model's encoding is public; elsewhere
 * what it is in o200k_base, times what the model's family makes of that. 0 where
 * nothing could be counted (yet). */
uint64_t tokens_count(struct span model, const struct sample *text, uint64_t tools,
                      bool thought);

#endif

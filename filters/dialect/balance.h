/* Small pieces that the dialects' balance() functions share. */
#ifndef ASSAY_FILTERS_DIALECT_BALANCE_H
#define ASSAY_FILTERS_DIALECT_BALANCE_H

#include "filters/dialect.h"

/* Copies a count into a class, the lifetimes of what was written, a counter; leaves
 * unknown what is not tallied. */
void balance_class(const struct tally *tally, enum count count, enum token_class class,
                   struct usage *usage);
void balance_lifetimes(const struct tally *tally, struct usage *usage);
void balance_searches(const struct tally *tally, struct usage *usage);

/* Copies all modality counts; flags that cached and non-text input may overlap. */
void balance_modality(const struct tally *tally, struct usage *usage);

/* The tally with backup counts in place of the sides that it leaves out. Its
 * COUNT_INPUT is then with the cache, as in OpenAI's shape. */
struct tally balance_backup(const struct tally *tally);

/* Splits a stated output into visible output and reasoning, which is inside it. */
void balance_reasoning(const struct tally *tally, uint64_t output, struct usage *usage);

#endif

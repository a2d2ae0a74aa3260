/* The prices in force at one time, as a table. */
#ifndef ASSAY_CLI_PRICE_LIST_H
#define ASSAY_CLI_PRICE_LIST_H

#include "proxy/meter/price.h"

#include <stdio.h>

/* Prints the prices of all models, or of those that `pattern` names: with * ? [ as in a
 * shell, else any name that holds it, letters of either case; these with the prices of
 * service tiers and long input. `source` tells where they are from. Returns how many
 * models there are; 0 prints nothing. */
size_t price_list_print(const struct price_table *table, const char *source,
                        const char *pattern, uint64_t at_unix_ns, FILE *out);

#endif

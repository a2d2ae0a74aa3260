/* Reading price files: shared by price_load.c, price_import.c and their tests. */
#ifndef ASSAY_METER_PRICE_LOAD_H
#define ASSAY_METER_PRICE_LOAD_H

#include "proxy/meter/price.h"

/* A whole file as allocated bytes followed by a NUL; NULL and an entry in *error if it
 * cannot be read or exceeds `limit`. */
char *price_file_read(const char *path, size_t limit, size_t *len, struct error *error);

/* price_table_load() from memory. `name` stands for the file in errors
 * and outlives them. */
struct price_table *price_table_parse(const char *name, struct span text,
                                      struct error *error);

#endif

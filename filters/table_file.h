/* The bytes of a table that is read when the configuration is: clients.yaml
 * and the like. */
#ifndef ASSAY_FILTERS_TABLE_FILE_H
#define ASSAY_FILTERS_TABLE_FILE_H

#include "proxy/base/error.h"
#include "proxy/base/span.h"

/* The caller frees them with table_file_free(). at is NULL, with an entry in *error, if
 * the file cannot be read; `path` outlives *error. */
struct span table_file_read(const char *path, struct error *error);
void table_file_free(struct span bytes);

#endif

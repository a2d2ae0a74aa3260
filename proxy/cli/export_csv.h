/* `assay export --format csv`: a row per exchange, by the rows of export_column.def. */
#ifndef ASSAY_CLI_EXPORT_CSV_H
#define ASSAY_CLI_EXPORT_CSV_H

#include "proxy/meter/entry.h"

#include <stdio.h>

void export_csv_head(FILE *out);
void export_csv_row(const struct entry *entry, FILE *out);

#endif

/* Comma-separated values (RFC 4180, but lines end in a plain newline) that a
 * spreadsheet opens without harm. */
#ifndef ASSAY_CLI_CSV_H
#define ASSAY_CLI_CSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct csv {
    FILE *out;
    bool begun; /* the row has a cell */
};

/* A cell of any text, "" included. What a spreadsheet would take for a formula, because
 * it begins with = + - @ or a control character, gets an apostrophe in front: clients
 * choose some of these texts. */
void csv_put(struct csv *csv, const char *cell);

void csv_put_u64(struct csv *csv, uint64_t value);
void csv_put_i64(struct csv *csv, int64_t value);

/* Ends the row. */
void csv_end(struct csv *csv);

#endif

/* Comma-separated values (RFC 4180), read a row at a time out of memory. */
#ifndef ASSAY_CLI_CSV_READER_H
#define ASSAY_CLI_CSV_READER_H

#include "proxy/base/span.h"

enum { CSV_CELLS_MAX = 32 };

struct csv_row {
    unsigned line; /* where it begins, from 1 */
    size_t count;
    struct span cells[CSV_CELLS_MAX]; /* into the text */
};

struct csv_reader {
    char *at, *end;
    unsigned line;
};

/* The text is changed while it is read: quotes are undone in place. A byte order mark
 * is passed over. */
void csv_reader_init(struct csv_reader *reader, char *text, size_t len);

enum csv_read { CSV_ROW, CSV_END, CSV_BAD_QUOTE, CSV_TOO_WIDE };

/* The next row that is not empty. */
enum csv_read csv_reader_next(struct csv_reader *reader, struct csv_row *row);

#endif

#include "proxy/cli/csv_reader.h"

void csv_reader_init(struct csv_reader *reader, char *text, size_t len)
{
    *reader = (struct csv_reader){ .at = text, .end = text + len, .line = 1 };
    if (span_starts(span_of(text, len), SPAN("\xef\xbb\xbf"))) {
        reader->at += 3;
    }
}

/* Behind the opening quote; doubled quotes become one. */
static bool quoted_read(struct csv_reader *reader, struct span *cell)
{
    char *out = reader->at;

    cell->at = out;
    while (reader->at < reader->end) {
        char c = *reader->at++;

        reader->line += c == '\n';
        if (c != '"') {
            *out++ = c;
        } else if (reader->at < reader->end && *reader->at == '"') {
            *out++ = *reader->at++;
        } else {
            cell->len = (size_t)(out - cell->at);
            return true;
        }
    }
    return false;
}

static bool ends_cell(const struct csv_reader *reader)
{
    return reader->at == reader->end || *reader->at == ',' || *reader->at == '\n' ||
           *reader->at == '\r';
}

static bool cell_read(struct csv_reader *reader, struct span *cell)
{
    if (reader->at < reader->end && *reader->at == '"') {
        reader->at++;
        return quoted_read(reader, cell) && ends_cell(reader);
    }
    cell->at = reader->at;
    while (!ends_cell(reader)) {
        if (*reader->at++ == '"') {
            return false;
        }
    }
    cell->len = (size_t)(reader->at - cell->at);
    *cell = span_trim(*cell);
    return true;
}

static void skip_empty_lines(struct csv_reader *reader)
{
    while (reader->at < reader->end && (*reader->at == '\n' || *reader->at == '\r')) {
        reader->line += *reader->at++ == '\n';
    }
}

enum csv_read csv_reader_next(struct csv_reader *reader, struct csv_row *row)
{
    skip_empty_lines(reader);
    *row = (struct csv_row){ .line = reader->line };
    if (reader->at == reader->end) {
        return CSV_END;
    }
    for (;;) {
        if (row->count == CSV_CELLS_MAX) {
            return CSV_TOO_WIDE;
        }
        if (!cell_read(reader, &row->cells[row->count++])) {
            return CSV_BAD_QUOTE;
        }
        if (reader->at == reader->end || *reader->at != ',') {
            return CSV_ROW;
        }
        reader->at++;
    }
}

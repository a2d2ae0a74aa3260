#include "proxy/cli/csv.h"

#include <inttypes.h>
#include <string.h>

static void separate(struct csv *csv)
{
    if (csv->begun) {
        fputc(',', csv->out);
    }
    csv->begun = true;
}

static bool is_risky(const char *cell)
{
    return *cell != '\0' &&
           ((unsigned char)*cell < ' ' || strchr("=+-@", *cell) != NULL);
}

void csv_put(struct csv *csv, const char *cell)
{
    bool quoted = strpbrk(cell, "\",\r\n") != NULL;

    separate(csv);
    if (quoted) {
        fputc('"', csv->out);
    }
    if (is_risky(cell)) {
        fputc('\'', csv->out);
    }
    for (; *cell != '\0'; cell++) {
        if (*cell == '"') {
            fputc('"', csv->out);
        }
        fputc(*cell, csv->out);
    }
    if (quoted) {
        fputc('"', csv->out);
    }
}

void csv_put_u64(struct csv *csv, uint64_t value)
{
    separate(csv);
    fprintf(csv->out, "%" PRIu64, value);
}

void csv_put_i64(struct csv *csv, int64_t value)
{
    separate(csv);
    fprintf(csv->out, "%" PRIi64, value);
}

void csv_end(struct csv *csv)
{
    fputc('\n', csv->out);
    csv->begun = false;
}

/* An operator's mistakes: collected, not printed one by one, each with its place.
 * For mistakes of peers see fault.h; for broken promises of the code see check.h. */
#ifndef ASSAY_BASE_ERROR_H
#define ASSAY_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct error_place {
    const char *file; /* NULL: no place is known. Not copied; outlives the error */
    unsigned line;    /* from 1; 0: the whole file */
    unsigned column;  /* from 1; 0: the whole line */
};

struct error_entry {
    struct error_place place;
    char *words;
};

struct error {
    struct error_entry *entries;
    size_t count;
};

void error_init(struct error *error);
void error_done(struct error *error);

/* Adds one mistake. `format` makes one line without a final stop or newline. */
void error_add(struct error *error, struct error_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline bool error_any(const struct error *error)
{
    return error->count > 0;
}

/* One line each: file:line:column: words. */
void error_print(const struct error *error, FILE *out);

#endif

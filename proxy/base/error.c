#include "proxy/base/error.h"

#include "proxy/base/check.h"

#include <stdarg.h>
#include <stdlib.h>

void error_init(struct error *error)
{
    *error = (struct error){ 0 };
}

void error_done(struct error *error)
{
    for (size_t i = 0; i < error->count; i++) {
        free(error->entries[i].words);
    }
    free(error->entries);
    error_init(error);
}

void error_add(struct error *error, struct error_place place, const char *format, ...)
{
    struct error_entry *entries;
    char *words = NULL;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vasprintf(&words, format, arguments);
    va_end(arguments);
    entries = realloc(error->entries, (error->count + 1) * sizeof *entries);
    /* A mistake that cannot be told must not pass for none. */
    CHECK(length >= 0 && entries != NULL);
    entries[error->count] = (struct error_entry){ place, words };
    error->entries = entries;
    error->count++;
}

static void place_print(struct error_place place, FILE *out)
{
    if (place.file == NULL) {
        return;
    }
    fputs(place.file, out);
    if (place.line > 0) {
        fprintf(out, ":%u", place.line);
    }
    if (place.line > 0 && place.column > 0) {
        fprintf(out, ":%u", place.column);
    }
    fputs(": ", out);
}

void error_print(const struct error *error, FILE *out)
{
    for (size_t i = 0; i < error->count; i++) {
        place_print(error->entries[i].place, out);
        fprintf(out, "%s\n", error->entries[i].words);
    }
}

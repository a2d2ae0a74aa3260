/* The second pass, one value at a time: text to a typed member, by its row. */
#ifndef ASSAY_CONFIG_VALUE_H
#define ASSAY_CONFIG_VALUE_H

#include "config/config.h"
#include "config/field.h"
#include "proxy/base/arena.h"
#include "proxy/base/error.h"
#include "proxy/base/text.h"

/* What values are read with. */
struct value_reader {
    struct arena *arena; /* of the strings that are kept */
    struct span folder;  /* of the configuration file, "" or with a final slash */
    enum config_secrets secrets;
    struct error *error;
};

/* Sets the member of `target` that a scalar row describes. A mistake is added with
 * `place` and leaves the member as it was. */
void value_set(const struct value_reader *reader, const struct field *field,
               const char *text, struct error_place place, void *target);

/* One element of a FIELD_TEXTS row; NULL (and told) if it is a mistake. */
const char *value_element(const struct value_reader *reader, const struct field *field,
                          const char *text, struct error_place place);

/* A number of a row's kind as an operator would write it: "64 KiB", "90s", "16". */
void value_put(struct text *text, enum field_type type, uint64_t number);

#endif

/* A row of the configuration's schema. The loader, the checks, the reference in
 * config/README.md and the man page all come from these rows (schema.c). */
#ifndef ASSAY_CONFIG_FIELD_H
#define ASSAY_CONFIG_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is written, and what stands at the row's offset. */
enum field_type {
    FIELD_TEXT,       /* const char * */
    FIELD_PATH,       /* const char *, made absolute to the file's folder */
    FIELD_NAME,       /* const char *: letters, digits and . _ - @ + */
    FIELD_HEADER,     /* const char *: a header field name, in lower case */
    FIELD_WORD,       /* an enum: the index in `words` */
    FIELD_SWITCH,     /* bool: on, off, true, false, yes, no */
    FIELD_COUNT,      /* uint32_t */
    FIELD_SIZE,       /* uint64_t bytes: "64 KiB" */
    FIELD_DURATION,   /* uint32_t milliseconds: "500ms", "5m" */
    FIELD_DAYS,       /* uint32_t days: "28d" */
    FIELD_ADDRESS,    /* struct config_address */
    FIELD_URL,        /* url and its parts in a struct config_provider */
    FIELD_LINK,       /* struct config_url */
    FIELD_REDIS,      /* text, host, path and port of a struct config_redis */
    FIELD_CREDENTIAL, /* credential and secret in a struct config_provider */
    FIELD_LIMIT,      /* struct config_limit */
    FIELD_PERIOD,     /* struct config_period */
    FIELD_SHARE,      /* const char *: "80%" */
    FIELD_WEIGHT,     /* uint32_t hundredths: "1.25" */
    FIELD_TIMEZONE,   /* const char *: a zone of the tz database */
    FIELD_JWKS,       /* struct config_jwks: https://... or file:/path */
    FIELD_SECRET,     /* struct secret *: env:NAME or file:/path */
    FIELD_TEXTS,      /* const char *const *, NULL at the end: a list of `element` */
    FIELD_WORDS,      /* struct config_words: a list of some of `words` */
    FIELD_NETWORKS,   /* struct config_networks: a list of addresses or networks */
    FIELD_PAIRS,      /* struct config_pair *, and a size_t at count_offset: a map from
                         names to texts */
    FIELD_MAP,        /* the members of `group`, in the struct at the offset */
    FIELD_LIST,       /* an array of `group` structs, and a size_t at count_offset */
    FIELD_NAMED       /* the same, written as a map from names to their members */
};

/* What happens to a changed value at SIGHUP. */
enum field_reload {
    RELOAD_LIVE,   /* in force at once, for new exchanges */
    RELOAD_RESTART /* only a restart can change it */
};

struct field {
    const char *key; /* NULL ends a group */
    enum field_type type;
    enum field_reload reload;
    bool required;
    size_t offset;
    size_t count_offset;      /* of FIELD_PAIRS, FIELD_LIST and FIELD_NAMED */
    const char *fallback;     /* the default, as it would be written; NULL: none */
    const char *without;      /* what happens when there is none, for the reference */
    uint64_t least, most;     /* of numbers, and of the elements of lists */
    const char *const *words; /* of FIELD_WORD; NULL at the end */
    enum field_type element;  /* of FIELD_TEXTS: one that is a const char * */
    const struct field_group *group;
    const char *help; /* one line, no final stop */
};

/* The keys of one map. */
struct field_group {
    const char *title; /* in the reference: "providers.NAME" */
    const struct field *fields;
    /* Of list and named elements: their size, and where the loader notes the element's
     * name (named only) and its struct error_place; NO_OFFSET: not noted. */
    size_t size;
    size_t name_offset;
    size_t place_offset;
};

#define NO_OFFSET SIZE_MAX

/* The whole file. */
extern const struct field_group config_schema;

/* Steps through a group: the row of a key, or NULL. */
const struct field *field_find(const struct field_group *group, const char *key);

#endif

/* config/clients.yaml as it is used. Private to clients. */
#ifndef ASSAY_FILTERS_CLIENTS_TABLE_H
#define ASSAY_FILTERS_CLIENTS_TABLE_H

#include "filters/clients.h"
#include "filters/json/scan.h"
#include "proxy/base/arena.h"

enum {
    CLIENTS_FIELDS_MAX = 48, /* different header fields that a table may name */
    CLIENTS_USER_AGENT = 0,  /* the first of them */
    CLIENTS_NAME_MAX = 63    /* bytes of a field's name */
};

/* Header fields are named by their number in clients.fields, and every head is searched
 * for them once. */
struct condition {
    size_t field;
    struct span text; /* empty: the field is there */
    bool anywhere;
};

struct source {
    size_t field;
    struct scan_plan *member; /* NULL: the whole value */
};

struct conditions {
    struct condition *at;
    size_t count;
};

struct sources {
    struct source *at;
    size_t count;
};

struct tool {
    const char *name;
    struct conditions match, headless, interactive;
    struct sources version;
};

struct clients {
    struct arena_pool pool;
    struct arena arena;
    struct span fields[CLIENTS_FIELDS_MAX];
    size_t field_count;
    /* Fields by the length of their names: one more than the newest's number, and of
     * each field one more than the number of the next older one; 0 ends. */
    uint8_t newest_of_length[CLIENTS_NAME_MAX + 1];
    uint8_t older[CLIENTS_FIELDS_MAX];
    struct tool *tools;
    size_t count;
    struct sources session, agent, retry;
};

#endif

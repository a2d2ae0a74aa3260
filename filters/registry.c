#include "filters/registry.h"

#include "filters/pattern.h"
#include "proxy/base/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

const struct dialect *const dialects[] = {
#define DIALECT(name) &dialect_##name,
#include "filters/filters.def"
#undef DIALECT
    NULL
};

enum { DIALECT_COUNT = sizeof(dialects) / sizeof(dialects[0]) - 1 };

/* ---- families -------------------------------------------------------------------- */

static const struct dialect_family further_families[] = {
#define FAMILY(name, parent, field, prefix) { #name, #parent, field, prefix },
#include "filters/filters.def"
#undef FAMILY
};

enum { FURTHER_COUNT = sizeof(further_families) / sizeof(further_families[0]) };

static const char *families[DIALECT_COUNT + FURTHER_COUNT + 1];

static const struct dialect_family *further_family(const char *name)
{
    for (size_t i = 0; i < FURTHER_COUNT; i++) {
        if (strcmp(further_families[i].name, name) == 0) {
            return &further_families[i];
        }
    }
    return NULL;
}

/* Does a provider of this family speak the dialect? */
static bool speaks(const char *family, const struct dialect *dialect)
{
    const struct dialect_family *further = further_family(family);

    return strcmp(dialect->family, family) == 0 ||
           (further != NULL && strcmp(dialect->family, further->parent) == 0);
}

static const char *first_speaking(const char *const *wanted,
                                  const struct dialect *dialect)
{
    for (; *wanted != NULL; wanted++) {
        if (speaks(*wanted, dialect)) {
            return *wanted;
        }
    }
    return NULL;
}

struct dialect_family registry_credential(const char *const *wanted,
                                          const struct dialect *dialect)
{
    const char *family = first_speaking(wanted, dialect);
    const struct dialect_family *further;

    if (family == NULL) {
        family = wanted[0];
        dialect = registry_family_dialect(family);
        CHECK(dialect != NULL);
    }
    further = further_family(family);
    if (further != NULL) {
        return *further;
    }
    return (struct dialect_family){ .name = family,
                                    .parent = "",
                                    .credential_field = dialect->credential_field,
                                    .credential_prefix = dialect->credential_prefix };
}

const struct dialect *registry_family_dialect(const char *family)
{
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        if (speaks(family, *each)) {
            return *each;
        }
    }
    return NULL;
}

static void list_family(const char *family)
{
    size_t count = 0;

    while (families[count] != NULL && strcmp(families[count], family) != 0) {
        count++;
    }
    families[count] = family;
}

static void list_families(void)
{
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        if (dialects[i]->family[0] != '\0') {
            list_family(dialects[i]->family);
        }
    }
    for (size_t i = 0; i < FURTHER_COUNT; i++) {
        list_family(further_families[i].name);
    }
}

/* ---- routes ---------------------------------------------------------------------- */

static const struct dialect_route *route_of(const struct dialect *dialect,
                                            enum method method, struct span path)
{
    struct span model;

    for (const struct dialect_route *row = dialect->routes; row->path != NULL; row++) {
        if (row->method == method &&
            pattern_matches(span_text(row->path), path, &model)) {
            return row;
        }
    }
    return NULL;
}

const struct dialect *registry_claim(const char *const *wanted, enum method method,
                                     struct span path,
                                     const struct dialect_route **route)
{
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        if (first_speaking(wanted, *each) != NULL) {
            *route = route_of(*each, method, path);
            if (*route != NULL) {
                return *each;
            }
        }
    }
    return NULL;
}

const struct dialect *registry_unknown(const struct dialect_route **route)
{
    *route = dialect_unknown.routes;
    return &dialect_unknown;
}

const struct dialect *registry_unclaimed(enum method method, struct span path,
                                         const struct dialect_route **route)
{
    *route = route_of(&dialect_unknown, method, path);
    return *route == NULL ? registry_unknown(route) : &dialect_unknown;
}

/* ---- what is made once ----------------------------------------------------------- */

static const struct dialect_plans *_Atomic plans[DIALECT_COUNT];

static size_t row_count(const struct scan_path *paths)
{
    size_t count = 0;

    while (paths != NULL && paths[count].path != NULL) {
        count++;
    }
    return count;
}

/* Without the turn gate its rows are left out, or only measured. */
static size_t put_request(struct scan_path *rows, const struct scan_path *path,
                          bool turns)
{
    if (!turns && fact_is_turns(path->tag)) {
        return 0;
    }
    *rows = *path;
    if (!turns && path->tag >= FACT_SAID) {
        rows->strings = SCAN_MEASURED;
    }
    return 1;
}

static struct scan_plan *compile_request(const struct scan_path *paths, bool turns)
{
    size_t count = row_count(paths), kept = 0;
    struct scan_path *rows;
    struct scan_plan *plan;

    if (count == 0) {
        return NULL;
    }
    rows = calloc(count + 1, sizeof(*rows));
    CHECK(rows != NULL);
    for (size_t i = 0; i < count; i++) {
        kept += put_request(&rows[kept], &paths[i], turns);
    }
    rows[kept++] = (struct scan_path){ "", FACT_ROOT, SCAN_WHOLE };
    plan = scan_plan_new(rows, kept);
    free(rows);
    return plan;
}

static size_t put_response(struct scan_path *rows, const struct scan_path *path,
                           bool turns)
{
    if (!turns && seen_is_turns(path->tag)) {
        return 0;
    }
    *rows = *path;
    return 1;
}

static struct scan_plan *compile_response(const struct scan_path *paths, bool turns)
{
    size_t count = row_count(paths), kept = 0;
    struct scan_path *rows;
    struct scan_plan *plan;

    if (paths == NULL) {
        return NULL;
    }
    rows = calloc(count + 1, sizeof(*rows));
    CHECK(rows != NULL);
    for (size_t i = 0; i < count; i++) {
        kept += put_response(&rows[kept], &paths[i], turns);
    }
    plan = scan_plan_new(rows, kept);
    free(rows);
    return plan;
}

/* Can a person speak in a request of this dialect? */
static bool has_turns(const struct scan_path *paths)
{
    for (size_t i = 0; i < row_count(paths); i++) {
        if (paths[i].tag == FACT_SAID || paths[i].tag == FACT_PROMPT) {
            return true;
        }
    }
    return false;
}

static struct dialect_plans *make_plans(const struct dialect *dialect)
{
    struct dialect_plans *made = calloc(1, sizeof(*made));

    CHECK(made != NULL);
    made->request = compile_request(dialect->request, false);
    made->response = compile_response(dialect->response, false);
    if (has_turns(dialect->request)) {
        made->request_turns = compile_request(dialect->request, true);
        made->response_turns = compile_response(dialect->response, true);
    }
    return made;
}

static void free_plans(struct dialect_plans *made)
{
    scan_plan_free(made->request);
    scan_plan_free(made->response);
    scan_plan_free(made->request_turns);
    scan_plan_free(made->response_turns);
    free(made);
}

/* Two threads may both make them: the first one's stay. */
static const struct dialect_plans *first_plans(size_t i)
{
    struct dialect_plans *made = make_plans(dialects[i]);
    const struct dialect_plans *first = NULL;

    if (atomic_compare_exchange_strong_explicit(&plans[i], &first, made,
                                                memory_order_acq_rel,
                                                memory_order_acquire)) {
        return made;
    }
    free_plans(made);
    return first;
}

const char *const *registry_families(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, list_families) == 0);
    return families;
}

const struct dialect_plans *registry_plans(const struct dialect *dialect)
{
    const struct dialect_plans *made;
    size_t i = 0;

    while (i < DIALECT_COUNT && dialects[i] != dialect) {
        i++;
    }
    CHECK(i < DIALECT_COUNT);
    made = atomic_load_explicit(&plans[i], memory_order_acquire);
    return made != NULL ? made : first_plans(i);
}

#include "filters/registry.h"

#include "proxy/base/check.h"

#include <pthread.h>
#include <stdlib.h>

const struct dialect *const dialects[] = {
#define DIALECT(name) &dialect_##name,
#include "filters/filters.def"
#undef DIALECT
    NULL
};

enum { DIALECT_COUNT = sizeof(dialects) / sizeof(dialects[0]) - 1 };

static struct dialect_plans plans[DIALECT_COUNT];
static pthread_once_t plans_once = PTHREAD_ONCE_INIT;

/* ---- paths -------------------------------------------------------------------------- */

/* Takes the last segment off a path: "/v1/models" gives "models" and leaves "/v1". */
static bool last_segment(struct span *path, struct span *segment)
{
    size_t at = path->len;

    while (at > 0 && path->at[at - 1] != '/') {
        at--;
    }
    if (at == 0) {
        return false;
    }
    *segment = span_of(path->at + at, path->len - at);
    path->len = at - 1;
    return true;
}

/* Compares from the end, where paths differ. */
static bool path_matches(struct span pattern, struct span path)
{
    struct span wanted, segment;

    while (last_segment(&pattern, &wanted)) {
        if (!last_segment(&path, &segment)) {
            return false;
        }
        if (span_equal(wanted, SPAN("*")) ? segment.len == 0
                                          : !span_equal(wanted, segment)) {
            return false;
        }
    }
    return span_equal(pattern, SPAN("**")) || (pattern.len == 0 && path.len == 0);
}

static const struct dialect_route *route_of(const struct dialect *dialect,
                                            enum method method, struct span path)
{
    for (const struct dialect_route *row = dialect->routes; row->path != NULL; row++) {
        if (row->method == method && path_matches(span_text(row->path), path)) {
            return row;
        }
    }
    return NULL;
}

static bool is_among(const char *family, const char *const *families)
{
    for (; *families != NULL; families++) {
        if (strcmp(family, *families) == 0) {
            return true;
        }
    }
    return false;
}

const struct dialect *registry_claim(const char *const *families, enum method method,
                                     struct span path,
                                     const struct dialect_route **route)
{
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        if (is_among((*each)->family, families)) {
            *route = route_of(*each, method, path);
            if (*route != NULL) {
                return *each;
            }
        }
    }
    return NULL;
}

bool registry_family(struct span family)
{
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        if (family.len > 0 && span_equal(span_text((*each)->family), family)) {
            return true;
        }
    }
    return false;
}

const struct dialect *registry_family_dialect(const char *family)
{
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        if (strcmp((*each)->family, family) == 0) {
            return *each;
        }
    }
    return NULL;
}

const struct dialect *registry_unknown(const struct dialect_route **route)
{
    *route = dialect_unknown.routes;
    return &dialect_unknown;
}

/* ---- plans -------------------------------------------------------------------------- */

static size_t row_count(const struct scan_path *paths)
{
    size_t count = 0;

    while (paths != NULL && paths[count].path != NULL) {
        count++;
    }
    return count;
}

static const struct scan_plan *compile_request(const struct scan_path *paths)
{
    size_t count = row_count(paths);
    struct scan_path *rows;
    const struct scan_plan *plan;

    if (count == 0) {
        return NULL;
    }
    rows = calloc(count + 1, sizeof(*rows));
    CHECK(rows != NULL);
    memcpy(rows, paths, count * sizeof(*rows));
    rows[count] = (struct scan_path){ "", FACT_ROOT, SCAN_WHOLE };
    plan = scan_plan_new(rows, count + 1);
    free(rows);
    return plan;
}

static const struct scan_plan *compile_response(const struct scan_path *paths)
{
    return paths == NULL ? NULL : scan_plan_new(paths, row_count(paths));
}

static void compile_all(void)
{
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        plans[i].request = compile_request(dialects[i]->request);
        plans[i].response = compile_response(dialects[i]->response);
    }
}

const struct dialect_plans *registry_plans(const struct dialect *dialect)
{
    size_t i = 0;

    CHECK(pthread_once(&plans_once, compile_all) == 0);
    while (i < DIALECT_COUNT && dialects[i] != dialect) {
        i++;
    }
    CHECK(i < DIALECT_COUNT);
    return &plans[i];
}

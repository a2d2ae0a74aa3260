#include "proxy/engine/route.h"

#include "filters/registry.h"
#include "proxy/http/target.h"

/* The first segment of a path, without slashes. */
static struct span first_segment(struct span path)
{
    path = span_after(path, 1);
    return span_of(path.at, span_find(path, '/'));
}

static struct origin *origin_named(struct view *view, struct span name)
{
    const struct config *config = view->snapshot->config;

    for (size_t i = 0; i < config->provider_count; i++) {
        if (span_equal(span_text(config->providers[i].name), name)) {
            return &view->origins[i];
        }
    }
    return NULL;
}

static void route_unknown(struct route *route, struct origin *origin,
                          enum method method, struct span path)
{
    route->origin = origin;
    route->dialect = registry_unclaimed(method, path, &route->row);
}

/* A path under a provider's name; `path` and `target` are without that prefix. */
static enum fault route_within(struct origin *origin, enum method method,
                               struct span path, struct span target,
                               struct route *route)
{
    route->target = target;
    route->dialect =
        registry_claim(origin->provider->dialects, method, path, &route->row);
    if (route->dialect != NULL) {
        route->origin = origin;
        return FAULT_NONE;
    }
    route_unknown(route, origin, method, path);
    return origin->provider->unknown_paths == UNKNOWN_RELAY ? FAULT_NONE
                                                            : FAULT_UNKNOWN_PATH;
}

static enum fault route_default(struct view *view, enum method method, struct span path,
                                struct span target, struct route *route)
{
    const struct config *config = view->snapshot->config;
    struct origin *relays = NULL;

    route->target = target;
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        const struct dialect *dialect;

        if (!provider->is_default) {
            continue;
        }
        dialect = registry_claim(provider->dialects, method, path, &route->row);
        if (dialect != NULL) {
            route->origin = &view->origins[i];
            route->dialect = dialect;
            return FAULT_NONE;
        }
        if (relays == NULL && provider->unknown_paths == UNKNOWN_RELAY) {
            relays = &view->origins[i];
        }
    }
    route_unknown(route, relays, method, path);
    return relays == NULL ? FAULT_NO_ROUTE : FAULT_NONE;
}

/* A client whose base URL ends in a slash writes two of them behind the name, as
 * Azure's often do; the provider gets both. Two at the very front of a target would
 * name a host (RFC 3986, section 4.2), and are left for target_parse(). */
static struct span one_slash(struct span path)
{
    while (span_starts(path, SPAN("//"))) {
        path = span_after(path, 1);
    }
    return path;
}

/* Bedrock's model ids are one segment that may hold an escaped slash. */
static unsigned target_flags(struct span raw)
{
    return span_starts(raw, SPAN("/model/")) ? TARGET_ALLOW_ENCODED_SLASH : 0;
}

static bool asks_for_events(struct span query)
{
    struct span parameter;

    while (span_next(&query, '&', &parameter)) {
        if (span_equal(parameter, SPAN("alt=sse"))) {
            return true;
        }
    }
    return false;
}

enum fault route_find(struct view *view, const struct head *head, struct route *route)
{
    SCRATCH char buffer[HEAD_TARGET_MAX];
    struct target target;
    struct origin *origin;
    struct span name, rest, read;
    enum fault fault;

    *route = (struct route){ .target = head->target };
    route->dialect = registry_unknown(&route->row);
    /* A provider's name is never escaped, so it stands in the raw target as it is. */
    name = head->target.len > 1 ? first_segment(head->target) : span_of(NULL, 0);
    origin = name.len == 0 ? NULL : origin_named(view, name);
    rest = origin == NULL ? head->target : span_after(head->target, name.len + 1);
    if (rest.len == 0) {
        return FAULT_NO_ROUTE;
    }
    read = origin == NULL ? rest : one_slash(rest);
    fault = target_parse(read, target_flags(read), buffer, sizeof buffer, &target);
    if (fault != FAULT_NONE) {
        return fault;
    }
    route->events = asks_for_events(target.query);
    if (origin != NULL) {
        return route_within(origin, head->method, target.path, rest, route);
    }
    return route_default(view, head->method, target.path, rest, route);
}

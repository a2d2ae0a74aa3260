/* A view of three providers without connections, for the tests of what a request's head
 * decides: alpha (openai, default), beta (anthropic, default) and gamma (both). */
#ifndef ASSAY_TESTS_UNIT_ROUTING_H
#define ASSAY_TESTS_UNIT_ROUTING_H

#include "filters/registry.h"
#include "proxy/engine/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct routing {
    struct config *config;
    struct snapshot snapshot;
    struct view view;
    struct origin origins[3];
};

enum { ALPHA, BETA, GAMMA };

/* `gamma` are further lines of that provider. */
static inline struct routing *routing_new(const char *gamma)
{
    struct routing *routing = calloc(1, sizeof *routing);
    struct error error;
    char yaml[2048];

    assert_non_null(routing);
    assert_int_equal(setenv("ROUTING_KEY", "the-providers-own", 1), 0);
    (void)snprintf(yaml, sizeof yaml,
                   "listen: [{address: 127.0.0.1:1}]\n"
                   "providers:\n"
                   "  alpha:\n"
                   "    url: http://localhost:81/base\n"
                   "    dialects: [openai]\n"
                   "    credential: env:ROUTING_KEY\n"
                   "    default: true\n"
                   "  beta:\n"
                   "    url: http://localhost\n"
                   "    dialects: [anthropic]\n"
                   "    credential: env:ROUTING_KEY\n"
                   "    default: true\n"
                   "  gamma:\n"
                   "    url: http://[::1]:80\n"
                   "    dialects: [anthropic, openai]\n"
                   "%s",
                   gamma);
    error_init(&error);
    routing->config = config_parse("/routing.yaml", span_text(yaml),
                                   registry_families(), CONFIG_WITH_SECRETS, &error);
    error_print(&error, stderr);
    error_done(&error);
    assert_non_null(routing->config);
    routing->snapshot.config = routing->config;
    routing->view.snapshot = &routing->snapshot;
    routing->view.origins = routing->origins;
    for (size_t i = 0; i < 3; i++) {
        const struct config_provider *provider = &routing->config->providers[i];

        routing->origins[i].provider = provider;
        routing->origins[i].shape = registry_family_dialect(provider->dialects[0]);
    }
    return routing;
}

static inline struct routing *routing_free(struct routing *routing)
{
    config_free(routing->config);
    free(routing);
    return NULL;
}

#endif

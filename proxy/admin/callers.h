/* GET /v1/callers and /v1/callers/NAME: what people used, by the ledger, and what is
 * left of their quotas. */
#ifndef ASSAY_ADMIN_CALLERS_H
#define ASSAY_ADMIN_CALLERS_H

#include "proxy/admin/guard.h"
#include "proxy/meter/quota.h"

struct evbuffer;

struct callers_query {
    const char *state;         /* folder of the ledger */
    const struct guest *guest; /* only what he may see */
    const char *caller;        /* NULL: all */
    uint64_t since_ns;
};

/* {"callers": [...]}: a row per team and caller, dearest first; of one caller a row per
 * team, day and model, and {"quotas": [...]}: his own counters. *found counts the rows.
 * false and entries in *error if the ledger cannot be read. */
bool callers_put_json(const struct callers_query *query, struct quota *quota,
                      struct evbuffer *body, size_t *found, struct error *error);

#endif

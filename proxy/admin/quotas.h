/* Quotas on the admin port: their metrics, and GET /v1/quotas. */
#ifndef ASSAY_ADMIN_QUOTAS_H
#define ASSAY_ADMIN_QUOTAS_H

#include "proxy/meter/quota.h"

struct evbuffer;

/* Prometheus' text format. One series per policy: who used what is in /v1/quotas and
 * the ledger, not in labels. */
void quotas_put_metrics(struct quota *quota, struct evbuffer *body);

/* {"quotas": [...]}, each with the counters that used most, if `subjects`
 * may be told. */
void quotas_put_json(struct quota *quota, bool subjects, struct evbuffer *body);

#endif

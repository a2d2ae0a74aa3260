/* Tells webhooks which quotas reached a share of their limit: quota.warning, and
 * quota.reached for all of it. */
#ifndef ASSAY_ALERT_QUOTA_ALERT_H
#define ASSAY_ALERT_QUOTA_ALERT_H

#include "proxy/alert/webhook.h"
#include "proxy/meter/quota.h"

/* The control thread, several times a second. At most one message per counter, share
 * and window (or length of a rolling period), also across a restart. */
void quota_alert(struct webhook *webhook, struct quota *quota, uint64_t unix_ns,
                 uint64_t monotonic_ns);

#endif

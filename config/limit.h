/* Limits, periods, shares and weights of quotas as operators write them. */
#ifndef ASSAY_CONFIG_LIMIT_H
#define ASSAY_CONFIG_LIMIT_H

#include "config/config.h"
#include "proxy/base/check.h"

/* "20M tokens", "5M input tokens", "1.5k output tokens", "20M weighted tokens", "$500",
 * "$0.25", "600 requests", "8 concurrent". k, M and G are powers of 1000. At least 1
 * and at most LIMIT_MOST. Does not set `text`. */
bool limit_parse(struct span text, struct config_limit *limit) MUST_CHECK;

/* "minute", "hour", "day", "week", "month", "rolling 5h". Does not set `text`. */
bool period_parse(struct span text, struct config_period *period) MUST_CHECK;

/* "50%": 1 to 100. */
bool share_parse(struct span text, uint32_t *percent) MUST_CHECK;

/* "1.25": 0 to 1000 with at most two decimals, as hundredths. */
bool weight_parse(struct span text, uint32_t *hundredths) MUST_CHECK;

#endif

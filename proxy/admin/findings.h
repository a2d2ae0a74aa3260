/* What was found of whom, as JSON: for auditors, for people about themselves, and
 * in sums for their team leads. Read from the state folder, so that a command can
 * show it too. */
#ifndef ASSAY_ADMIN_FINDINGS_H
#define ASSAY_ADMIN_FINDINGS_H

#include "proxy/base/error.h"
#include "proxy/meter/finding_store.h"

#include <cjson/cJSON.h>

/* In a team of fewer rated callers, sums would tell of one of them. */
enum { FINDINGS_CROWD = 5 };

/* {"findings":[...],"callers":[...]}: findings that did not expire, the latest first,
 * with evidence, scores over time and remarks; and how every caller that the query
 * names stands now. An empty one where nothing was looked at yet; NULL and an entry in
 * *error on failure. The caller frees it with cJSON_Delete(). */
cJSON *findings_json(const char *state, const struct finding_query *query,
                     struct error *error);

/* {"teams":[{"team":..., "callers":n, "clear":n, ...}]}: how many callers of each team
 * have which grade; null where they are fewer than FINDINGS_CROWD. */
cJSON *findings_teams_json(const char *state, const char *team, struct error *error);

#endif

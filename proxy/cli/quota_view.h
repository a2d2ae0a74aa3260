/* Quotas as the ledger has them: for commands, which do not ask the running assay.
 * Calls under way are not in it. */
#ifndef ASSAY_CLI_QUOTA_VIEW_H
#define ASSAY_CLI_QUOTA_VIEW_H

#include "proxy/cli/command.h"
#include "proxy/meter/quota.h"

struct quota_view {
    struct quota *quota;
    struct quota_policies *policies;
    struct price_table *prices;
};

/* Counts what the ledger of a configuration holds; nothing where there is none yet.
 * false and entries in *error on failure. To be closed either way. */
bool quota_view_open(struct quota_view *view, const struct config *config,
                     struct error *error) MUST_CHECK;
void quota_view_close(struct quota_view *view);

/* assay report --quota */
int quota_view_report(const struct command_line *line);

#endif

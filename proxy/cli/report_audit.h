/* assay report --audit: what providers report beside what was counted here. */
#ifndef ASSAY_CLI_REPORT_AUDIT_H
#define ASSAY_CLI_REPORT_AUDIT_H

#include "proxy/cli/command.h"

int report_audit(const struct command_line *line);

#endif

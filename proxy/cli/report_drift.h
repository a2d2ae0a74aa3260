/* assay report --audit: what providers report beside what was counted here. */
#ifndef ASSAY_CLI_REPORT_DRIFT_H
#define ASSAY_CLI_REPORT_DRIFT_H

#include "proxy/cli/command.h"

int report_drift(const struct command_line *line);

#endif

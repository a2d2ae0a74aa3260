/* Commands that can do several things: "assay keys add", "assay prices list". */
#ifndef ASSAY_CLI_ACTION_H
#define ASSAY_CLI_ACTION_H

#include "proxy/cli/command.h"

#include <stdint.h>

/* One of them; a table ends with a name of NULL. */
struct action {
    const char *name;
    size_t least, most;         /* arguments after its name */
    const char *takes;          /* them in words: "the id of one key" */
    const char *const *options; /* but --config; NULL at the end */
    bool configured;            /* it needs the configuration; else config is NULL */
    int (*run)(const struct command_line *line, const struct config *config,
               int64_t now); /* Unix seconds */
};

/* Runs the action that the first argument names, once its arguments and options fit;
 * otherwise tells what does not. */
int action_run(const struct command_line *line, const struct action *actions);

#endif

/* Help and the program's man page, from the rows of commands.def. */
#ifndef ASSAY_CLI_HELP_H
#define ASSAY_CLI_HELP_H

#include "proxy/cli/table.h"

#include <stdio.h>

/* All commands, a line each. */
void help_program(FILE *out);

/* One command with its options. */
void help_command(const struct command *command, FILE *out);

/* The man page config/assay.8, in mdoc(7). */
void help_write_man(FILE *out);

#endif

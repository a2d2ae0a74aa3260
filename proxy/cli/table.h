/* The rows of commands.def as tables, for what reads them as a whole:
 * parsing and help. */
#ifndef ASSAY_CLI_TABLE_H
#define ASSAY_CLI_TABLE_H

#include "proxy/cli/command.h"

struct command {
    const char *name; /* NULL ends the table */
    int (*run)(const struct command_line *line);
    const char *arguments; /* what may follow, as help shows it */
    const char *help;
};

struct command_option_row {
    const char *command; /* NULL: every command has it, or the end of the table */
    const char *name;    /* NULL ends the table */
    const char *value;   /* what it takes, as help shows it; NULL: nothing */
    const char *help;
};

extern const struct command command_table[];
extern const struct command_option_row command_option_table[];

/* NULL if there is none. */
const struct command *command_find(const char *name);
const struct command_option_row *command_option_find(const struct command *command,
                                                     const char *name);

/* Does the command take the option of this row? */
bool command_takes(const struct command *command, const struct command_option_row *row);

#endif

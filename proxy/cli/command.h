/* The commands of the program: rows of commands.def, each run by proxy/cli/NAME.c.
 *
 * To add one: a row COMMAND(NAME, ...) and its OPTION rows in commands.def, and a file
 * proxy/cli/NAME.c with `int command_NAME(const struct command_line *line)`. Help, man
 * page checks, option parsing and "did you mean" come from the rows. */
#ifndef ASSAY_CLI_COMMAND_H
#define ASSAY_CLI_COMMAND_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

/* What a command returns, and the program's exit code. */
enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1, /* the world failed: a disk, a socket, a peer */
    COMMAND_MISUSED = 2 /* the operator's mistake: command line or configuration */
};

/* An option as it was given; value "" for an option that takes none. */
struct command_setting {
    const char *name;
    const char *value;
};

/* One command line, parsed and checked against the rows. All borrowed from argv. */
struct command_line {
    const char *name;    /* of the command: "keys" */
    const char *config;  /* --config, else $ASSAY_CONFIG, else the installed one */
    bool config_assumed; /* it is the installed one: nobody named it */
    const char *const *arguments; /* what is no option; NULL at the end */
    size_t argument_count;
    const struct command_setting *settings; /* in the order given */
    size_t setting_count;
};

/* int command_NAME(const struct command_line *line), one per row. */
#define COMMAND(name, arguments, help)                                                 \
    int command_##name(const struct command_line *line);
#define OPTION(command, name, value, help)
#include "proxy/cli/commands.def"
#undef COMMAND
#undef OPTION

/* The value of an option without its dashes ("since"); the last if it was given several
 * times, "" for one that takes no value; NULL if it was not given. */
const char *command_option(const struct command_line *line, const char *name);

/* The n-th value (from 0) of an option that may be repeated; NULL past the last. */
const char *command_option_nth(const struct command_line *line, const char *name,
                               size_t n);

/* Which of these words (NULL at the end) an option has for a value: 0, the first, where
 * it was not given; -1, and told, for any other word. */
int command_choice(const struct command_line *line, const char *name,
                   const char *const *words);

/* Of --format, in most commands. */
enum table_or_json { AS_TABLE, AS_JSON };
extern const char *const table_or_json[];

/* Tells the operator's mistake on stderr ("assay NAME: words"), points to --help and
 * returns COMMAND_MISUSED. */
int command_misused(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The families of all dialects, for config_load(); NULL at the end. */
const char *const *command_families(void);

/* Loads line->config, with the prices and clients that come with assay where it
 * names none. NULL when there are mistakes, all of which are then on stderr; the
 * command returns COMMAND_MISUSED. The caller frees it with config_free(). For
 * the main thread. */
struct config *command_config(const struct command_line *line,
                              enum config_secrets secrets);

/* The same with the mistakes in *error: for a reload, which logs them. */
struct config *command_config_read(const struct command_line *line,
                                   enum config_secrets secrets, struct error *error);

/* The whole program: parses argv, runs the command, returns the exit code. */
int command_main(int argc, char **argv);

#endif

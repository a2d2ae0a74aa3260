#include "proxy/cli/table.h"

#include <string.h>

const struct command command_table[] = {
#define COMMAND(name, arguments, help) { #name, command_##name, arguments, help },
#define OPTION(command, name, value, help)
#include "proxy/cli/commands.def"
#undef COMMAND
#undef OPTION
    { 0 }
};

const struct command_option_row command_option_table[] = {
#define COMMAND(name, arguments, help)
#define OPTION(command, name, value, help) { #command, name, value, help },
#include "proxy/cli/commands.def"
#undef COMMAND
#undef OPTION
    { NULL, "config", "FILE",
      "the configuration; else $ASSAY_CONFIG, else /etc/assay/assay.yaml" },
    { NULL, "help", NULL, "show this" },
    { 0 }
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = command_table; command->name != NULL;
         command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

bool command_takes(const struct command *command, const struct command_option_row *row)
{
    return row->command == NULL || strcmp(row->command, command->name) == 0;
}

const struct command_option_row *command_option_find(const struct command *command,
                                                     const char *name)
{
    for (const struct command_option_row *row = command_option_table; row->name != NULL;
         row++) {
        if (command_takes(command, row) && strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

#include "proxy/cli/command.h"

#include "config/nearest.h"
#include "proxy/base/text.h"
#include "proxy/cli/help.h"
#include "proxy/cli/table.h"
#include "proxy/cli/version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char installed_config[] = "/etc/assay/assay.yaml";

/* A command line being parsed; both lists have room for all of argv. */
struct parse {
    struct command_line line;
    const struct command *command;
    const char **arguments;
    struct command_setting *settings;
    bool options_ended; /* "--" was seen */
};

const char *command_option_nth(const struct command_line *line, const char *name,
                               size_t n)
{
    for (size_t i = 0; i < line->setting_count; i++) {
        if (strcmp(line->settings[i].name, name) == 0 && n-- == 0) {
            return line->settings[i].value;
        }
    }
    return NULL;
}

const char *command_option(const struct command_line *line, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < line->setting_count; i++) {
        if (strcmp(line->settings[i].name, name) == 0) {
            value = line->settings[i].value;
        }
    }
    return value;
}

int command_misused(const struct command_line *line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "assay %s: ", line->name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\ntry: assay %s --help\n", line->name);
    return COMMAND_MISUSED;
}

const char *const table_or_json[] = { [AS_TABLE] = "table", [AS_JSON] = "json", NULL };

int command_choice(const struct command_line *line, const char *name,
                   const char *const *words)
{
    const char *value = command_option(line, name);
    char memory[256];
    struct text text = text_over(memory, sizeof memory);

    for (int i = 0; words[i] != NULL; i++) {
        if (value == NULL || strcmp(words[i], value) == 0) {
            return i;
        }
    }
    text_put_choice(&text, words);
    command_misused(line, "--%s: '%s' is not %.*s", name, value, (int)text.len,
                    text.at);
    return -1;
}

static int unknown_option(const struct parse *parse, const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (const struct command_option_row *row = command_option_table; row->name != NULL;
         row++) {
        if (command_takes(parse->command, row)) {
            nearest_offer(&nearest, row->name);
        }
    }
    if (nearest.word == NULL) {
        return command_misused(&parse->line, "unknown option '--%s'", name);
    }
    return command_misused(&parse->line, "unknown option '--%s'; did you mean '--%s'?",
                           name, nearest.word);
}

/* Takes an option at *argv, cutting "--name=value" in two; moves past its value. */
static int take_option(struct parse *parse, char ***argv)
{
    char *name = **argv + 2;
    char *equals = strchr(name, '=');
    const char *value = NULL;
    const struct command_option_row *row;

    if (equals != NULL) {
        *equals = '\0';
        value = equals + 1;
    }
    row = command_option_find(parse->command, name);
    if (row == NULL) {
        return unknown_option(parse, name);
    }
    if (row->value == NULL && value != NULL) {
        return command_misused(&parse->line, "option '--%s' takes no value", name);
    }
    if (row->value != NULL && value == NULL) {
        value = *++*argv;
        if (value == NULL) {
            return command_misused(&parse->line, "option '--%s' needs a value, %s",
                                   name, row->value);
        }
    }
    parse->settings[parse->line.setting_count++] =
        (struct command_setting){ row->name, value == NULL ? "" : value };
    return COMMAND_OK;
}

static int take_words(struct parse *parse, char **argv)
{
    int status = COMMAND_OK;

    for (; status == COMMAND_OK && *argv != NULL; argv++) {
        const char *word = *argv;

        if (parse->options_ended || word[0] != '-' || word[1] == '\0') {
            parse->arguments[parse->line.argument_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            parse->options_ended = true;
        } else if (strcmp(word, "-h") == 0) {
            parse->settings[parse->line.setting_count++] =
                (struct command_setting){ "help", "" };
        } else if (word[1] != '-') {
            status = command_misused(&parse->line, "unknown option '%s'", word);
        } else {
            status = take_option(parse, &argv);
        }
    }
    return status;
}

static void choose_config(struct command_line *line)
{
    const char *given = command_option(line, "config");
    const char *environment = getenv("ASSAY_CONFIG");

    if (given != NULL) {
        line->config = given;
    } else if (environment != NULL && *environment != '\0') {
        line->config = environment;
    } else {
        line->config = installed_config;
        line->config_assumed = true;
    }
}

static int run_parsed(const struct command *command, const struct command_line *line)
{
    if (*command->arguments == '\0' && line->argument_count > 0) {
        return command_misused(line, "takes options only, not '%s'",
                               line->arguments[0]);
    }
    return command->run(line);
}

/* Parses what follows the command's name and runs it. */
static int run(const struct command *command, int argc, char **argv)
{
    struct parse parse = { .line = { .name = command->name }, .command = command };
    size_t room = (size_t)argc + 1;
    int status = COMMAND_FAILED;

    parse.arguments = calloc(room, sizeof *parse.arguments);
    parse.settings = calloc(room, sizeof *parse.settings);
    parse.line.arguments = parse.arguments;
    parse.line.settings = parse.settings;
    if (parse.arguments == NULL || parse.settings == NULL) {
        fputs("assay: not enough memory\n", stderr);
    } else {
        status = take_words(&parse, argv);
        if (status == COMMAND_OK && command_option(&parse.line, "help") != NULL) {
            help_command(command, stdout);
        } else if (status == COMMAND_OK) {
            choose_config(&parse.line);
            status = run_parsed(command, &parse.line);
        }
    }
    free(parse.arguments);
    free(parse.settings);
    return status;
}

static int unknown_command(const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (const struct command *command = command_table; command->name != NULL;
         command++) {
        nearest_offer(&nearest, command->name);
    }
    fprintf(stderr, "assay: unknown %s '%s'", *name == '-' ? "option" : "command",
            name);
    if (nearest.word != NULL) {
        fprintf(stderr, "; did you mean '%s'?", nearest.word);
    }
    fputs("\ntry: assay --help\n", stderr);
    return COMMAND_MISUSED;
}

/* assay help [COMMAND], as other programs have it. */
static int help(const char *name)
{
    const struct command *command = name == NULL ? NULL : command_find(name);

    if (name == NULL) {
        help_program(stdout);
    } else if (command != NULL) {
        help_command(command, stdout);
    } else {
        return unknown_command(name);
    }
    return COMMAND_OK;
}

int command_main(int argc, char **argv)
{
    const char *name = argc < 2 ? "" : argv[1];
    const struct command *command;
    int status = COMMAND_OK;

    if (argc < 2) {
        help_program(stderr);
        return COMMAND_MISUSED;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_program(stdout);
    } else if (strcmp(name, "help") == 0) {
        status = help(argv[2]);
    } else if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        version_print(stdout);
    } else {
        command = command_find(name);
        status =
            command == NULL ? unknown_command(name) : run(command, argc - 2, argv + 2);
    }
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == COMMAND_OK) {
        perror("assay: standard output");
        status = COMMAND_FAILED;
    }
    return status;
}

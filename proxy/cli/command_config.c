#include "filters/registry.h"
#include "proxy/cli/command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const *command_families(void)
{
    return registry_families();
}

/* Where data files lie as seen from the program: as installed, then as built. */
static const char *const data_folders[] = { "../share/assay", "../config",
                                            "../../config", NULL };

/* A file that comes with assay, in `path`; the installed name if it is nowhere, so that
 * a message can tell it. */
static const char *data_file(const char *name, char path[PATH_MAX])
{
    char program[PATH_MAX];
    char joined[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    char *slash;

    program[len < 0 ? 0 : len] = '\0';
    slash = strrchr(program, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; data_folders[i] != NULL; i++) {
        int length =
            snprintf(joined, PATH_MAX, "%s/%s/%s", program, data_folders[i], name);

        if (length < PATH_MAX && access(joined, R_OK) == 0 &&
            realpath(joined, path) != NULL) {
            return path;
        }
    }
    snprintf(path, PATH_MAX, "/usr/share/assay/%s", name);
    return path;
}

struct config *command_config_read(const struct command_line *line,
                                   enum config_secrets secrets, struct error *error)
{
    static char prices[PATH_MAX];
    static char clients[PATH_MAX];
    static char harness[PATH_MAX];
    struct config *config =
        config_load(line->config, command_families(), secrets, error);

    if (config == NULL && line->config_assumed && access(line->config, F_OK) != 0) {
        error_add(error, (struct error_place){ .file = NULL },
                  "name another configuration with --config FILE or $ASSAY_CONFIG");
    }
    if (config != NULL && config->prices == NULL) {
        config->prices = data_file("prices.yaml", prices);
    }
    if (config != NULL && config->clients == NULL) {
        config->clients = data_file("clients.yaml", clients);
    }
    if (config != NULL && config->harness == NULL) {
        config->harness = data_file("harness.yaml", harness);
    }
    return config;
}

struct config *command_config(const struct command_line *line,
                              enum config_secrets secrets)
{
    struct config *config;
    struct error error;

    error_init(&error);
    config = command_config_read(line, secrets, &error);
    error_print(&error, stderr);
    error_done(&error);
    return config;
}

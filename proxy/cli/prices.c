/* assay prices: what models cost, where that comes from, and whether it can be read. */
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/cli/action.h"
#include "proxy/cli/moment.h"
#include "proxy/cli/price_list.h"
#include "proxy/meter/price_load.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says why, and lets go of it. */
static int tell(struct error *error, int status)
{
    error_print(error, stderr);
    error_done(error);
    return status;
}

/* ---- import ---------------------------------------------------------------------- */

/* What price_table_import() writes, once it is known to be a price list. */
static char *import_checked(const char *path, size_t *len, size_t *taken, size_t *left,
                            struct error *error)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    bool good;

    CHECK(out != NULL);
    good = price_table_import(path, out, taken, left, error);
    CHECK(fclose(out) == 0);
    if (good && *taken == 0) {
        error_add(error, (struct error_place){ .file = path },
                  "holds no model with a price per token; expected is the community's"
                  " model_prices_and_context_window.json");
        good = false;
    }
    if (good) {
        struct price_table *table =
            price_table_parse("imported prices", span_of(text, *len), error);

        good = table != NULL;
        price_table_free(table);
    }
    if (!good) {
        free(text);
        return NULL;
    }
    return text;
}

/* Puts a file in the place of another at once, so that a reader sees either. */
static bool replace(const char *path, const char *text, size_t len, struct error *error)
{
    char beside[PATH_MAX];
    FILE *file = NULL;
    bool good = snprintf(beside, sizeof beside, "%s.new", path) < PATH_MAX;

    if (good) {
        file = fopen(beside, "we");
        good = file != NULL && fwrite(text, 1, len, file) == len && fflush(file) == 0 &&
               fsync(fileno(file)) == 0;
    }
    if (file != NULL) {
        good = fclose(file) == 0 && good;
        good = good && rename(beside, path) == 0;
    }
    if (!good) {
        error_add(error, (struct error_place){ .file = path }, "cannot be written: %s",
                  strerror(errno));
        if (file != NULL) {
            unlink(beside);
        }
    }
    return good;
}

static int prices_import(const struct command_line *line, const struct config *config,
                         int64_t now)
{
    const char *out = command_option(line, "out");
    struct error error;
    size_t taken;
    size_t left;
    size_t len;
    char *text;

    (void)config;
    (void)now;
    error_init(&error);
    text = import_checked(line->arguments[1], &len, &taken, &left, &error);
    if (text == NULL) {
        return tell(&error, COMMAND_MISUSED);
    }
    if (out == NULL) {
        fwrite(text, 1, len, stdout);
    } else if (!replace(out, text, len, &error)) {
        free(text);
        return tell(&error, COMMAND_FAILED);
    }
    free(text);
    fprintf(stderr, "%zu models taken, %zu left out (no price per token)\n", taken,
            left);
    if (out != NULL) {
        fprintf(stderr, "%s is in force once the configuration says 'prices: %s'\n",
                out, out);
    }
    return tell(&error, COMMAND_OK);
}

/* ---- list ------------------------------------------------------------------------ */

static int prices_list(const struct command_line *line, const struct config *config,
                       int64_t now)
{
    const char *pattern = command_option(line, "model");
    const char *at = command_option(line, "at");
    struct price_table *table;
    struct error error;
    int status = COMMAND_OK;

    if (at != NULL && !moment_parse(at, now, MOMENT_AGO, &now)) {
        return command_misused(
            line, "--at: '%s' is neither a date (2026-11-20) nor a time ago (30d)", at);
    }
    error_init(&error);
    table = price_table_load(config->prices, &error);
    if (table == NULL) {
        return tell(&error, COMMAND_MISUSED);
    }
    signal(SIGPIPE, SIG_DFL); /* `| head` ends this quietly */
    if (price_list_print(table, config->prices, pattern, (uint64_t)now * NS_PER_S,
                         stdout) == 0) {
        fprintf(stderr,
                "%s has no price%s%s%s: calls are counted and reported as unpriced\n",
                config->prices, pattern == NULL ? "" : " of ",
                pattern == NULL ? "" : pattern, at == NULL ? "" : " as of then");
        status = COMMAND_FAILED;
    }
    price_table_free(table);
    return tell(&error, status);
}

/* ---- check ----------------------------------------------------------------------- */

static int check_file(const char *path)
{
    struct price_table *table;
    struct error error;

    error_init(&error);
    table = price_table_load(path, &error);
    if (table == NULL) {
        return tell(&error, COMMAND_MISUSED);
    }
    printf("%s: ok, %zu prices\n", path, price_table_count(table));
    price_table_free(table);
    return tell(&error, COMMAND_OK);
}

/* With a file it needs no configuration. */
static int prices_check(const struct command_line *line, const struct config *none,
                        int64_t now)
{
    struct config *config;
    int status;

    (void)none;
    (void)now;
    if (line->argument_count > 1) {
        return check_file(line->arguments[1]);
    }
    config = command_config(line, CONFIG_WITHOUT_SECRETS);
    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    status = check_file(config->prices);
    config_free(config);
    return status;
}

/* ---- the command ----------------------------------------------------------------- */

static const char *const import_options[] = { "out", NULL };
static const char *const list_options[] = { "model", "at", NULL };
static const char *const check_options[] = { NULL };

static const struct action actions[] = {
    { "list", 0, 0, "no further argument", list_options, true, prices_list },
    { "check", 0, 1, "at most one file", check_options, false, prices_check },
    { "import", 1, 1, "one file: model_prices_and_context_window.json", import_options,
      false, prices_import },
    { 0 },
};

int command_prices(const struct command_line *line)
{
    return action_run(line, actions);
}

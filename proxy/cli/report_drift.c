#include "proxy/cli/report_drift.h"

#include "filters/count/bpe.h"
#include "proxy/base/text.h"
#include "proxy/cli/csv.h"
#include "proxy/cli/grid.h"
#include "proxy/cli/period.h"
#include "proxy/meter/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct drifts {
    struct ledger_drift *rows;
    size_t count;
};

static void keep(void *self, const struct ledger_drift *drift)
{
    struct drifts *drifts = self;
    struct ledger_drift *row;

    drifts->rows = reallocarray(drifts->rows, drifts->count + 1, sizeof *drifts->rows);
    CHECK(drifts->rows != NULL);
    row = &drifts->rows[drifts->count++];
    *row = *drift;
    row->provider = strdup(drift->provider);
    row->model = strdup(drift->model);
    CHECK(row->provider != NULL && row->model != NULL);
}

static void forget(struct drifts *drifts)
{
    for (size_t i = 0; i < drifts->count; i++) {
        free((void *)(uintptr_t)drifts->rows[i].provider);
        free((void *)(uintptr_t)drifts->rows[i].model);
    }
    free(drifts->rows);
}

/* reported / counted, and how far single calls were apart, per mille. */
static uint64_t drift_of(const struct ledger_drift *row)
{
    return (row->reported * 1000 + row->counted / 2) / row->counted;
}

static uint64_t apart_of(const struct ledger_drift *row)
{
    return (row->apart * 1000 + row->counted / 2) / row->counted;
}

/* Where the tokenizer is not public, estimates are multiplied by the drift. */
static bool is_calibrated(const struct ledger_drift *row)
{
    return bpe_encoding_for_model(span_text(row->model)) == ENCODING_UNKNOWN;
}

/* How far an estimate of such a call is off on average, per mille. */
static uint64_t error_of(const struct ledger_drift *row)
{
    uint64_t off = is_calibrated(row) ? row->off : row->apart;

    return (off * 1000 + row->reported / 2) / row->reported;
}

/* ---- formats --------------------------------------------------------------------- */

static void print_table(const struct drifts *drifts)
{
    struct grid *grid;

    if (drifts->count == 0) {
        puts("No call has been compared yet.");
        return;
    }
    grid = grid_new();
    grid_column(grid, "PROVIDER", GRID_LEFT);
    grid_column(grid, "MODEL", GRID_LEFT);
    grid_column(grid, "CALLS", GRID_RIGHT);
    grid_column(grid, "REPORTED", GRID_RIGHT);
    grid_column(grid, "COUNTED", GRID_RIGHT);
    grid_column(grid, "DRIFT", GRID_RIGHT);
    grid_column(grid, "CALLS APART", GRID_RIGHT);
    grid_column(grid, "ESTIMATES", GRID_RIGHT);
    for (size_t i = 0; i < drifts->count; i++) {
        const struct ledger_drift *row = &drifts->rows[i];
        int64_t drift = (int64_t)drift_of(row) - 1000;

        grid_put(grid, row->provider);
        grid_put(grid, row->model);
        grid_put_count(grid, row->calls);
        grid_put_count(grid, row->reported);
        grid_put_count(grid, row->counted);
        grid_printf(grid, "%+.1f%%", (double)drift / 10);
        grid_printf(grid, "%.1f%%", (double)apart_of(row) / 10);
        grid_printf(grid, "+-%.1f%%%s", (double)error_of(row) / 10,
                    is_calibrated(row) ? " calibrated" : "");
    }
    grid_print(grid, stdout);
    grid_free(grid);
    puts("Visible output tokens, as reported and as counted from the same text. Where "
         "a\n"
         "model's tokenizer is public a drift of more than a few percent is the "
         "provider's;\nelsewhere up to a tenth may be the estimate's, which is "
         "calibrated. ESTIMATES is\nhow far the estimate of a cut call is off on "
         "average.");
}

static void print_json(const struct drifts *drifts)
{
    char memory[512];

    fputs("{\"audit\":[", stdout);
    for (size_t i = 0; i < drifts->count; i++) {
        const struct ledger_drift *row = &drifts->rows[i];
        struct text text = text_over(memory, sizeof memory);

        text_put(&text, i == 0 ? SPAN("{\"provider\":") : SPAN(",{\"provider\":"));
        text_put_json(&text, span_text(row->provider));
        text_put(&text, SPAN(",\"model\":"));
        text_put_json(&text, span_text(row->model));
        fwrite(text.at, 1, text.len, stdout);
        printf(",\"calls\":%" PRIu64 ",\"reported\":%" PRIu64 ",\"counted\":%" PRIu64
               ",\"drift_ratio\":%.3f,\"apart_ratio\":%.3f,\"estimate_error_ratio\":%."
               "3f,"
               "\"calibrated\":%s}",
               row->calls, row->reported, row->counted, (double)drift_of(row) / 1000,
               (double)apart_of(row) / 1000, (double)error_of(row) / 1000,
               is_calibrated(row) ? "true" : "false");
    }
    fputs("]}\n", stdout);
}

static void print_csv(const struct drifts *drifts)
{
    static const char *const heads[] = { "provider",        "model",   "calls",
                                         "reported",        "counted", "apart",
                                         "calibrated_apart" };
    struct csv csv = { .out = stdout };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        csv_put(&csv, heads[i]);
    }
    csv_end(&csv);
    for (size_t i = 0; i < drifts->count; i++) {
        const struct ledger_drift *row = &drifts->rows[i];

        csv = (struct csv){ .out = stdout };
        csv_put(&csv, row->provider);
        csv_put(&csv, row->model);
        csv_put_u64(&csv, row->calls);
        csv_put_u64(&csv, row->reported);
        csv_put_u64(&csv, row->counted);
        csv_put_u64(&csv, row->apart);
        csv_put_u64(&csv, row->off);
        csv_end(&csv);
    }
}

/* ---- the option ------------------------------------------------------------------ */

static const char *const format_names[] = { "table", "json", "csv", NULL };

/* As they are named. */
static void (*const formats[])(const struct drifts *drifts) = { print_table, print_json,
                                                                print_csv };

static bool print_drifts(const char *state, const struct ledger_query *query,
                         int format, struct error *error)
{
    struct drifts drifts = { .count = 0 };
    bool good = ledger_drifts(state, query, 0, keep, &drifts, error);

    if (good) {
        formats[format](&drifts);
    }
    forget(&drifts);
    return good;
}

int report_drift(const struct command_line *line)
{
    int format = command_choice(line, "format", format_names);
    struct ledger_query query = { 0 };
    struct config *config;
    struct error error;
    bool good;

    if (format < 0) {
        return COMMAND_MISUSED;
    }
    if (command_option(line, "by") != NULL) {
        return command_misused(line, "--audit is by provider and model, always");
    }
    if (!period_read(line, &query)) {
        return COMMAND_MISUSED;
    }
    config = command_config(line, CONFIG_WITHOUT_SECRETS);
    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    good = period_ledger(config, &error) &&
           print_drifts(config->state, &query, format, &error);
    config_free(config);
    error_print(&error, stderr);
    error_done(&error);
    return good ? COMMAND_OK : COMMAND_FAILED;
}

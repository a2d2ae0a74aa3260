/* The report as people read it. */
#include "proxy/base/clock.h"
#include "proxy/cli/grid.h"
#include "proxy/cli/moment.h"
#include "proxy/cli/report.h"

#include <inttypes.h>
#include <string.h>

#define NANO_PER_CENT INT64_C(10000000)

/* Columns that only some reports have. */
struct extras {
    bool incomplete, unpriced, refused;
};

/* ---- money ----------------------------------------------------------------------- */

/* Large sums to the cent, small ones to a hundredth of it; never 0 for a sum that is
 * not 0. */
void report_print_money(int64_t nanousd, bool small, char text[REPORT_MONEY_SIZE])
{
    int64_t unit = small ? NANO_PER_CENT / 100 : NANO_PER_CENT;
    uint64_t per_dollar = small ? 10000 : 100;
    uint64_t units = (uint64_t)(nanousd / unit + (nanousd % unit >= unit / 2 ? 1 : 0));
    char dollars[COUNT_TEXT_SIZE];

    if (nanousd > 0 && units == 0) {
        snprintf(text, REPORT_MONEY_SIZE, small ? "<0.0001" : "<0.01");
        return;
    }
    count_print(units / per_dollar, dollars);
    snprintf(text, REPORT_MONEY_SIZE, "%s.%0*" PRIu64, dollars, small ? 4 : 2,
             units % per_dollar);
}

/* A sum that lacks the calls without a price says so. */
static void put_cost(struct grid *grid, const struct ledger_sum *sum, bool small,
                     const struct extras *extras)
{
    char money[REPORT_MONEY_SIZE];

    if (!report_has_cost(sum)) {
        grid_put(grid, "unpriced");
        return;
    }
    report_print_money(sum->cost_nanousd, small, money);
    grid_printf(grid, "%s%s", money,
                sum->unpriced > 0  ? "+"
                : extras->unpriced ? " "
                                   : "");
}

/* ---- the table ------------------------------------------------------------------- */

static struct grid *make_columns(const struct report *report,
                                 const struct extras *extras)
{
    static const char *const classes[TOKEN_CLASSES] = {
        [TOKENS_INPUT] = "INPUT",
        [TOKENS_CACHE_READ] = "CACHE READ",
        [TOKENS_CACHE_WRITE] = "CACHE WRITE",
        [TOKENS_OUTPUT] = "OUTPUT",
        [TOKENS_REASONING] = "REASONING",
    };
    struct grid *grid = grid_new();

    for (size_t i = 0; i < report->by_count; i++) {
        grid_column(grid, report->by[i]->head, GRID_LEFT);
    }
    grid_column(grid, "CALLS", GRID_RIGHT);
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        grid_column(grid, classes[of], GRID_RIGHT);
    }
    grid_column(grid, "ALL TOKENS", GRID_RIGHT);
    grid_column(grid, extras->unpriced ? "COST USD " : "COST USD", GRID_RIGHT);
    if (extras->unpriced) {
        grid_column(grid, "UNPRICED TOKENS", GRID_RIGHT);
    }
    if (extras->incomplete) {
        grid_column(grid, "INCOMPLETE", GRID_RIGHT);
    }
    if (extras->refused) {
        grid_column(grid, "REFUSED", GRID_RIGHT);
    }
    return grid;
}

static void put_numbers(struct grid *grid, const struct ledger_sum *sum, bool small,
                        const struct extras *extras)
{
    grid_put_count(grid, report_calls(sum));
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        grid_put_count(grid, sum->tokens[of]);
    }
    grid_put_count(grid, report_tokens(sum));
    put_cost(grid, sum, small, extras);
    if (extras->unpriced) {
        grid_put_count(grid, sum->unpriced_tokens);
    }
    if (extras->incomplete) {
        grid_put_count(grid, sum->not_reported);
    }
    if (extras->refused) {
        grid_put_count(grid, sum->refused);
    }
}

static void print_grid(const struct report *report, const struct extras *extras,
                       FILE *out)
{
    const int64_t small_total = 1000 * NANO_PER_CENT; /* $10 */
    bool small = report->total.cost_nanousd < small_total;
    struct grid *grid = make_columns(report, extras);

    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];

        if (report_calls(&row->sum) == 0 && !extras->refused) {
            continue;
        }
        for (size_t by = 0; by < report->by_count; by++) {
            grid_put(grid, *row->texts[by] == '\0' ? "-" : row->texts[by]);
        }
        put_numbers(grid, &row->sum, small, extras);
    }
    grid_total(grid);
    for (size_t by = 0; by < report->by_count; by++) {
        grid_put(grid, by == 0 ? "total" : "");
    }
    put_numbers(grid, &report->total, small, extras);
    grid_print(grid, out);
    grid_free(grid);
}

/* ---- around it ------------------------------------------------------------------- */

/* A day alone where the moment is its first. */
static void print_moment(uint64_t unix_ns, FILE *out)
{
    char text[MOMENT_TEXT_SIZE];
    char *time;

    moment_print(clock_seconds(unix_ns), text);
    time = strchr(text, 'T');
    if (time != NULL && strcmp(time, "T00:00:00Z") == 0) {
        *time = '\0';
    }
    fputs(text, out);
}

void report_print_title(const struct report *report, FILE *out)
{
    fputs("Usage by ", out);
    for (size_t i = 0; i < report->by_count; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : ", ", report->by[i]->name);
    }
    if (report->query.since_ns != 0) {
        fputs(", from ", out);
        print_moment(report->query.since_ns, out);
    }
    if (report->query.until_ns != 0) {
        fputs(", before ", out);
        print_moment(report->query.until_ns, out);
    } else {
        fputs(report->query.since_ns == 0 ? ", all that is recorded" : " on", out);
    }
    fputs(" (UTC)\n\n", out);
}

static void print_count(const char *before, uint64_t count, const char *one,
                        const char *many, FILE *out)
{
    char text[COUNT_TEXT_SIZE];

    count_print(count, text);
    fprintf(out, "%s%s %s", before, text, count == 1 ? one : many);
}

static void print_notes(const struct report *report, FILE *out)
{
    const struct ledger_sum *total = &report->total;

    if (total->unpriced > 0) {
        print_count("\nUnpriced: ", total->unpriced, "call", "calls", out);
        print_count(" with ", total->unpriced_tokens, "token", "tokens", out);
        fputs(", of models without a known price. A cost with + lacks them.\n", out);
        fputs(report_is_by(report, LEDGER_BY_MODEL)
                  ? ""
                  : "  Which models: assay report --by model\n",
              out);
    }
    if (total->not_reported > 0) {
        print_count("\nIncomplete: ", total->not_reported, "call", "calls", out);
        fputs(" whose usage the provider did not report in full. Their tokens, and\n"
              "  so their cost, are partly known, estimated or missing.\n",
              out);
        fputs(report_is_by(report, LEDGER_BY_SOURCE)
                  ? ""
                  : "  Why: assay report --by outcome,source\n",
              out);
    }
    if (total->refused > 0) {
        print_count("\nNot among the calls: ", total->refused, "request", "requests",
                    out);
        fputs(" that assay refused, so that nothing reached a provider.\n", out);
        fputs(report_is_by(report, LEDGER_BY_OUTCOME)
                  ? ""
                  : "  Whose: assay report --by outcome,team,caller\n",
              out);
    }
}

void report_table(const struct report *report, FILE *out)
{
    struct extras extras = {
        .incomplete = report->total.not_reported > 0,
        .unpriced = report->total.unpriced > 0,
        .refused = report->total.refused > 0 && report_is_by(report, LEDGER_BY_OUTCOME),
    };

    report_print_title(report, out);
    if (report->row_count == 0) {
        fputs("Nothing was recorded.\n", out);
        return;
    }
    print_grid(report, &extras, out);
    print_notes(report, out);
}

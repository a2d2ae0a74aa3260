/* assay report --adjusted: usage net of traffic that looked automated when it came, and
 * what share of it that was. */
#include "proxy/cli/csv.h"
#include "proxy/cli/grid.h"
#include "proxy/cli/report.h"

#include <inttypes.h>

#define SMALL_TOTAL INT64_C(10000000000) /* $10 */

/* In tenths of a percent, rounded. */
static uint64_t share_of(const struct ledger_sum *flagged, const struct ledger_sum *sum)
{
    uint64_t all = report_tokens(sum);

    return all == 0
               ? 0
               : (uint64_t)((double)report_tokens(flagged) * 1000 / (double)all + .5);
}

static uint64_t net_tokens(const struct ledger_sum *flagged,
                           const struct ledger_sum *sum)
{
    return report_tokens(sum) - report_tokens(flagged);
}

/* ---- table ----------------------------------------------------------------------- */

static void put_money(struct grid *grid, int64_t nanousd, bool small)
{
    char money[REPORT_MONEY_SIZE];

    report_print_money(nanousd, small, money);
    grid_put(grid, money);
}

static void put_numbers(struct grid *grid, const struct ledger_sum *sum,
                        const struct ledger_sum *flagged, bool small)
{
    uint64_t share = share_of(flagged, sum);

    grid_put_count(grid, report_calls(sum));
    grid_put_count(grid, report_tokens(sum));
    grid_put_count(grid, net_tokens(flagged, sum));
    grid_put_count(grid, report_tokens(flagged));
    grid_printf(grid, "%" PRIu64 ".%" PRIu64 "%%", share / 10, share % 10);
    put_money(grid, sum->cost_nanousd, small);
    put_money(grid, sum->cost_nanousd - flagged->cost_nanousd, small);
    put_money(grid, flagged->cost_nanousd, small);
}

static struct grid *make_columns(const struct report *report)
{
    static const char *const heads[] = { "CALLS",   "ALL TOKENS", "NET TOKENS",
                                         "FLAGGED", "SHARE",      "COST USD",
                                         "NET USD", "FLAGGED USD" };
    struct grid *grid = grid_new();

    for (size_t by = 0; by < report->by_count; by++) {
        grid_column(grid, report->by[by]->head, GRID_LEFT);
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        grid_column(grid, heads[i], GRID_RIGHT);
    }
    return grid;
}

void report_adjusted_table(const struct report *report, FILE *out)
{
    bool small = report->total.cost_nanousd < SMALL_TOTAL;
    struct grid *grid = make_columns(report);

    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];

        for (size_t by = 0; by < report->by_count; by++) {
            grid_put(grid, *row->texts[by] == '\0' ? "-" : row->texts[by]);
        }
        put_numbers(grid, &row->sum, &row->flagged, small);
    }
    grid_total(grid);
    for (size_t by = 0; by < report->by_count; by++) {
        grid_put(grid, by == 0 ? "total" : "");
    }
    put_numbers(grid, &report->total, &report->total_flagged, small);
    report_print_title(report, out);
    grid_print(grid, out);
    grid_free(grid);
    fputs("\nFlagged: calls of callers whose traffic looked automated when they came. "
          "Why:\n"
          "  assay evidence. In shadow mode no call is flagged. Unpriced calls cost 0 "
          "here.\n",
          out);
}

/* ---- data ------------------------------------------------------------------------ */

static void put_json(FILE *out, const struct ledger_sum *sum,
                     const struct ledger_sum *flagged)
{
    uint64_t share = share_of(flagged, sum);

    fprintf(out,
            "\"calls\":%" PRIu64 ",\"tokens\":%" PRIu64 ",\"net_tokens\":%" PRIu64
            ",\"flagged_tokens\":%" PRIu64 ",\"flagged_calls\":%" PRIu64
            ",\"flagged_share\":%" PRIu64 ".%03" PRIu64,
            report_calls(sum), report_tokens(sum), net_tokens(flagged, sum),
            report_tokens(flagged), report_calls(flagged), share / 1000, share % 1000);
    fprintf(out,
            ",\"cost_nanousd\":%" PRIi64 ",\"net_cost_nanousd\":%" PRIi64
            ",\"flagged_cost_nanousd\":%" PRIi64 "}",
            sum->cost_nanousd, sum->cost_nanousd - flagged->cost_nanousd,
            flagged->cost_nanousd);
}

void report_adjusted_json(const struct report *report, FILE *out)
{
    fputc('{', out);
    report_put_period(out, report);
    for (size_t i = 0; i < report->row_count; i++) {
        report_put_names(out, report, i);
        put_json(out, &report->rows[i].sum, &report->rows[i].flagged);
    }
    fputs("],\n\"total\":{", out);
    put_json(out, &report->total, &report->total_flagged);
    fputs("}\n", out);
}

void report_adjusted_csv(const struct report *report, FILE *out)
{
    static const char *const heads[] = {
        "calls",        "tokens",           "net_tokens",          "flagged_tokens",
        "cost_nanousd", "net_cost_nanousd", "flagged_cost_nanousd"
    };
    struct csv csv = { .out = out };

    for (size_t by = 0; by < report->by_count; by++) {
        csv_put(&csv, report->by[by]->name);
    }
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        csv_put(&csv, heads[i]);
    }
    csv_end(&csv);
    for (size_t i = 0; i < report->row_count; i++) {
        const struct report_row *row = &report->rows[i];

        for (size_t by = 0; by < report->by_count; by++) {
            csv_put(&csv, row->texts[by]);
        }
        csv_put_u64(&csv, report_calls(&row->sum));
        csv_put_u64(&csv, report_tokens(&row->sum));
        csv_put_u64(&csv, net_tokens(&row->flagged, &row->sum));
        csv_put_u64(&csv, report_tokens(&row->flagged));
        csv_put_i64(&csv, row->sum.cost_nanousd);
        csv_put_i64(&csv, row->sum.cost_nanousd - row->flagged.cost_nanousd);
        csv_put_i64(&csv, row->flagged.cost_nanousd);
        csv_end(&csv);
    }
}

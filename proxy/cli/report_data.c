/* The report as programs read it: exact numbers, every column always there. */
#include "proxy/base/text.h"
#include "proxy/cli/csv.h"
#include "proxy/cli/period.h"
#include "proxy/cli/report.h"

#include <inttypes.h>

enum { NAME_JSON_MAX = 512 }; /* a label of an entry, every byte escaped */

/* ---- JSON ------------------------------------------------------------------------ */

static void put_text(FILE *out, const char *value)
{
    char memory[NAME_JSON_MAX];
    struct text text = text_over(memory, sizeof memory);

    text_put_json(&text, span_text(value));
    fprintf(out, "%.*s", (int)text.len, text.at);
}

static void put_moment(FILE *out, const char *name, uint64_t unix_ns)
{
    char text[PERIOD_TEXT_SIZE];

    if (unix_ns == 0) {
        fprintf(out, "\"%s\":null", name);
        return;
    }
    period_print(unix_ns, text);
    fprintf(out, "\"%s\":\"%s\"", name, text);
}

static void put_sum(FILE *out, const struct ledger_sum *sum)
{
    fprintf(out, "\"calls\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"tokens\":{",
            report_calls(sum), sum->refused);
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        fprintf(out, "\"%s\":%" PRIu64 ",", token_class_name(of), sum->tokens[of]);
    }
    fprintf(out, "\"total\":%" PRIu64 "},\"cost_nanousd\":", report_tokens(sum));
    if (report_has_cost(sum)) {
        fprintf(out, "%" PRIi64, sum->cost_nanousd);
    } else {
        fputs("null", out);
    }
    fprintf(out,
            ",\"unpriced_calls\":%" PRIu64 ",\"unpriced_tokens\":%" PRIu64
            ",\"incomplete_calls\":%" PRIu64 "}",
            sum->unpriced, sum->unpriced_tokens, sum->not_reported);
}

void report_put_period(FILE *out, const struct report *report)
{
    put_moment(out, "since", report->query.since_ns);
    fputc(',', out);
    put_moment(out, "until", report->query.until_ns);
    fputs(",\"by\":[", out);
    for (size_t by = 0; by < report->by_count; by++) {
        fprintf(out, "%s\"%s\"", by == 0 ? "" : ",", report->by[by]->name);
    }
    fputs("],\n\"rows\":[", out);
}

void report_put_names(FILE *out, const struct report *report, size_t row)
{
    fputs(row == 0 ? "\n{" : ",\n{", out);
    for (size_t by = 0; by < report->by_count; by++) {
        const char *text = report->rows[row].texts[by];

        fprintf(out, "\"%s\":", report->by[by]->name);
        if (*text == '\0') {
            fputs("null", out);
        } else {
            put_text(out, text);
        }
        fputc(',', out);
    }
}

void report_json(const struct report *report, FILE *out)
{
    fputc('{', out);
    report_put_period(out, report);
    for (size_t i = 0; i < report->row_count; i++) {
        report_put_names(out, report, i);
        put_sum(out, &report->rows[i].sum);
    }
    fputs("],\n\"total\":{", out);
    put_sum(out, &report->total);
    fputs("}\n", out);
}

/* ---- CSV ------------------------------------------------------------------------- */

static void put_heads(struct csv *csv, const struct report *report)
{
    static const char *const after[] = { "total", "cost_nanousd", "unpriced_calls",
                                         "unpriced_tokens", "incomplete_calls" };

    for (size_t by = 0; by < report->by_count; by++) {
        csv_put(csv, report->by[by]->name);
    }
    csv_put(csv, "calls");
    csv_put(csv, "refused");
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        csv_put(csv, token_class_name(of));
    }
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        csv_put(csv, after[i]);
    }
    csv_end(csv);
}

static void put_numbers(struct csv *csv, const struct ledger_sum *sum)
{
    csv_put_u64(csv, report_calls(sum));
    csv_put_u64(csv, sum->refused);
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        csv_put_u64(csv, sum->tokens[of]);
    }
    csv_put_u64(csv, report_tokens(sum));
    if (report_has_cost(sum)) {
        csv_put_i64(csv, sum->cost_nanousd);
    } else {
        csv_put(csv, "");
    }
    csv_put_u64(csv, sum->unpriced);
    csv_put_u64(csv, sum->unpriced_tokens);
    csv_put_u64(csv, sum->not_reported);
}

/* No totals: who sums a column would count everything twice. */
void report_csv(const struct report *report, FILE *out)
{
    struct csv csv = { .out = out };

    put_heads(&csv, report);
    for (size_t i = 0; i < report->row_count; i++) {
        for (size_t by = 0; by < report->by_count; by++) {
            csv_put(&csv, report->rows[i].texts[by]);
        }
        put_numbers(&csv, &report->rows[i].sum);
        csv_end(&csv);
    }
}

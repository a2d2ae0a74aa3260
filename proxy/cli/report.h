/* What a report says: sums of the ledger, read whole before a line of it is printed. */
#ifndef ASSAY_CLI_REPORT_H
#define ASSAY_CLI_REPORT_H

#include "proxy/meter/ledger.h"

enum { REPORT_BY_MAX = 11 };

/* A dimension as --by names it and as a head of a table. */
struct report_by {
    const char *name;
    const char *head;
    enum ledger_by bit;
};

struct report_row {
    char *texts[REPORT_BY_MAX]; /* as report.by; "" where the exchanges had none */
    struct ledger_sum sum;      /* without its texts */
    struct ledger_sum flagged;  /* what of it looked automated; of an adjusted report */
};

struct report {
    struct ledger_query query;
    const struct report_by *by[REPORT_BY_MAX]; /* in the order asked for */
    size_t by_count;
    struct report_row *rows;
    size_t row_count;
    struct ledger_sum total; /* without its texts */
    struct ledger_sum total_flagged;
    bool adjusted; /* it says what is left without flagged traffic */
};

/* Is this a dimension of the report? */
bool report_is_by(const struct report *report, enum ledger_by bit);

/* Exchanges that went upstream. */
uint64_t report_calls(const struct ledger_sum *sum);
uint64_t report_tokens(const struct ledger_sum *sum);

/* Has any of it a price? If not, its cost is unknown rather than 0. */
bool report_has_cost(const struct ledger_sum *sum);

void report_table(const struct report *report, FILE *out);
void report_json(const struct report *report, FILE *out);
void report_csv(const struct report *report, FILE *out);

/* The same of an adjusted report. */
void report_adjusted_table(const struct report *report, FILE *out);
void report_adjusted_json(const struct report *report, FILE *out);
void report_adjusted_csv(const struct report *report, FILE *out);

/* JSON that all reports have: what they are of, and what a row is of. */
void report_put_period(FILE *out, const struct report *report);
void report_put_names(FILE *out, const struct report *report, size_t row);

/* "Usage by team, from 2026-11-20 on (UTC)", and an empty line: over every table. */
void report_print_title(const struct report *report, FILE *out);

/* Money in a table: large sums to the cent, small ones to a hundredth of it. */
enum { REPORT_MONEY_SIZE = 40 };
void report_print_money(int64_t nanousd, bool small, char text[REPORT_MONEY_SIZE]);

#endif

/* assay report: who used how much of what, and what it cost. */
#include "proxy/cli/report.h"

#include "config/nearest.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/cli/command.h"
#include "proxy/cli/period.h"
#include "proxy/cli/quota_view.h"
#include "proxy/cli/report_drift.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* What --by knows, with the field of struct ledger_sum that holds it. */
#define DIMENSIONS(ROW)                                                                \
    ROW(team, "TEAM", LEDGER_BY_TEAM)                                                  \
    ROW(caller, "CALLER", LEDGER_BY_CALLER)                                            \
    ROW(model, "MODEL", LEDGER_BY_MODEL)                                               \
    ROW(tool, "TOOL", LEDGER_BY_TOOL)                                                  \
    ROW(provider, "PROVIDER", LEDGER_BY_PROVIDER)                                      \
    ROW(dialect, "DIALECT", LEDGER_BY_DIALECT)                                         \
    ROW(day, "DAY", LEDGER_BY_DAY)                                                     \
    ROW(outcome, "OUTCOME", LEDGER_BY_OUTCOME)                                         \
    ROW(source, "USAGE SOURCE", LEDGER_BY_SOURCE)                                      \
    ROW(grade, "GRADE", LEDGER_BY_GRADE)                                               \
    ROW(tag, "TAGS", LEDGER_BY_TAG)

static const struct report_by dimensions[REPORT_BY_MAX] = {
#define ROW(name, head, bit) { #name, head, bit },
    DIMENSIONS(ROW)
#undef ROW
};

/* The text of a sum in one dimension. */
static const char *text_of(const struct ledger_sum *sum, const struct report_by *by)
{
#define ROW(name, head, value)                                                         \
    if (by->bit == (value)) {                                                          \
        return sum->name;                                                              \
    }
    DIMENSIONS(ROW)
#undef ROW
    return "";
}

bool report_is_by(const struct report *report, enum ledger_by bit)
{
    for (size_t i = 0; i < report->by_count; i++) {
        if (report->by[i]->bit == bit) {
            return true;
        }
    }
    return false;
}

uint64_t report_calls(const struct ledger_sum *sum)
{
    return sum->exchanges - sum->refused;
}

uint64_t report_tokens(const struct ledger_sum *sum)
{
    uint64_t total = 0;

    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        if (__builtin_add_overflow(total, sum->tokens[of], &total)) {
            return UINT64_MAX;
        }
    }
    return total;
}

bool report_has_cost(const struct ledger_sum *sum)
{
    return sum->unpriced == 0 || sum->cost_nanousd > 0;
}

/* ---- the ledger ------------------------------------------------------------------ */

static void add_up(uint64_t *sum, uint64_t value)
{
    if (__builtin_add_overflow(*sum, value, sum)) {
        *sum = UINT64_MAX;
    }
}

static void add_to_total(struct ledger_sum *total, const struct ledger_sum *sum)
{
    add_up(&total->exchanges, sum->exchanges);
    add_up(&total->refused, sum->refused);
    add_up(&total->not_reported, sum->not_reported);
    add_up(&total->unpriced, sum->unpriced);
    add_up(&total->unpriced_tokens, sum->unpriced_tokens);
    for (enum token_class of = 0; of < TOKEN_CLASSES; of++) {
        add_up(&total->tokens[of], sum->tokens[of]);
    }
    if (__builtin_add_overflow(total->cost_nanousd, sum->cost_nanousd,
                               &total->cost_nanousd)) {
        total->cost_nanousd = INT64_MAX;
    }
}

static bool is_of(const struct report *report, const struct report_row *row,
                  const struct ledger_sum *sum)
{
    for (size_t by = 0; by < report->by_count; by++) {
        if (strcmp(row->texts[by], text_of(sum, report->by[by])) != 0) {
            return false;
        }
    }
    return true;
}

/* The row of a sum that is one of several grades' of it. */
static struct report_row *row_of(const struct report *report,
                                 const struct ledger_sum *sum)
{
    for (size_t i = 0; report->adjusted && i < report->row_count; i++) {
        if (is_of(report, &report->rows[i], sum)) {
            return &report->rows[i];
        }
    }
    return NULL;
}

static struct report_row *new_row(struct report *report, const struct ledger_sum *sum)
{
    struct report_row *row;

    report->rows = reallocarray(report->rows, report->row_count + 1, sizeof *row);
    CHECK(report->rows != NULL);
    row = &report->rows[report->row_count++];
    *row = (struct report_row){ .sum = { .team = "" } };
    for (size_t by = 0; by < report->by_count; by++) {
        row->texts[by] = strdup(text_of(sum, report->by[by]));
        CHECK(row->texts[by] != NULL);
    }
    return row;
}

static void take_sum(void *self, const struct ledger_sum *sum)
{
    struct report *report = self;
    struct report_row *row = row_of(report, sum);

    row = row == NULL ? new_row(report, sum) : row;
    add_to_total(&row->sum, sum);
    add_to_total(&report->total, sum);
    if (report->adjusted && strcmp(sum->grade, "flagged") == 0) {
        add_to_total(&row->flagged, sum);
        add_to_total(&report->total_flagged, sum);
    }
}

static void free_rows(struct report *report)
{
    for (size_t i = 0; i < report->row_count; i++) {
        for (size_t by = 0; by < report->by_count; by++) {
            free(report->rows[i].texts[by]);
        }
    }
    free(report->rows);
}

/* Days in their order; within one, largest cost first, then most tokens. */
static int compare_days(const void *left, const void *right, void *day)
{
    const struct report_row *a = left;
    const struct report_row *b = right;
    const size_t *by = day;
    int days = strcmp(a->texts[*by], b->texts[*by]);
    uint64_t tokens = report_tokens(&a->sum);
    uint64_t other = report_tokens(&b->sum);

    if (days != 0) {
        return days;
    }
    if (a->sum.cost_nanousd != b->sum.cost_nanousd) {
        return a->sum.cost_nanousd > b->sum.cost_nanousd ? -1 : 1;
    }
    return tokens == other ? 0 : tokens > other ? -1 : 1;
}

static void sort_days(struct report *report)
{
    for (size_t by = 0; by < report->by_count; by++) {
        if (report->by[by]->bit == LEDGER_BY_DAY && report->row_count > 1) {
            qsort_r(report->rows, report->row_count, sizeof *report->rows, compare_days,
                    &by);
        }
    }
}

/* As a leaderboard should have it. */
static int most_left_first(const void *left, const void *right)
{
    const struct report_row *a = left;
    const struct report_row *b = right;
    uint64_t tokens = report_tokens(&a->sum) - report_tokens(&a->flagged);
    uint64_t other = report_tokens(&b->sum) - report_tokens(&b->flagged);

    return tokens == other ? 0 : tokens > other ? -1 : 1;
}

static bool read_ledger(const char *state, struct report *report, struct error *error)
{
    unsigned bits = 0;

    for (size_t by = 0; by < report->by_count; by++) {
        bits |= report->by[by]->bit;
    }
    bits |= report->adjusted ? LEDGER_BY_GRADE : 0;
    if (!ledger_sums(state, &report->query, bits, take_sum, report, error)) {
        return false;
    }
    if (report->adjusted && report->row_count > 1) {
        qsort(report->rows, report->row_count, sizeof *report->rows, most_left_first);
    }
    sort_days(report);
    return true;
}

/* ---- the command line ------------------------------------------------------------ */

static const struct report_by *dimension_of(const struct command_line *line,
                                            const char *name)
{
    struct nearest nearest = nearest_to(name);

    for (size_t i = 0; i < REPORT_BY_MAX; i++) {
        if (strcmp(dimensions[i].name, name) == 0) {
            return &dimensions[i];
        }
        nearest_offer(&nearest, dimensions[i].name);
    }
    if (nearest.word != NULL) {
        command_misused(line, "--by: '%s' is unknown; did you mean '%s'?", name,
                        nearest.word);
    } else {
        command_misused(line,
                        "--by: '%s' is not team, caller, model, tool, provider, "
                        "dialect, day, outcome, source, grade or tag",
                        name);
    }
    return NULL;
}

static bool add_dimension(const struct command_line *line, const char *name,
                          struct report *report)
{
    const struct report_by *by = dimension_of(line, name);

    if (by == NULL) {
        return false;
    }
    for (size_t i = 0; i < report->by_count; i++) {
        if (report->by[i] == by) {
            command_misused(line, "--by: '%s' is there twice", name);
            return false;
        }
    }
    report->by[report->by_count++] = by;
    return true;
}

/* "team,model" */
static bool add_list(const struct command_line *line, const char *words,
                     struct report *report)
{
    char *list = strdup(words);
    char *rest = list;
    const char *name;
    bool good = true;

    CHECK(list != NULL);
    while (good && (name = strsep(&rest, ",")) != NULL) {
        good = add_dimension(line, name, report);
    }
    free(list);
    return good;
}

/* Repeated --by options add up. */
static bool read_dimensions(const struct command_line *line, struct report *report)
{
    const char *words = command_option_nth(line, "by", 0);
    bool good = words != NULL || add_dimension(line, "team", report);

    for (size_t n = 1; good && words != NULL; n++) {
        good = add_list(line, words, report);
        words = command_option_nth(line, "by", n);
    }
    return good;
}

static const char *const format_names[] = { "table", "json", "csv", NULL };

/* As they are named. */
static const struct format {
    void (*print)(const struct report *report, FILE *out);
    void (*print_adjusted)(const struct report *report, FILE *out);
} formats[] = {
    /* as they are named */
    { report_table, report_adjusted_table },
    { report_json, report_adjusted_json },
    { report_csv, report_adjusted_csv },
};

/* A sum over days that are deleted is none. */
static void tell_of_deleted(const struct config *config, const struct report *report)
{
    uint64_t age_ns = (uint64_t)config->retention.exchanges_days * 24 * 3600 * NS_PER_S;
    uint64_t now_ns = clock_unix_ns();
    char moment[PERIOD_TEXT_SIZE];

    if (age_ns != 0 && age_ns < now_ns && report->query.since_ns < now_ns - age_ns) {
        period_print(now_ns - age_ns, moment);
        fprintf(stderr, "Calls before %s are deleted (retention.exchanges).\n", moment);
    }
}

static int report_with(const struct command_line *line, struct report *report,
                       const struct format *format)
{
    struct config *config = command_config(line, CONFIG_WITHOUT_SECRETS);
    struct error error;
    bool good;

    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    good = period_ledger(config, &error) && read_ledger(config->state, report, &error);
    if (good) {
        signal(SIGPIPE, SIG_DFL); /* `| head` ends this quietly */
        (report->adjusted ? format->print_adjusted : format->print)(report, stdout);
        tell_of_deleted(config, report);
    }
    free_rows(report);
    error_print(&error, stderr);
    error_done(&error);
    config_free(config);
    return good ? COMMAND_OK : COMMAND_FAILED;
}

int command_report(const struct command_line *line)
{
    int format = command_choice(line, "format", format_names);
    struct report report = { .adjusted = command_option(line, "adjusted") != NULL };
    bool audit = command_option(line, "audit") != NULL;
    bool quota = command_option(line, "quota") != NULL;

    if (format < 0) {
        return COMMAND_MISUSED;
    }
    if (report.adjusted + audit + quota > 1) {
        return command_misused(line, "--adjusted, --audit and --quota are reports of "
                                     "their own: one at a time");
    }
    if (audit) {
        return report_drift(line);
    }
    if (quota) {
        return quota_view_report(line);
    }
    if (!read_dimensions(line, &report) || !period_read(line, &report.query)) {
        return COMMAND_MISUSED;
    }
    return report_with(line, &report, &formats[format]);
}

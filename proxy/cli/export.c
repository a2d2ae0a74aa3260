/* assay export: an object or a row per exchange, in the order they began. */
#include "filters/turn/record.h"
#include "proxy/analyst/turn_log.h"
#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/cli/command.h"
#include "proxy/cli/export_csv.h"
#include "proxy/cli/period.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ledger is left between pages: a slow reader of the output must not keep it from
 * truncating its write-ahead log. */
enum { PAGE_ENTRIES = 2048 };

struct page {
    struct entry *entries;
    struct line (*lines)[LINES_MAX]; /* theirs */
    size_t count;
};

static void print_jsonl(const struct entry *entry, FILE *out)
{
    char memory[ENTRY_JSON_MAX + sizeof "\n"];
    struct text line = text_over(memory, sizeof memory);

    entry_json(entry, &line);
    text_put_char(&line, '\n');
    CHECK(!line.full);
    fwrite(line.at, 1, line.len, out);
}

static const char *const format_names[] = { "jsonl", "csv", NULL };

/* As they are named. */
static const struct format {
    void (*head)(FILE *out); /* NULL: none */
    void (*row)(const struct entry *entry, FILE *out);
} formats[] = {
    /* as they are named */
    { NULL, print_jsonl },
    { export_csv_head, export_csv_row },
};

/* ---- one exchange ---------------------------------------------------------------- */

static bool read_id(const struct command_line *line, const char *name, uint64_t *id)
{
    const char *text = command_option(line, name);

    if (text == NULL || (entry_id_parse(span_text(text), id) && *id != 0)) {
        return true;
    }
    command_misused(line,
                    "--%s: '%s' is not the id of an exchange, as the response header"
                    " assay-exchange-id gives it (ax- and 13 characters)",
                    name, text);
    return false;
}

struct wanted {
    uint64_t id;
    bool found;
    struct entry entry;
    struct line lines[LINES_MAX];
};

/* Only the first entry from the id on is looked at. */
static bool match(void *self, const struct entry *entry)
{
    struct wanted *wanted = self;

    if (entry->id == wanted->id) {
        wanted->found = true;
        wanted->entry.lines = wanted->lines;
        entry_copy(&wanted->entry, entry);
    }
    return false;
}

static bool export_one(const char *state, uint64_t id, const struct format *format,
                       struct error *error)
{
    struct wanted wanted = { .id = id };
    struct ledger_query query = { .after_id = id - 1 };
    char text[ENTRY_ID_SIZE];

    if (!ledger_each(state, &query, match, &wanted, error)) {
        return false;
    }
    if (!wanted.found) {
        entry_id_text(id, text);
        error_add(error, (struct error_place){ 0 },
                  "%s is not in the ledger: it is still open, or not of this assay",
                  text);
        return false;
    }
    if (format->head != NULL) {
        format->head(stdout);
    }
    format->row(&wanted.entry, stdout);
    return true;
}

/* ---- many ------------------------------------------------------------------------ */

static bool collect(void *self, const struct entry *entry)
{
    struct page *page = self;

    page->entries[page->count].lines = page->lines[page->count];
    entry_copy(&page->entries[page->count++], entry);
    return page->count < PAGE_ENTRIES;
}

static bool export_all(const char *state, struct ledger_query query,
                       const struct format *format, struct error *error)
{
    struct page page = { .entries = calloc(PAGE_ENTRIES, sizeof *page.entries),
                         .lines = calloc(PAGE_ENTRIES, sizeof *page.lines) };
    bool good = true;

    CHECK(page.entries != NULL && page.lines != NULL);
    if (format->head != NULL) {
        format->head(stdout);
    }
    do {
        page.count = 0;
        good = ledger_each(state, &query, collect, &page, error);
        for (size_t i = 0; i < page.count; i++) {
            format->row(&page.entries[i], stdout);
            query.after_id = page.entries[i].id;
        }
    } while (good && page.count == PAGE_ENTRIES && !ferror(stdout));
    free(page.entries);
    free(page.lines);
    return good;
}

/* ---- turns ----------------------------------------------------------------------- */

struct turn_period {
    int64_t since_ms, until_ms;
};

static bool print_turn(void *self, const struct turn_row *row)
{
    const struct turn_period *period = self;
    char memory[RECORD_LINE_MAX];
    struct text line = text_over(memory, sizeof memory);

    if (row->turn.begin_ms >= period->since_ms &&
        row->turn.begin_ms < period->until_ms) {
        record_write(&row->turn, row->at_ms, row->model, row->tool, &line);
        text_put_char(&line, '\n');
        CHECK(!line.full);
        fwrite(line.at, 1, line.len, stdout);
    }
    return !ferror(stdout);
}

/* The calls that detection saw, in its order, as `assay replay` reads them. */
static bool export_turns(const char *state, const struct ledger_query *query,
                         struct error *error)
{
    struct turn_period period = {
        .since_ms = (int64_t)(query->since_ns / NS_PER_MS),
        .until_ms =
            query->until_ns == 0 ? INT64_MAX : (int64_t)(query->until_ns / NS_PER_MS),
    };

    return turn_log_each(state, period.since_ms, 0, print_turn, &period, error);
}

/* ---- the command ----------------------------------------------------------------- */

/* One exchange is named by its id alone. */
static bool options_fit(const struct command_line *line)
{
    static const char *const others[] = { "since", "until", "after", "turns" };
    static const char *const of_exchanges[] = { "format", "after" };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (command_option(line, "id") != NULL &&
            command_option(line, others[i]) != NULL) {
            command_misused(line, "--id goes without --%s", others[i]);
            return false;
        }
    }
    for (size_t i = 0; i < sizeof of_exchanges / sizeof of_exchanges[0]; i++) {
        if (command_option(line, "turns") != NULL &&
            command_option(line, of_exchanges[i]) != NULL) {
            command_misused(line, "--turns goes without --%s", of_exchanges[i]);
            return false;
        }
    }
    return true;
}

static bool export_what(const struct command_line *line, const struct config *config,
                        const struct format *format, const struct ledger_query *query,
                        uint64_t id, struct error *error)
{
    if (command_option(line, "turns") != NULL) {
        return export_turns(config->state, query, error);
    }
    return period_ledger(config, error) &&
           (id != 0 ? export_one(config->state, id, format, error)
                    : export_all(config->state, *query, format, error));
}

static int export_with(const struct command_line *line, const struct format *format,
                       const struct ledger_query *query, uint64_t id)
{
    struct config *config = command_config(line, CONFIG_WITHOUT_SECRETS);
    struct error error;
    bool good;

    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    signal(SIGPIPE, SIG_DFL); /* `| head` ends this quietly */
    good = export_what(line, config, format, query, id, &error);
    error_print(&error, stderr);
    error_done(&error);
    config_free(config);
    return good ? COMMAND_OK : COMMAND_FAILED;
}

int command_export(const struct command_line *line)
{
    int format = command_choice(line, "format", format_names);
    struct ledger_query query = { 0 };
    uint64_t id = 0;

    if (format < 0 || !options_fit(line) || !period_read(line, &query) ||
        !read_id(line, "after", &query.after_id) || !read_id(line, "id", &id)) {
        return COMMAND_MISUSED;
    }
    return export_with(line, &formats[format], &query, id);
}

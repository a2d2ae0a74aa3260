/* assay teams: who is in which team, and members from elsewhere. A running assay
 * follows within a second. */
#include "proxy/base/text.h"
#include "proxy/cli/action.h"
#include "proxy/cli/csv_reader.h"
#include "proxy/cli/grid.h"
#include "proxy/identity/audit.h"
#include "proxy/identity/caller_tag.h"
#include "proxy/identity/directory.h"
#include "proxy/identity/key_store.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024, NO_CELL = CSV_CELLS_MAX };

static int teams_failed(struct error *error)
{
    error_print(error, stderr);
    error_done(error);
    return COMMAND_FAILED;
}

/* ---- import ---------------------------------------------------------------------- */

/* A file on its way into the store. */
struct import {
    const char *file;
    struct error *error;
    sqlite3 *db;
    size_t team, caller, service, alias; /* columns; NO_CELL: there is none */
    struct csv_row heads;                /* the others are tags */
    size_t count;
};

static struct error_place place_of(const struct import *import,
                                   const struct csv_row *row, size_t cell)
{
    return (struct error_place){ .file = import->file,
                                 .line = row->line,
                                 .column = (unsigned)cell + 1 };
}

static size_t *column_of(struct import *import, struct span head)
{
    if (span_equal_nocase(head, SPAN("team"))) {
        return &import->team;
    }
    if (span_equal_nocase(head, SPAN("caller")) ||
        span_equal_nocase(head, SPAN("member"))) {
        return &import->caller;
    }
    if (span_equal_nocase(head, SPAN("service"))) {
        return &import->service;
    }
    return span_equal_nocase(head, SPAN("alias")) ? &import->alias : NULL;
}

static void heads_read(struct import *import, const struct csv_row *row)
{
    import->team = import->caller = import->service = import->alias = NO_CELL;
    import->heads = *row;
    for (size_t i = 0; i < row->count; i++) {
        size_t *column = column_of(import, row->cells[i]);

        if (column != NULL && *column != NO_CELL) {
            error_add(import->error, place_of(import, row, i),
                      "the column '%.*s' stands here twice", (int)row->cells[i].len,
                      row->cells[i].at);
        } else if (column != NULL) {
            *column = i;
        }
    }
    if (import->team == NO_CELL || import->caller == NO_CELL) {
        error_add(import->error, place_of(import, row, 0),
                  "the first line names the columns: team, caller and perhaps service, "
                  "alias and tags such as cost_centre");
    }
}

static struct span cell_of(const struct csv_row *row, size_t column)
{
    return column < row->count ? row->cells[column] : span_of("", 0);
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] <= ' ' || name.at[i] > '~' || strchr("\"'\\,", name.at[i])) {
            return false;
        }
    }
    return name.len > 0;
}

static bool name_store(const struct import *import, const struct csv_row *row,
                       size_t column, char *array, size_t size)
{
    struct span name = cell_of(row, column);

    if (is_name(name) && text_store(array, size, name)) {
        return true;
    }
    error_add(import->error, place_of(import, row, column),
              "'%.*s' is not a name of 1 to %zu printable characters", (int)name.len,
              name.at, size - 1);
    return false;
}

static bool service_store(const struct import *import, const struct csv_row *row,
                          bool *service)
{
    static const struct {
        struct span word;
        bool value;
    } words[] = { { SPAN_INIT(""), false },    { SPAN_INIT("no"), false },
                  { SPAN_INIT("off"), false }, { SPAN_INIT("false"), false },
                  { SPAN_INIT("0"), false },   { SPAN_INIT("yes"), true },
                  { SPAN_INIT("on"), true },   { SPAN_INIT("true"), true },
                  { SPAN_INIT("1"), true } };
    struct span cell = cell_of(row, import->service);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_equal_nocase(cell, words[i].word)) {
            *service = words[i].value;
            return true;
        }
    }
    error_add(import->error, place_of(import, row, import->service),
              "'%.*s' is neither yes nor no", (int)cell.len, cell.at);
    return false;
}

static bool is_tag(const struct import *import, size_t column)
{
    return column != import->team && column != import->caller &&
           column != import->service && column != import->alias;
}

static bool tags_store(const struct import *import, const struct csv_row *row,
                       char tags[MEMBER_TAGS_SIZE])
{
    struct text text = text_over(tags, MEMBER_TAGS_SIZE - 1);

    for (size_t i = 0; i < row->count; i++) {
        struct span value = row->cells[i];

        if (!is_tag(import, i) || value.len == 0) {
            continue;
        }
        if (memchr(value.at, ',', value.len) != NULL ||
            memchr(value.at, '=', value.len) != NULL) {
            error_add(import->error, place_of(import, row, i),
                      "the value of a tag has neither ',' nor '=' in it");
            return false;
        }
        text_put(&text, text.len == 0 ? SPAN("") : SPAN(","));
        text_put(&text, import->heads.cells[i]);
        text_put(&text, SPAN("="));
        text_put(&text, value);
    }
    tags[text.len] = '\0';
    if (text.full) {
        error_add(import->error, place_of(import, row, 0),
                  "the tags are longer than %d characters together",
                  MEMBER_TAGS_SIZE - 1);
    }
    return !text.full;
}

static bool row_import(struct import *import, const struct csv_row *row)
{
    struct member_row member = { .service = false };
    struct span alias = cell_of(row, import->alias);
    struct error error;
    bool inserted;

    if (row->count > import->heads.count) {
        error_add(import->error, place_of(import, row, import->heads.count),
                  "%zu cells, in %zu columns", row->count, import->heads.count);
        return false;
    }
    if (!name_store(import, row, import->team, member.team, sizeof member.team) ||
        !name_store(import, row, import->caller, member.caller, sizeof member.caller) ||
        !service_store(import, row, &member.service) ||
        !tags_store(import, row, member.tags)) {
        return false;
    }
    if (!text_store(member.alias, sizeof member.alias, alias)) {
        error_add(import->error, place_of(import, row, import->alias),
                  "an alias has at most %d characters", MEMBER_ALIAS_SIZE - 1);
        return false;
    }
    error_init(&error);
    inserted = member_store_insert(import->db, &member, &error);
    error_done(&error);
    if (!inserted) {
        error_add(import->error, place_of(import, row, import->caller),
                  "'%s' stands in team '%s' twice", member.caller, member.team);
    }
    import->count += inserted;
    return inserted;
}

static void rows_import(struct import *import, char *text, size_t len)
{
    struct csv_reader reader;
    struct csv_row row;
    enum csv_read read;

    csv_reader_init(&reader, text, len);
    read = csv_reader_next(&reader, &row);
    if (read == CSV_ROW) {
        heads_read(import, &row);
    } else if (read == CSV_END) {
        error_add(import->error, place_of(import, &row, 0), "the file is empty");
    }
    while (read == CSV_ROW && import->team != NO_CELL && import->caller != NO_CELL &&
           (read = csv_reader_next(&reader, &row)) == CSV_ROW) {
        (void)row_import(import, &row);
    }
    if (read == CSV_BAD_QUOTE || read == CSV_TOO_WIDE) {
        error_add(import->error, place_of(import, &row, 0),
                  read == CSV_TOO_WIDE ? "more than 32 columns"
                                       : "a quote that does not fit");
    }
}

/* All of it, or nothing: the members of an earlier import go. */
static bool import_run(struct import *import, const char *state, char *text, size_t len)
{
    bool done;

    import->db = key_store_open(state, import->error);
    done = import->db != NULL && key_store_begin(import->db, import->error) &&
           member_store_clear(import->db, import->error);
    if (done) {
        rows_import(import, text, len);
    }
    done = done && !error_any(import->error) &&
           key_store_commit(import->db, import->error);
    key_store_close(import->db);
    return done;
}

static char *file_read(const char *path, size_t *len, struct error *error)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(FILE_MAX + 1);

    if (text != NULL) {
        *len = fread(text, 1, FILE_MAX + 1, file);
    }
    if (text == NULL || ferror(file) != 0 || *len > FILE_MAX) {
        error_add(error, (struct error_place){ .file = path }, "cannot be read: %s",
                  text != NULL && *len > FILE_MAX ? "it is too large"
                                                  : strerror(errno));
        free(text);
        text = NULL;
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static int teams_import(const struct command_line *line, const struct config *config,
                        int64_t now)
{
    const char *path = line->arguments[1];
    const struct audit_event event = { audit_own_actor(), "", "teams import", path,
                                       "" };
    struct import import = { .file = path };
    struct error error;
    size_t len = 0;
    char *text;
    bool done;

    (void)now;
    error_init(&error);
    import.error = &error;
    text = file_read(path, &len, &error);
    done = text != NULL && audit_write(config->state, &event, &error) &&
           import_run(&import, config->state, text, len);
    free(text);
    if (!done) {
        return teams_failed(&error);
    }
    printf("%zu member%s; those of an earlier import are gone\n", import.count,
           import.count == 1 ? "" : "s");
    error_done(&error);
    return COMMAND_OK;
}

/* ---- list ------------------------------------------------------------------------ */

/* One listing on its way. */
struct listing {
    const struct installation_key *key; /* of tags; NULL: they are not shown */
    struct grid *grid;
    cJSON *rows;
};

/* What providers are told of a member. */
static const char *told(const struct listing *listing, const struct member *member)
{
    static char tag[CALLER_TAG_SIZE];

    CHECK(caller_tag(listing->key, span_text(member->name), tag));
    return tag;
}

static bool put_member(void *self, const struct member *member)
{
    const struct listing *listing = self;
    struct grid *grid = listing->grid;

    grid_put(grid, member->team);
    grid_put(grid, member->name);
    grid_put(grid, member->service ? "service" : "person");
    grid_put(grid, member->tags);
    grid_put(grid, member->imported ? "import" : "file");
    if (listing->key != NULL) {
        grid_put(grid, told(listing, member));
    }
    return true;
}

static void print_table(struct listing *listing, const struct directory *directory)
{
    static const char *const heads[] = { "TEAM", "CALLER", "KIND", "TAGS", "FROM" };

    listing->grid = grid_new();
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        grid_column(listing->grid, heads[i], GRID_LEFT);
    }
    if (listing->key != NULL) {
        grid_column(listing->grid, "TOLD", GRID_LEFT);
    }
    directory_each(directory, put_member, listing);
    grid_print(listing->grid, stdout);
    grid_free(listing->grid);
}

static bool add_member(void *self, const struct member *member)
{
    const struct listing *listing = self;
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "team", member->team);
    cJSON_AddStringToObject(row, "caller", member->name);
    cJSON_AddBoolToObject(row, "service", member->service);
    cJSON_AddStringToObject(row, "tags", member->tags);
    cJSON_AddBoolToObject(row, "imported", member->imported);
    if (listing->key != NULL) {
        cJSON_AddStringToObject(row, "told", told(listing, member));
    }
    return cJSON_AddItemToArray(listing->rows, row);
}

static bool print_json(struct listing *listing, const struct directory *directory)
{
    char *text;

    listing->rows = cJSON_CreateArray();
    directory_each(directory, add_member, listing);
    text = cJSON_Print(listing->rows);
    cJSON_Delete(listing->rows);
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    return text != NULL;
}

static bool list_print(const struct config *config, enum table_or_json format,
                       const struct installation_key *key, struct error *error)
{
    struct directory *directory = directory_new(config, config->state, error);
    struct listing listing = { .key = key };
    bool printed = directory != NULL;

    if (directory != NULL && format == AS_JSON) {
        printed = print_json(&listing, directory);
    } else if (directory != NULL) {
        print_table(&listing, directory);
    }
    directory_free(directory);
    return printed;
}

static int teams_list(const struct command_line *line, const struct config *config,
                      int64_t now)
{
    int format = command_choice(line, "format", table_or_json);
    bool tell = command_option(line, "told") != NULL;
    struct installation_key key;
    struct error error;
    bool printed;

    (void)now;
    if (format < 0) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    printed =
        (!tell || installation_key_load(config->state, "tag", &key, &error)) &&
        list_print(config, (enum table_or_json)format, tell ? &key : NULL, &error);
    explicit_bzero(&key, sizeof key);
    if (!printed) {
        return teams_failed(&error);
    }
    error_done(&error);
    return COMMAND_OK;
}

/* ---- the command ----------------------------------------------------------------- */

static const char *const no_options[] = { NULL };
static const char *const list_options[] = { "format", "told", NULL };

static const struct action actions[] = {
    { "import", 1, 1, "one file", no_options, true, teams_import },
    { "list", 0, 0, "nothing more", list_options, true, teams_list },
    { .name = NULL }
};

int command_teams(const struct command_line *line)
{
    return action_run(line, actions);
}

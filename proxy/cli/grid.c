#include "proxy/cli/grid.h"

#include "proxy/base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRID_COLUMNS = 24, CELL_SIZE = 512, GAP = 2 };

struct column {
    const char *name;
    enum grid_align align;
    size_t width; /* in characters */
    bool filled;  /* some cell has text */
};

struct grid {
    struct column columns[GRID_COLUMNS];
    size_t column_count;
    char **cells;
    size_t count;
    size_t room;
    size_t totals; /* the cell that begins the totals; SIZE_MAX: there are none */
};

struct grid *grid_new(void)
{
    struct grid *grid = calloc(1, sizeof *grid);

    CHECK(grid != NULL);
    grid->totals = SIZE_MAX;
    return grid;
}

struct grid *grid_free(struct grid *grid)
{
    if (grid == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < grid->count; i++) {
        free(grid->cells[i]);
    }
    free(grid->cells);
    free(grid);
    return NULL;
}

/* Characters of UTF-8, each taken to be one column wide. */
static size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return width;
}

void grid_column(struct grid *grid, const char *name, enum grid_align align)
{
    CHECK(grid->column_count < GRID_COLUMNS && grid->count == 0);
    grid->columns[grid->column_count++] =
        (struct column){ .name = name, .align = align, .width = text_width(name) };
}

/* C0, DEL and, in UTF-8, C1. */
static void disarm(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at != '\0'; at++) {
        if (*at < ' ' || *at == 0x7F ||
            (*at == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0)) {
            *at = '?';
        }
    }
}

void grid_put(struct grid *grid, const char *cell)
{
    struct column *column = &grid->columns[grid->count % grid->column_count];
    char *copy = strdup(cell);
    size_t width;

    CHECK(copy != NULL);
    disarm(copy);
    width = text_width(copy);
    column->width = width > column->width ? width : column->width;
    column->filled = column->filled || width > 0;
    if (grid->count == grid->room) {
        grid->room = grid->room == 0 ? 256 : grid->room * 2;
        grid->cells = reallocarray(grid->cells, grid->room, sizeof *grid->cells);
        CHECK(grid->cells != NULL);
    }
    grid->cells[grid->count++] = copy;
}

void grid_printf(struct grid *grid, const char *format, ...)
{
    char cell[CELL_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    grid_put(grid, cell);
}

void count_print(uint64_t count, char text[COUNT_TEXT_SIZE])
{
    char digits[COUNT_TEXT_SIZE];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *out = text;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            *out++ = ',';
        }
        *out++ = digits[i];
    }
    *out = '\0';
}

void grid_put_count(struct grid *grid, uint64_t count)
{
    char text[COUNT_TEXT_SIZE];

    count_print(count, text);
    grid_put(grid, text);
}

void grid_total(struct grid *grid)
{
    grid->totals = grid->count;
}

/* ---- printing -------------------------------------------------------------------- */

static bool may_colour(FILE *out)
{
    const char *refused = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return (refused == NULL || *refused == '\0') && terminal != NULL &&
           strcmp(terminal, "dumb") != 0 && isatty(fileno(out)) == 1;
}

/* A line being written: nothing is padded at its end. */
struct line {
    FILE *out;
    size_t gap; /* spaces before the next text */
};

static void put_text(struct line *line, const char *text)
{
    if (*text != '\0') {
        fprintf(line->out, "%*s%s", (int)line->gap, "", text);
        line->gap = 0;
    }
}

static void put_cell(struct line *line, const struct column *column, const char *cell)
{
    size_t left = column->width - text_width(cell);

    line->gap += column->align == GRID_RIGHT ? left : 0;
    put_text(line, cell);
    line->gap += (column->align == GRID_LEFT ? left : 0) + GAP;
}

static void print_rule(const struct grid *grid, FILE *out)
{
    struct line line = { .out = out };

    for (size_t at = 0; at < grid->column_count; at++) {
        if (grid->columns[at].filled) {
            put_text(&line, "-");
            for (size_t i = 1; i < grid->columns[at].width; i++) {
                fputc('-', out);
            }
            line.gap = GAP;
        }
    }
    fputc('\n', out);
}

static void print_head(const struct grid *grid, FILE *out)
{
    struct line line = { .out = out };

    for (size_t at = 0; at < grid->column_count; at++) {
        if (grid->columns[at].filled) {
            put_cell(&line, &grid->columns[at], grid->columns[at].name);
        }
    }
}

static void print_row(const struct grid *grid, size_t first, FILE *out)
{
    struct line line = { .out = out };

    for (size_t at = 0; at < grid->column_count && first + at < grid->count; at++) {
        if (grid->columns[at].filled) {
            put_cell(&line, &grid->columns[at], grid->cells[first + at]);
        }
    }
}

void grid_print(const struct grid *grid, FILE *out)
{
    bool colour = may_colour(out);
    const char *bold = colour ? "\033[1m" : "";
    const char *plain = colour ? "\033[0m" : "";

    fputs(bold, out);
    print_head(grid, out);
    fprintf(out, "%s\n", plain);
    for (size_t row = 0; row < grid->count; row += grid->column_count) {
        if (row == grid->totals) {
            print_rule(grid, out);
        }
        fputs(row >= grid->totals ? bold : "", out);
        print_row(grid, row, out);
        fprintf(out, "%s\n", row >= grid->totals ? plain : "");
    }
}

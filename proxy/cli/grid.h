/* A table for people: cells of text in columns as wide as they need to be. */
#ifndef ASSAY_CLI_GRID_H
#define ASSAY_CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct grid;

enum grid_align { GRID_LEFT, GRID_RIGHT };

struct grid *grid_new(void);
struct grid *grid_free(struct grid *grid);

/* Adds a column, before the first cell. Its name (not copied) is the head. */
void grid_column(struct grid *grid, const char *name, enum grid_align align);

/* The next cell, row by row. Control characters become '?', for a terminal obeys them
 * and clients choose some of these texts. */
void grid_put(struct grid *grid, const char *cell);
void grid_printf(struct grid *grid, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* With commas between thousands: "1,234,567". */
void grid_put_count(struct grid *grid, uint64_t count);

/* The rows from here on are totals, which a rule sets apart. */
void grid_total(struct grid *grid);

/* Leaves out columns that have a head only. Heads and totals are bold where `out` is a
 * terminal and $NO_COLOR is unset or empty. */
void grid_print(const struct grid *grid, FILE *out);

/* Room that count_print() needs. */
enum { COUNT_TEXT_SIZE = sizeof "18,446,744,073,709,551,615" };
void count_print(uint64_t count, char text[COUNT_TEXT_SIZE]);

#endif

/* Entries that a test passes by value, with their lines. */
#ifndef ASSAY_TESTS_SUPPORT_LINE_ROOM_H
#define ASSAY_TESTS_SUPPORT_LINE_ROOM_H

#include "proxy/meter/entry.h"

#include <stddef.h>

/* Room for the lines of one entry: the oldest of a few, so that two can be compared. */
static inline struct line *line_room(void)
{
    static struct line rooms[4][LINES_MAX];
    static unsigned taken;

    return rooms[taken++ % 4];
}

static inline bool same_entry(const struct entry *a, const struct entry *b)
{
    return memcmp(a, b, offsetof(struct entry, lines)) == 0 &&
           (a->line_count == 0 ||
            memcmp(a->lines, b->lines, a->line_count * sizeof(a->lines[0])) == 0);
}

#endif

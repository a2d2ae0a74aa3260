/* Reads the lines of a record out of a response: tokens that it reports beside its
 * usage, or as parts of it (see struct line). A stream repeats them; the last event
 * that has some counts. */
#ifndef ASSAY_FILTERS_LINE_READER_H
#define ASSAY_FILTERS_LINE_READER_H

#include "filters/tally.h"
#include "proxy/meter/entry.h"

struct line_list {
    bool fell_back; /* one of several attempts was given up */
    uint8_t count;
    struct line lines[LINES_MAX + 1]; /* one more than are kept: attempts */
};

struct line_reader {
    bool any;      /* kept has been filled */
    bool now_any;  /* now belongs to the current event */
    bool odd;      /* something could not be told, or was too much */
    bool part_any; /* part belongs to the current event */
    bool summed;   /* sum has been filled: it is the main usage */
    unsigned tag;  /* of the object that is being read; 0: none */
    char type[24];
    char model[64];
    char tool_model[64]; /* of a tool that the response says it had */
    struct usage part, sum;
    struct tallier tallier;
    struct tally before; /* the tallier's */
    struct line_list now, kept;
};

/* NULL without memory. Few responses need one. */
struct line_reader *line_reader_new(void);
/* Takes NULL; returns NULL. */
struct line_reader *line_reader_free(struct line_reader *reader);

/* A value whose tag is LINES_ANEW or above. */
void line_reader_value(struct line_reader *reader, const struct dialect *dialect,
                       const struct scan_value *value);

/* The event has ended well, or what it said is void. Its parts are of `model`. These
 * and line_reader_settle() take NULL: nothing was read. */
void line_reader_event_end(struct line_reader *reader, const char *model);
void line_reader_event_void(struct line_reader *reader);

/* Writes the lines into *entry; those that name no model are the
 * call's own, `model`. */
void line_reader_settle(const struct line_reader *reader, const char *model,
                        struct entry *entry);

#endif

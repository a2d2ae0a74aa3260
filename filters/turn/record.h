/* Turn records as lines of JSON: what `assay export --turns` writes and `assay replay`
 * reads. Fields in any order; unknown ones are ignored. */
#ifndef ASSAY_FILTERS_TURN_RECORD_H
#define ASSAY_FILTERS_TURN_RECORD_H

#include "filters/turn/turn.h"
#include "proxy/base/check.h"
#include "proxy/base/span.h"

enum { RECORD_NAME_SIZE = 161 };

/* A turn with the names that its hashes stand for. */
struct record {
    struct turn turn;
    char identity[RECORD_NAME_SIZE];
    char session[RECORD_NAME_SIZE];
};

struct record_reader;

/* Compiles what lines are read with. Identities and sessions are hashed with `seed`. */
struct record_reader *record_reader_new(uint64_t seed);
struct record_reader *record_reader_free(struct record_reader *reader);

/* Reads one line, with or without its newline. NULL, or what is wrong with the line. */
const char *record_read(const struct record_reader *reader, struct span line,
                        struct record *record) MUST_CHECK;

#endif

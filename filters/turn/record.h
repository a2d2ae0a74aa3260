/* Turn records as lines of JSON: what `assay export --turns` writes and `assay replay`
 * reads. Fields in any order; unknown ones are ignored. */
#ifndef ASSAY_FILTERS_TURN_RECORD_H
#define ASSAY_FILTERS_TURN_RECORD_H

#include "filters/turn/turn.h"
#include "proxy/base/check.h"
#include "proxy/base/span.h"
#include "proxy/base/text.h"

enum { RECORD_NAME_SIZE = 161 };

/* A turn with the names that its hashes stand for. */
struct record {
    struct turn turn;
    int64_t at_ms; /* what orders it: begin_ms, or later if it was observed late */
    char identity[RECORD_NAME_SIZE];
    char session[RECORD_NAME_SIZE];
};

struct record_reader;

/* Compiles what lines are read with. Identities and sessions are hashed with `seed`,
 * but for those of 16 hex digits, which are hashes: so an export gives the hashes it
 * came from. */
struct record_reader *record_reader_new(uint64_t seed);
struct record_reader *record_reader_free(struct record_reader *reader);

/* Reads one line, with or without its newline. NULL, or what is wrong with the line. */
const char *record_read(const struct record_reader *reader, struct span line,
                        struct record *record) MUST_CHECK;

enum { RECORD_LINE_MAX = 4096 };

/* Appends the line of a turn, without a newline; identity and session are its hashes.
 * Empty names are those that nobody knows. */
void record_write(const struct turn *turn, int64_t at_ms, const char *model,
                  const char *agent, struct text *out);

#endif

/* Prometheus' text format 0.0.4, written piece by piece: shared by metrics_text.c and
 * metrics_family.c. */
#ifndef ASSAY_METER_METRICS_TEXT_H
#define ASSAY_METER_METRICS_TEXT_H

#include "proxy/meter/metrics_shard.h"

/* A piece is handed on once less than a line's room is left in it. */
enum { METRICS_PIECE = 16 * 1024, METRICS_LINE = 2 * 1024 };

struct metrics_writer {
    void (*write)(void *self, struct span piece);
    void *self;
    struct text text;
    char memory[METRICS_PIECE];
};

/* Room for one more line. */
struct text *metrics_line(struct metrics_writer *out);

/* HELP and TYPE of a family. */
void metrics_put_head(struct metrics_writer *out, const char *name, const char *type,
                      const char *help);

/* Adds name="value" to a list of labels. Bytes that would break a line or are not UTF-8
 * become "?"; a label without a value is as good as none. */
void metrics_put_label(struct text *labels, const char *name, const char *value);

/* What a line begins with: the name, `suffix`, and labels if there are any. */
void metrics_put_name(struct text *text, const char *name, const char *suffix,
                      struct span labels);

/* All buckets, the sum and the count of a histogram with the bounds of `shape`. With
 * `seconds`, its unit is the microsecond and seconds are shown. */
void metrics_put_histogram(struct metrics_writer *out, const char *name,
                           struct span labels, const struct histogram *shape,
                           const struct histogram_copy *copy, bool seconds);

/* Every family that is a sum over rows. */
void metrics_put_families(struct metrics_writer *out,
                          struct metrics_shard *const *shards, size_t count);

#endif

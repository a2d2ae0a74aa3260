/* A text that passes in pieces, kept only as far as it takes to say how many tokens it
 * is: whole while it is short, then every second, fourth ... chunk of it, as many as
 * fit. It lives as long as its call and is wiped after it; nothing is counted before
 * somebody asks. */
#ifndef ASSAY_FILTERS_COUNT_SAMPLE_H
#define ASSAY_FILTERS_COUNT_SAMPLE_H

#include "filters/count/bpe.h"

enum { SAMPLE_CHUNK = 64, SAMPLE_MAX = 128 * SAMPLE_CHUNK, SAMPLE_ROOM = 32 };
enum { SAMPLE_SPARE = 1024 }; /* room that an empty sample has at most */

struct sample {
    uint64_t bytes;  /* of the whole text */
    uint64_t stride; /* one of so many chunks is kept; 0: nothing came yet */
    uint64_t skip;   /* bytes before the next chunk */
    uint32_t kept;
    uint32_t most;  /* that was ever written of text */
    uint32_t room;  /* of text: SAMPLE_ROOM doubled as often as it took */
    bool no_memory; /* nothing is kept any more */
    char *text;     /* owned */
};

/* All zero is an empty sample, too. */
void sample_begin(struct sample *sample);
void sample_put(struct sample *sample, struct span piece);
/* Puts what is kept of another text, which stands for all of it. */
void sample_add(struct sample *sample, const struct sample *text);

/* Wipes what is kept, for the next text: the sample is empty then, but has room as long
 * as the text was short. */
void sample_clear(struct sample *sample);
/* The same, and gives the room back. */
void sample_wipe(struct sample *sample);

/* The tokens of the whole text: exact if all of it is kept, else right within a few
 * percent (README.md). 0 without memory, and while the tables of the encoding are not
 * there, which are loaded then without waiting for them. About 10 ns per byte kept, so
 * 80 us at most. */
uint64_t sample_tokens(const struct sample *sample, enum encoding encoding);

#endif

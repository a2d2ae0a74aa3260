/* Sketches of texts while their bytes pass: keyed hashes from which the text cannot be
 * read, all that is ever kept of it. Any split of the bytes gives the same sketch; the
 * memory is that of the struct, whatever the length. The definitions are those of the
 * turn record. While a text is being sketched its last few hundred characters lie in
 * the struct; sketch_prompt_end() and sketch_response_end() wipe it. */
#ifndef ASSAY_FILTERS_TURN_SKETCH_H
#define ASSAY_FILTERS_TURN_SKETCH_H

#include "filters/turn/characters.h"
#include "filters/turn/template.h"
#include "filters/turn/turn.h"
#include "filters/turn/words.h"

enum {
    SKETCH_CHARACTERS = 32768, /* beyond them only whole, shape and characters go on */
    SKETCH_BUFFER = 256,
    SKETCH_SHINGLE = 6, /* tokens of the longest shingle */
    SKETCH_BAG = 2048,  /* tokens of the bag of words */
    SKETCH_PLANES = 12  /* bits of a count up to 2,047 */
};

/* A hash of bytes that come one by one. */
struct hash_stream {
    XXH3_state_t state;
    uint16_t len;
    char bytes[SKETCH_BUFFER];
};

/* Runs of tokens, and the samples among those of six. */
struct shingles {
    uint64_t recent[2 * SKETCH_SHINGLE]; /* the last tokens, twice: shingles_put() */
    uint64_t rolled[3];                  /* sums over the last 2, 3 and 6 of them */
    uint32_t tokens;
    uint32_t *samples; /* ascending; in the sketcher, sample_most at most */
    uint8_t sample_count;
    uint8_t sample_most;
};

enum { BAG_PLACES = 2 * SKETCH_BAG };

/* Hashes of content words and how often each came: open addressing. */
struct bag {
    uint32_t words[BAG_PLACES];
    uint16_t counts[BAG_PLACES];
    uint16_t taken[SKETCH_BAG]; /* places, as they were taken */
    uint16_t count;
};

/* White space trimmed, and every run of it one space. */
struct normaliser {
    bool begun;  /* a character that is not white space came */
    bool spaced; /* white space waits for a character to stand before */
};

struct prompt_sketcher {
    struct hash_stream whole;
    XXH3_state_t shape;
    struct utf8 utf8;
    struct words words;
    struct template template;
    struct shingles shingles;
    uint32_t samples[SKETCH_PROMPT];
    uint64_t bottom[SKETCH_BOTTOM]; /* ascending */
    uint64_t planes[SKETCH_PLANES]; /* bit i of plane n: bit n of the count of bit i */
    uint32_t pairs;                 /* 2-token shingles counted in the planes */
    uint8_t bottom_count;
    struct normaliser normaliser;
    uint32_t characters;
    struct bag bag; /* last: it is wiped word by word */
};

/* What a prompt is compared with to see whether it lies in a tool's argument. */
struct argument_sketch {
    uint64_t whole;                  /* as a prompt of this text has it */
    uint32_t samples[SKETCH_PROMPT]; /* likewise */
    uint8_t count;
    uint32_t characters;
};

struct argument_sketcher {
    struct hash_stream whole;
    struct utf8 utf8;
    struct words words;
    struct shingles shingles;
    uint32_t samples[SKETCH_PROMPT];
    struct normaliser normaliser;
    uint32_t characters;
};

struct response_sketcher {
    struct utf8 utf8;
    struct words words;
    struct shingles shingles;
    uint32_t samples[SKETCH_RESPONSE];
    uint32_t characters;
};

/* The key is borrowed until the end. A prompt's sketcher is zeroed before its first
 * use, as sketch_prompt_end() leaves it. Text blocks of one prompt are fed in turn with
 * a newline between them, an image as "[img]". */
void sketch_prompt_begin(struct prompt_sketcher *sketcher,
                         const struct sketch_key *key);
void sketch_prompt_feed(struct prompt_sketcher *sketcher, struct span text);
void sketch_prompt_end(struct prompt_sketcher *sketcher, struct prompt_sketch *sketch);
/* Zeroes a sketcher whose text did not end. */
void sketch_prompt_wipe(struct prompt_sketcher *sketcher);

void sketch_response_begin(struct response_sketcher *sketcher,
                           const struct sketch_key *key);
void sketch_response_feed(struct response_sketcher *sketcher, struct span text);
void sketch_response_end(struct response_sketcher *sketcher,
                         struct response_sketch *sketch);

void sketch_argument_begin(struct argument_sketcher *sketcher,
                           const struct sketch_key *key);
void sketch_argument_feed(struct argument_sketcher *sketcher, struct span text);
void sketch_argument_end(struct argument_sketcher *sketcher,
                         struct argument_sketch *sketch);

#endif

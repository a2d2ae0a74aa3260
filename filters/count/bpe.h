/* How many tokens a text is in OpenAI's encodings, exactly as the reference (tiktoken)
 * counts ordinary text: special tokens such as <|endoftext|> are text like any other.
 * Bytes that are not UTF-8 count as the U+FFFD that a JSON decoder makes of them.
 * Nothing is remembered of what was counted.
 *
 * The first count in an encoding unpacks its tables (50 to 100 ms, 10 MB for good).
 * After that a text takes about 10 ns per byte, and up to 1 us where one piece is very
 * long, so count long ones off the event loop. */
#ifndef ASSAY_FILTERS_COUNT_BPE_H
#define ASSAY_FILTERS_COUNT_BPE_H

#include "proxy/base/span.h"

enum encoding {
    ENCODING_UNKNOWN, /* the tokenizer is not public */
    ENCODING_CL100K_BASE,
    ENCODING_O200K_BASE,
    ENCODING_O200K_HARMONY, /* o200k_base with other special tokens */
};

/* Text that the split patterns keep together is cut after this many bytes, which
 * bounds the memory of a count. Only then may it differ from the reference, by a
 * token or two per cut. */
enum { BPE_PIECE_MAX = 1 << 20 };

/* The tokens of a whole text; 0 for an unknown encoding. */
uint64_t bpe_count(enum encoding encoding, struct span text);

/* Are the tables of this encoding there? If not, a thread of its own begins to load
 * them, once: so that an event loop never waits for them. */
bool bpe_ready(enum encoding encoding);

/* The same without beginning to load them. */
bool bpe_loaded(enum encoding encoding);

/* A text that comes in pieces: every split counts as the whole does. */
struct bpe_stream {
    enum encoding encoding;
    uint64_t count; /* of what is no longer pending */
    char *pending;  /* valid UTF-8, the begin of which is where a piece begins */
    size_t pending_len;
    size_t pending_cap;
    unsigned char partial[4]; /* a character that is not complete */
    unsigned partial_len;
};

void bpe_stream_init(struct bpe_stream *stream, enum encoding encoding);
void bpe_stream_feed(struct bpe_stream *stream, struct span text);

/* The tokens of all that was fed. Gives back the stream's memory and makes it ready for
 * another text. To give up a stream without its count, call it as well. */
uint64_t bpe_stream_end(struct bpe_stream *stream);

/* By model name, which may carry a vendor's prefix ("openai/gpt-4o"). */
enum encoding bpe_encoding_for_model(struct span model);

/* "o200k_base"; ENCODING_UNKNOWN for no encoding's name. */
enum encoding bpe_encoding_named(struct span name);

/* NULL for ENCODING_UNKNOWN. */
const char *bpe_encoding_name(enum encoding encoding);

#endif

/* The record of one call: who asked, when, what kind of call it was, and sketches of
 * the prompt and the response. Fixed size and no text: this is all that the detector
 * reads and all that `assay export --turns` writes. The fields are those of the turn
 * record. */
#ifndef ASSAY_FILTERS_TURN_TURN_H
#define ASSAY_FILTERS_TURN_TURN_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SKETCH_BOTTOM = 8,    /* shingles that bottom-k MinHash keeps */
    SKETCH_PROMPT = 32,   /* samples kept of a prompt */
    SKETCH_RESPONSE = 12, /* samples kept of a response */
    SKETCH_WORDS = 64     /* dimensions of the bag of words */
};

struct prompt_sketch {
    uint64_t whole;                  /* h: hash of the normalised prompt */
    uint64_t shape;                  /* tmpl: hash of its template */
    uint64_t similar;                /* sim: SimHash of 2-token shingles */
    uint64_t bottom[SKETCH_BOTTOM];  /* bk: the smallest shingles, ascending */
    uint32_t samples[SKETCH_PROMPT]; /* hs: a set, in no particular order */
    uint32_t characters;             /* len: code points before normalisation */
    uint8_t bottom_count;
    uint8_t sample_count;
    bool has_words;
    int8_t words[SKETCH_WORDS]; /* bow, if has_words */
};

struct response_sketch {
    uint32_t samples[SKETCH_RESPONSE]; /* out_sk: a set, in the space of hs */
    uint8_t count;
};

enum turn_kind {
    TURN_PROMPT, /* "turn": a person, or what poses as one, says something fresh */
    TURN_CONTINUATION, /* "cont": a tool's result, harness text, a prefill */
    TURN_SUBAGENT      /* "sub": a call of a subagent */
};

struct turn {
    uint64_t identity; /* keyed hash of the verified caller */
    uint64_t session;  /* keyed hash of the conversation */
    int64_t begin_ms;  /* Unix time of the request's first byte */
    int64_t end_ms;    /* of the response's last byte; not before begin_ms */
    uint64_t input_tokens;
    uint64_t output_tokens;
    uint32_t loop; /* of names and arguments of the response's tool calls; 0: none */
    enum turn_kind kind;
    bool retry;      /* this text was sent before, and the conversation did not grow */
    bool harness;    /* a continuation whose text is the harness's, not a person's */
    bool has_prompt; /* on prompts, and on a subagent's calls */
    struct prompt_sketch prompt;
    struct response_sketch response;
};

#endif

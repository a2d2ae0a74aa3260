#include "filters/turn/sketch.h"

#include <math.h>

enum {
    BOTTOM_TOKENS = 4096,
    SAMPLED_TOKENS = 8192,
    SIMILAR_TOKENS = 2048,
    BOTTOM_SHINGLE = 3,
    SIMILAR_SHINGLE = 2,
    SAMPLE_MASK = 15 /* one shingle in sixteen */
};

/* ---- hashes ------------------------------------------------------------------------- */

static void hash_begin(struct hash_stream *stream, const struct sketch_key *key)
{
    (void)XXH3_64bits_reset_withSecret(&stream->state, key->bytes, sizeof(key->bytes));
    stream->len = 0;
}

static void hash_flush(struct hash_stream *stream)
{
    (void)XXH3_64bits_update(&stream->state, stream->bytes, stream->len);
    stream->len = 0;
}

static void hash_code(struct hash_stream *stream, uint32_t code)
{
    if (stream->len > SKETCH_BUFFER - UTF8_MAX) {
        hash_flush(stream);
    }
    stream->len = (uint16_t)(stream->len + utf8_put(stream->bytes + stream->len, code));
}

/* At most WORD_CHUNK. */
static void hash_bytes(struct hash_stream *stream, struct span bytes)
{
    if (stream->len + bytes.len > SKETCH_BUFFER) {
        hash_flush(stream);
    }
    memcpy(stream->bytes + stream->len, bytes.at, bytes.len);
    stream->len = (uint16_t)(stream->len + bytes.len);
}

static uint64_t hash_end(struct hash_stream *stream)
{
    hash_flush(stream);
    return sketch_digest(&stream->state);
}

/* ---- shingles ----------------------------------------------------------------------- */

static void shingles_init(struct shingles *shingles, uint32_t *samples, unsigned most)
{
    *shingles = (struct shingles){ .samples = samples, .sample_most = (uint8_t)most };
}

/* Powers of an odd number, modulo 2^64. */
#define POWER_1 UINT64_C(0x9e3779b97f4a7c15)
#define POWER_2 (POWER_1 * POWER_1)
#define POWER_3 (POWER_2 * POWER_1)
#define POWER_6 (POWER_3 * POWER_3)

enum rolled { ROLLED_2, ROLLED_3, ROLLED_6 };

/* The token n before the one to be put, 0 before the first; n is at most 6. */
static inline uint64_t token_before(const struct shingles *shingles, unsigned n)
{
    return shingles->recent[shingles->tokens % SKETCH_SHINGLE + SKETCH_SHINGLE - n];
}

/* Of n tokens each sum has token i times the power n - 1 - i: so a new one takes a step
 * for all others, and the oldest leaves. Only prompts need `all`. */
RUN_INLINE void shingles_put(struct shingles *shingles, uint64_t token, bool all)
{
    uint64_t *rolled = shingles->rolled;
    unsigned at = shingles->tokens % SKETCH_SHINGLE;

    if (all) {
        rolled[ROLLED_2] =
            rolled[ROLLED_2] * POWER_1 + token - token_before(shingles, 2) * POWER_2;
        rolled[ROLLED_3] =
            rolled[ROLLED_3] * POWER_1 + token - token_before(shingles, 3) * POWER_3;
    }
    rolled[ROLLED_6] =
        rolled[ROLLED_6] * POWER_1 + token - token_before(shingles, 6) * POWER_6;
    shingles->recent[at] = token;
    shingles->recent[at + SKETCH_SHINGLE] = token;
    shingles->tokens++;
}

/* The hash of the last n tokens, in their order; or of all, if they are fewer. */
static inline uint64_t shingle(const struct shingles *shingles, enum rolled which,
                               unsigned n)
{
    return sketch_mix(shingles->rolled[which] ^ n * POWER_1);
}

/* Keeps the smallest samples, each once. */
static void keep_sample(struct shingles *shingles, uint64_t hash)
{
    uint32_t sample = (uint32_t)(hash >> 32);
    unsigned at = shingles->sample_count;

    if ((hash & SAMPLE_MASK) != 0) {
        return;
    }
    while (at > 0 && shingles->samples[at - 1] > sample) {
        at--;
    }
    if ((at > 0 && shingles->samples[at - 1] == sample) ||
        at == shingles->sample_most) {
        return;
    }
    if (shingles->sample_count < shingles->sample_most) {
        shingles->sample_count++;
    }
    memmove(&shingles->samples[at + 1], &shingles->samples[at],
            (shingles->sample_count - at - 1U) * sizeof(sample));
    shingles->samples[at] = sample;
}

static void sample_latest(struct shingles *shingles)
{
    if (shingles->tokens >= SKETCH_SHINGLE && shingles->tokens <= SAMPLED_TOKENS) {
        keep_sample(shingles, shingle(shingles, ROLLED_6, SKETCH_SHINGLE));
    }
}

/* A text of fewer than six tokens is one shingle. */
static void sample_short(struct shingles *shingles)
{
    if (shingles->tokens > 0 && shingles->tokens < SKETCH_SHINGLE) {
        keep_sample(shingles, shingle(shingles, ROLLED_6, shingles->tokens));
    }
}

/* ---- prompts ------------------------------------------------------------------------ */

static void keep_bottom(struct prompt_sketcher *sketcher, uint64_t hash)
{
    unsigned at = sketcher->bottom_count;

    while (at > 0 && sketcher->bottom[at - 1] > hash) {
        at--;
    }
    if ((at > 0 && sketcher->bottom[at - 1] == hash) || at == SKETCH_BOTTOM) {
        return;
    }
    if (sketcher->bottom_count < SKETCH_BOTTOM) {
        sketcher->bottom_count++;
    }
    memmove(&sketcher->bottom[at + 1], &sketcher->bottom[at],
            (sketcher->bottom_count - at - 1U) * sizeof(hash));
    sketcher->bottom[at] = hash;
}

/* Adds one to the count of every bit that is set. */
static void count_bits(struct prompt_sketcher *sketcher, uint64_t hash)
{
    sketcher->pairs++;
    for (unsigned n = 0; hash != 0 && n < SKETCH_PLANES; n++) {
        uint64_t carry = sketcher->planes[n] & hash;

        sketcher->planes[n] ^= hash;
        hash = carry;
    }
}

/* Counts the word; at most half of the places are taken. */
static void put_in_bag(struct bag *bag, uint32_t word)
{
    unsigned at = word % BAG_PLACES;

    word += word == 0; /* 0 is a free place */
    while (bag->words[at] != 0 && bag->words[at] != word) {
        at = (at + 1) % BAG_PLACES;
    }
    if (bag->words[at] == 0) {
        bag->words[at] = word;
        bag->taken[bag->count++] = (uint16_t)at;
    }
    bag->counts[at]++;
}

static void put_word(void *self, const struct word *word)
{
    struct prompt_sketcher *sketcher = self;
    struct shingles *shingles = &sketcher->shingles;

    shingles_put(shingles, word->hash, true);
    sample_latest(shingles);
    if (shingles->tokens >= BOTTOM_SHINGLE && shingles->tokens <= BOTTOM_TOKENS) {
        keep_bottom(sketcher, shingle(shingles, ROLLED_3, BOTTOM_SHINGLE));
    }
    if (shingles->tokens >= SIMILAR_SHINGLE && shingles->tokens <= SIMILAR_TOKENS) {
        count_bits(sketcher, shingle(shingles, ROLLED_2, SIMILAR_SHINGLE));
    }
    if (word->content && shingles->tokens <= SKETCH_BAG) {
        put_in_bag(&sketcher->bag, (uint32_t)word->hash);
    }
}

static void put_shape(void *self, struct span piece)
{
    struct prompt_sketcher *sketcher = self;

    (void)XXH3_64bits_update(&sketcher->shape, piece.at, piece.len);
}

static void put_normalised(struct prompt_sketcher *sketcher, uint32_t code)
{
    hash_code(&sketcher->whole, code);
    template_put(&sketcher->template, code);
}

/* What is to be put before a code point: nothing, a space, or not even itself. */
enum before { BEFORE_NOTHING, BEFORE_SPACE, BEFORE_SKIP };

RUN_INLINE enum before normalise(struct normaliser *normaliser, uint32_t code)
{
    bool space = normaliser->spaced && normaliser->begun;

    if (character_is_space(code)) {
        normaliser->spaced = true;
        return BEFORE_SKIP;
    }
    normaliser->spaced = false;
    normaliser->begun = true;
    return space ? BEFORE_SPACE : BEFORE_NOTHING;
}

RUN_INLINE void put_prompt_code(void *self, uint32_t code)
{
    struct prompt_sketcher *sketcher = self;
    enum before before;

    code = character_lower(code);
    if (sketcher->characters < SKETCH_CHARACTERS) {
        words_put(&sketcher->words, code);
    }
    sketcher->characters += sketcher->characters < UINT32_MAX;
    before = normalise(&sketcher->normaliser, code);
    if (before == BEFORE_SPACE) {
        put_normalised(sketcher, ' ');
    }
    if (before != BEFORE_SKIP) {
        put_normalised(sketcher, code);
    }
}

void sketch_prompt_begin(struct prompt_sketcher *sketcher, const struct sketch_key *key)
{
    hash_begin(&sketcher->whole, key);
    (void)XXH3_64bits_reset_withSecret(&sketcher->shape, key->bytes,
                                       sizeof(key->bytes));
    sketcher->utf8 = (struct utf8){ .left = 0 };
    words_init(&sketcher->words, key, put_word, sketcher);
    sketcher->words.tell_content = true;
    template_init(&sketcher->template, put_shape, sketcher);
    shingles_init(&sketcher->shingles, sketcher->samples, SKETCH_PROMPT);
    memset(sketcher->planes, 0, sizeof(sketcher->planes));
    sketcher->pairs = 0;
    sketcher->bottom_count = 0;
    sketcher->normaliser = (struct normaliser){ .begun = false };
    sketcher->characters = 0;
}

/* Letters or digits of a word: of them nothing is to be decided. */
static size_t put_run(struct prompt_sketcher *sketcher, struct span text)
{
    const char *run;
    size_t len;

    if (sketcher->utf8.left > 0 || text.at[0] == ' ' ||
        sketcher->characters > SKETCH_CHARACTERS - WORD_CHUNK) {
        return 0;
    }
    len = words_put_plain(&sketcher->words, text);
    if (len > 0 && normalise(&sketcher->normaliser, 'a') == BEFORE_SPACE) {
        put_normalised(sketcher, ' ');
    }
    run = sketcher->words.chunk + sketcher->words.len - len;
    hash_bytes(&sketcher->whole, span_of(run, len));
    for (size_t i = 0; i < len; i++) {
        template_put(&sketcher->template, (unsigned char)run[i]);
    }
    sketcher->characters += (uint32_t)len;
    return len;
}

void sketch_prompt_feed(struct prompt_sketcher *sketcher, struct span text)
{
    while (text.len > 0) {
        size_t len = put_run(sketcher, text);

        if (len == 0) {
            len = 1;
            utf8_feed(&sketcher->utf8, span_of(text.at, 1), put_prompt_code, sketcher);
        }
        text = span_after(text, len);
    }
}

/* Per bit the majority of all shingles; a tie is 0. */
static uint64_t similar_of(const struct prompt_sketcher *sketcher)
{
    uint64_t similar = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        uint32_t count = 0;

        for (unsigned n = 0; n < SKETCH_PLANES; n++) {
            count |= (uint32_t)(sketcher->planes[n] >> bit & 1) << n;
        }
        similar |= (uint64_t)(2 * count > sketcher->pairs) << bit;
    }
    return similar;
}

/* Each distinct word adds the root of its count to a cell, with a sign. */
static void sum_bag(const struct bag *bag, double *cells)
{
    for (unsigned i = 0; i < bag->count; i++) {
        uint32_t word = bag->words[bag->taken[i]];
        double weight = sqrt(bag->counts[bag->taken[i]]);

        cells[word % SKETCH_WORDS] += word >> 20 & 1 ? weight : -weight;
    }
}

static void words_of(struct prompt_sketcher *sketcher, struct prompt_sketch *sketch)
{
    double cells[SKETCH_WORDS] = { 0 }, sum = 0;

    sum_bag(&sketcher->bag, cells);
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        sum += cells[i] * cells[i];
    }
    sketch->has_words = sketcher->bag.count > 0;
    for (unsigned i = 0; sum > 0 && i < SKETCH_WORDS; i++) {
        sketch->words[i] = (int8_t)lrint(cells[i] / sqrt(sum) * INT8_MAX);
    }
}

void sketch_prompt_wipe(struct prompt_sketcher *sketcher)
{
    struct bag *bag = &sketcher->bag;

    for (unsigned i = 0; i < bag->count; i++) {
        bag->words[bag->taken[i]] = 0;
        bag->counts[bag->taken[i]] = 0;
        bag->taken[i] = 0;
    }
    bag->count = 0;
    explicit_bzero(sketcher, offsetof(struct prompt_sketcher, bag));
}

void sketch_prompt_end(struct prompt_sketcher *sketcher, struct prompt_sketch *sketch)
{
    struct shingles *shingles = &sketcher->shingles;

    utf8_end(&sketcher->utf8, put_prompt_code, sketcher);
    words_end(&sketcher->words);
    template_end(&sketcher->template);
    sample_short(shingles);
    if (shingles->tokens > 0 && shingles->tokens < BOTTOM_SHINGLE) {
        keep_bottom(sketcher, shingle(shingles, ROLLED_3, shingles->tokens));
    }
    if (shingles->tokens > 0 && shingles->tokens < SIMILAR_SHINGLE) {
        count_bits(sketcher, shingle(shingles, ROLLED_2, shingles->tokens));
    }
    *sketch = (struct prompt_sketch){
        .whole = hash_end(&sketcher->whole),
        .shape = sketch_digest(&sketcher->shape),
        .similar = similar_of(sketcher),
        .characters = sketcher->characters,
        .bottom_count = sketcher->bottom_count,
        .sample_count = shingles->sample_count,
    };
    memcpy(sketch->bottom, sketcher->bottom,
           sketcher->bottom_count * sizeof(*sketch->bottom));
    memcpy(sketch->samples, shingles->samples,
           shingles->sample_count * sizeof(*sketch->samples));
    words_of(sketcher, sketch);
    sketch_prompt_wipe(sketcher);
}

/* ---- responses ---------------------------------------------------------------------- */

static void put_response_word(void *self, const struct word *word)
{
    struct response_sketcher *sketcher = self;

    shingles_put(&sketcher->shingles, word->hash, false);
    sample_latest(&sketcher->shingles);
}

RUN_INLINE void put_response_code(void *self, uint32_t code)
{
    struct response_sketcher *sketcher = self;

    if (sketcher->characters < SKETCH_CHARACTERS) {
        sketcher->characters++;
        words_put(&sketcher->words, character_lower(code));
    }
}

void sketch_response_begin(struct response_sketcher *sketcher,
                           const struct sketch_key *key)
{
    sketcher->utf8 = (struct utf8){ .left = 0 };
    words_init(&sketcher->words, key, put_response_word, sketcher);
    shingles_init(&sketcher->shingles, sketcher->samples, SKETCH_RESPONSE);
    sketcher->characters = 0;
}

void sketch_response_feed(struct response_sketcher *sketcher, struct span text)
{
    while (text.len > 0 && sketcher->characters < SKETCH_CHARACTERS) {
        size_t len = 0;

        if (sketcher->utf8.left == 0) {
            struct span most =
                span_of(text.at, SKETCH_CHARACTERS - sketcher->characters);

            most.len = most.len < text.len ? most.len : text.len;
            len = words_put_plain(&sketcher->words, most);
            sketcher->characters += (uint32_t)len;
        }
        if (len == 0) {
            len = 1;
            utf8_feed(&sketcher->utf8, span_of(text.at, 1), put_response_code,
                      sketcher);
        }
        text = span_after(text, len);
    }
}

void sketch_response_end(struct response_sketcher *sketcher,
                         struct response_sketch *sketch)
{
    utf8_end(&sketcher->utf8, put_response_code, sketcher);
    words_end(&sketcher->words);
    sample_short(&sketcher->shingles);
    *sketch = (struct response_sketch){ .count = sketcher->shingles.sample_count };
    memcpy(sketch->samples, sketcher->shingles.samples,
           sketch->count * sizeof(*sketch->samples));
    explicit_bzero(sketcher, sizeof(*sketcher));
}

/* ---- tool arguments ----------------------------------------------------------------- */

static void put_argument_word(void *self, const struct word *word)
{
    struct argument_sketcher *sketcher = self;

    shingles_put(&sketcher->shingles, word->hash, false);
    sample_latest(&sketcher->shingles);
}

RUN_INLINE void put_argument_code(void *self, uint32_t code)
{
    struct argument_sketcher *sketcher = self;
    enum before before;

    code = character_lower(code);
    if (sketcher->characters < SKETCH_CHARACTERS) {
        words_put(&sketcher->words, code);
    }
    sketcher->characters += sketcher->characters < UINT32_MAX;
    before = normalise(&sketcher->normaliser, code);
    if (before == BEFORE_SPACE) {
        hash_code(&sketcher->whole, ' ');
    }
    if (before != BEFORE_SKIP) {
        hash_code(&sketcher->whole, code);
    }
}

void sketch_argument_begin(struct argument_sketcher *sketcher,
                           const struct sketch_key *key)
{
    hash_begin(&sketcher->whole, key);
    sketcher->utf8 = (struct utf8){ .left = 0 };
    words_init(&sketcher->words, key, put_argument_word, sketcher);
    shingles_init(&sketcher->shingles, sketcher->samples, SKETCH_PROMPT);
    sketcher->normaliser = (struct normaliser){ .begun = false };
    sketcher->characters = 0;
}

void sketch_argument_feed(struct argument_sketcher *sketcher, struct span text)
{
    utf8_feed(&sketcher->utf8, text, put_argument_code, sketcher);
}

void sketch_argument_end(struct argument_sketcher *sketcher,
                         struct argument_sketch *sketch)
{
    utf8_end(&sketcher->utf8, put_argument_code, sketcher);
    words_end(&sketcher->words);
    sample_short(&sketcher->shingles);
    *sketch = (struct argument_sketch){ .whole = hash_end(&sketcher->whole),
                                        .characters = sketcher->characters,
                                        .count = sketcher->shingles.sample_count };
    memcpy(sketch->samples, sketcher->shingles.samples,
           sketch->count * sizeof(*sketch->samples));
    explicit_bzero(sketcher, sizeof(*sketcher));
}

#include "filters/turn/words.h"

#include "filters/turn/characters.h"

enum kind { KIND_NONE, KIND_LETTERS, KIND_DIGITS, KIND_UNSPACED, KIND_OTHER };

void words_init(struct words *words, const struct sketch_key *key, word_seen *seen,
                void *self)
{
    *words = (struct words){ .key = key, .seen = seen, .self = self };
}

static enum kind kind_of(uint32_t code)
{
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || code == '_') {
        return KIND_LETTERS;
    }
    if (code >= '0' && code <= '9') {
        return KIND_DIGITS;
    }
    if (code >= 0x80 && code <= 0xffff) {
        return character_is_unspaced(code) ? KIND_UNSPACED : KIND_LETTERS;
    }
    return character_is_space(code) ? KIND_NONE : KIND_OTHER;
}

enum { STOP_WORD_MAX = 8 };

static const char stop_words[][STOP_WORD_MAX] = {
    "the",  "a",    "an",    "to",    "of",     "in",    "and",  "or",    "is",
    "are",  "be",   "for",   "on",    "it",     "this",  "that", "with",  "i",
    "you",  "we",   "can",   "do",    "please", "as",    "at",   "from",  "by",
    "not",  "have", "has",   "was",   "if",     "so",    "but",  "my",    "your",
    "me",   "our",  "will",  "would", "should", "could", "just", "then",  "there",
    "what", "how",  "which", "all",   "any",    "into",  "use",  "using", "make",
    "let",  "s",    "t",     "d",
};

/* Compares eight bytes at a time, with all of them. */
static bool is_stop_word(struct span word)
{
    uint64_t bytes = 0, stop;
    bool found = false;

    if (word.len > STOP_WORD_MAX) {
        return false;
    }
    memcpy(&bytes, word.at, word.len);
    for (size_t i = 0; i < sizeof(stop_words) / sizeof(*stop_words); i++) {
        memcpy(&stop, stop_words[i], sizeof(stop));
        found |= stop == bytes;
    }
    return found;
}

static void fold_chunk(struct words *words)
{
    uint64_t hash = sketch_hash(words->key, words->chunk, words->len);

    words->carried = sketch_mix(words->carried ^ hash);
    words->len = 0;
}

static bool is_content(const struct words *words)
{
    bool letters = words->kind == KIND_LETTERS || words->kind == KIND_UNSPACED;

    return letters && words->characters >= 2 && words->chunk[0] != '_' &&
           (words->carried != 0 || !is_stop_word(span_of(words->chunk, words->len)));
}

static void emit(struct words *words)
{
    struct word word;

    if (words->kind == KIND_NONE) {
        return;
    }
    word.content = is_content(words);
    fold_chunk(words);
    word.hash = words->carried;
    words->seen(words->self, &word);
    words->carried = 0;
    words->characters = 0;
    words->kind = KIND_NONE;
}

static void append(struct words *words, uint32_t code)
{
    if (words->len > WORD_CHUNK - UTF8_MAX) {
        fold_chunk(words);
    }
    words->len = (uint8_t)(words->len + utf8_put(words->chunk + words->len, code));
    words->characters++;
}

/* The character and up to two before it in its run. */
static void put_unspaced(struct words *words, uint32_t code)
{
    emit(words);
    words->kind = KIND_UNSPACED;
    for (unsigned i = 0; i < 2; i++) {
        if (words->unspaced[i] != 0) {
            append(words, words->unspaced[i]);
        }
    }
    append(words, code);
    words->unspaced[0] = words->unspaced[1];
    words->unspaced[1] = code;
    emit(words);
}

void words_put(struct words *words, uint32_t code)
{
    enum kind kind = kind_of(code);

    if (kind == KIND_UNSPACED) {
        put_unspaced(words, code);
        return;
    }
    words->unspaced[0] = 0;
    words->unspaced[1] = 0;
    if (kind != words->kind || kind == KIND_OTHER) {
        emit(words);
    }
    if (kind != KIND_NONE) {
        words->kind = (uint8_t)kind;
        append(words, code);
    }
}

void words_end(struct words *words)
{
    emit(words);
}

#include "filters/turn/words.h"

#include "filters/turn/characters.h"

void words_init(struct words *words, const struct sketch_key *key, word_seen *seen,
                void *self)
{
    *words = (struct words){ .key = key, .seen = seen, .self = self };
}

static enum word_kind kind_of(uint32_t code)
{
    if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || code == '_') {
        return WORD_LETTERS;
    }
    if (code >= '0' && code <= '9') {
        return WORD_DIGITS;
    }
    if (code >= 0x80 && code <= 0xffff) {
        return character_is_unspaced(code) ? WORD_UNSPACED : WORD_LETTERS;
    }
    return character_is_space(code) ? WORD_NONE : WORD_OTHER;
}

enum { STOP_WORD_MAX = 8 };

/* By their length. */
static const char stop_words[][STOP_WORD_MAX] = {
    "a",     "i",     "s",      "t",      "d",    "an",   "to",    "of",    "in",
    "or",    "is",    "be",     "on",     "it",   "we",   "do",    "as",    "at",
    "by",    "if",    "so",     "my",     "me",   "the",  "and",   "are",   "for",
    "you",   "can",   "not",    "has",    "was",  "but",  "our",   "how",   "all",
    "any",   "use",   "let",    "this",   "that", "with", "from",  "have",  "your",
    "will",  "just",  "then",   "what",   "into", "make", "would", "could", "there",
    "which", "using", "please", "should",
};

/* Where the words of a length begin. */
static const uint8_t stop_words_of[STOP_WORD_MAX] = { 0, 0, 5, 23, 39, 51, 56, 58 };

/* Compares eight bytes at a time. */
static bool is_stop_word(struct span word)
{
    uint64_t bytes = 0, stop;
    bool found = false;

    if (word.len == 0 || word.len >= STOP_WORD_MAX - 1) {
        return false;
    }
    memcpy(&bytes, word.at, word.len);
    for (size_t i = stop_words_of[word.len]; i < stop_words_of[word.len + 1]; i++) {
        memcpy(&stop, stop_words[i], sizeof(stop));
        found |= stop == bytes;
    }
    return found;
}

static void fold_chunk(struct words *words)
{
    uint64_t hash = words->len - 1U < SKETCH_SHORT
                        ? sketch_hash_short(words->key, words->chunk, words->len)
                        : sketch_hash(words->key, words->chunk, words->len);

    words->carried = sketch_mix(words->carried ^ hash);
    words->len = 0;
}

static bool is_content(const struct words *words)
{
    bool letters = words->kind == WORD_LETTERS || words->kind == WORD_UNSPACED;

    return letters && words->characters >= 2 && words->chunk[0] != '_' &&
           (words->carried != 0 || !is_stop_word(span_of(words->chunk, words->len)));
}

static void emit(struct words *words)
{
    struct word word;

    if (words->kind == WORD_NONE) {
        return;
    }
    word.content = words->tell_content && is_content(words);
    fold_chunk(words);
    word.hash = words->carried;
    words->seen(words->self, &word);
    words->carried = 0;
    words->characters = 0;
    words->kind = WORD_NONE;
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
    words->kind = WORD_UNSPACED;
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

static void end_unspaced(struct words *words)
{
    words->unspaced[0] = 0;
    words->unspaced[1] = 0;
}

void words_put(struct words *words, uint32_t code)
{
    enum word_kind kind = kind_of(code);

    if (kind == WORD_UNSPACED) {
        put_unspaced(words, code);
        return;
    }
    end_unspaced(words);
    if (kind != words->kind || kind == WORD_OTHER) {
        emit(words);
    }
    if (kind != WORD_NONE) {
        words->kind = (uint8_t)kind;
        append(words, code);
    }
}

static bool is_letter(char byte)
{
    return ((unsigned char)byte | 0x20U) - 'a' < 26;
}

static bool is_digit(char byte)
{
    return (unsigned)(byte - '0') < 10;
}

/* As many bytes as are of the kind that `text` begins with, and as the chunk has room
 * for. Digits have the bit that makes letters small. */
static size_t append_run(struct words *words, struct span text)
{
    size_t most = WORD_CHUNK - UTF8_MAX + 1U - words->len, len = 0;
    bool letters = is_letter(text.at[0]);
    char *to = words->chunk + words->len;

    most = text.len < most ? text.len : most;
    while (len < most && (letters ? is_letter(text.at[len]) : is_digit(text.at[len]))) {
        to[len] = (char)(text.at[len] | 0x20);
        len++;
    }
    words->len = (uint8_t)(words->len + len);
    words->characters += (uint32_t)len;
    return len;
}

size_t words_put_plain(struct words *words, struct span text)
{
    enum word_kind kind = is_letter(text.at[0])  ? WORD_LETTERS
                          : is_digit(text.at[0]) ? WORD_DIGITS
                                                 : WORD_NONE;

    if (kind == WORD_NONE && text.at[0] != ' ') {
        return 0;
    }
    end_unspaced(words);
    if (kind != words->kind) {
        emit(words);
    }
    if (kind == WORD_NONE) {
        return 1;
    }
    if (words->len > WORD_CHUNK - UTF8_MAX) {
        return 0;
    }
    words->kind = (uint8_t)kind;
    return append_run(words, text);
}

void words_end(struct words *words)
{
    emit(words);
}

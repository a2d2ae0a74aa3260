#include "filters/count/split.h"

#include "filters/count/unicode_table.h"

#ifdef __SSE2__
    #include <emmintrin.h>
#endif

/* Beside enum unicode_class: nothing is there. */
enum { CLASS_END = 8, CLASS_BROKEN = 9 };

/* Sets of classes. */
enum {
    LETTERS = 1 << CLASS_UPPER | 1 << CLASS_LOWER | 1 << CLASS_LETTER,
    SPACES = 1 << CLASS_SPACE | 1 << CLASS_NEWLINE,
    NUMBERS = 1 << CLASS_NUMBER,
    NEWLINES = 1 << CLASS_NEWLINE,
    /* What may stand before a word: [^\r\n\p{L}\p{N}] */
    PREFIXES = 1 << CLASS_OTHER | 1 << CLASS_MARK | 1 << CLASS_SPACE,
    /* [^\s\p{L}\p{N}] */
    SYMBOLS = 1 << CLASS_OTHER | 1 << CLASS_MARK,
    /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
    BOTH_CASES = 1 << CLASS_LETTER | 1 << CLASS_MARK,
    UPPER_CASE = 1 << CLASS_UPPER | BOTH_CASES,
    LOWER_CASE = 1 << CLASS_LOWER | BOTH_CASES,
};

struct scanner {
    const unsigned char *text;
    size_t len;
    bool touched_end;
    bool touched_broken;
};

/* One character. */
struct glyph {
    unsigned class;
    unsigned width;
};

static bool is_in(unsigned class, unsigned set)
{
    return (set >> class & 1) != 0;
}

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The first block of the table is ASCII. */
static inline unsigned ascii_class(unsigned char byte)
{
    return (unsigned)(unicode_classes[0][byte] - '0');
}

/* The code point of well-formed UTF-8 beyond ASCII (RFC 3629); width 0 if it is not. */
static inline struct glyph decode(const unsigned char *at, size_t len)
{
    uint32_t point;

    if (len >= 3 && (at[0] & 0xf0) == 0xe0 && continues(at[1]) && continues(at[2])) {
        point = (at[0] & 0xfU) << 12 | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU);
        if (point >= 0x800 && (point < 0xd800 || point > 0xdfff)) {
            return (struct glyph){ unicode_class(point), 3 };
        }
    } else if (len >= 2 && at[0] >= 0xc2 && at[0] <= 0xdf && continues(at[1])) {
        point = (at[0] & 0x1fU) << 6 | (at[1] & 0x3fU);
        return (struct glyph){ unicode_class(point), 2 };
    } else if (len >= 4 && (at[0] & 0xf8) == 0xf0 && continues(at[1]) &&
               continues(at[2]) && continues(at[3])) {
        point = (at[0] & 0x7U) << 18 | (at[1] & 0x3fU) << 12 | (at[2] & 0x3fU) << 6 |
                (at[3] & 0x3fU);
        if (point >= 0x10000 && point < 0x110000) {
            return (struct glyph){ unicode_class(point), 4 };
        }
    }
    return (struct glyph){ CLASS_BROKEN, 0 };
}

static inline struct glyph look(struct scanner *scanner, size_t at)
{
    struct glyph glyph;

    if (at >= scanner->len) {
        scanner->touched_end = true;
        return (struct glyph){ CLASS_END, 0 };
    }
    if (scanner->text[at] < 0x80) {
        return (struct glyph){ ascii_class(scanner->text[at]), 1 };
    }
    glyph = decode(scanner->text + at, scanner->len - at);
    scanner->touched_broken |= glyph.width == 0;
    return glyph;
}

/* Where the run of characters of a set that begins at `at` ends. */
static size_t run_end(struct scanner *scanner, size_t at, unsigned set)
{
    struct glyph glyph = look(scanner, at);

    while (is_in(glyph.class, set)) {
        at += glyph.width;
        glyph = look(scanner, at);
    }
    return at;
}

/* One character of a contraction in lower case, 0 for others. U+017F folds to s. */
static unsigned contraction_letter(struct scanner *scanner, size_t at, unsigned *width)
{
    struct glyph glyph = look(scanner, at);

    *width = glyph.width;
    if (glyph.width == 1) {
        return scanner->text[at] | 0x20;
    }
    return glyph.width == 2 && scanner->text[at] == 0xc5 &&
                   scanner->text[at + 1] == 0xbf
               ? 's'
               : 0;
}

/* Behind (?i:'s|'t|'re|'ve|'m|'ll|'d) at `at`; `at` if there is none. */
static size_t contraction_end(struct scanner *scanner, size_t at)
{
    unsigned first, second, width, second_width;

    if (look(scanner, at).width != 1 || scanner->text[at] != '\'') {
        return at;
    }
    first = contraction_letter(scanner, at + 1, &width);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') {
        return at + 1 + width;
    }
    if (first != 'r' && first != 'v' && first != 'l') {
        return at;
    }
    second = contraction_letter(scanner, at + 2, &second_width);
    return second == (first == 'l' ? 'l' : 'e') ? at + 3 : at;
}

/* \p{N}{1,3} */
static size_t number_end(struct scanner *scanner, size_t at)
{
    for (unsigned digits = 0; digits < 3; digits++) {
        struct glyph glyph = look(scanner, at);

        if (!is_in(glyph.class, NUMBERS)) {
            break;
        }
        at += glyph.width;
    }
    return at;
}

/* [^\s\p{L}\p{N}]+ and what the pattern lets follow: newlines, in o200k slashes too. */
static size_t symbols_end(struct scanner *scanner, size_t at, bool slashes)
{
    struct glyph glyph;

    at = run_end(scanner, at, SYMBOLS);
    glyph = look(scanner, at);
    while (is_in(glyph.class, NEWLINES) ||
           (slashes && glyph.width == 1 && scanner->text[at] == '/')) {
        at += glyph.width;
        glyph = look(scanner, at);
    }
    return at;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last newline; else all but the last character,
 * which may belong to what follows. */
static size_t space_end(struct scanner *scanner, size_t begin)
{
    size_t at = begin, before_last = begin, behind_newline = begin;
    struct glyph glyph = look(scanner, at);

    while (is_in(glyph.class, SPACES)) {
        before_last = at;
        at += glyph.width;
        if (is_in(glyph.class, NEWLINES)) {
            behind_newline = at;
        }
        glyph = look(scanner, at);
    }
    if (behind_newline > begin) {
        return behind_newline;
    }
    return glyph.class == CLASS_END || before_last == begin ? at : before_last;
}

/* What starts with neither a word nor a number. */
static size_t rest_end(struct scanner *scanner, size_t at, bool slashes)
{
    struct glyph first = look(scanner, at);
    size_t symbols = at;

    if (first.width == 1 && scanner->text[at] == ' ') {
        symbols++;
    }
    if (is_in(look(scanner, symbols).class, SYMBOLS)) {
        return symbols_end(scanner, symbols, slashes);
    }
    return space_end(scanner, at);
}

static size_t cl100k_end(struct scanner *scanner, size_t at)
{
    struct glyph first = look(scanner, at);
    size_t end = contraction_end(scanner, at);

    if (end > at) {
        return end;
    }
    if (is_in(first.class, LETTERS)) {
        return run_end(scanner, at, LETTERS);
    }
    if (is_in(first.class, NUMBERS)) {
        return number_end(scanner, at);
    }
    if (is_in(first.class, PREFIXES)) {
        end = run_end(scanner, at + first.width, LETTERS);
        if (end > at + first.width) {
            return end;
        }
    }
    return rest_end(scanner, at, false);
}

/* The ends of the two word patterns of o200k without prefix and contraction. */
struct word {
    size_t mixed; /* [upper case]*[lower case]+, the begin if it does not match */
    size_t upper; /* [upper case]+ */
};

static struct word word_at(struct scanner *scanner, size_t at)
{
    struct word word = { at, at };
    struct glyph glyph = look(scanner, at);

    while (is_in(glyph.class, UPPER_CASE)) {
        at += glyph.width;
        if (is_in(glyph.class, BOTH_CASES)) {
            word.mixed = at;
        }
        glyph = look(scanner, at);
    }
    word.upper = at;
    if (glyph.class == CLASS_LOWER) {
        word.mixed = run_end(scanner, at, LOWER_CASE);
    }
    return word;
}

/* The two word patterns with prefix, tried in the order of the alternatives; `at` if
 * neither matches. */
static size_t word_end(struct scanner *scanner, size_t at, struct glyph first)
{
    size_t begin = is_in(first.class, PREFIXES) ? at + first.width : at;
    struct word word = word_at(scanner, begin);
    size_t end = at;

    if (word.mixed > begin) {
        end = word.mixed;
    } else if (first.class == CLASS_MARK) {
        end = word_at(scanner, at).mixed; /* the mark as the word's first character */
    } else if (word.upper > begin) {
        end = word.upper;
    }
    return end > at ? contraction_end(scanner, end) : at;
}

static size_t o200k_end(struct scanner *scanner, size_t at)
{
    struct glyph first = look(scanner, at);
    size_t end;

    if (is_in(first.class, NUMBERS)) {
        return number_end(scanner, at);
    }
    if (is_in(first.class, LETTERS | PREFIXES)) {
        end = word_end(scanner, at, first);
        if (end > at) {
            return end;
        }
    }
    return rest_end(scanner, at, true);
}

/* Most pieces are a word of ASCII letters, with one other character before it or none, and
 * end well before the text does: the end of one at `at`, or `at` for all others. */
#ifdef __SSE2__

/* An apostrophe may begin a contraction. */
static inline bool is_word_begin(unsigned char byte)
{
    return byte < 0x80 && byte != '\'' && is_in(ascii_class(byte), LETTERS | PREFIXES);
}

/* A bit per byte: is it between two others, which are ASCII? */
static inline unsigned between(__m128i bytes, char lowest, char highest)
{
    __m128i low = _mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(lowest - 1)));
    __m128i high = _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(highest + 1)));

    return (unsigned)_mm_movemask_epi8(_mm_and_si128(low, high));
}

static inline size_t ascii_word_end(const struct scanner *scanner, size_t at,
                                    bool by_case)
{
    const unsigned char *text = scanner->text + at;
    unsigned lower, upper, begin, letters, end;
    __m128i bytes;

    if (scanner->len - at < sizeof(bytes) || !is_word_begin(text[0])) {
        return at;
    }
    bytes = _mm_loadu_si128((const __m128i_u *)text);
    lower = between(bytes, 'a', 'z');
    upper = between(bytes, 'A', 'Z');
    begin = ~(lower | upper) & 1; /* behind the prefix */
    if (by_case) {
        end = begin + (unsigned)__builtin_ctz(~(upper >> begin));
        end += (unsigned)__builtin_ctz(~(lower >> end));
    } else {
        letters = lower | upper;
        end = begin + (unsigned)__builtin_ctz(~(letters >> begin));
    }
    if (end == begin || end >= sizeof(bytes) || text[end] >= 0x80 ||
        (by_case && text[end] == '\'')) {
        return at;
    }
    return at + end;
}

#else

static size_t ascii_word_end(const struct scanner *scanner, size_t at, bool by_case)
{
    (void)scanner;
    (void)by_case;
    return at;
}

#endif

static inline size_t piece_end(enum split_pattern pattern, struct scanner *scanner,
                               size_t at)
{
    size_t end = ascii_word_end(scanner, at, pattern == SPLIT_O200K);

    if (end > at) {
        return end;
    }
    return pattern == SPLIT_O200K ? o200k_end(scanner, at) : cl100k_end(scanner, at);
}

static inline size_t split(enum split_pattern pattern, struct span text,
                           enum split_more more, uint32_t *ends, size_t max)
{
    struct scanner scanner = { .text = (const unsigned char *)text.at,
                               .len = text.len };
    size_t count = 0;

    for (size_t at = 0; at < text.len && count < max; count++) {
        at = piece_end(pattern, &scanner, at);
        if (scanner.touched_broken || (scanner.touched_end && more == SPLIT_MORE)) {
            break;
        }
        ends[count] = (uint32_t)at;
    }
    return count;
}

size_t split_text(enum split_pattern pattern, struct span text, enum split_more more,
                  uint32_t *ends, size_t max)
{
    return pattern == SPLIT_O200K ? split(SPLIT_O200K, text, more, ends, max)
                                  : split(SPLIT_CL100K, text, more, ends, max);
}

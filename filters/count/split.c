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

/* Behind the ideographs U+5000 to U+9FFF at `at`: all are letters without case, and
 * most of the characters of Chinese. */
static inline size_t ideographs_end(const struct scanner *scanner, size_t at)
{
    const unsigned char *text = scanner->text;

    while (scanner->len - at >= 3 && text[at] >= 0xe5 && text[at] <= 0xe9 &&
           continues(text[at + 1]) && continues(text[at + 2])) {
        at += 3;
    }
    return at;
}

/* Where the run of characters of a set that begins at `at` ends. */
static size_t run_end(struct scanner *scanner, size_t at, unsigned set)
{
    struct glyph glyph = look(scanner, at);

    while (is_in(glyph.class, set)) {
        at += glyph.width;
        if (glyph.class == CLASS_LETTER) {
            at = ideographs_end(scanner, at);
        }
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
            at = ideographs_end(scanner, at);
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

/* Most pieces are a word of ASCII letters, with one other character before it or
 * none. They are found with a few operations on masks of 64 bytes of the text, a
 * bit per byte. */
struct masks {
    size_t base; /* where the masks begin; far away before the first */
    uint64_t upper;
    uint64_t lower;
    uint64_t no_begin; /* what no such piece begins with */
    uint64_t no_end;   /* what may go on a word: beyond ASCII, or an apostrophe */
};

enum {
    MASKS = 64, /* bytes */
    WORD_MAX =
        16, /* bytes of a piece that is found so; must be seen whole, and the next */
};

#ifdef __SSE2__

/* Are the bytes between two others, which are ASCII? */
static inline __m128i between(__m128i bytes, char lowest, char highest)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(lowest - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(highest + 1))));
}

static inline __m128i equal(__m128i bytes, char byte)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte));
}

static inline uint64_t bits(__m128i bytes, unsigned shift)
{
    return (uint64_t)(unsigned)_mm_movemask_epi8(bytes) << shift;
}

static inline void masks_read(struct masks *masks, const unsigned char *text,
                              size_t base)
{
    masks->base = base;
    masks->upper = masks->lower = masks->no_begin = masks->no_end = 0;
    for (unsigned i = 0; i < MASKS; i += sizeof(__m128i)) {
        __m128i bytes = _mm_loadu_si128((const __m128i_u *)(text + base + i));
        __m128i no_end = _mm_or_si128(bytes, equal(bytes, '\''));
        __m128i newlines = _mm_or_si128(equal(bytes, '\n'), equal(bytes, '\r'));
        __m128i no_begin = _mm_or_si128(between(bytes, '0', '9'), newlines);

        masks->upper |= bits(between(bytes, 'A', 'Z'), i);
        masks->lower |= bits(between(bytes, 'a', 'z'), i);
        masks->no_end |= bits(no_end, i); /* the top bit of a byte counts */
        masks->no_begin |= bits(_mm_or_si128(no_begin, no_end), i);
    }
}

#else

static inline void masks_read(struct masks *masks, const unsigned char *text,
                              size_t base)
{
    masks->base = base;
    masks->upper = masks->lower = masks->no_begin = masks->no_end = 0;
    for (unsigned i = 0; i < MASKS; i++) {
        unsigned char byte = text[base + i];
        uint64_t bit = (uint64_t)1 << i;
        bool goes_on = byte >= 0x80 || byte == '\'';

        masks->upper |= byte >= 'A' && byte <= 'Z' ? bit : 0;
        masks->lower |= byte >= 'a' && byte <= 'z' ? bit : 0;
        masks->no_end |= goes_on ? bit : 0;
        masks->no_begin |=
            goes_on || is_in(ascii_class(byte), NUMBERS | NEWLINES) ? bit : 0;
    }
}

#endif

/* How many bits are set from the lowest on, at most 63. */
static inline unsigned ones(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(~mask | (uint64_t)1 << 63);
}

/* The end of such a word at `at`, or `at` for everything else. */
static inline size_t ascii_word_end(const struct scanner *scanner, struct masks *masks,
                                    size_t at, bool by_case)
{
    unsigned shift, begin, end;
    uint64_t upper, lower;

    if (scanner->text[at] >= 0x80) {
        return at;
    }
    if (at - masks->base > MASKS - WORD_MAX - 1) {
        if (scanner->len - at < MASKS) {
            return at;
        }
        masks_read(masks, scanner->text, at);
    }
    shift = (unsigned)(at - masks->base);
    upper = masks->upper >> shift;
    lower = masks->lower >> shift;
    begin = ~(unsigned)(upper | lower) & 1; /* behind the prefix */
    if (by_case) {
        end = begin + ones(upper >> begin);
        end += ones(lower >> (end % MASKS));
    } else {
        end = begin + ones((upper | lower) >> begin);
    }
    if (end == begin || end > WORD_MAX || ((masks->no_begin >> shift) & 1) != 0 ||
        ((masks->no_end >> shift >> end) & 1) != 0) {
        return at;
    }
    return at + end;
}

static inline size_t piece_end(enum split_pattern pattern, struct scanner *scanner,
                               struct masks *masks, size_t at)
{
    size_t end = ascii_word_end(scanner, masks, at, pattern == SPLIT_O200K);

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
    struct masks masks = { .base = SIZE_MAX / 2 };
    size_t count = 0;

    for (size_t at = 0; at < text.len && count < max; count++) {
        at = piece_end(pattern, &scanner, &masks, at);
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

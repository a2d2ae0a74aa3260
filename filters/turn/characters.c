#include "filters/turn/characters.h"

/* Takes the first byte of a character; false if none begins with it. */
static bool begin(struct utf8 *utf8, unsigned char byte)
{
    utf8->low = 0x80;
    utf8->high = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
        utf8->left = 1;
        utf8->code = byte & 0x1fU;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        utf8->left = 2;
        utf8->code = byte & 0x0fU;
        utf8->low = byte == 0xe0 ? 0xa0 : 0x80;
        utf8->high = byte == 0xed ? 0x9f : 0xbf;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        utf8->left = 3;
        utf8->code = byte & 0x07U;
        utf8->low = byte == 0xf0 ? 0x90 : 0x80;
        utf8->high = byte == 0xf4 ? 0x8f : 0xbf;
    } else {
        return false;
    }
    return true;
}

unsigned utf8_take(struct utf8 *utf8, unsigned char byte, uint32_t codes[2])
{
    unsigned count = 0;

    if (utf8->left > 0) {
        if (byte >= utf8->low && byte <= utf8->high) {
            utf8->code = utf8->code << 6 | (byte & 0x3fU);
            utf8->low = 0x80;
            utf8->high = 0xbf;
            codes[0] = utf8->code;
            return --utf8->left == 0;
        }
        utf8->left = 0;
        codes[count++] = UTF8_BAD;
    }
    if (byte < 0x80) {
        codes[count++] = byte;
    } else if (!begin(utf8, byte)) {
        codes[count++] = UTF8_BAD;
    }
    return count;
}

unsigned utf8_put_wide(char *at, uint32_t code)
{
    if (code < 0x800) {
        at[0] = (char)(0xc0 | code >> 6);
        at[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        at[0] = (char)(0xe0 | code >> 12);
        at[1] = (char)(0x80 | (code >> 6 & 0x3f));
        at[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    at[0] = (char)(0xf0 | code >> 18);
    at[1] = (char)(0x80 | (code >> 12 & 0x3f));
    at[2] = (char)(0x80 | (code >> 6 & 0x3f));
    at[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* ---- what a code point is -------------------------------------------------------- */

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t code)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Capitals that lie a fixed distance before their small letters. */
static const struct {
    struct range capitals;
    uint32_t distance;
} distant[] = {
    { { 0xc0, 0xd6 }, 32 },   { { 0xd8, 0xde }, 32 },     { { 0x391, 0x3a1 }, 32 },
    { { 0x3a3, 0x3ab }, 32 }, { { 0x400, 0x40f }, 80 },   { { 0x410, 0x42f }, 32 },
    { { 0x531, 0x556 }, 48 }, { { 0xff21, 0xff3a }, 32 },
};

/* Capitals with even, or with odd, code points that lie just before their small
 * letters. */
static const struct range even_pairs[] = { { 0x100, 0x137 },   { 0x14a, 0x177 },
                                           { 0x370, 0x373 },   { 0x460, 0x481 },
                                           { 0x48a, 0x4bf },   { 0x4d0, 0x52f },
                                           { 0x1e00, 0x1e95 }, { 0x1ea0, 0x1eff } };
static const struct range odd_pairs[] = { { 0x139, 0x148 },
                                          { 0x179, 0x17e },
                                          { 0x4c1, 0x4ce } };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

uint32_t character_lower_wide(uint32_t code)
{
    for (size_t i = 0; i < COUNT(distant); i++) {
        if (code >= distant[i].capitals.first && code <= distant[i].capitals.last) {
            return code + distant[i].distance;
        }
    }
    if (code % 2 == 0 ? is_in(even_pairs, COUNT(even_pairs), code)
                      : is_in(odd_pairs, COUNT(odd_pairs), code)) {
        return code + 1;
    }
    return code == 0x178 ? 0xff : code;
}

bool character_is_wide_space(uint32_t code)
{
    static const struct range spaces[] = { { 0x85, 0x85 },     { 0xa0, 0xa0 },
                                           { 0x1680, 0x1680 }, { 0x2000, 0x200a },
                                           { 0x2028, 0x2029 }, { 0x202f, 0x202f },
                                           { 0x205f, 0x205f }, { 0x3000, 0x3000 } };

    return is_in(spaces, COUNT(spaces), code);
}

bool character_is_unspaced(uint32_t code)
{
    static const struct range scripts[] = {
        { 0x0e00, 0x0eff },                     /* Thai, Lao */
        { 0x1000, 0x109f },                     /* Burmese */
        { 0x1780, 0x17ff },                     /* Khmer */
        { 0x3005, 0x3007 },                     /* Han: iteration mark, zero */
        { 0x3040, 0x30ff },                     /* Kana */
        { 0x31f0, 0x31ff }, { 0x3400, 0x4dbf }, /* Han */
        { 0x4e00, 0x9fff }, { 0xf900, 0xfaff },
        { 0xff66, 0xff9f }, /* half-width Kana */
    };

    return code >= 0x0e00 && is_in(scripts, COUNT(scripts), code);
}

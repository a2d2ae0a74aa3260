/* What a character stands for as a digit. */
#ifndef ASSAY_BASE_DIGIT_H
#define ASSAY_BASE_DIGIT_H

/* 0 to 15, in either case; -1: it is no hexadecimal digit. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The last two of the 64 digits of base64 (RFC 4648), about which
 * the alphabets differ. */
#define BASE64_PLAIN "+/"
#define BASE64_URL   "-_"

/* 0 to 63; -1: it is no digit of the alphabet that ends in `last`. */
static inline int base64_digit(char c, const char last[2])
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

#endif

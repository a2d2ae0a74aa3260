/* The digits of base64 (RFC 4648). */
#ifndef ASSAY_BASE_BASE64_H
#define ASSAY_BASE_BASE64_H

/* The last two of the 64 digits, about which the alphabets differ. */
#define BASE64_PLAIN "+/"
#define BASE64_URL   "-_"

/* What `c` stands for, 0 to 63; -1: it is no digit of the alphabet that ends in `last`. */
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

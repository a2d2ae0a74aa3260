#include "filters/content/base64.h"

enum { NOT = -1 };

/* The value of a digit, or NOT. */
static int digit_of(char c)
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
    return c == '+' ? 62 : c == '/' ? 63 : NOT;
}

size_t base64_feed(struct base64 *base64, struct span piece, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < piece.len; i++) {
        int digit = digit_of(piece.at[i]);

        if (piece.at[i] == '=') {
            base64->ended = true;
        } else if (digit == NOT || base64->ended) {
            base64->bad = true;
        } else {
            base64->bits = base64->bits << 6 | (uint32_t)digit;
            base64->count = (uint8_t)(base64->count + 6);
            if (base64->count >= 8) {
                base64->count = (uint8_t)(base64->count - 8);
                out[len++] = (char)(base64->bits >> base64->count & 0xff);
            }
        }
    }
    return len;
}

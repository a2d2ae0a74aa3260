#include "filters/content/base64.h"

#include "proxy/base/digit.h"

size_t base64_feed(struct base64 *base64, struct span piece, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < piece.len; i++) {
        int digit = base64_digit(piece.at[i], BASE64_PLAIN);

        if (piece.at[i] == '=') {
            base64->ended = true;
        } else if (digit < 0 || base64->ended) {
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

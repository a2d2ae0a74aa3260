/* Base64url without padding, for making tokens and key sets. */
#ifndef ASSAY_TESTS_SUPPORT_BASE64URL_PUT_H
#define ASSAY_TESTS_SUPPORT_BASE64URL_PUT_H

#include "proxy/base/text.h"

static inline void base64url_put(struct text *text, struct span bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned waiting = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.at[i];
        for (waiting += 8; waiting >= 6; waiting -= 6) {
            text_put_char(text, digits[bits >> (waiting - 6) & 63]);
        }
    }
    if (waiting > 0) {
        text_put_char(text, digits[bits << (6 - waiting) & 63]);
    }
}

#endif

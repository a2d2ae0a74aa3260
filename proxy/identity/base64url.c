#include "proxy/identity/base64url.h"

#include "proxy/base/digit.h"

struct span base64url_read(struct span text, struct arena *arena)
{
    const struct span refused = { 0 };
    uint32_t bits = 0;
    unsigned waiting = 0; /* bits that make no byte yet */
    size_t used = 0;
    char *out;

    if (text.len % 4 == 1) {
        return refused;
    }
    out = arena_take(arena, text.len / 4 * 3 + 3);
    if (out == NULL) {
        return refused;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_digit(text.at[i], BASE64_URL);

        if (value < 0) {
            return refused;
        }
        bits = bits << 6 | (uint32_t)value;
        waiting += 6;
        if (waiting >= 8) {
            waiting -= 8;
            out[used++] = (char)(bits >> waiting & 0xff);
        }
    }
    return (bits & ((1U << waiting) - 1)) == 0 ? span_of(out, used) : refused;
}

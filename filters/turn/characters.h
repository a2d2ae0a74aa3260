/* Text as code points: UTF-8 decoded in any split, a bad byte read as U+FFFD, and what
 * the sketches ask of a code point. */
#ifndef ASSAY_FILTERS_TURN_CHARACTERS_H
#define ASSAY_FILTERS_TURN_CHARACTERS_H

#include "filters/run.h"
#include "proxy/base/span.h"

/* A character of UTF-8 that is not complete yet. */
struct utf8 {
    uint32_t code;
    uint8_t left;      /* continuation bytes to come */
    uint8_t low, high; /* bounds of the next one */
};

enum { UTF8_MAX = 4, UTF8_BAD = 0xfffd };

/* Takes the next byte; how many code points it completes. */
unsigned utf8_take(struct utf8 *utf8, unsigned char byte, uint32_t codes[2]);

typedef void utf8_seen(void *self, uint32_t code);

/* Calls `seen` for every code point that is complete. Inline, so that most of them cost
 * no call. */
RUN_INLINE void utf8_feed(struct utf8 *utf8, struct span bytes, utf8_seen *seen,
                          void *self)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];
        uint32_t codes[2];

        if (byte < 0x80 && utf8->left == 0) {
            seen(self, byte);
            continue;
        }
        for (unsigned n = 0, count = utf8_take(utf8, byte, codes); n < count; n++) {
            seen(self, codes[n]);
        }
    }
}

/* The text has ended: a character that was cut becomes U+FFFD. */
RUN_INLINE void utf8_end(struct utf8 *utf8, utf8_seen *seen, void *self)
{
    if (utf8->left > 0) {
        utf8->left = 0;
        seen(self, UTF8_BAD);
    }
}

/* Writes a code point, returns its bytes. */
unsigned utf8_put_wide(char *at, uint32_t code);

static inline unsigned utf8_put(char *at, uint32_t code)
{
    if (code < 0x80) {
        at[0] = (char)code;
        return 1;
    }
    return utf8_put_wide(at, code);
}

/* Beyond ASCII. */
uint32_t character_lower_wide(uint32_t code);

/* Lower case where it is one code point: Latin, Greek, Cyrillic, Armenian. */
static inline uint32_t character_lower(uint32_t code)
{
    return code < 0x80 ? code + (code >= 'A' && code <= 'Z') * 32U
                       : character_lower_wide(code);
}

/* Beyond ASCII. */
bool character_is_wide_space(uint32_t code);

/* White space of Unicode, and the separators U+001C to U+001F. */
static inline bool character_is_space(uint32_t code)
{
    return code < 0x80 ? code == ' ' || (code >= 0x09 && code <= 0x0d) ||
                             (code >= 0x1c && code <= 0x1f)
                       : character_is_wide_space(code);
}

/* A script that does not put spaces between words: Han, Kana, Thai, Lao, Khmer,
 * Burmese. */
bool character_is_unspaced(uint32_t code);

#endif

/* The class of every code point, as far as the split patterns of split.h ask for it.
 * Unicode 16.0; unicode_table.c is made by pack_unicode.py. */
#ifndef ASSAY_FILTERS_COUNT_UNICODE_TABLE_H
#define ASSAY_FILTERS_COUNT_UNICODE_TABLE_H

#include <stdint.h>

enum unicode_class {
    CLASS_OTHER,
    CLASS_UPPER,   /* Lu Lt */
    CLASS_LOWER,   /* Ll */
    CLASS_LETTER,  /* Lm Lo */
    CLASS_MARK,    /* M */
    CLASS_NUMBER,  /* N */
    CLASS_SPACE,   /* White_Space but the next */
    CLASS_NEWLINE, /* CR LF */
};

enum { UNICODE_BLOCK = 128 };

/* Digits, the classes of the code points of a block; and the block of each 128. */
extern const char unicode_classes[][UNICODE_BLOCK];
extern const uint8_t unicode_blocks[];

static inline enum unicode_class unicode_class(uint32_t code_point)
{
    unsigned block = unicode_blocks[code_point / UNICODE_BLOCK];

    return (enum unicode_class)(unicode_classes[block][code_point % UNICODE_BLOCK] -
                                '0');
}

#endif

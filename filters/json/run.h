/* How far the plain bytes of a JSON string reach: the loops that decide the scanner's
 * speed. Each returns where the first byte stands that needs a look, or `end`. */
#ifndef ASSAY_FILTERS_JSON_RUN_H
#define ASSAY_FILTERS_JSON_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
    #include <emmintrin.h>
#endif

/* May this byte not stand as it is in a string, for RFC 8259 (`strict`), or is it at
 * least no plain ASCII?  Tolerantly only the quote and the backslash stop a run. */
static inline bool run_stops_at(char byte, bool strict)
{
    return byte == '"' || byte == '\\' || (strict && (signed char)byte < 0x20);
}

static inline const char *run_bytes(const char *at, const char *end, bool strict)
{
    while (at < end && !run_stops_at(*at, strict)) {
        at++;
    }
    return at;
}

/* Eight bytes at a time. The borrow of a subtraction disturbs only bytes behind the first
 * hit, which is the one that counts (little-endian; elsewhere byte by byte). */
static inline const char *run_portable(const char *at, const char *end, bool strict)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_MAX / 255;
    const uint64_t tops = ones * 0x80;

    for (; end - at >= 8; at += 8) {
        uint64_t block, quotes, slashes, hits;

        memcpy(&block, at, sizeof(block));
        quotes = block ^ ones * '"';
        slashes = block ^ ones * '\\';
        hits = ((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes);
        if (strict) {
            hits |= ((block - ones * 0x20) & ~block) | block;
        }
        hits &= tops;
        if (hits != 0) {
            return at + (__builtin_ctzll(hits) >> 3);
        }
    }
#endif
    return run_bytes(at, end, strict);
}

#ifdef __SSE2__
/* Sixteen bytes at a time. As a signed byte, everything beyond ASCII is less than 0x20,
 * so that one comparison finds it together with the control characters. */
static inline const char *run_sse2(const char *at, const char *end, bool strict)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);

    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits =
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash));
        unsigned mask;

        if (strict) {
            hits = _mm_or_si128(hits, _mm_cmplt_epi8(block, space));
        }
        mask = (unsigned)_mm_movemask_epi8(hits);
        if (mask != 0) {
            return at + __builtin_ctz(mask);
        }
    }
    return run_portable(at, end, strict);
}
#endif

static inline const char *run_plain(const char *at, const char *end, bool strict)
{
#ifdef __SSE2__
    return run_sse2(at, end, strict);
#else
    return run_portable(at, end, strict);
#endif
}

/* The length of the well-formed character beyond ASCII (RFC 3629, section 4) at `at`,
 * where four bytes can be read; 0 if it is none. */
static inline unsigned run_character(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    uint32_t word = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 |
                    (uint32_t)byte[2] << 8 | (uint32_t)byte[3];

    if ((word & 0xf0c0c000) == 0xe0808000) {
        uint32_t bits = word & 0x0f200000;

        return bits != 0 && bits != 0x0d200000 ? 3 : 0; /* overlong; a surrogate */
    }
    if ((word & 0xe0c00000) == 0xc0800000) {
        return (word & 0x1e000000) != 0 ? 2 : 0; /* overlong */
    }
    if ((word & 0xf8c0c0c0) == 0xf0808080) {
        uint32_t plane = word >> 20 & 0x73;

        return plane >= 0x01 && word <= 0xf48fbfbf ? 4 : 0;
    }
    return 0;
}

/* Over well-formed characters beyond ASCII. Stops short of the last bytes of the piece. */
static inline const char *run_beyond_ascii(const char *at, const char *end)
{
    while (end - at >= 4 && (signed char)*at < 0) {
        unsigned len = run_character(at);

        if (len == 0) {
            break;
        }
        at += len;
    }
    return at;
}

#endif

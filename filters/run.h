/* How far plain bytes reach: the loops that decide the speed of the parsers. Each returns
 * where the first byte stands that needs a look, or `end`. */
#ifndef ASSAY_FILTERS_RUN_H
#define ASSAY_FILTERS_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
    #include <emmintrin.h>
#endif

/* What ends a run: one of three bytes (which may be the same), and perhaps everything that
 * is no printable ASCII. A constant at every call, so that each gets a loop of its own. */
struct run_stops {
    char a, b, c;
    bool unless_plain;
};

static inline bool run_stops_at(char byte, struct run_stops stops)
{
    return byte == stops.a || byte == stops.b || byte == stops.c ||
           (stops.unless_plain && (signed char)byte < 0x20);
}

static inline const char *run_bytes(const char *at, const char *end,
                                    struct run_stops stops)
{
    while (at < end && !run_stops_at(*at, stops)) {
        at++;
    }
    return at;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* The top bit of each byte of `block` that is `byte`. A borrow may set further bits, but
 * only behind the first hit, which is the one that counts. */
static inline uint64_t run_hits(uint64_t block, char byte)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t zeros = block ^ ones * (unsigned char)byte;

    return (zeros - ones) & ~zeros & ones * 0x80;
}
#endif

/* Eight bytes at a time. */
static inline const char *run_portable(const char *at, const char *end,
                                       struct run_stops stops)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; end - at >= 8; at += 8) {
        const uint64_t ones = UINT64_MAX / 255;
        uint64_t block, hits;

        memcpy(&block, at, sizeof(block));
        hits = run_hits(block, stops.a) | run_hits(block, stops.b) |
               run_hits(block, stops.c);
        if (stops.unless_plain) {
            hits |= (((block - ones * 0x20) & ~block) | block) & ones * 0x80;
        }
        if (hits != 0) {
            return at + (__builtin_ctzll(hits) >> 3);
        }
    }
#endif
    return run_bytes(at, end, stops);
}

#ifdef __SSE2__
/* Sixteen bytes at a time. As a signed byte, everything beyond ASCII is less than 0x20,
 * so that one comparison finds it together with the control characters. */
static inline const char *run_sse2(const char *at, const char *end,
                                   struct run_stops stops)
{
    const __m128i a = _mm_set1_epi8(stops.a);
    const __m128i b = _mm_set1_epi8(stops.b);
    const __m128i c = _mm_set1_epi8(stops.c);
    const __m128i space = _mm_set1_epi8(0x20);

    for (; end - at >= 16; at += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(block, a), _mm_cmpeq_epi8(block, b));
        unsigned mask;

        if (stops.c != stops.b) {
            hits = _mm_or_si128(hits, _mm_cmpeq_epi8(block, c));
        }
        if (stops.unless_plain) {
            hits = _mm_or_si128(hits, _mm_cmplt_epi8(block, space));
        }
        mask = (unsigned)_mm_movemask_epi8(hits);
        if (mask != 0) {
            return at + __builtin_ctz(mask);
        }
    }
    return run_portable(at, end, stops);
}
#endif

static inline const char *run_to(const char *at, const char *end,
                                 struct run_stops stops)
{
#ifdef __SSE2__
    return run_sse2(at, end, stops);
#else
    return run_portable(at, end, stops);
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

/* How far plain bytes reach: the loops that decide the speed of the parsers. Each
 * returns where the first byte stands that needs a look, or `end`. */
#ifndef ASSAY_FILTERS_RUN_H
#define ASSAY_FILTERS_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
    #include <emmintrin.h>
#endif

/* What else than certain bytes ends a run. */
enum run_limit {
    RUN_ANY,
    RUN_CONTROL, /* control characters */
    RUN_PLAIN    /* everything that is no printable ASCII */
};

/* What ends a run: one of three bytes (which may be the same) and the limit. A constant
 * at every call, so that each gets code of its own. */
struct run_stops {
    char a, b, c;
    enum run_limit limit;
};

#define RUN_INLINE static inline __attribute__((always_inline))

RUN_INLINE bool run_stops_at(char byte, struct run_stops stops)
{
    return byte == stops.a || byte == stops.b || byte == stops.c ||
           (stops.limit == RUN_CONTROL && (unsigned char)byte < 0x20) ||
           (stops.limit == RUN_PLAIN && (signed char)byte < 0x20);
}

RUN_INLINE const char *run_bytes(const char *at, const char *end,
                                 struct run_stops stops)
{
    while (at < end && !run_stops_at(*at, stops)) {
        at++;
    }
    return at;
}

/* Where in a block of bytes a run stops; the size of the block if nowhere. */

/* The top bit of each byte of `block` that is `byte`. A borrow may set further bits,
 * but only behind the first hit, which is the one that counts. */
RUN_INLINE uint64_t run_hits(uint64_t block, char byte)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t zeros = block ^ ones * (unsigned char)byte;

    return (zeros - ones) & ~zeros & ones * 0x80;
}

RUN_INLINE size_t run_block_portable(const char *at, struct run_stops stops)
{
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t block, hits;

    memcpy(&block, at, sizeof(block));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    block = __builtin_bswap64(block);
#endif
    hits =
        run_hits(block, stops.a) | run_hits(block, stops.b) | run_hits(block, stops.c);
    if (stops.limit != RUN_ANY) {
        uint64_t beyond = stops.limit == RUN_PLAIN ? block : 0;

        hits |= (((block - ones * 0x20) & ~block) | beyond) & ones * 0x80;
    }
    return hits == 0 ? sizeof(block) : (size_t)__builtin_ctzll(hits) / 8;
}

#ifdef __SSE2__
enum { RUN_BLOCK = 16, RUN_GROUP = 4 * RUN_BLOCK };

/* The top bit of each byte at which a run stops. As a signed byte, everything beyond
 * ASCII is less than 0x20, so that one subtraction finds it together with the control
 * characters. */
RUN_INLINE __m128i run_stopped(const char *at, struct run_stops stops)
{
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i hits = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8(stops.a)),
                                _mm_cmpeq_epi8(block, _mm_set1_epi8(stops.b)));

    if (stops.c != stops.b) {
        hits = _mm_or_si128(hits, _mm_cmpeq_epi8(block, _mm_set1_epi8(stops.c)));
    }
    if (stops.limit == RUN_CONTROL) {
        __m128i low = _mm_min_epu8(block, _mm_set1_epi8(0x1f));

        hits = _mm_or_si128(hits, _mm_cmpeq_epi8(low, block));
    } else if (stops.limit == RUN_PLAIN) {
        hits = _mm_or_si128(hits, _mm_subs_epi8(block, _mm_set1_epi8(0x20)));
    }
    return hits;
}

RUN_INLINE size_t run_block(const char *at, struct run_stops stops)
{
    unsigned hits = (unsigned)_mm_movemask_epi8(run_stopped(at, stops));

    return (size_t)__builtin_ctz(hits | 1U << RUN_BLOCK);
}

/* Over as many whole groups of blocks as a run passes. */
RUN_INLINE const char *run_groups(const char *at, const char *end,
                                  struct run_stops stops)
{
    size_t left = (size_t)(end - at);

    for (; left >= RUN_GROUP; left -= RUN_GROUP) {
        __m128i a = run_stopped(at, stops);
        __m128i b = run_stopped(at + RUN_BLOCK, stops);
        __m128i c = run_stopped(at + RUN_GROUP / 2, stops);
        __m128i d = run_stopped(at + RUN_GROUP - RUN_BLOCK, stops);

        if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) !=
            0) {
            break;
        }
        at += RUN_GROUP;
    }
    return at;
}
#else
enum { RUN_BLOCK = 8, RUN_GROUP = 4 * RUN_BLOCK };

RUN_INLINE size_t run_block(const char *at, struct run_stops stops)
{
    return run_block_portable(at, stops);
}

RUN_INLINE const char *run_groups(const char *at, const char *end,
                                  struct run_stops stops)
{
    (void)end;
    (void)stops;
    return at;
}
#endif

/* Block by block. At least a block of bytes stands before `end`, and those of it that
 * stand before `at` are no stops: the last bytes are read together with them. */
RUN_INLINE const char *run_singly(const char *at, const char *end,
                                  struct run_stops stops)
{
    size_t len;

    for (; end - at >= RUN_BLOCK; at += RUN_BLOCK) {
        len = run_block(at, stops);
        if (len < RUN_BLOCK) {
            return at + len;
        }
    }
    if (at == end) {
        return end;
    }
    len = run_block(end - RUN_BLOCK, stops);
    return len < RUN_BLOCK ? end - RUN_BLOCK + len : end;
}

/* Most runs end within a block, and most others soon: only those that do not are worth
 * a group of blocks. */
RUN_INLINE const char *run_to(const char *at, const char *end, struct run_stops stops)
{
    const char *near = end - at > RUN_GROUP ? at + RUN_GROUP : end;
    size_t len;

    if (end - at < RUN_BLOCK) {
        return run_bytes(at, end, stops);
    }
    len = run_block(at, stops);
    if (len < RUN_BLOCK) {
        return at + len;
    }
    at = run_singly(at + RUN_BLOCK, near, stops);
    return at < near || near == end
               ? at
               : run_singly(run_groups(at, end, stops), end, stops);
}

/* Compares the first and the last `width` bytes, which may overlap. */
RUN_INLINE bool run_ends_equal(const char *a, const char *b, size_t len, size_t width)
{
    uint64_t fronts[2] = { 0, 0 }, backs[2] = { 0, 0 };

    memcpy(&fronts[0], a, width);
    memcpy(&fronts[1], b, width);
    memcpy(&backs[0], a + len - width, width);
    memcpy(&backs[1], b + len - width, width);
    return fronts[0] == fronts[1] && backs[0] == backs[1];
}

/* memcmp() without a call: the bytes are few, and not none. */
RUN_INLINE bool run_equal(const char *a, const char *b, size_t len)
{
    for (; len > 16; len -= 16) {
        if (!run_ends_equal(a, b, 16, 8)) {
            return false;
        }
        a += 16;
        b += 16;
    }
    if (len >= 8) {
        return run_ends_equal(a, b, len, 8);
    }
    if (len >= 4) {
        return run_ends_equal(a, b, len, 4);
    }
    return a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1];
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

/* Over well-formed characters beyond ASCII. Stops short of the last bytes
 * of the piece. */
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

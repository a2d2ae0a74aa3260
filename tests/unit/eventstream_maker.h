/* Makes AWS event streams for tests. */
#ifndef ASSAY_TESTS_UNIT_EVENTSTREAM_MAKER_H
#define ASSAY_TESTS_UNIT_EVENTSTREAM_MAKER_H

#include "proxy/base/span.h"

#include <stdint.h>
#include <string.h>
#include <zlib.h>

struct maker {
    unsigned char bytes[4096];
    size_t len;
};

static inline void put_number(struct maker *maker, uint32_t number, unsigned size)
{
    while (size-- > 0) {
        maker->bytes[maker->len++] = (unsigned char)(number >> 8 * size);
    }
}

static inline void put_bytes(struct maker *maker, struct span bytes)
{
    memcpy(maker->bytes + maker->len, bytes.at, bytes.len);
    maker->len += bytes.len;
}

static inline uint32_t crc_from(const struct maker *maker, size_t begin)
{
    return (uint32_t)crc32(0, maker->bytes + begin, (uInt)(maker->len - begin));
}

/* A message with one string header. */
static inline void put_message(struct maker *maker, struct span name, struct span value,
                               struct span payload)
{
    size_t begin = maker->len;
    uint32_t headers = (uint32_t)(name.len + value.len + 4);

    put_number(maker, 16 + headers + (uint32_t)payload.len, 4);
    put_number(maker, headers, 4);
    put_number(maker, crc_from(maker, begin), 4);
    put_number(maker, (uint32_t)name.len, 1);
    put_bytes(maker, name);
    put_number(maker, 7, 1);
    put_number(maker, (uint32_t)value.len, 2);
    put_bytes(maker, value);
    put_bytes(maker, payload);
    put_number(maker, crc_from(maker, begin), 4);
}

static inline struct span made(const struct maker *maker)
{
    return span_of((const char *)maker->bytes, maker->len);
}

#endif

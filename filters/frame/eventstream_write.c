#include "filters/frame/eventstream_write.h"

#include <zlib.h>

enum { TYPE_STRING = 7, CRC_BYTES = 4 };

static void put_number(struct text *out, uint32_t number, unsigned bytes)
{
    while (bytes-- > 0) {
        text_put_char(out, (char)(number >> 8 * bytes & 0xff));
    }
}

static void put_header(struct text *out, struct span name, struct span value)
{
    put_number(out, (uint32_t)name.len, 1);
    text_put(out, name);
    put_number(out, TYPE_STRING, 1);
    put_number(out, (uint32_t)value.len, 2);
    text_put(out, value);
}

static size_t header_size(struct span name, struct span value)
{
    return 1 + name.len + 1 + 2 + value.len;
}

static void put_crc(struct text *out, size_t from)
{
    uLong crc = crc32(0, (const Bytef *)out->at + from, (uInt)(out->len - from));

    put_number(out, (uint32_t)crc, CRC_BYTES);
}

void eventstream_put_exception(struct text *out, struct span name, struct span payload)
{
    static const struct span kind[] = { SPAN_INIT(":message-type"),
                                        SPAN_INIT("exception") };
    static const struct span type[] = { SPAN_INIT(":content-type"),
                                        SPAN_INIT("application/json") };
    const struct span exception = SPAN(":exception-type");
    size_t headers = header_size(exception, name) + header_size(type[0], type[1]) +
                     header_size(kind[0], kind[1]);
    size_t total = 2 * CRC_BYTES + CRC_BYTES + headers + payload.len + CRC_BYTES;
    size_t from = out->len;

    if (out->cap - out->len < total) {
        out->full = true;
        return;
    }
    put_number(out, (uint32_t)total, 4);
    put_number(out, (uint32_t)headers, 4);
    put_crc(out, from);
    put_header(out, exception, name);
    put_header(out, type[0], type[1]);
    put_header(out, kind[0], kind[1]);
    text_put(out, payload);
    put_crc(out, from);
}

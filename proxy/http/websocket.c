#include "proxy/http/websocket.h"

#include "proxy/base/check.h"

enum {
    BIT_FINAL = 0x80,
    BIT_COMPRESSED = 0x40, /* RSV1, as permessage-deflate uses it (RFC 7692) */
    BITS_RESERVED = 0x30,  /* RSV2 and RSV3: nobody's */
    OPCODE = 0x0f,
    OPCODE_CONTROL = 0x8,
    BIT_MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126, /* the length follows in 2 bytes */
    LENGTH_64 = 127  /* ... in 8 */
};

void websocket_init(struct websocket *reader, bool masked, bool compressible)
{
    *reader = (struct websocket){ .masked = masked, .compressible = compressible };
}

/* ---- UTF-8 ----------------------------------------------------------------------- */

/* Bytes of the character that `lead` begins; 0 if none does. */
static size_t character_size(unsigned char lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return 0;
    }
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Unicode 15, table 3-7: what may follow a leading byte. */
static bool second_fits(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

static bool is_utf8(struct span text)
{
    while (text.len > 0) {
        const unsigned char *at = (const unsigned char *)text.at;
        size_t size = character_size(at[0]);

        if (size == 0 || size > text.len || (size > 1 && !second_fits(at[0], at[1]))) {
            return false;
        }
        for (size_t i = 2; i < size; i++) {
            if (at[i] >> 6 != 2) {
                return false;
            }
        }
        text = span_after(text, size);
    }
    return true;
}

/* ---- headers --------------------------------------------------------------------- */

/* How long a header is that begins with these bytes; 2 until both have come. */
static size_t header_size(const char *header, size_t len)
{
    unsigned char second = len < 2 ? 0 : (unsigned char)header[1];
    size_t size = 2 + ((second & BIT_MASKED) != 0 ? WEBSOCKET_MASK : 0);

    if ((second & LENGTH) == LENGTH_16) {
        size += 2;
    } else if ((second & LENGTH) == LENGTH_64) {
        size += 8;
    }
    return size;
}

static uint64_t big_endian(const char *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++) {
        value = value << 8 | (unsigned char)bytes[i];
    }
    return value;
}

/* The length that a header states; false if a shorter one would have done, or if it is
 * beyond 2^63-1. */
static bool read_length(const char *header, uint64_t *length)
{
    unsigned char second = (unsigned char)header[1] & LENGTH;

    if (second == LENGTH_16) {
        *length = big_endian(header + 2, 2);
        return *length >= LENGTH_16;
    }
    if (second == LENGTH_64) {
        *length = big_endian(header + 2, 8);
        return *length > UINT16_MAX && *length <= INT64_MAX;
    }
    *length = second;
    return true;
}

/* Sections 5.2, 5.4 and 5.5, and RFC 7692, section 6: may this frame stand here? */
static bool frame_fits(const struct websocket *reader, unsigned char first,
                       uint64_t length)
{
    uint8_t opcode = first & OPCODE;
    bool compressed = (first & BIT_COMPRESSED) != 0;

    if ((first & BITS_RESERVED) != 0) {
        return false;
    }
    switch (opcode) {
    case WEBSOCKET_CONTINUATION:
        return reader->in_message && !compressed;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        return !reader->in_message && (!compressed || reader->compressible);
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
        return (first & BIT_FINAL) != 0 && !compressed &&
               length <= WEBSOCKET_CONTROL_MAX;
    default:
        return false;
    }
}

static void break_rule(struct websocket *reader, enum websocket_code code)
{
    if (reader->wrong == WEBSOCKET_SOUND) {
        reader->wrong = code;
    }
}

/* A whole header has come. */
static bool begin_frame(struct websocket *reader, const char *header, size_t size)
{
    unsigned char first = (unsigned char)header[0];
    bool masked = ((unsigned char)header[1] & BIT_MASKED) != 0;
    uint64_t length;

    if (!read_length(header, &length) || masked != reader->masked || reader->closed ||
        !frame_fits(reader, first, length)) {
        break_rule(reader, WEBSOCKET_PROTOCOL_ERROR);
        return false;
    }
    reader->opcode = first & OPCODE;
    reader->final = (first & BIT_FINAL) != 0;
    reader->left = length;
    reader->at = 0;
    reader->in_payload = true;
    reader->control_len = 0;
    if (reader->opcode == WEBSOCKET_TEXT || reader->opcode == WEBSOCKET_BINARY) {
        reader->message = reader->opcode;
        reader->compressed = (first & BIT_COMPRESSED) != 0;
    }
    if (masked) {
        memcpy(reader->mask, header + size - WEBSOCKET_MASK, WEBSOCKET_MASK);
    }
    return true;
}

/* Takes a header off the front of *input; the empty span while it is not whole. */
static struct span take_header(struct websocket *reader, struct span *input)
{
    struct span header = span_of(NULL, 0);
    size_t size = header_size(input->at, input->len);

    if (reader->header_len == 0 && input->len >= 2 && input->len >= size) {
        header = span_of(input->at, size);
        *input = span_after(*input, size);
        return header;
    }
    while (input->len > 0 && header.len == 0) {
        reader->header[reader->header_len++] = input->at[0];
        *input = span_after(*input, 1);
        size = header_size(reader->header, reader->header_len);
        if (reader->header_len >= 2 && reader->header_len == size) {
            memcpy(reader->split, reader->header, size);
            reader->header_len = 0;
            header = span_of(reader->split, size);
        }
    }
    return header;
}

/* ---- payloads -------------------------------------------------------------------- */

void websocket_unmask(const uint8_t mask[WEBSOCKET_MASK], uint64_t at,
                      struct span payload, char *out)
{
    uint8_t turned[8];
    uint64_t key, block;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++) {
        turned[k] = mask[(at + k) % WEBSOCKET_MASK];
    }
    memcpy(&key, turned, sizeof(key));
    for (; i + sizeof(block) <= payload.len; i += sizeof(block)) {
        memcpy(&block, payload.at + i, sizeof(block));
        block ^= key;
        memcpy(out + i, &block, sizeof(block));
    }
    for (; i < payload.len; i++) {
        out[i] = (char)((unsigned char)payload.at[i] ^ turned[i % sizeof(turned)]);
    }
}

static void keep_control(struct websocket *reader, struct span payload, uint64_t at)
{
    char *out = reader->control + reader->control_len;

    if (reader->masked) {
        websocket_unmask(reader->mask, at, payload, out);
    } else if (payload.len > 0) {
        memcpy(out, payload.at, payload.len);
    }
    reader->control_len = (uint8_t)(reader->control_len + payload.len);
}

/* Section 7.4: codes that may stand in a close frame. */
static bool is_code(uint64_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static bool read_close(struct websocket *reader)
{
    struct span said = span_of(reader->control, reader->control_len);

    reader->closed = true;
    reader->code = WEBSOCKET_NO_CODE;
    if (said.len == 0) {
        return true;
    }
    if (said.len == 1 || !is_code(big_endian(said.at, 2))) {
        break_rule(reader, WEBSOCKET_PROTOCOL_ERROR);
        return false;
    }
    reader->code = (uint16_t)big_endian(said.at, 2);
    if (!is_utf8(span_after(said, 2))) {
        break_rule(reader, WEBSOCKET_INVALID);
        return false;
    }
    return true;
}

static bool is_control(const struct websocket *reader)
{
    return (reader->opcode & OPCODE_CONTROL) != 0;
}

/* Takes what there is of the frame's payload and notes what begins and ends by it. */
static bool take_payload(struct websocket *reader, struct span *input,
                         struct websocket_piece *piece)
{
    size_t len = input->len < reader->left ? input->len : (size_t)reader->left;
    bool first = piece->raw.len > 0;

    piece->payload = span_of(input->at, len);
    *input = span_after(*input, len);
    piece->at = reader->at;
    memcpy(piece->mask, reader->mask, WEBSOCKET_MASK);
    piece->control = is_control(reader);
    piece->opcode = piece->control ? reader->opcode : reader->message;
    piece->compressed = !piece->control && reader->compressed;
    piece->begins = first && reader->opcode != WEBSOCKET_CONTINUATION;
    if (reader->opcode == WEBSOCKET_CLOSE) {
        keep_control(reader, piece->payload, reader->at);
    }
    reader->at += len;
    reader->left -= len;
    reader->in_payload = reader->left > 0;
    piece->ends = !reader->in_payload && reader->final;
    if (!piece->control) {
        reader->in_message = !piece->ends;
    }
    return reader->opcode != WEBSOCKET_CLOSE || reader->in_payload ||
           read_close(reader);
}

bool websocket_next(struct websocket *reader, struct span *input,
                    struct websocket_piece *piece)
{
    if (reader->wrong != WEBSOCKET_SOUND || input->len == 0) {
        return false;
    }
    *piece = (struct websocket_piece){ .raw = { NULL, 0 } };
    if (!reader->in_payload) {
        piece->raw = take_header(reader, input);
        if (piece->raw.len == 0 ||
            !begin_frame(reader, piece->raw.at, piece->raw.len)) {
            return false;
        }
        if (piece->raw.at == reader->split) {
            /* What follows does not lie beside it. */
            struct span nothing = span_of(input->at, 0);

            return take_payload(reader, &nothing, piece);
        }
    }
    if (!take_payload(reader, input, piece)) {
        return false;
    }
    piece->raw = piece->raw.len > 0
                     ? span_of(piece->raw.at, piece->raw.len + piece->payload.len)
                     : piece->payload;
    return true;
}

bool websocket_between_frames(const struct websocket *reader)
{
    return !reader->in_payload && reader->header_len == 0;
}

bool websocket_between_messages(const struct websocket *reader)
{
    return websocket_between_frames(reader) && !reader->in_message;
}

/* ---- frames of our own ----------------------------------------------------------- */

static void put_header(struct text *out, enum websocket_opcode opcode, bool masked,
                       size_t length)
{
    unsigned char bit = masked ? BIT_MASKED : 0;
    unsigned shift = 0;

    text_put_char(out, (char)(BIT_FINAL | opcode));
    if (length < LENGTH_16) {
        text_put_char(out, (char)(bit | length));
        return;
    }
    text_put_char(out, (char)(bit | (length <= UINT16_MAX ? LENGTH_16 : LENGTH_64)));
    for (shift = length <= UINT16_MAX ? 16 : 64; shift > 0; shift -= 8) {
        text_put_char(out, (char)(length >> (shift - 8)));
    }
}

void websocket_put(struct text *out, enum websocket_opcode opcode, const uint8_t *mask,
                   struct span payload)
{
    put_header(out, opcode, mask != NULL, payload.len);
    if (mask == NULL) {
        text_put(out, payload);
        return;
    }
    text_put(out, span_of((const char *)mask, WEBSOCKET_MASK));
    for (size_t i = 0; i < payload.len; i++) {
        text_put_char(out,
                      (char)((unsigned char)payload.at[i] ^ mask[i % WEBSOCKET_MASK]));
    }
}

/* Cut where a character ends. */
static struct span cut_reason(struct span reason)
{
    if (reason.len > WEBSOCKET_REASON_MAX) {
        reason.len = WEBSOCKET_REASON_MAX;
        while (reason.len > 0 &&
               ((unsigned char)reason.at[reason.len] & 0xc0) == 0x80) {
            reason.len--;
        }
    }
    return reason;
}

void websocket_put_close(struct text *out, enum websocket_code code,
                         const uint8_t *mask, struct span reason)
{
    char memory[WEBSOCKET_CONTROL_MAX];
    struct text payload = text_over(memory, sizeof(memory));

    text_put_char(&payload, (char)(code >> 8));
    text_put_char(&payload, (char)(code & 0xff));
    text_put(&payload, cut_reason(reason));
    CHECK(!payload.full);
    websocket_put(out, WEBSOCKET_CLOSE, mask, text_span(&payload));
}

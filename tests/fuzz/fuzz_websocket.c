/* WebSocket frames of arbitrary bytes, of either side: every split gives the
 * same frames, texts and verdict; what is lent is what came; nothing is read
 * behind a broken rule. */
#include "filters/frame/message.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct digest {
    uint64_t raw, text; /* hashes of what was lent, and of what messages say */
    uint64_t lent;
    uint64_t messages, controls;
    enum websocket_code wrong;
    enum decode_verdict verdict;
    uint16_t code;
    bool between;
};

static uint64_t hash(uint64_t sum, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        sum = (sum ^ (unsigned char)bytes.at[i]) * 0x100000001b3;
    }
    return sum;
}

static void on_text(void *self, struct span text)
{
    struct digest *digest = self;

    CHECK(text.len > 0);
    digest->text = hash(digest->text, text);
}

static void on_piece(struct digest *digest, struct message *message,
                     const struct websocket_piece *piece)
{
    CHECK(piece->raw.len >= piece->payload.len);
    digest->raw = hash(digest->raw, piece->raw);
    digest->lent += piece->raw.len;
    if (piece->control) {
        CHECK(!piece->compressed);
        digest->controls += piece->ends;
        return;
    }
    CHECK(piece->opcode == WEBSOCKET_TEXT || piece->opcode == WEBSOCKET_BINARY);
    digest->messages += piece->ends;
    digest->verdict = message_feed(message, piece, on_text, digest);
}

static struct digest read_stream(struct span stream, uint8_t flags, size_t step)
{
    /* no ratio: it is that of what has come, which depends on the split */
    const struct decode_limits limits = { .bytes = 1 << 17, .ratio = UINT32_MAX };
    struct message *message = message_new((flags & 4) != 0, limits);
    struct digest digest = { .raw = 1, .text = 1 };
    struct websocket_piece piece;
    struct websocket reader;

    CHECK(message != NULL);
    websocket_init(&reader, (flags & 1) != 0, (flags & 2) != 0);
    while (stream.len > 0 && digest.verdict == DECODE_OK) {
        struct span input = span_of(stream.at, stream.len < step ? stream.len : step);

        stream = span_after(stream, input.len);
        while (websocket_next(&reader, &input, &piece)) {
            on_piece(&digest, message, &piece);
        }
        CHECK(input.len == 0 || reader.wrong != WEBSOCKET_SOUND);
    }
    digest.wrong = reader.wrong;
    digest.code = reader.code;
    digest.between = websocket_between_messages(&reader);
    message_free(message);
    return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span stream = span_of((const char *)bytes, size);
    struct digest whole;
    uint8_t flags;

    if (size == 0) {
        return 0;
    }
    flags = bytes[0]; /* masked, compressible, with context */
    stream = span_after(stream, 1);
    whole = read_stream(stream, flags, SIZE_MAX);
    CHECK(whole.lent <= stream.len);
    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        struct digest split = read_stream(stream, flags, step);

        CHECK(split.verdict == whole.verdict);
        if (whole.verdict == DECODE_OK) {
            /* behind damage nobody asks what came before it in the same input */
            CHECK(split.wrong == whole.wrong && split.code == whole.code &&
                  split.messages == whole.messages &&
                  split.controls == whole.controls && split.text == whole.text);
            CHECK(split.wrong != WEBSOCKET_SOUND ||
                  (split.raw == whole.raw && split.between == whole.between));
        }
    }
    return 0;
}

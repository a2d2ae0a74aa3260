#include "filters/count/sample.h"

#include "proxy/base/check.h"

#include <stdlib.h>

void sample_begin(struct sample *sample)
{
    sample->bytes = 0;
    sample->stride = 0;
    sample->skip = 0;
    sample->kept = 0;
    sample->no_memory = false;
}

static void wipe(char *text, size_t len)
{
    memset(text, 0, len);
    __asm__ volatile("" : : "r"(text) : "memory"); /* not to be left out */
}

/* Makes room for `more` bytes, SAMPLE_MAX in all at most. */
static bool make_room(struct sample *sample, size_t more)
{
    size_t room = sample->room == 0 ? SAMPLE_ROOM : sample->room;
    char *text;

    while (room < sample->kept + more) {
        room *= 2;
    }
    if (room == sample->room) {
        return true;
    }
    text = malloc(room);
    if (text == NULL) {
        return false;
    }
    if (sample->text != NULL) {
        memcpy(text, sample->text, sample->kept);
        wipe(sample->text, sample->most);
        free(sample->text);
    }
    sample->text = text;
    sample->most = sample->kept;
    sample->room = (uint32_t)room;
    return true;
}

/* Every second chunk stays. */
static void thin_out(struct sample *sample)
{
    for (uint32_t at = SAMPLE_CHUNK; at < SAMPLE_MAX / 2; at += SAMPLE_CHUNK) {
        memcpy(sample->text + at, sample->text + 2 * (size_t)at, SAMPLE_CHUNK);
    }
    sample->kept = SAMPLE_MAX / 2;
    sample->stride = sample->stride == 0 ? 2 : 2 * sample->stride;
}

static void end_chunk(struct sample *sample)
{
    if (sample->kept == SAMPLE_MAX) {
        thin_out(sample);
    }
    if (sample->stride > 1) {
        sample->skip = (sample->stride - 1) * SAMPLE_CHUNK;
    }
}

void sample_put(struct sample *sample, struct span piece)
{
    sample->bytes += piece.len;
    while (piece.len > 0 && !sample->no_memory) {
        size_t room = sample->stride > 1 ? SAMPLE_CHUNK - sample->kept % SAMPLE_CHUNK
                                         : SAMPLE_MAX - sample->kept;
        size_t len = piece.len < room ? piece.len : room;

        if (sample->skip > 0) {
            len = piece.len < sample->skip ? piece.len : sample->skip;
            sample->skip -= len;
            piece = span_after(piece, len);
            continue;
        }
        if (!make_room(sample, len)) {
            sample->no_memory = true;
            break;
        }
        memcpy(sample->text + sample->kept, piece.at, len);
        sample->kept += (uint32_t)len;
        sample->most = sample->kept > sample->most ? sample->kept : sample->most;
        piece = span_after(piece, len);
        if (len == room) {
            end_chunk(sample);
        }
    }
}

void sample_add(struct sample *sample, const struct sample *text)
{
    uint64_t bytes = sample->bytes + text->bytes;

    sample_put(sample, span_of(text->text, text->kept));
    sample->bytes = bytes;
}

void sample_clear(struct sample *sample)
{
    if (sample->room > SAMPLE_SPARE) {
        sample_wipe(sample);
    } else if (sample->text != NULL) {
        wipe(sample->text, sample->most);
        *sample = (struct sample){ .room = sample->room, .text = sample->text };
    } else {
        *sample = (struct sample){ 0 };
    }
}

void sample_wipe(struct sample *sample)
{
    if (sample->text != NULL) {
        wipe(sample->text, sample->most);
        free(sample->text);
    }
    *sample = (struct sample){ 0 };
}

/* ---- counting -------------------------------------------------------------------- */

/* Bytes of the character that begins with this one. */
static size_t character_size(unsigned char first)
{
    return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Without the parts of characters at its ends. */
static struct span whole_characters(struct span chunk)
{
    size_t from = 0, back = 1;

    while (from < chunk.len && from < 3 && continues(chunk.at[from])) {
        from++;
    }
    chunk = span_after(chunk, from);
    while (back < chunk.len && back < 3 && continues(chunk.at[chunk.len - back])) {
        back++;
    }
    if (chunk.len > 0 &&
        character_size((unsigned char)chunk.at[chunk.len - back]) > back) {
        chunk.len -= back;
    }
    return chunk;
}

/* Where a chunk is cut out of a text, tokens are cut that count on both sides: three in
 * four chunks have one too many, in prose, code and JSON alike. */
static uint64_t without_cut_ones(uint64_t tokens, uint32_t kept)
{
    uint64_t cut = kept / SAMPLE_CHUNK * 3 / 4;

    return tokens > cut ? tokens - cut : tokens;
}

static uint64_t count_chunks(const struct sample *sample, enum encoding encoding)
{
    SCRATCH char text[SAMPLE_MAX];
    uint64_t tokens;
    size_t len = 0;

    for (uint32_t at = 0; at < sample->kept; at += SAMPLE_CHUNK) {
        size_t rest = sample->kept - at;
        struct span chunk = whole_characters(
            span_of(sample->text + at, rest < SAMPLE_CHUNK ? rest : SAMPLE_CHUNK));

        memcpy(text + len, chunk.at, chunk.len);
        len += chunk.len;
    }
    tokens = without_cut_ones(bpe_count(encoding, span_of(text, len)), sample->kept);
    wipe(text, len);
    return len == 0 ? 0 : (tokens * sample->bytes + len / 2) / len;
}

uint64_t sample_tokens(const struct sample *sample, enum encoding encoding)
{
    uint64_t tokens;

    if (sample->kept == 0 || sample->no_memory || !bpe_ready(encoding)) {
        return 0;
    }
    if (sample->stride > 1) {
        return count_chunks(sample, encoding);
    }
    tokens = bpe_count(encoding, span_of(sample->text, sample->kept));
    return (tokens * sample->bytes + sample->kept / 2) / sample->kept;
}

#include "filters/detect/state_pack.h"

#include <string.h>

/* Runs of words of 8 bytes: how many zeros, how many others, a byte each; the others. */
enum { COUNTS = 2, RUN_MAX = UINT8_MAX, WORDS = sizeof(struct identity_state) / 8 };

static_assert(sizeof(struct identity_state) % 8 == 0, "it consists of words");

static uint64_t word_at(const struct identity_state *state, size_t at)
{
    uint64_t word;

    memcpy(&word, (const char *)state + at * sizeof word, sizeof word);
    return word;
}

static size_t zeros_at(const struct identity_state *state, size_t at)
{
    const size_t most = at + RUN_MAX < WORDS ? at + RUN_MAX : WORDS;
    size_t end = at;

    while (end + 4 <= most &&
           (word_at(state, end) | word_at(state, end + 1) | word_at(state, end + 2) |
            word_at(state, end + 3)) == 0) {
        end += 4;
    }
    while (end < most && word_at(state, end) == 0) {
        end++;
    }
    return end - at;
}

static size_t others_at(const struct identity_state *state, size_t at)
{
    const size_t most = at + RUN_MAX < WORDS ? at + RUN_MAX : WORDS;
    size_t end = at;

    while (end < most && word_at(state, end) != 0) {
        end++;
    }
    return end - at;
}

size_t state_pack(const struct identity_state *state,
                  unsigned char packed[STATE_PACKED_MAX])
{
    size_t at = 0, length = 0;

    while (at < WORDS) {
        size_t zeros = zeros_at(state, at);
        size_t others = others_at(state, at + zeros);

        packed[length] = (unsigned char)zeros;
        packed[length + 1] = (unsigned char)others;
        memcpy(packed + length + COUNTS, (const char *)state + (at + zeros) * 8,
               others * 8);
        length += COUNTS + others * 8;
        at += zeros + others;
    }
    return length;
}

/* Places in rings that lead out of them would be followed. */
static bool is_legal(const struct identity_state *state)
{
    bool legal = state->tombstone_head < STATE_TOMBSTONES &&
                 state->response_head < STATE_RESPONSES &&
                 state->sprint.kept <= SPRINT_WINDOWS;

    for (unsigned i = 0; i < RECALL_BANKS; i++) {
        legal =
            legal && state->shapes_heads[i] < STATE_SHAPES_FRESH / RECALL_BANKS &&
            state->shapes_heads[RECALL_BANKS + i] < STATE_SHAPES_KNOWN / RECALL_BANKS &&
            state->phrases_heads[i] < STATE_PHRASES_FRESH / RECALL_BANKS &&
            state->phrases_heads[RECALL_BANKS + i] < STATE_PHRASES_KNOWN / RECALL_BANKS;
    }
    return legal;
}

static bool unpack(struct span packed, struct identity_state *state)
{
    char *bytes = (char *)state;
    size_t at = 0;

    while (packed.len >= COUNTS) {
        size_t zeros = (unsigned char)packed.at[0] * 8U;
        size_t others = (unsigned char)packed.at[1] * 8U;

        packed = span_after(packed, COUNTS);
        if (others > packed.len || zeros + others > sizeof *state - at) {
            return false;
        }
        memset(bytes + at, 0, zeros);
        memcpy(bytes + at + zeros, packed.at, others);
        packed = span_after(packed, others);
        at += zeros + others;
    }
    return packed.len == 0 && at == sizeof *state;
}

bool state_unpack(struct span packed, struct identity_state *state)
{
    if (unpack(packed, state) && is_legal(state)) {
        return true;
    }
    identity_state_init(state, 0);
    return false;
}

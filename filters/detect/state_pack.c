#include "filters/detect/state_pack.h"

#include <string.h>

/* Runs of words of 8 bytes: how many zeros, how many others, a byte each; the others. */
enum { COUNTS = 2, RUN_MAX = UINT8_MAX, WORDS = sizeof(struct identity_state) / 8 };

static_assert(sizeof(struct identity_state) % 8 == 0, "it consists of words");

static size_t run_at(const uint64_t *words, size_t at, bool zeros)
{
    size_t end = at;

    while (end < WORDS && end - at < RUN_MAX && (words[end] == 0) == zeros) {
        end++;
    }
    return end - at;
}

size_t state_pack(const struct identity_state *state,
                  unsigned char packed[STATE_PACKED_MAX])
{
    uint64_t words[WORDS];
    size_t at = 0, length = 0;

    memcpy(words, state, sizeof words);
    while (at < WORDS) {
        size_t zeros = run_at(words, at, true);
        size_t others = run_at(words, at + zeros, false);

        packed[length] = (unsigned char)zeros;
        packed[length + 1] = (unsigned char)others;
        memcpy(packed + length + COUNTS, &words[at + zeros], others * 8);
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

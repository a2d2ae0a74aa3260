#include "filters/detect/state_pack.h"

#include <string.h>

/* A bit for every word of 8 bytes: is it zero? Then those that are not. */
enum { WORD = 8, WORDS = sizeof(struct identity_state) / WORD, BITS = (WORDS + 7) / 8 };

static_assert(sizeof(struct identity_state) % WORD == 0, "it consists of words");
static_assert(STATE_PACKED_MAX >= sizeof(struct identity_state) + BITS, "it fits");

static uint64_t word_at(const struct identity_state *state, size_t at)
{
    uint64_t word;

    memcpy(&word, (const char *)state + at * WORD, WORD);
    return word;
}

size_t state_pack(const struct identity_state *state,
                  unsigned char packed[STATE_PACKED_MAX])
{
    size_t length = BITS;

    memset(packed, 0, BITS);
    for (size_t at = 0; at < WORDS; at++) {
        uint64_t word = word_at(state, at);

        if (word != 0) {
            packed[at / 8] = (unsigned char)(packed[at / 8] | 1U << at % 8);
            memcpy(packed + length, &word, WORD);
            length += WORD;
        }
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
    struct span words;

    if (packed.len < BITS) {
        return false;
    }
    memset(state, 0, sizeof *state);
    words = span_after(packed, BITS);
    for (size_t i = 0; i < BITS; i++) {
        for (unsigned bits = (unsigned char)packed.at[i]; bits != 0; bits &= bits - 1) {
            size_t at = i * 8 + (unsigned)__builtin_ctz(bits);

            if (at >= WORDS || words.len < WORD) {
                return false;
            }
            memcpy((char *)state + at * WORD, words.at, WORD);
            words = span_after(words, WORD);
        }
    }
    return words.len == 0;
}

bool state_unpack(struct span packed, struct identity_state *state)
{
    if (unpack(packed, state) && is_legal(state)) {
        return true;
    }
    identity_state_init(state, 0);
    return false;
}

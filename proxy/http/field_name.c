#include "proxy/http/head.h"

/* Names share a slot by length, first and last letter; a slot's names form a chain.
 * The chains are made once, before main(), from field_name.def. */
enum { SLOTS = 64 };

static const struct span names[FIELD_NAME_COUNT] = {
#define FIELD(identifier, text) [FIELD_##identifier] = { text, sizeof(text) - 1 },
#include "proxy/http/field_name.def"
#undef FIELD
};

static uint8_t first_in_slot[SLOTS]; /* FIELD_OTHER ends a chain */
static uint8_t next_in_slot[FIELD_NAME_COUNT];

_Static_assert(FIELD_NAME_COUNT <= UINT8_MAX, "the chains hold uint8_t");

/* Lower case of a letter; digits and '-' stay, and no other token character becomes one
 * of these. */
static unsigned folded(char c)
{
    return (unsigned char)c | 0x20u;
}

static size_t slot_of(struct span name)
{
    return (name.len + 7 * folded(name.at[0]) + 5 * folded(name.at[name.len - 1])) %
           SLOTS;
}

static __attribute__((constructor)) void make_chains(void)
{
    for (unsigned id = FIELD_OTHER + 1; id < FIELD_NAME_COUNT; id++) {
        size_t slot = slot_of(names[id]);

        next_in_slot[id] = first_in_slot[slot];
        first_in_slot[slot] = (uint8_t)id;
    }
}

static bool is_name(struct span name, struct span lower_case)
{
    if (name.len != lower_case.len) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (folded(name.at[i]) != (unsigned char)lower_case.at[i]) {
            return false;
        }
    }
    return true;
}

enum field_name field_name_of(struct span name)
{
    unsigned id;

    if (name.len == 0) {
        return FIELD_OTHER;
    }
    for (id = first_in_slot[slot_of(name)]; id != FIELD_OTHER; id = next_in_slot[id]) {
        if (is_name(name, names[id])) {
            break;
        }
    }
    return (enum field_name)id;
}

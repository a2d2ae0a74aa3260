#include "proxy/analyst/grades.h"

#include <stdlib.h>

enum { NEIGHBOURS = 32 };

#define GRADE_MASK UINT64_C(7)

bool grades_init(struct grades *grades, size_t room)
{
    CHECK(room >= NEIGHBOURS && (room & (room - 1)) == 0);
    grades->mask = room - 1;
    grades->words = calloc(room, sizeof *grades->words);
    return grades->words != NULL;
}

void grades_done(struct grades *grades)
{
    free(grades->words);
    *grades = (struct grades){ 0 };
}

/* Never 0, which is a free word. */
static uint64_t name_of(uint64_t identity)
{
    uint64_t name = identity & ~GRADE_MASK;

    return name == 0 ? GRADE_MASK + 1 : name;
}

static atomic_uint_least64_t *word_at(const struct grades *grades, uint64_t identity,
                                      unsigned n)
{
    return &grades->words[((identity >> 3) + n) & grades->mask];
}

enum grade grades_of(const struct grades *grades, uint64_t identity)
{
    for (unsigned n = 0; n < NEIGHBOURS; n++) {
        uint64_t word =
            atomic_load_explicit(word_at(grades, identity, n), memory_order_relaxed);

        if (word == 0) {
            break;
        }
        if ((word & ~GRADE_MASK) == name_of(identity)) {
            return (enum grade)(word & GRADE_MASK);
        }
    }
    return GRADE_UNRATED;
}

/* The identity's own word, or a free one, or else its neighbours' with the mildest
 * grade. */
static atomic_uint_least64_t *place_of(const struct grades *grades, uint64_t identity)
{
    atomic_uint_least64_t *place = word_at(grades, identity, 0);

    for (unsigned n = 0; n < NEIGHBOURS; n++) {
        atomic_uint_least64_t *other = word_at(grades, identity, n);
        uint64_t word = atomic_load_explicit(other, memory_order_relaxed);

        if (word == 0 || (word & ~GRADE_MASK) == name_of(identity)) {
            return other;
        }
        if ((word & GRADE_MASK) <
            (atomic_load_explicit(place, memory_order_relaxed) & GRADE_MASK)) {
            place = other;
        }
    }
    return place;
}

void grades_set(struct grades *grades, uint64_t identity, enum grade grade)
{
    atomic_store_explicit(place_of(grades, identity), name_of(identity) | grade,
                          memory_order_relaxed);
}

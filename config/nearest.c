#include "config/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Longer words are not typing mistakes of ours. */
enum { WORD_LIMIT = 40 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with transpositions of neighbours counted as one edit (optimal string
 * alignment), over three rows. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][WORD_LIMIT + 1];

    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t changed = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);

            row[j] = least(changed, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

struct nearest nearest_to(const char *wanted)
{
    return (struct nearest){ .wanted = wanted, .distance = SIZE_MAX };
}

void nearest_offer(struct nearest *nearest, const char *word)
{
    size_t wanted_len = strlen(nearest->wanted);
    size_t word_len = strlen(word);
    size_t longer = wanted_len > word_len ? wanted_len : word_len;
    size_t distance;

    if (wanted_len == 0 || wanted_len > WORD_LIMIT || word_len > WORD_LIMIT) {
        return;
    }
    distance = edit_distance(nearest->wanted, wanted_len, word, word_len);
    /* Beyond a third of its letters, a word is another word; with every letter changed,
     * nothing of it is left to be near to. */
    if (distance < nearest->distance && distance <= (longer < 3 ? 1 : longer / 3) &&
        distance < wanted_len) {
        nearest->distance = distance;
        nearest->word = word;
    }
}

void nearest_offer_all(struct nearest *nearest, const char *const *words)
{
    for (; *words != NULL; words++) {
        nearest_offer(nearest, *words);
    }
}

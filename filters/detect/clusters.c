#include "filters/detect/clusters.h"

#include "filters/detect/length.h"
#include "filters/detect/reference.h"

#include <string.h>

enum { ESTABLISHED = 8 }; /* turns; more earn no further protection */

static const uint32_t no_shingle = UINT32_MAX;

static unsigned bottom_count(const uint32_t *bottom)
{
    unsigned n = 0;

    while (n < SKETCH_BOTTOM && bottom[n] != no_shingle) {
        n++;
    }
    return n;
}

/* The share of the k smallest values of the union that both have. */
static float jaccard(const uint32_t *a, const uint32_t *b)
{
    unsigned a_count = bottom_count(a), b_count = bottom_count(b);
    unsigned k = a_count > b_count ? a_count : b_count;
    unsigned i = 0, j = 0, taken = 0, both = 0;

    if (a_count == 0 || b_count == 0) {
        return 0;
    }
    for (; taken < k && (i < a_count || j < b_count); taken++) {
        if (j == b_count || (i < a_count && a[i] < b[j])) {
            i++;
        } else if (i == a_count || b[j] < a[i]) {
            j++;
        } else {
            i++;
            j++;
            both++;
        }
    }
    return (float)both / (float)taken;
}

static void bottom_of(const struct prompt_sketch *prompt, uint32_t *bottom)
{
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        bottom[i] =
            i < prompt->bottom_count ? (uint32_t)(prompt->bottom[i] >> 32) : no_shingle;
    }
}

static uint32_t strength(const struct cluster *cluster)
{
    uint32_t count = cluster->count < ESTABLISHED ? cluster->count : ESTABLISHED;

    return count << 16 | cluster->last;
}

/* A place behind the others, which stay in the order they were made: a free one, else that
 * of the weakest cluster. */
static struct cluster *new_cluster(struct identity_state *state)
{
    struct cluster *clusters = state->clusters;
    unsigned last = 0, weakest = 0;

    for (; last < STATE_CLUSTERS && clusters[last].count > 0; last++) {
        if (strength(&clusters[last]) < strength(&clusters[weakest])) {
            weakest = last;
        }
    }
    if (last == STATE_CLUSTERS) {
        last--;
        memmove(&clusters[weakest], &clusters[weakest + 1],
                (last - weakest) * sizeof(*clusters));
    }
    clusters[last] = (struct cluster){ .count = 0 };
    return &clusters[last];
}

float clusters_take(struct identity_state *state, const struct prompt_sketch *prompt)
{
    struct cluster *hit = NULL;
    uint32_t shape = (uint32_t)prompt->shape;
    uint32_t bottom[SKETCH_BOTTOM];
    float best = 0;

    bottom_of(prompt, bottom);
    for (unsigned i = 0; i < STATE_CLUSTERS; i++) {
        struct cluster *cluster = &state->clusters[i];
        float same = 0;

        if (cluster->count > 0) {
            same = cluster->shape == shape ? 1 : jaccard(cluster->bottom, bottom);
        }
        if (same > best) {
            best = same;
            hit = cluster;
        }
    }
    if (hit == NULL || best < NEAR_RESEMBLANCE) {
        hit = new_cluster(state);
        hit->shape = shape;
    }
    memcpy(hit->bottom, bottom, sizeof(bottom));
    hit->count = (uint8_t)(hit->count + (hit->count < UINT8_MAX));
    hit->octave = (uint8_t)length_octave(prompt->characters);
    hit->last = (uint16_t)state->turns;
    return best;
}

#include "filters/count/merge.h"

#include "filters/count/starts.h"
#include "proxy/base/check.h"

#include <stdlib.h>

enum {
    SMALL_MAX = 256, /* parts of a piece whose lowest rank is sought one by one */
    DEAD = INT32_MAX,
    NOWHERE = INT32_MAX,
};

/* A short piece. A part stays where its first token was. */
struct small {
    const struct ranks *ranks;
    unsigned len;
    int32_t key[SMALL_MAX]; /* rank << 8 | part, for a part and the next; or DEAD */
    uint32_t token[SMALL_MAX];
    uint16_t next[SMALL_MAX];
    uint16_t previous[SMALL_MAX + 1];
};

static int32_t small_key(uint32_t rank, unsigned part)
{
    return rank == RANK_NONE ? DEAD : (int32_t)(rank << 8 | part);
}

static void small_init(struct small *small, const struct ranks *ranks,
                       struct span piece)
{
    unsigned last;

    small->ranks = ranks;
    small->len = (unsigned)starts_of(ranks, piece, small->token);
    last = small->len - 1;
    for (unsigned i = 0; i < last; i++) {
        small->next[i] = (uint16_t)(i + 1);
        small->previous[i + 1] = (uint16_t)i;
        small->key[i] =
            small_key(ranks_join(ranks, small->token[i], small->token[i + 1]), i);
    }
    small->key[last] = DEAD;
    small->next[last] = (uint16_t)small->len;
}

static int32_t small_lowest(const struct small *small)
{
    int32_t lowest = DEAD;

    for (unsigned i = 0; i < small->len; i++) {
        lowest = small->key[i] < lowest ? small->key[i] : lowest;
    }
    return lowest;
}

/* Joins a part with the next, and looks up what the result joins with. */
static void small_join(struct small *small, unsigned part, uint32_t joined)
{
    unsigned gone = small->next[part], next = small->next[gone];
    unsigned before = small->previous[part];

    small->token[part] = joined;
    small->key[gone] = DEAD;
    small->next[part] = (uint16_t)next;
    small->previous[next] = (uint16_t)part;
    small->key[part] =
        next == small->len
            ? DEAD
            : small_key(ranks_join(small->ranks, joined, small->token[next]), part);
    if (part > 0) {
        small->key[before] = small_key(
            ranks_join(small->ranks, small->token[before], joined), before);
    }
}

static size_t small_count(const struct ranks *ranks, struct span piece)
{
    struct small small __attribute__((uninitialized));
    size_t count;
    int32_t lowest;

    small_init(&small, ranks, piece);
    count = small.len;
    lowest = small_lowest(&small);
    while (lowest != DEAD) {
        small_join(&small, (unsigned)lowest & 0xff, (uint32_t)lowest >> 8);
        count--;
        lowest = small_lowest(&small);
    }
    return count;
}

struct part {
    uint32_t token;
    uint32_t next; /* NOWHERE at the end */
    uint32_t previous;
};

/* A long piece: a list of parts and a heap of what can be joined. An entry of the heap is
 * rank << 32 | part; one whose parts have changed since is found to be stale when its turn
 * comes. */
struct large {
    const struct ranks *ranks;
    struct part *parts;
    uint64_t *heap;
    size_t heap_len;
};

static void heap_push(struct large *large, uint64_t entry)
{
    size_t at = large->heap_len++;

    while (at > 0 && large->heap[(at - 1) / 2] > entry) {
        large->heap[at] = large->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    large->heap[at] = entry;
}

static uint64_t heap_pop(struct large *large)
{
    uint64_t lowest = large->heap[0], last = large->heap[--large->heap_len];
    size_t at = 0, child = 1;

    while (child < large->heap_len) {
        child +=
            child + 1 < large->heap_len && large->heap[child + 1] < large->heap[child];
        if (last <= large->heap[child]) {
            break;
        }
        large->heap[at] = large->heap[child];
        at = child;
        child = 2 * at + 1;
    }
    large->heap[at] = last;
    return lowest;
}

/* What a part and the next join to. */
static uint32_t large_joined(const struct large *large, uint32_t part)
{
    uint32_t next = large->parts[part].next;

    return next == NOWHERE ? RANK_NONE
                           : ranks_join(large->ranks, large->parts[part].token,
                                        large->parts[next].token);
}

static void large_offer(struct large *large, uint32_t part)
{
    uint32_t rank = large_joined(large, part);

    if (rank != RANK_NONE) {
        heap_push(large, (uint64_t)rank << 32 | part);
    }
}

/* At most one entry per pair of neighbours at the begin, and two more for each join: 2 n. */
static void large_init(struct large *large, const struct ranks *ranks,
                       struct span piece)
{
    uint32_t len = (uint32_t)piece.len;

    large->ranks = ranks;
    large->parts = malloc(len * sizeof(large->parts[0]));
    large->heap = malloc(2 * len * sizeof(large->heap[0]));
    CHECK(large->parts != NULL && large->heap != NULL);
    large->heap_len = 0;
    for (uint32_t i = 0; i < len; i++) {
        large->parts[i].token = ranks->byte[(unsigned char)piece.at[i]];
        large->parts[i].next = i + 1 < len ? i + 1 : NOWHERE;
        large->parts[i].previous = i > 0 ? i - 1 : NOWHERE;
    }
    for (uint32_t i = 0; i < len; i++) {
        large_offer(large, i);
    }
}

static void large_join(struct large *large, uint32_t at, uint32_t joined)
{
    struct part *part = &large->parts[at];
    struct part *gone = &large->parts[part->next];

    part->token = joined;
    part->next = gone->next;
    gone->token = RANK_NONE; /* joins with nothing */
    if (part->next != NOWHERE) {
        large->parts[part->next].previous = at;
        large_offer(large, at);
    }
    if (part->previous != NOWHERE) {
        large_offer(large, part->previous);
    }
}

static size_t large_count(const struct ranks *ranks, struct span piece)
{
    struct large large;
    size_t count = piece.len;

    large_init(&large, ranks, piece);
    while (large.heap_len > 0) {
        uint64_t lowest = heap_pop(&large);
        uint32_t part = (uint32_t)lowest, joined = (uint32_t)(lowest >> 32);

        if (large_joined(&large, part) == joined) {
            large_join(&large, part, joined);
            count--;
        }
    }
    free(large.parts);
    free(large.heap);
    return count;
}

size_t merge_count(const struct ranks *ranks, struct span piece)
{
    return piece.len <= SMALL_MAX ? small_count(ranks, piece)
                                  : large_count(ranks, piece);
}

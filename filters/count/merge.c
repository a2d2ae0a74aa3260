#include "filters/count/merge.h"

#include "filters/count/starts.h"
#include "proxy/base/check.h"

#include <stdlib.h>

enum {
    SMALL_MAX = 256, /* parts of a piece whose lowest rank is sought one by one */
    LANES = 16,      /* such pieces that are worked on side by side */
    BLOCK = 8,       /* parts that are looked at together */
    DEAD = INT32_MAX,
    NOWHERE = INT32_MAX,
    EVERYWHERE = INT32_MAX - 1,
};

/* A short piece on its way. A part stays where its first token was. */
struct lane {
    unsigned len;           /* parts at the begin */
    unsigned count;         /* parts now */
    unsigned chosen;        /* the part that was just joined with its next */
    int32_t key[SMALL_MAX]; /* rank << 8 | part, for a part and the next; or DEAD */
    uint32_t token[SMALL_MAX];
    uint16_t next[SMALL_MAX];
    uint16_t previous[SMALL_MAX + 1];
};

static int32_t lane_key(uint32_t rank, unsigned part)
{
    return rank == RANK_NONE ? DEAD : (int32_t)(rank << 8 | part);
}

static bool is_ascii(struct span text)
{
    unsigned char all = 0;

    for (size_t i = 0; i < text.len; i++) {
        all |= (unsigned char)text.at[i];
    }
    return all < 0x80;
}

/* The tokens that ASCII begins as are its bytes. */
static void lane_begin_ascii(struct lane *lane, const struct ranks *ranks,
                             struct span piece)
{
    const unsigned char *bytes = (const unsigned char *)piece.at;

    lane->len = (unsigned)piece.len;
    for (unsigned i = 0; i < lane->len; i++) {
        lane->token[i] = ranks->byte[bytes[i]];
    }
    for (unsigned i = 0; i + 1 < lane->len; i++) {
        lane->key[i] =
            lane_key(ranks->byte_pair[(size_t)bytes[i] << 8 | bytes[i + 1]], i);
    }
    lane->chosen = NOWHERE;
}

static void lane_begin_any(struct lane *lane, const struct ranks *ranks,
                           struct span piece)
{
    lane->len = (unsigned)starts_of(ranks, piece, lane->token);
    for (unsigned i = 0; i + 1 < lane->len; i++) {
        ranks_expect_join(ranks, lane->token[i], lane->token[i + 1]);
    }
    lane->chosen = EVERYWHERE;
}

static void lane_begin(struct lane *lane, const struct ranks *ranks, struct span piece)
{
    if (is_ascii(piece)) {
        lane_begin_ascii(lane, ranks, piece);
    } else {
        lane_begin_any(lane, ranks, piece);
    }
    lane->count = lane->len;
    for (unsigned i = 0; i < lane->len; i++) {
        lane->next[i] = (uint16_t)(i + 1);
        lane->previous[i + 1] = (uint16_t)i;
    }
    for (unsigned i = lane->len - 1; i == lane->len - 1 || i % BLOCK != 0; i++) {
        lane->key[i] = DEAD;
    }
}

/* Four keys. */
struct keys {
    int32_t at __attribute__((vector_size(16)));
};

static struct keys keys_load(const int32_t *from)
{
    struct keys keys;

    memcpy(&keys, from, sizeof(keys));
    return keys;
}

static struct keys keys_lower(struct keys a, struct keys b)
{
    int32_t is_lower __attribute__((vector_size(16))) = a.at < b.at;

    return (struct keys){ (a.at & is_lower) | (b.at & ~is_lower) };
}

static int32_t lane_lowest(const struct lane *lane)
{
    struct keys low = keys_load(lane->key), high = keys_load(lane->key + BLOCK / 2);
    int32_t a, b;

    for (unsigned i = BLOCK; i < lane->len; i += BLOCK) {
        low = keys_lower(low, keys_load(lane->key + i));
        high = keys_lower(high, keys_load(lane->key + i + BLOCK / 2));
    }
    low = keys_lower(low, high);
    a = low.at[0] < low.at[1] ? low.at[0] : low.at[1];
    b = low.at[2] < low.at[3] ? low.at[2] : low.at[3];
    return a < b ? a : b;
}

/* Joins the two parts of the lowest rank, if there are two that can be joined. */
static bool lane_join(struct lane *lane, const struct ranks *ranks)
{
    int32_t lowest = lane_lowest(lane);
    unsigned part = (unsigned)lowest & 0xff, gone, next;

    if (lowest == DEAD) {
        return false;
    }
    gone = lane->next[part];
    next = lane->next[gone];
    lane->token[part] = (uint32_t)lowest >> 8;
    lane->key[gone] = DEAD;
    lane->next[part] = (uint16_t)next;
    lane->previous[next] = (uint16_t)part;
    lane->chosen = part;
    lane->count--;
    if (next < lane->len) {
        ranks_expect_join(ranks, lane->token[part], lane->token[next]);
    }
    if (part > 0) {
        ranks_expect_join(ranks, lane->token[lane->previous[part]], lane->token[part]);
    }
    return true;
}

static void lane_look_everywhere(struct lane *lane, const struct ranks *ranks)
{
    for (unsigned i = 0; i + 1 < lane->len; i++) {
        lane->key[i] =
            lane_key(ranks_join(ranks, lane->token[i], lane->token[i + 1]), i);
    }
}

/* Looks up what the new part joins with. */
static void lane_look_around(struct lane *lane, const struct ranks *ranks)
{
    unsigned part = lane->chosen, next = lane->next[part];
    unsigned before = lane->previous[part];
    uint32_t token = lane->token[part];

    lane->key[part] = next < lane->len
                          ? lane_key(ranks_join(ranks, token, lane->token[next]), part)
                          : DEAD;
    if (part > 0) {
        lane->key[before] =
            lane_key(ranks_join(ranks, lane->token[before], token), before);
    }
}

static void lane_look(struct lane *lane, const struct ranks *ranks)
{
    if (lane->chosen == EVERYWHERE) {
        lane_look_everywhere(lane, ranks);
    } else if (lane->chosen != NOWHERE) {
        lane_look_around(lane, ranks);
    }
}

/* The pieces that are waiting for a lane. */
struct queue {
    const struct span *pieces;
    size_t len;
};

struct part {
    uint32_t token;
    uint32_t next; /* NOWHERE at the end */
    uint32_t previous;
};

/* A long piece: a list of parts and a heap of what can be joined. An entry of the heap
 * is rank << 32 | part; one whose parts have changed since is found to be stale when
 * its turn comes. */
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

/* At most one entry per pair of neighbours at the begin, and two more for each
 * join: 2 n. */
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

/* The next short piece; long ones are counted on the way. */
static bool next_short(struct queue *queue, const struct ranks *ranks,
                       struct span *piece, size_t *count)
{
    while (queue->len > 0) {
        *piece = *queue->pieces++;
        queue->len--;
        if (piece->len <= SMALL_MAX) {
            return true;
        }
        *count += large_count(ranks, *piece);
    }
    return false;
}

/* Nearly all time goes into waiting for memory, so several pieces wait together. */
size_t merge_count(const struct ranks *ranks, const struct span *pieces, size_t len)
{
    struct lane lanes[LANES] __attribute__((uninitialized));
    struct lane *busy[LANES];
    struct queue queue = { pieces, len };
    struct span piece;
    size_t count = 0, lane = 0;

    while (lane < LANES && next_short(&queue, ranks, &piece, &count)) {
        busy[lane] = &lanes[lane];
        lane_begin(busy[lane++], ranks, piece);
    }
    for (size_t in_use = lane; in_use > 0;) {
        for (lane = 0; lane < in_use; lane++) {
            lane_look(busy[lane], ranks);
        }
        for (lane = 0; lane < in_use;) {
            if (lane_join(busy[lane], ranks)) {
                lane++;
                continue;
            }
            count += busy[lane]->count;
            if (next_short(&queue, ranks, &piece, &count)) {
                lane_begin(busy[lane++], ranks, piece);
            } else {
                busy[lane] = busy[--in_use];
            }
        }
    }
    return count;
}

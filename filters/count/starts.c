#include "filters/count/starts.h"

#include "proxy/base/check.h"

#include <stdlib.h>

/* What the tokens that reach over the edge of a character do, by the bytes next to the
 * edge: one, or two as first << 8 | second. */
struct starts_maker {
    const struct ranks *ranks;
    uint32_t *starts;
    uint32_t begin_lost[256]; /* the lowest rank that takes this unfinished begin */
    uint32_t end_lost[256];
    uint32_t begin_lost_two[0x10000];
    uint32_t end_lost_two[0x10000];
    bool takes_next[256]; /* the end of a character */
    bool takes_previous[256];
    bool takes_next_two[0x10000];
    bool takes_previous_two[0x10000];
};

/* How a character's bytes join on their own. RANK_NONE: they do not. */
struct joints {
    uint32_t first; /* the first two bytes */
    uint32_t last;  /* the last two */
    uint32_t whole;
};

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Of a character, by its first byte. */
static size_t width_of(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static size_t two(const unsigned char *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* The code point of a character of at most three bytes. */
static size_t point_of(const unsigned char *at, size_t width)
{
    if (width == 1) {
        return at[0];
    }
    return width == 2 ? (at[0] & 0x1fU) << 6 | (at[1] & 0x3fU)
                      : (at[0] & 0xfU) << 12 | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU);
}

static void lower(uint32_t *value, uint32_t rank)
{
    *value = rank < *value ? rank : *value;
}

/* The bytes of x lie before the edge. */
static void note_takes_next(struct starts_maker *maker, const unsigned char *x,
                            size_t len)
{
    size_t tail = 1;

    while (tail < len && tail < 4 && continues(x[len - tail])) {
        tail++;
    }
    x += len - tail;
    if (!continues(x[0])) {
        if (tail == width_of(x[0]) && tail <= 3) {
            maker->starts[point_of(x, tail)] |= START_TAKES_NEXT;
        }
    } else if (tail == 1) {
        maker->takes_next[x[0]] = true;
    } else if (tail == 2) {
        maker->takes_next_two[two(x)] = true;
    }
}

/* The bytes of y lie behind the edge. */
static void note_takes_previous(struct starts_maker *maker, const unsigned char *y,
                                size_t len)
{
    size_t width = width_of(y[0]);

    if (len >= width) {
        if (width <= 3) {
            maker->starts[point_of(y, width)] |= START_TAKES_PREVIOUS;
        }
    } else if (len == 1) {
        maker->takes_previous[y[0]] = true;
    } else if (len == 2) {
        maker->takes_previous_two[two(y)] = true;
    }
}

static bool is_end_of_character(const unsigned char *x, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!continues(x[i])) {
            return false;
        }
    }
    return true;
}

struct starts_maker *starts_maker_new(const struct ranks *ranks, uint32_t *starts)
{
    struct starts_maker *maker = calloc(1, sizeof(*maker));

    CHECK(maker != NULL);
    maker->ranks = ranks;
    maker->starts = starts;
    for (size_t i = 0; i < 256; i++) {
        maker->begin_lost[i] = maker->end_lost[i] = RANK_NONE;
    }
    for (size_t i = 0; i < 0x10000; i++) {
        maker->begin_lost_two[i] = maker->end_lost_two[i] = RANK_NONE;
    }
    return maker;
}

void starts_note(struct starts_maker *maker, struct span left, struct span right,
                 uint32_t joined)
{
    const unsigned char *x = (const unsigned char *)left.at;
    const unsigned char *y = (const unsigned char *)right.at;

    if (continues(y[0])) {
        return; /* not at the edge of a character */
    }
    if (right.len < width_of(y[0])) {
        note_takes_next(maker, x, left.len);
        if (right.len == 1) {
            lower(&maker->begin_lost[y[0]], joined);
        } else if (right.len == 2) {
            lower(&maker->begin_lost_two[two(y)], joined);
        }
    }
    if (is_end_of_character(x, left.len)) {
        note_takes_previous(maker, y, right.len);
        if (left.len == 1) {
            lower(&maker->end_lost[x[0]], joined);
        } else if (left.len == 2) {
            lower(&maker->end_lost_two[two(x)], joined);
        }
    }
}

static uint32_t edge_flags(const struct starts_maker *maker, const unsigned char *at,
                           size_t width)
{
    uint32_t flags = 0;

    if (maker->takes_next[at[width - 1]] ||
        (width == 3 && maker->takes_next_two[two(at + 1)])) {
        flags |= START_TAKES_NEXT;
    }
    if (maker->takes_previous[at[0]] ||
        (width == 3 && maker->takes_previous_two[two(at)])) {
        flags |= START_TAKES_PREVIOUS;
    }
    return flags;
}

static uint32_t two_byte_start(const struct starts_maker *maker,
                               const unsigned char *at)
{
    uint32_t rank = maker->ranks->byte_pair[two(at)];
    uint32_t start = START_ONE | rank;

    if (rank == RANK_NONE) {
        return START_BYTES;
    }
    if (maker->begin_lost[at[0]] < rank) {
        start |= START_LOSES_BEGIN;
    }
    if (maker->end_lost[at[1]] < rank) {
        start |= START_LOSES_END;
    }
    return start;
}

static struct joints joints_of(const struct ranks *ranks, const unsigned char *at)
{
    struct joints joints = { ranks->byte_pair[two(at)], ranks->byte_pair[two(at + 1)],
                             RANK_NONE };

    if (joints.first <= joints.last && joints.first != RANK_NONE) {
        joints.last = RANK_NONE; /* the first two are joined before */
        joints.whole = ranks_join(ranks, joints.first, ranks->byte[at[2]]);
    } else if (joints.last != RANK_NONE) {
        joints.first = RANK_NONE;
        joints.whole = ranks_join(ranks, ranks->byte[at[0]], joints.last);
    }
    return joints;
}

static uint32_t three_byte_start(const struct starts_maker *maker,
                                 const unsigned char *at)
{
    struct joints joints = joints_of(maker->ranks, at);
    bool is_whole = joints.whole != RANK_NONE;
    /* Until when the outer bytes, and the pairs they are joined to, are unfinished. */
    uint32_t begin_until = joints.first != RANK_NONE ? joints.first : joints.whole;
    uint32_t end_until = joints.last != RANK_NONE ? joints.last : joints.whole;
    uint32_t start;

    if (joints.first == RANK_NONE && joints.last == RANK_NONE) {
        return START_BYTES;
    }
    start = is_whole                    ? START_ONE | joints.whole
            : joints.first != RANK_NONE ? START_PAIR_LAST
                                        : START_FIRST_PAIR;
    if ((begin_until != RANK_NONE && maker->begin_lost[at[0]] < begin_until) ||
        (is_whole && maker->begin_lost_two[two(at)] < joints.whole)) {
        start |= START_LOSES_BEGIN;
    }
    if ((end_until != RANK_NONE && maker->end_lost[at[2]] < end_until) ||
        (is_whole && maker->end_lost_two[two(at + 1)] < joints.whole)) {
        start |= START_LOSES_END;
    }
    return start;
}

void starts_maker_finish(struct starts_maker *maker)
{
    for (uint32_t point = 0; point < 0x80; point++) {
        maker->starts[point] |= START_ONE | maker->ranks->byte[point];
    }
    for (uint32_t point = 0x80; point < 0x800; point++) {
        unsigned char at[] = { (unsigned char)(0xc0 | point >> 6),
                               (unsigned char)(0x80 | (point & 0x3f)) };

        maker->starts[point] |= edge_flags(maker, at, 2) | two_byte_start(maker, at);
    }
    for (uint32_t point = 0x800; point < START_POINTS; point++) {
        unsigned char at[] = { (unsigned char)(0xe0 | point >> 12),
                               (unsigned char)(0x80 | (point >> 6 & 0x3f)),
                               (unsigned char)(0x80 | (point & 0x3f)) };

        maker->starts[point] |= edge_flags(maker, at, 3) | three_byte_start(maker, at);
    }
    free(maker);
}

/* The tokens that a character begins as. */
struct parts {
    uint32_t *next;
};

static void put_bytes(struct parts *parts, const struct ranks *ranks,
                      const unsigned char *at, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        *parts->next++ = ranks->byte[at[i]];
    }
}

static void put_character(struct parts *parts, const struct ranks *ranks,
                          const unsigned char *at, size_t width, uint32_t start)
{
    switch (start & START_SHAPE) {
    case START_ONE:
        *parts->next++ = start & START_RANK;
        break;
    case START_PAIR_LAST:
        *parts->next++ = ranks->byte_pair[two(at)];
        *parts->next++ = ranks->byte[at[2]];
        break;
    case START_FIRST_PAIR:
        *parts->next++ = ranks->byte[at[0]];
        *parts->next++ = ranks->byte_pair[two(at + 1)];
        break;
    default:
        put_bytes(parts, ranks, at, width);
    }
}

static uint32_t start_at(const struct ranks *ranks, const unsigned char *at,
                         const unsigned char *end)
{
    size_t width;

    if (at == end) {
        return 0;
    }
    width = width_of(*at);
    return width > 3 ? START_BYTES | START_TAKES_NEXT | START_TAKES_PREVIOUS
                     : ranks->starts[point_of(at, width)];
}

size_t starts_of(const struct ranks *ranks, struct span piece, uint32_t *tokens)
{
    const unsigned char *at = (const unsigned char *)piece.at;
    const unsigned char *end = at + piece.len;
    struct parts parts = { tokens };
    uint32_t previous = 0, start = start_at(ranks, at, end);

    while (at < end) {
        size_t width = width_of(*at);
        uint32_t next = start_at(ranks, at + width, end);

        if ((previous & START_TAKES_NEXT && start & START_LOSES_BEGIN) ||
            (next & START_TAKES_PREVIOUS && start & START_LOSES_END)) {
            put_bytes(&parts, ranks, at, width);
        } else {
            put_character(&parts, ranks, at, width, start);
        }
        at += width;
        previous = start;
        start = next;
    }
    return (size_t)(parts.next - tokens);
}

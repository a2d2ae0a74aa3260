#include "filters/count/ranks.h"

#include "filters/count/ranks_data.h"
#include "filters/count/starts.h"
#include "proxy/base/check.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <zstd.h>

enum { COLUMNS = 6, HUGE_PAGE = 2 << 20, REGION_SIZE = 16 << 20 };

/* How large the tables of an encoding are: three quarters full, pairs 38 %, so that
 * asking for one that does not exist, the usual case, ends soon. */
struct plan {
    const char *data;
    const char *data_end;
    uint32_t count;
    unsigned key_bits;
    unsigned long_bits;
    unsigned bucket_bits;
};

/* All tokens spelled out, while the tables are made. */
struct spelled {
    const struct plan *plan;
    char *bytes;
    uint32_t *begin; /* [count + 1] */
    char *unpacked;
};

/* Address space for the tables of one encoding; what is not used costs nothing. */
struct region {
    char *at;
    size_t left;
};

/* The tables of one encoding, writable. */
struct tables {
    struct token_key *keys;
    uint32_t *longs;
    char *spelling;
    size_t spelling_len;
    uint64_t *pairs;
    uint32_t *byte_pair;
    uint32_t *byte;
    uint32_t *starts;
};

static const struct plan plans[] = {
    [RANKS_CL100K] = { ranks_cl100k_data, ranks_cl100k_data_end, 100256, 17, 12, 16 },
    [RANKS_O200K] = { ranks_o200k_data, ranks_o200k_data_end, 199998, 18, 13, 17 },
};

static struct ranks loaded[sizeof(plans) / sizeof(plans[0])];

static size_t slots(unsigned bits)
{
    return (size_t)1 << bits;
}

/* Zeroed memory for good, in huge pages where the kernel has them. */
static struct region region_new(void)
{
    char *at = mmap(NULL, REGION_SIZE + HUGE_PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    CHECK(at != MAP_FAILED);
    at += -(uintptr_t)at % HUGE_PAGE;
    (void)madvise(at, REGION_SIZE, MADV_HUGEPAGE);
    return (struct region){ at, REGION_SIZE };
}

static void *region_take(struct region *region, size_t size)
{
    char *at = region->at;

    CHECK(size <= region->left);
    region->at += size;
    region->left -= size;
    return at;
}

static void *scratch(size_t size)
{
    void *memory = malloc(size);

    CHECK(memory != NULL);
    return memory;
}

static uint32_t half(const struct spelled *spelled, uint32_t rank, unsigned side)
{
    const unsigned char *at = (const unsigned char *)spelled->unpacked + 256;
    size_t rows = spelled->plan->count - 256;

    at += rows * 3 * side + (rank - 256);
    return (uint32_t)at[0] << 16 | (uint32_t)at[rows] << 8 | at[2 * rows];
}

static struct span spelling(const struct spelled *spelled, uint32_t rank)
{
    return span_of(spelled->bytes + spelled->begin[rank],
                   spelled->begin[rank + 1] - spelled->begin[rank]);
}

static void unpack(struct spelled *spelled)
{
    const struct plan *plan = spelled->plan;
    size_t size = 256 + (size_t)(plan->count - 256) * COLUMNS;

    spelled->unpacked = scratch(size);
    CHECK(ZSTD_decompress(spelled->unpacked, size, plan->data,
                          (size_t)(plan->data_end - plan->data)) == size);
}

static void spell_all(struct spelled *spelled)
{
    const struct plan *plan = spelled->plan;
    size_t cap = (size_t)plan->count * 10; /* tokens have 7 to 8 bytes on average */
    uint32_t at = 256;

    spelled->bytes = scratch(cap);
    spelled->begin = scratch((plan->count + 1) * sizeof(spelled->begin[0]));
    memcpy(spelled->bytes, spelled->unpacked, 256);
    for (uint32_t rank = 0; rank <= 256; rank++) {
        spelled->begin[rank] = rank;
    }
    for (uint32_t rank = 256; rank < plan->count; rank++) {
        for (unsigned side = 0; side < 2; side++) {
            uint32_t part = half(spelled, rank, side);
            struct span bytes;

            CHECK(part < rank);
            bytes = spelling(spelled, part);
            CHECK(at + bytes.len <= cap);
            memcpy(spelled->bytes + at, bytes.at, bytes.len);
            at += (uint32_t)bytes.len;
        }
        spelled->begin[rank + 1] = at;
    }
}

static void add_key(struct tables *tables, const struct plan *plan, struct span token)
{
    struct token_key key = { 0, 0 };
    size_t slot;

    memcpy(&key, token.at, token.len);
    key.low = le64toh(key.low);
    key.high = le64toh(key.high) | (uint64_t)token.len << 56;
    slot = ranks_hash(ranks_fold(key), 64 - plan->key_bits);
    while (tables->keys[slot].high != 0) {
        slot = (slot + 1) & (slots(plan->key_bits) - 1);
    }
    tables->keys[slot] = key;
}

/* A hash of the length and of 16 bytes: long tokens are mostly runs
 * of one character. */
static uint64_t long_word(struct span token)
{
    uint64_t first, last;

    memcpy(&first, token.at, sizeof(first));
    memcpy(&last, token.at + token.len - sizeof(last), sizeof(last));
    return ranks_fold((struct token_key){ first + token.len, last });
}

static void add_long(struct tables *tables, const struct plan *plan, struct span token)
{
    size_t slot = ranks_hash(long_word(token), 64 - plan->long_bits);

    CHECK(token.len <= TOKEN_MAX);
    while (tables->longs[slot] != 0) {
        slot = (slot + 1) & (slots(plan->long_bits) - 1);
    }
    tables->longs[slot] = (uint32_t)tables->spelling_len + 1;
    tables->spelling[tables->spelling_len] = (char)token.len;
    memcpy(tables->spelling + tables->spelling_len + 1, token.at, token.len);
    tables->spelling_len += 1 + token.len;
}

static void add_token(struct tables *tables, const struct plan *plan, struct span token)
{
    if (token.len <= KEY_TOKEN_MAX) {
        add_key(tables, plan, token);
    } else {
        add_long(tables, plan, token);
    }
}

static void add_pair(struct tables *tables, const struct plan *plan, uint32_t left,
                     uint32_t right, uint32_t joined)
{
    uint64_t pair = ranks_pair(left, right);
    size_t slot = ranks_hash(pair, 64 - plan->bucket_bits) * PAIR_BUCKET;

    /* A bucket is filled from its begin, and the next one when it is full. */
    while (tables->pairs[slot] != 0) {
        slot = (slot + 1) & (slots(plan->bucket_bits) * PAIR_BUCKET - 1);
    }
    tables->pairs[slot] = pair << RANK_BITS | joined;
}

static void fill(struct tables *tables, const struct spelled *spelled)
{
    const struct plan *plan = spelled->plan;

    for (size_t i = 0; i < 0x10000; i++) {
        tables->byte_pair[i] = RANK_NONE;
    }
    for (uint32_t rank = 0; rank < plan->count; rank++) {
        struct span token = spelling(spelled, rank);

        add_token(tables, plan, token);
        if (rank < 256) {
            tables->byte[(unsigned char)token.at[0]] = rank;
        } else {
            add_pair(tables, plan, half(spelled, rank, 0), half(spelled, rank, 1),
                     rank);
        }
        if (token.len == 2) {
            tables->byte_pair[(size_t)(unsigned char)token.at[0] << 8 |
                              (unsigned char)token.at[1]] = rank;
        }
    }
}

/* The bytes that the long tokens and their lengths take. */
static size_t long_size(const struct spelled *spelled)
{
    size_t size = 0;

    for (uint32_t rank = 0; rank < spelled->plan->count; rank++) {
        size_t len = spelling(spelled, rank).len;

        size += len > KEY_TOKEN_MAX ? 1 + len : 0;
    }
    return size;
}

/* The largest alignment first. */
static struct tables tables_new(const struct spelled *spelled)
{
    const struct plan *plan = spelled->plan;
    struct region region = region_new();
    struct tables tables = { .spelling_len = 0 };

    tables.keys = region_take(&region, slots(plan->key_bits) * sizeof(tables.keys[0]));
    tables.pairs = region_take(&region, slots(plan->bucket_bits) * PAIR_BUCKET *
                                            sizeof(tables.pairs[0]));
    tables.longs =
        region_take(&region, slots(plan->long_bits) * sizeof(tables.longs[0]));
    tables.byte_pair = region_take(&region, 0x10000 * sizeof(tables.byte_pair[0]));
    tables.byte = region_take(&region, 256 * sizeof(tables.byte[0]));
    tables.starts = region_take(&region, START_POINTS * sizeof(tables.starts[0]));
    tables.spelling = region_take(&region, long_size(spelled));
    return tables;
}

static void fill_starts(const struct ranks *ranks, uint32_t *starts,
                        const struct spelled *spelled)
{
    struct starts_maker *maker = starts_maker_new(ranks, starts);

    for (uint32_t rank = 256; rank < spelled->plan->count; rank++) {
        starts_note(maker, spelling(spelled, half(spelled, rank, 0)),
                    spelling(spelled, half(spelled, rank, 1)), rank);
    }
    starts_maker_finish(maker);
}

static void load(enum ranks_name name)
{
    const struct plan *plan = &plans[name];
    struct spelled spelled = { .plan = plan };
    struct tables tables;

    unpack(&spelled);
    spell_all(&spelled);
    tables = tables_new(&spelled);
    fill(&tables, &spelled);
    loaded[name] = (struct ranks){
        .keys = tables.keys,
        .longs = tables.longs,
        .spelling = tables.spelling,
        .pairs = tables.pairs,
        .byte_pair = tables.byte_pair,
        .byte = tables.byte,
        .starts = tables.starts,
        .key_shift = 64 - plan->key_bits,
        .long_shift = 64 - plan->long_bits,
        .pair_shift = 64 - plan->bucket_bits,
    };
    fill_starts(&loaded[name], tables.starts, &spelled);
    free(spelled.unpacked);
    free(spelled.bytes);
    free(spelled.begin);
}

static atomic_bool ready[2];

static void load_cl100k(void)
{
    load(RANKS_CL100K);
    atomic_store_explicit(&ready[RANKS_CL100K], true, memory_order_release);
}

static void load_o200k(void)
{
    load(RANKS_O200K);
    atomic_store_explicit(&ready[RANKS_O200K], true, memory_order_release);
}

const struct ranks *ranks_of(enum ranks_name name)
{
    static pthread_once_t cl100k = PTHREAD_ONCE_INIT, o200k = PTHREAD_ONCE_INIT;

    if (name == RANKS_CL100K) {
        CHECK(pthread_once(&cl100k, load_cl100k) == 0);
    } else {
        CHECK(pthread_once(&o200k, load_o200k) == 0);
    }
    return &loaded[name];
}

static void *load_apart(void *name)
{
    (void)ranks_of((enum ranks_name)(uintptr_t)name);
    return NULL;
}

bool ranks_loaded(enum ranks_name name)
{
    return atomic_load_explicit(&ready[name], memory_order_acquire);
}

bool ranks_ready(enum ranks_name name)
{
    static atomic_flag begun[2] = { ATOMIC_FLAG_INIT, ATOMIC_FLAG_INIT };
    pthread_t thread;

    if (ranks_loaded(name)) {
        return true;
    }
    if (!atomic_flag_test_and_set_explicit(&begun[name], memory_order_relaxed)) {
        if (pthread_create(&thread, NULL, load_apart, (void *)(uintptr_t)name) == 0) {
            pthread_detach(thread);
        } else {
            atomic_flag_clear_explicit(&begun[name], memory_order_relaxed);
        }
    }
    return false;
}

bool ranks_has_long(const struct ranks *ranks, struct span token)
{
    size_t mask = SIZE_MAX >> ranks->long_shift;
    size_t slot = ranks_hash(long_word(token), ranks->long_shift);

    for (; ranks->longs[slot] != 0; slot = (slot + 1) & mask) {
        const char *known = ranks->spelling + ranks->longs[slot] - 1;

        if (span_equal(token, span_of(known + 1, (unsigned char)*known))) {
            return true;
        }
    }
    return false;
}

#include "proxy/meter/once.h"

#include "proxy/base/clock.h"
#include "proxy/meter/ledger.h"

#include <stdatomic.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A place is written by whoever took it out of PLACE_FREE or PLACE_AWAITED, and read by
 * whoever did that next. */
enum place_state { PLACE_FREE, PLACE_AWAITED, PLACE_TAKEN };

enum { WAYS = 16, SETS = ONCE_OBJECTS / WAYS };

/* What is kept of the call that made an object: what decides which quotas were charged
 * with how much ... */
#define CHARGE_FIELDS(FIELD)                                                           \
    FIELD(started_ns)                                                                  \
    FIELD(reserved_input)                                                              \
    FIELD(reserved_output)                                                             \
    FIELD(response_model)                                                              \
    FIELD(provider)                                                                    \
    FIELD(tool)                                                                        \
    FIELD(mode)                                                                        \
    FIELD(session)                                                                     \
    FIELD(service_tier)                                                                \
    FIELD(grade)

/* ... and who pays. */
#define PAYER_FIELDS(FIELD)                                                            \
    FIELD(team)                                                                        \
    FIELD(caller)                                                                      \
    FIELD(key)                                                                         \
    FIELD(tags)                                                                        \
    FIELD(request_model)                                                               \
    FIELD(service)

#define MEMBER(field) __typeof__(((struct entry *)NULL)->field) field;
#define COPY(field)   memcpy(&to->field, &from->field, sizeof to->field);

struct maker {
    uint64_t id; /* of the call: older is smaller */
    int64_t began_s;
    CHARGE_FIELDS(MEMBER)
    PAYER_FIELDS(MEMBER)
    bool charged;
};

struct once {
    atomic_bool others; /* some object has another name */
    atomic_uchar state[ONCE_OBJECTS];
    atomic_uint_least64_t object[ONCE_OBJECTS];
    atomic_uint_least64_t other[ONCE_OBJECTS]; /* 0: none */
    struct maker maker[ONCE_OBJECTS];
};

struct once *once_new(void)
{
    struct once *once = calloc(1, sizeof *once); /* memory is taken as it is used */

    CHECK(once != NULL);
    return once;
}

struct once *once_free(struct once *once)
{
    free(once);
    return NULL;
}

uint64_t once_object(const char *provider, uint64_t id)
{
    uint64_t object = XXH3_64bits_withSeed(provider, strlen(provider), id) & INT64_MAX;

    return object != 0 ? object : 1;
}

/* ---- places ---------------------------------------------------------------------- */

static uint32_t set_of(uint64_t object)
{
    return (uint32_t)(object % SETS) * WAYS;
}

static bool is_awaited(struct once *once, uint32_t place, uint64_t object)
{
    return atomic_load_explicit(&once->state[place], memory_order_acquire) ==
               PLACE_AWAITED &&
           (atomic_load_explicit(&once->object[place], memory_order_relaxed) ==
                object ||
            atomic_load_explicit(&once->other[place], memory_order_relaxed) == object);
}

/* Where an object is awaited by its own name; ONCE_OBJECTS: nowhere. */
static uint32_t find_own(struct once *once, uint64_t object)
{
    uint32_t first = set_of(object);

    for (uint32_t place = first; place < first + WAYS; place++) {
        if (is_awaited(once, place, object)) {
            return place;
        }
    }
    return ONCE_OBJECTS;
}

/* ... or by another one, which may stand anywhere. */
static uint32_t find(struct once *once, uint64_t object)
{
    uint32_t place = find_own(once, object);

    if (place == ONCE_OBJECTS &&
        atomic_load_explicit(&once->others, memory_order_relaxed)) {
        for (place = 0; place < ONCE_OBJECTS; place++) {
            if (is_awaited(once, place, object)) {
                break;
            }
        }
    }
    return place;
}

static bool take(struct once *once, uint32_t place, enum place_state from)
{
    unsigned char state = (unsigned char)from;

    return atomic_compare_exchange_strong_explicit(&once->state[place], &state,
                                                   PLACE_TAKEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

static void give(struct once *once, uint32_t place, enum place_state to)
{
    atomic_store_explicit(&once->state[place], (unsigned char)to, memory_order_release);
}

/* A free place of the object's set, else that of the oldest; ONCE_OBJECTS if others
 * took them all in this moment. */
static uint32_t take_place(struct once *once, uint64_t object)
{
    uint32_t first = set_of(object), oldest = first;

    for (uint32_t place = first; place < first + WAYS; place++) {
        if (take(once, place, PLACE_FREE)) {
            return place;
        }
        if (__atomic_load_n(&once->maker[place].id, __ATOMIC_RELAXED) <
            __atomic_load_n(&once->maker[oldest].id, __ATOMIC_RELAXED)) {
            oldest = place;
        }
    }
    return take(once, oldest, PLACE_AWAITED) ? oldest : ONCE_OBJECTS;
}

/* ---- life ------------------------------------------------------------------------ */

static void keep_maker(struct maker *to, const struct entry *from)
{
    CHARGE_FIELDS(COPY)
    PAYER_FIELDS(COPY)
}

static void tell_payer(const struct maker *from, uint64_t object, struct entry *to)
{
    PAYER_FIELDS(COPY)
    to->object = object;
}

static void tell_charge(const struct maker *from, uint64_t object,
                        struct once_charge *charge)
{
    struct entry *to = &charge->call;

    *charge =
        (struct once_charge){ .charged = from->charged, .began_s = from->began_s };
    tell_payer(from, object, to);
    CHARGE_FIELDS(COPY)
    to->usage.reported_nanousd = -1;
}

void once_await(struct once *once, const struct entry *maker, int64_t began_s)
{
    struct maker *kept;
    uint32_t place;

    if (find_own(once, maker->object) != ONCE_OBJECTS) {
        return;
    }
    place = take_place(once, maker->object);
    if (place == ONCE_OBJECTS) {
        return;
    }
    kept = &once->maker[place];
    __atomic_store_n(&kept->id, maker->id, __ATOMIC_RELAXED);
    keep_maker(kept, maker);
    kept->began_s = began_s;
    kept->charged = false;
    atomic_store_explicit(&once->object[place], maker->object, memory_order_relaxed);
    atomic_store_explicit(&once->other[place], 0, memory_order_relaxed);
    give(once, place, PLACE_AWAITED);
}

void once_also(struct once *once, uint64_t object, uint64_t other)
{
    uint32_t place = find_own(once, object);

    if (place != ONCE_OBJECTS) {
        atomic_store_explicit(&once->others, true, memory_order_relaxed);
        atomic_store_explicit(&once->other[place], other, memory_order_relaxed);
    }
}

bool once_awaited(struct once *once, uint64_t object)
{
    return find(once, object) != ONCE_OBJECTS;
}

bool once_charged(struct once *once, const struct entry *maker)
{
    uint64_t object = maker->object;
    uint32_t place = find_own(once, object);

    if (place == ONCE_OBJECTS || !take(once, place, PLACE_AWAITED)) {
        return false;
    }
    if (atomic_load_explicit(&once->object[place], memory_order_relaxed) != object) {
        give(once, place, PLACE_AWAITED); /* it became another's in this moment */
        return false;
    }
    keep_maker(&once->maker[place], maker);
    once->maker[place].charged = true;
    give(once, place, PLACE_AWAITED);
    return true;
}

bool once_claim(struct once *once, uint64_t object, struct entry *bill,
                struct once_charge *charge)
{
    uint32_t place = find(once, object);
    const struct maker *maker;

    if (place == ONCE_OBJECTS || !take(once, place, PLACE_AWAITED)) {
        return false;
    }
    if (atomic_load_explicit(&once->object[place], memory_order_relaxed) != object &&
        atomic_load_explicit(&once->other[place], memory_order_relaxed) != object) {
        give(once, place, PLACE_AWAITED); /* it became another's in this moment */
        return false;
    }
    maker = &once->maker[place];
    tell_payer(maker, atomic_load_explicit(&once->object[place], memory_order_relaxed),
               bill);
    tell_charge(maker, bill->object, charge);
    give(once, place, PLACE_FREE);
    return true;
}

/* ---- after a restart ------------------------------------------------------------- */

static bool was_seen(const struct entry *entry)
{
    return entry->usage.known_tokens != 0;
}

/* In the order of their ids: a call that made something stands before
 * those that asked. */
static bool load_one(void *self, const struct entry *entry)
{
    struct once *once = self;
    struct once_charge charge;
    struct entry scrap;

    if (!was_seen(entry) && !entry->free) {
        once_await(once, entry, clock_seconds(entry->started_ns));
        (void)!once_charged(once, entry); /* by quota_rebuild() */
    } else if (was_seen(entry)) {
        (void)!once_claim(once, entry->object, &scrap, &charge); /* it is paid */
    }
    return true;
}

bool once_load(struct once *once, const char *directory, uint64_t unix_ns,
               struct error *error)
{
    const uint64_t past = (uint64_t)ONCE_DAYS * 86400 * NS_PER_S;
    struct ledger_query query = {
        .since_ns = unix_ns > past ? unix_ns - past : 0,
        .objects = true,
    };

    return ledger_each(directory, &query, load_one, once, error);
}

/* Many identities in bounded memory, and back from the keeper. */
#include "filters/detect/company.h"
#include "filters/detect/large_pages.h"
#include "filters/detect/state_pack.h"
#include "filters/detect/state_table.h"
#include "tests/support/resident_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEPT = 4096, SECOND = 1000 };

#define BEGIN_MS INT64_C(1772442007000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    #define IS_SANITIZED true
#elif defined(__has_feature)
    #define IS_SANITIZED __has_feature(address_sanitizer)
#else
    #define IS_SANITIZED false
#endif

static uint64_t random_state = 3;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct turn random_turn(uint64_t identity, unsigned n)
{
    struct turn turn = { .identity = identity,
                         .session = next_random() % 5 * 7919,
                         .begin_ms = BEGIN_MS + (int64_t)n * SECOND,
                         .kind = (enum turn_kind)(next_random() % 2),
                         .input_tokens = next_random() % 100000 };

    turn.end_ms = turn.begin_ms + 400;
    turn.has_prompt = turn.kind == TURN_PROMPT;
    turn.response.count = SKETCH_RESPONSE;
    turn.prompt.bottom_count = SKETCH_BOTTOM;
    turn.prompt.shape = next_random() % 4;
    turn.prompt.characters = 60;
    turn.prompt.has_words = true;
    for (unsigned i = 0; i < SKETCH_RESPONSE; i++) {
        turn.response.samples[i] = (uint32_t)next_random();
    }
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        turn.prompt.bottom[i] = next_random() % 64;
    }
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        turn.prompt.words[i] = (int8_t)(next_random() % 61 - 30);
    }
    return turn;
}

static void observe(struct identity_state *state, const struct turn *turn)
{
    static const struct company alone;

    identity_observe(state, turn, &alone, 0);
}

static void test_packing_is_lossless(void **state)
{
    static struct identity_state before, after;
    unsigned char packed[STATE_PACKED_MAX];

    (void)state;
    identity_state_init(&before, 1);
    for (unsigned n = 0; n < 400; n++) {
        struct turn turn = random_turn(1, n);
        size_t length = state_pack(&before, packed);

        assert_true(length <= sizeof packed);
        assert_true(state_unpack(span_of((char *)packed, length), &after));
        assert_memory_equal(&before, &after, sizeof before);
        observe(&before, &turn);
    }
}

/* Whatever the bytes are, what comes of them can be used. */
static void test_unpacking_survives_any_bytes(void **state)
{
    static struct identity_state unpacked;
    unsigned char packed[STATE_PACKED_MAX];
    struct identity_state some;
    size_t length;

    (void)state;
    identity_state_init(&some, 1);
    for (unsigned n = 0; n < 20; n++) {
        struct turn turn = random_turn(1, n);

        observe(&some, &turn);
    }
    length = state_pack(&some, packed);
    for (size_t cut = 0; cut < length; cut++) {
        assert_false(state_unpack(span_of((char *)packed, cut), &unpacked));
    }
    for (unsigned n = 0; n < 20000; n++) {
        size_t at = next_random() % length;
        unsigned char byte = packed[at];
        struct turn turn = random_turn(1, 30);

        packed[at] = (unsigned char)next_random();
        (void)!state_unpack(span_of((char *)packed, length), &unpacked);
        observe(&unpacked, &turn);
        packed[at] = byte;
    }
}

/* ---- the table ------------------------------------------------------------------- */

struct kept {
    uint64_t identity, number;
    size_t length;
    unsigned char packed[STATE_PACKED_MAX];
};

static struct kept kept[KEPT];

static void keep(void *self, uint64_t identity, uint64_t number, struct span packed)
{
    struct kept *place = &kept[identity % KEPT];

    (*(unsigned *)self)++;
    place->identity = identity;
    place->number = number;
    place->length = packed.len;
    memcpy(place->packed, packed.at, packed.len);
}

static bool give_back(void *self, uint64_t identity, uint64_t *number,
                      struct identity_state *state)
{
    const struct kept *place = &kept[identity % KEPT];

    (void)self;
    if (place->length == 0 || place->identity != identity) {
        return false;
    }
    *number = place->number;
    return state_unpack(span_of((const char *)place->packed, place->length), state);
}

static void observe_in(struct state_table *table, const struct turn *turn,
                       uint64_t number)
{
    static struct open_state open;

    assert_true(state_table_open(table, turn->identity, true, &open));
    assert_int_equal(open.state->identity, turn->identity);
    observe(open.state, turn);
    state_table_close(table, &open, number);
}

static void assert_same(struct state_table *table, const struct identity_state *wanted)
{
    static struct open_state open;

    assert_true(state_table_open(table, wanted->identity, false, &open));
    assert_memory_equal(open.state, wanted, sizeof *wanted);
}

/* However little memory there is: every identity's state is as if it had all of it. */
static void test_scarce_memory_loses_nothing(void **state)
{
    enum { IDENTITIES = 300, CALLS = 20000 };
    static struct identity_state wanted[IDENTITIES];
    unsigned saved = 0;
    const struct state_keeper keeper = { &saved, keep, give_back };
    uint64_t bound = 64 * 1024 + 30 * sizeof(struct identity_state);
    struct state_table *table = state_table_new(bound, &keeper);

    (void)state;
    memset(kept, 0, sizeof kept);
    for (unsigned i = 0; i < IDENTITIES; i++) {
        identity_state_init(&wanted[i], i + 1);
    }
    for (unsigned n = 0; n < CALLS; n++) {
        struct turn turn = random_turn(next_random() % IDENTITIES + 1, n);

        observe(&wanted[turn.identity - 1], &turn);
        observe_in(table, &turn, n + 1);
        assert_true(state_table_memory(table) <= bound);
    }
    assert_true(saved > 0);
    for (unsigned i = 0; i < IDENTITIES; i++) {
        assert_same(table, &wanted[i]);
    }
    state_table_free(table);
}

/* Strangers who say one thing each do not push out somebody who said much. */
static void test_noise_does_not_evict_the_established(void **state)
{
    enum { ESTABLISHED = 20, TURNS = 40, NOISE = 5000 };
    const struct state_keeper none = { NULL, NULL, NULL };
    uint64_t bound = 64 * 1024 + 60 * sizeof(struct identity_state);
    struct state_table *table = state_table_new(bound, &none);
    static struct open_state open;

    (void)state;
    for (unsigned n = 0; n < ESTABLISHED * TURNS; n++) {
        struct turn turn = random_turn(n % ESTABLISHED + 1, n);

        turn.kind = TURN_PROMPT;
        observe_in(table, &turn, n + 1);
    }
    for (unsigned n = 0; n < NOISE; n++) {
        struct turn turn = random_turn(next_random() | 1 << 20, 100000 + n);

        observe_in(table, &turn, 100000 + n);
    }
    for (uint64_t i = 1; i <= ESTABLISHED; i++) {
        assert_true(state_table_open(table, i, false, &open));
        assert_int_equal(open.state->turns, TURNS);
    }
    assert_true(state_table_memory(table) <= bound);
    state_table_free(table);
}

static void test_newcomers_are_small(void **state)
{
    enum { NEWCOMERS = 1000 };
    const struct state_keeper none = { NULL, NULL, NULL };
    struct state_table *table = state_table_new(0, &none);

    (void)state;
    for (unsigned n = 0; n < NEWCOMERS; n++) {
        struct turn turn = random_turn(next_random(), n);

        turn.kind = TURN_PROMPT;
        observe_in(table, &turn, n + 1);
    }
    assert_int_equal(state_table_count(table), NEWCOMERS);
    assert_true(state_table_memory(table) < (uint64_t)NEWCOMERS * 1024);
    state_table_free(table);
}

/* What newcomers took up serves them when they are kept whole. */
static void test_states_that_grow_leave_no_gaps(void **state)
{
    enum { IDENTITIES = 20000, CALLS = 10 };
    const struct state_keeper none = { NULL, NULL, NULL };
    uint64_t before = resident_bytes(), after;
    struct state_table *table = state_table_new(0, &none);

    (void)state;
    for (unsigned n = 0; n < IDENTITIES * CALLS; n++) {
        struct turn turn = random_turn(n % IDENTITIES + 1, n / 100);

        observe_in(table, &turn, n + 1);
    }
    after = resident_bytes();
    assert_true(state_table_memory(table) >=
                (uint64_t)IDENTITIES * sizeof(struct identity_state));
    if (!IS_SANITIZED) {
        assert_true(after - before < state_table_memory(table) + 3 * LARGE_PAGE);
    }
    state_table_free(table);
}

/* What changed is saved once, and only then. */
static void test_saving_goes_round(void **state)
{
    unsigned saved = 0;
    const struct state_keeper keeper = { &saved, keep, give_back };
    struct state_table *table = state_table_new(0, &keeper);

    (void)state;
    memset(kept, 0, sizeof kept);
    for (unsigned n = 0; n < 100; n++) {
        struct turn turn = random_turn(n % 10 + 1, n);

        observe_in(table, &turn, n + 1);
    }
    while (!state_table_save(table, 7)) {
    }
    assert_int_equal(saved, 10);
    while (!state_table_save(table, 1000)) {
    }
    assert_int_equal(saved, 10);
    state_table_free(table);
}

static void ignore(void *self, const struct finding *finding)
{
    *(uint64_t *)self += finding->turns;
}

/* Of strangers, newcomers and states that are kept whole, whatever comes of the others in
 * the meantime. */
static void test_expecting_calls_changes_nothing(void **state)
{
    enum { IDENTITIES = 40, ROUNDS = 500 };
    const struct detector_options options = {
        .threshold = 16,
        .prompts_log2 = 8,
        .samples_log2 = 8,
        .memory = 64 * 1024 + 20 * sizeof(struct identity_state),
    };
    struct detector *plain = detector_new(&options), *ahead = detector_new(&options);
    uint64_t turns[2] = { 0, 0 };

    (void)state;
    for (unsigned n = 0; n < ROUNDS; n++) {
        struct turn calls[DETECTOR_AHEAD];
        const struct turn *expected[DETECTOR_AHEAD];

        for (unsigned i = 0; i < DETECTOR_AHEAD; i++) {
            calls[i] = random_turn(next_random() % IDENTITIES + 1, n * 100 + i);
            expected[i] = &calls[i];
        }
        detector_expect(ahead, expected, n % DETECTOR_AHEAD);
        for (unsigned i = 0; i < DETECTOR_AHEAD; i++) {
            assert_true(detector_observe(plain, &calls[i], ignore, &turns[0]));
            assert_true(detector_observe(ahead, &calls[i], ignore, &turns[1]));
        }
    }
    assert_int_equal(turns[0], turns[1]);
    for (uint64_t i = 1; i <= IDENTITIES; i++) {
        const struct identity_state *a = detector_state(plain, i);
        const struct identity_state *b = detector_state(ahead, i);

        assert_true((a == NULL) == (b == NULL));
        if (a != NULL) {
            assert_memory_equal(a, b, sizeof *a);
        }
    }
    detector_free(plain);
    detector_free(ahead);
}

/* ---- long: a million identities, ten million calls ------------------------------- */

static bool is_long(void)
{
    const char *value = getenv("ASSAY_LONG");

    return value != NULL && strcmp(value, "1") == 0;
}

/* As the analyst has it. A state has one size, whatever comes; all of them
 * are in memory. */
static void test_a_million_identities_take_4_gib(void **state)
{
    enum { IDENTITIES = 1000 * 1000, CALLS = 10 * IDENTITIES };
    const struct detector_options options = { .threshold = 16,
                                              .prompts_log2 = 17,
                                              .samples_log2 = 20,
                                              .memory = UINT64_C(4000) << 20 };
    struct detector *detector;
    uint64_t turns = 0;

    (void)state;
    if (!is_long() || IS_SANITIZED) {
        skip();
    }
    detector = detector_new(&options);
    for (unsigned n = 0; n < CALLS; n++) {
        struct turn turn = random_turn(n % IDENTITIES + 1, n / 100);

        turn.identity *= UINT64_C(0x9e3779b97f4a7c15);
        assert_true(detector_observe(detector, &turn, ignore, &turns));
    }
    assert_int_equal(detector_identities(detector), IDENTITIES);
    assert_true(turns > CALLS);
    print_message("%llu MiB resident\n", (unsigned long long)(resident_bytes() >> 20));
    assert_true(resident_bytes() < UINT64_C(4) << 30);
    detector_free(detector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing_is_lossless),
        cmocka_unit_test(test_unpacking_survives_any_bytes),
        cmocka_unit_test(test_scarce_memory_loses_nothing),
        cmocka_unit_test(test_noise_does_not_evict_the_established),
        cmocka_unit_test(test_newcomers_are_small),
        cmocka_unit_test(test_states_that_grow_leave_no_gaps),
        cmocka_unit_test(test_saving_goes_round),
        cmocka_unit_test(test_expecting_calls_changes_nothing),
        cmocka_unit_test(test_a_million_identities_take_4_gib),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/base/clock.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/once.h"
#include "tests/support/remove_folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, OBJECTS = 5000 };

static struct entry maker_of(uint64_t object)
{
    struct entry maker = { .id = object, .object = object };

    text_store(maker.team, sizeof(maker.team), SPAN("red"));
    text_store(maker.caller, sizeof(maker.caller), SPAN("ana"));
    text_store(maker.request_model, sizeof(maker.request_model), SPAN("gpt-5"));
    return maker;
}

static struct once_charge charge;

static void await(struct once *once, uint64_t object)
{
    struct entry maker = maker_of(object);

    once_await(once, &maker, 77);
}

static void an_object_is_claimed_once(void **state)
{
    struct once *once = once_new();
    struct entry bill = { .id = 7 };

    (void)state;
    assert_false(once_awaited(once, 5));
    assert_false(once_claim(once, 5, &bill, &charge));
    await(once, 5);
    await(once, 5);
    assert_true(once_awaited(once, 5));
    assert_true(once_claim(once, 5, &bill, &charge));
    assert_int_equal(bill.id, 7);
    assert_int_equal(bill.object, 5);
    assert_string_equal(bill.team, "red");
    assert_string_equal(bill.caller, "ana");
    assert_string_equal(bill.request_model, "gpt-5");
    assert_false(once_awaited(once, 5));
    assert_false(once_claim(once, 5, &bill, &charge));
    once_free(once);
}

static void another_name_claims_the_same(void **state)
{
    struct once *once = once_new();
    struct entry bill = { .id = 7 };

    (void)state;
    await(once, 5);
    once_also(once, 5, 99);
    once_also(once, 6, 98); /* nobody awaits it */
    assert_true(once_awaited(once, 99));
    assert_false(once_awaited(once, 98));
    assert_true(once_claim(once, 99, &bill, &charge));
    assert_int_equal(bill.object, 5);
    assert_false(once_claim(once, 5, &bill, &charge));
    once_free(once);
}

static void providers_have_ids_of_their_own(void **state)
{
    (void)state;
    assert_true(once_object("a", 1) == once_object("a", 1));
    assert_true(once_object("a", 1) != once_object("b", 1));
    assert_true(once_object("a", 1) != once_object("a", 2));
    assert_true(once_object("a", 1) >> 63 == 0);
}

/* As many as there are places, and many more: the newest are there. */
static void the_oldest_are_given_up(void **state)
{
    const uint64_t all = 4 * (uint64_t)ONCE_OBJECTS;
    struct once *once = once_new();
    unsigned old = 0, fresh = 0;

    (void)state;
    for (uint64_t i = 1; i <= all; i++) {
        await(once, i);
    }
    for (uint64_t i = 0; i < ONCE_OBJECTS; i++) {
        old += once_awaited(once, 1 + i);
        fresh += once_awaited(once, all - i);
    }
    assert_int_equal(old, 0);
    assert_int_equal(fresh, ONCE_OBJECTS);
    once_free(once);
}

/* What stands for the answer is told with it, as the maker was when he was settled. */
static void a_charge_is_told_with_the_claim(void **state)
{
    struct once *once = once_new();
    struct entry maker = maker_of(5), bill;

    (void)state;
    await(once, 5);
    maker.reserved_input = 10;
    maker.reserved_output = 400;
    maker.started_ns = 123;
    text_store(maker.response_model, sizeof(maker.response_model), SPAN("gpt-5-big"));
    text_store(maker.session, sizeof(maker.session), SPAN("s"));
    assert_true(once_charged(once, &maker));
    assert_true(once_claim(once, 5, &bill, &charge));
    assert_true(charge.charged);
    assert_int_equal(charge.began_s, 77);
    assert_int_equal(charge.call.object, 5);
    assert_int_equal(charge.call.reserved_input, 10);
    assert_int_equal(charge.call.reserved_output, 400);
    assert_int_equal(charge.call.started_ns, 123);
    assert_string_equal(charge.call.caller, "ana");
    assert_string_equal(charge.call.response_model, "gpt-5-big");
    assert_string_equal(charge.call.session, "s");
    assert_false(once_charged(once, &maker)); /* too late: it is his to take back */
    await(once, 6);
    assert_true(once_claim(once, 6, &bill, &charge));
    assert_false(charge.charged);
    once_free(once);
}

/* ---- races ----------------------------------------------------------------------- */

struct racer {
    pthread_t thread;
    struct once *once;
    unsigned number;
    atomic_uint *claims; /* per object */
    atomic_uint *backs;  /* charges taken back */
};

static void *race(void *self)
{
    const struct racer *racer = self;

    for (uint64_t i = 1; i <= OBJECTS; i++) {
        struct entry bill = { .id = 0 }, maker = maker_of(i);
        struct once_charge own;

        if (i % THREADS == racer->number) {
            await(racer->once, i);
        }
        /* those that are there by now, from the one end and the other */
        if (once_claim(racer->once, i, &bill, &own)) {
            assert_int_equal(bill.object, i);
            atomic_fetch_add(&racer->claims[i], 1);
            atomic_fetch_add(&racer->backs[i], own.charged);
        }
        if (once_claim(racer->once, OBJECTS + 1 - i, &bill, &own)) {
            atomic_fetch_add(&racer->claims[OBJECTS + 1 - i], 1);
            atomic_fetch_add(&racer->backs[OBJECTS + 1 - i], own.charged);
        }
        if (i % THREADS == racer->number && !once_charged(racer->once, &maker)) {
            atomic_fetch_add(&racer->backs[i], 1);
        }
    }
    return NULL;
}

static void racing_threads_claim_each_once(void **state)
{
    struct racer racers[THREADS];
    atomic_uint *claims = calloc(OBJECTS + 1, sizeof *claims);
    atomic_uint *backs = calloc(OBJECTS + 1, sizeof *backs);
    struct once *once = once_new();
    struct entry bill;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){
            .once = once, .number = i, .claims = claims, .backs = backs
        };
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(racers[i].thread, NULL);
    }
    for (uint64_t i = 1; i <= OBJECTS; i++) {
        bool left = once_claim(once, i, &bill, &charge);

        assert_int_equal(claims[i] + left, 1);
        assert_int_equal(backs[i] + (left && charge.charged), 1);
    }
    free(claims);
    free(backs);
    once_free(once);
}

/* ---- restarts -------------------------------------------------------------------- */

static void settle(struct journal *journal, uint64_t unix_ns, uint64_t object,
                   uint64_t tokens, bool free)
{
    struct entry *entry = journal_take(journal, unix_ns);
    uint64_t id = entry->id;

    *entry = maker_of(object);
    entry->id = id;
    entry->started_ns = unix_ns;
    entry->free = free;
    if (tokens > 0) {
        usage_set(&entry->usage, TOKENS_INPUT, tokens);
    }
    journal_settle(journal, entry);
}

static void the_ledger_tells_what_is_awaited(void **state)
{
    const uint64_t day = UINT64_C(86400) * NS_PER_S,
                   now = 900 * day + UINT64_C(1704067200) * NS_PER_S;
    char folder[] = "/tmp/assay-once-XXXXXX";
    struct error error = { 0 };
    struct once *once = once_new();
    struct journal *journal;
    struct ledger *ledger;

    (void)state;
    assert_non_null(mkdtemp(folder));
    journal = journal_open(folder, 0, 16, &error);
    ledger = ledger_open(folder, NULL, &error);
    assert_true(ledger_start(ledger, &journal, 1, NULL, NULL, &error));
    settle(journal, now - 40 * day, 1, 0, false); /* long ago */
    settle(journal, now - 3 * day, 2, 0, false);  /* seen since */
    settle(journal, now - 3 * day, 3, 0, false);
    settle(journal, now - 2 * day, 2, 9, false);
    settle(journal, now - 2 * day, 4, 0, true); /* somebody asked: nothing was made */
    settle(journal, now - 1 * day, 0, 5, false);
    ledger_stop(ledger);
    assert_true(once_load(once, folder, now, &error));
    assert_false(once_awaited(once, 1));
    assert_false(once_awaited(once, 2));
    assert_true(once_awaited(once, 3));
    assert_false(once_awaited(once, 4));
    once_free(once);
    ledger_close(ledger);
    journal_close(journal);
    assert_int_equal(remove_folder(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_claimed_once),
        cmocka_unit_test(another_name_claims_the_same),
        cmocka_unit_test(providers_have_ids_of_their_own),
        cmocka_unit_test(the_oldest_are_given_up),
        cmocka_unit_test(a_charge_is_told_with_the_claim),
        cmocka_unit_test(racing_threads_claim_each_once),
        cmocka_unit_test(the_ledger_tells_what_is_awaited),
    };

    return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}

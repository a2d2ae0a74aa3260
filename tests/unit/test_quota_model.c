/* A model of a counter: every interleaving of the atomic steps that quota_cell.c takes
 * to reserve, settle, refund and expire, on small bounds. A state is explored once;
 * what must hold does so in each. Mistakes that the code avoids are modelled, too: the
 * search has to find them. */
#include "proxy/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CALLS = 3, EXPIRIES = 2, LIMIT = 5, PLACES = 1 << 22 };

/* What a call reserves and comes to: less, as much, and nothing at all. */
static const uint8_t reserves[CALLS] = { 2, 3, 2 }, comes_to[CALLS] = { 1, 3, 0 };

/* Whose charge is refunded once it was settled: its answer came. */
enum { REFUNDED = 1 };

enum { NO_EPOCH, EPOCH, EPOCH_LEAVING, EPOCH_GONE };

enum mistake {
    NONE,
    CHECK_THEN_ACT,
    STEP_BEFORE_SUMS,
    EPOCH_COMES_BACK,
    STALE_AMOUNT, /* what was refunded since it was read leaves, too */
    OPEN_STEP     /* refunded from a step that may be leaving */
};

/* The steps of quota_cell_hold() and quota_cell_settle() ... */
enum call_step {
    LOAD_HELD,
    SWAP_HELD,
    HELD_SETTLES,
    USED_GROWS,
    STEP_CLAIMED,
    STEP_GROWS,
    USED_DROPS,
    HELD_DROPS,
    CALL_OVER,
    CALL_REFUSED
};
/* ... of empty_step() ... */
enum expiry_step {
    LOAD_EPOCH,
    LOAD_AMOUNT,
    CLAIM_STEP,
    LOAD_AGAIN,
    AMOUNT_SHRINKS,
    USED_SHRINKS,
    HELD_SHRINKS,
    STEP_LEFT,
    EXPIRY_OVER
};
/* ... and of quota_cell_refund(). */
enum refund_step {
    CLOSE_STEP,
    LOAD_REFUND,
    AMOUNT_REFUNDED,
    OPEN_AGAIN,
    USED_REFUNDED,
    HELD_REFUNDED,
    REFUND_OVER
};

struct model {
    uint8_t held, used, amount;
    uint8_t epoch; /* of the one step: none, the one, or the one leaves or is gone */
    struct {
        uint8_t step, seen; /* what it read of held */
    } calls[CALLS];
    struct {
        uint8_t step, seen; /* what it read of amount */
    } expiries[EXPIRIES], refund;
};

struct search {
    enum mistake mistake;
    uint64_t *visited; /* hashes; 0: an empty place */
    size_t states, ends;
    bool broken;
};

/* ---- one step -------------------------------------------------------------------- */

static bool swap_held(struct model *model, unsigned n, enum mistake mistake)
{
    uint8_t *seen = &model->calls[n].seen;

    if (*seen + reserves[n] > LIMIT) {
        model->calls[n].step = CALL_REFUSED;
    } else if (mistake == CHECK_THEN_ACT || model->held == *seen) {
        model->held = (uint8_t)(model->held + reserves[n]);
        model->calls[n].step = HELD_SETTLES;
        return model->held <= LIMIT;
    } else {
        *seen = model->held;
    }
    return true;
}

/* false where something is taken that is not there. */
static bool shrink(uint8_t *sum, uint8_t amount)
{
    bool there = *sum >= amount;

    *sum = (uint8_t)(there ? *sum - amount : 0);
    return there;
}

static void step_grows(struct model *model, unsigned n)
{
    model->amount = (uint8_t)(model->amount + comes_to[n]);
}

/* false: a promise is broken. */
static bool call_steps(struct model *model, unsigned n, enum mistake mistake)
{
    uint8_t *step = &model->calls[n].step;

    switch ((enum call_step) * step) {
    case LOAD_HELD:
        model->calls[n].seen = model->held;
        *step = SWAP_HELD;
        return true;
    case SWAP_HELD:
        return swap_held(model, n, mistake);
    case HELD_SETTLES:
        if (mistake == STEP_BEFORE_SUMS && comes_to[n] > 0) {
            model->epoch = EPOCH;
            step_grows(model, n);
        }
        model->held = (uint8_t)(model->held + comes_to[n] - reserves[n]);
        *step = comes_to[n] > 0 ? USED_GROWS : CALL_OVER;
        return true;
    case USED_GROWS:
        model->used = (uint8_t)(model->used + comes_to[n]);
        *step = mistake == STEP_BEFORE_SUMS ? CALL_OVER : STEP_CLAIMED;
        return true;
    case STEP_CLAIMED:
        *step = model->epoch == EPOCH_GONE ? USED_DROPS : STEP_GROWS;
        model->epoch = model->epoch == NO_EPOCH ? EPOCH : model->epoch;
        return true;
    case USED_DROPS:
        *step = HELD_DROPS;
        return shrink(&model->used, comes_to[n]);
    case HELD_DROPS:
        *step = CALL_OVER;
        return shrink(&model->held, comes_to[n]);
    case STEP_GROWS:
        step_grows(model, n);
        *step = CALL_OVER;
        return true;
    case CALL_OVER:
    case CALL_REFUSED:
        break;
    }
    return true;
}

static bool expiry_steps(struct model *model, unsigned n, enum mistake mistake)
{
    uint8_t *step = &model->expiries[n].step;
    uint8_t seen = model->expiries[n].seen;

    switch ((enum expiry_step) * step) {
    case LOAD_EPOCH:
        *step = model->epoch != EPOCH ? EXPIRY_OVER : LOAD_AMOUNT;
        return true;
    case LOAD_AMOUNT:
        model->expiries[n].seen = model->amount;
        *step = CLAIM_STEP;
        return true;
    case CLAIM_STEP:
        *step = model->epoch != EPOCH ? EXPIRY_OVER : LOAD_AGAIN;
        model->epoch = model->epoch != EPOCH         ? model->epoch
                       : mistake == EPOCH_COMES_BACK ? NO_EPOCH
                                                     : EPOCH_LEAVING;
        return true;
    case LOAD_AGAIN:
        if (mistake != STALE_AMOUNT && model->amount < seen) {
            model->expiries[n].seen = model->amount;
        }
        *step = AMOUNT_SHRINKS;
        return true;
    case AMOUNT_SHRINKS:
        *step = USED_SHRINKS;
        return shrink(&model->amount, seen);
    case USED_SHRINKS:
        *step = HELD_SHRINKS;
        return shrink(&model->used, seen);
    case HELD_SHRINKS:
        *step = STEP_LEFT;
        return shrink(&model->held, seen);
    case STEP_LEFT:
        *step = EXPIRY_OVER;
        model->epoch = model->epoch == EPOCH_LEAVING ? EPOCH_GONE : model->epoch;
        return true;
    case EXPIRY_OVER:
        break;
    }
    return true;
}

static bool refund_steps(struct model *model, enum mistake mistake)
{
    uint8_t *step = &model->refund.step, *seen = &model->refund.seen;

    switch ((enum refund_step) * step) {
    case CLOSE_STEP:
        *step = model->epoch != EPOCH ? REFUND_OVER : LOAD_REFUND;
        if (model->epoch == EPOCH && mistake != OPEN_STEP) {
            model->epoch = EPOCH_LEAVING;
        }
        return true;
    case LOAD_REFUND:
        *seen = model->amount < comes_to[REFUNDED] ? model->amount : comes_to[REFUNDED];
        *step = AMOUNT_REFUNDED;
        return true;
    case AMOUNT_REFUNDED:
        *step = OPEN_AGAIN;
        return shrink(&model->amount, *seen);
    case OPEN_AGAIN:
        *step = USED_REFUNDED;
        model->epoch = mistake == OPEN_STEP ? model->epoch : EPOCH;
        return true;
    case USED_REFUNDED:
        *step = HELD_REFUNDED;
        return shrink(&model->used, *seen);
    case HELD_REFUNDED:
        *step = REFUND_OVER;
        return shrink(&model->held, *seen);
    case REFUND_OVER:
        break;
    }
    return true;
}

/* ---- what must hold -------------------------------------------------------------- */

/* Nobody may be let through on what others hold or used. */
static bool nothing_is_lost(const struct model *model)
{
    unsigned under_way = 0;

    for (unsigned n = 0; n < CALLS; n++) {
        under_way += model->calls[n].step == HELD_SETTLES ? reserves[n] : 0;
    }
    return model->held >= under_way && model->held - under_way >= model->used;
}

/* Everything is over: the sums agree. What was settled into a step just as that expired
 * may be left there; it expires with the step's next use. */
static bool ends_well(const struct model *model)
{
    struct model rest = *model;

    if (rest.held != rest.used || rest.used != rest.amount) {
        return false;
    }
    rest.epoch = EPOCH;
    memset(&rest.expiries[0], 0, sizeof rest.expiries[0]);
    while (rest.expiries[0].step != EXPIRY_OVER) {
        if (!expiry_steps(&rest, 0, NONE)) {
            return false;
        }
    }
    return rest.held == 0 && rest.used == 0 && rest.amount == 0;
}

/* ---- the search ------------------------------------------------------------------ */

static uint64_t packed(const struct model *model)
{
    uint64_t bits = 1; /* never 0 */

    bits = bits << 4 | model->held;
    bits = bits << 4 | model->used;
    bits = bits << 4 | model->amount;
    bits = bits << 2 | model->epoch;
    for (unsigned n = 0; n < CALLS; n++) {
        bits = bits << 4 | model->calls[n].step;
        bits = bits << 4 | model->calls[n].seen;
    }
    for (unsigned n = 0; n < EXPIRIES; n++) {
        bits = bits << 4 | model->expiries[n].step;
        bits = bits << 4 | model->expiries[n].seen;
    }
    bits = bits << 3 | model->refund.step;
    return bits << 4 | model->refund.seen;
}

static bool is_new(struct search *search, const struct model *model)
{
    uint64_t bits = packed(model);
    size_t place = (size_t)(bits * UINT64_C(0x9e3779b97f4a7c15) >> 42) % PLACES;

    while (search->visited[place] != 0 && search->visited[place] != bits) {
        place = (place + 1) % PLACES;
    }
    if (search->visited[place] == bits) {
        return false;
    }
    search->visited[place] = bits;
    CHECK(++search->states < PLACES / 2);
    return true;
}

/* Calls come first, then expiries, then the refund. */
enum { REFUND = CALLS + EXPIRIES, ALL };

/* Can it take a step? A charge is refunded when it was settled. */
static bool is_due(const struct model *model, unsigned n)
{
    return n < CALLS    ? model->calls[n].step < CALL_OVER
           : n < REFUND ? model->expiries[n - CALLS].step != EXPIRY_OVER
                        : model->calls[REFUNDED].step == CALL_OVER &&
                              model->refund.step != REFUND_OVER;
}

static bool take_step(struct model *model, unsigned n, enum mistake mistake)
{
    return n < CALLS    ? call_steps(model, n, mistake)
           : n < REFUND ? expiry_steps(model, n - CALLS, mistake)
                        : refund_steps(model, mistake);
}

static void explore(struct search *search, const struct model *model)
{
    bool moved = false;

    if (search->broken || !is_new(search, model)) {
        return;
    }
    for (unsigned n = 0; n < ALL; n++) {
        struct model next = *model;

        if (is_due(model, n)) {
            moved = true;
            search->broken |=
                !take_step(&next, n, search->mistake) || !nothing_is_lost(&next);
            explore(search, &next);
        }
    }
    if (!moved) {
        search->ends++;
        search->broken |= !ends_well(model);
    }
}

static struct search search_all(enum mistake mistake)
{
    struct search search = { .mistake = mistake };
    struct model start = { 0 };

    search.visited = calloc(PLACES, sizeof *search.visited);
    assert_non_null(search.visited);
    explore(&search, &start);
    free(search.visited);
    return search;
}

static void every_interleaving_keeps_the_promises(void **state)
{
    struct search search = search_all(NONE);

    (void)state;
    print_message("# %zu states, %zu ends\n", search.states, search.ends);
    assert_false(search.broken);
    assert_true(search.states > 10000 && search.ends > 1);
}

static void mistakes_are_found(void **state)
{
    (void)state;
    assert_true(search_all(CHECK_THEN_ACT).broken);
    assert_true(search_all(STEP_BEFORE_SUMS).broken);
    assert_true(search_all(EPOCH_COMES_BACK).broken);
    assert_true(search_all(STALE_AMOUNT).broken);
    assert_true(search_all(OPEN_STEP).broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_interleaving_keeps_the_promises),
        cmocka_unit_test(mistakes_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/meter/ledger.h"
#include "proxy/meter/quota.h"
#include "proxy/meter/quota_charge.h"
#include "tests/support/line_room.h"
#include "tests/support/remove_folder.h"
#include "tests/unit/config_text.h"

#include <pthread.h>
#include <unistd.h>

/* 2026-11-21T10:00:00Z */
static const uint64_t some_time = UINT64_C(1795255200) * NS_PER_S;
static const uint64_t since_boot = UINT64_C(1000000) * NS_PER_S;

static struct quota_policies *compile(const char *quotas)
{
    char memory[4096];
    struct text text = text_over(memory, sizeof memory);
    struct error error = { 0 };
    struct quota_policies *policies;
    struct config *config;

    text_printf(&text, "%s%s%s", LEAST, "teams: {red: {callers: [ana, bo]}}\n", quotas);
    config = read_good(memory);
    policies = quota_policies_new(config, &error);
    assert_non_null(policies);
    config_free(config);
    return policies;
}

/* A quota with its policies in force, and a price list. */
struct house {
    struct quota *quota;
    struct quota_policies *policies;
    struct price_table *prices;
};

static struct house house_of(const char *quotas)
{
    struct error error = { 0 };
    struct house house = { .quota = quota_new(some_time, since_boot),
                           .policies = compile(quotas),
                           .prices = price_table_load("config/prices.yaml", &error) };

    assert_non_null(house.prices);
    quota_adopt(house.quota, house.policies);
    quota_in_force(house.quota, house.policies);
    return house;
}

static void house_done(struct house *house)
{
    quota_policies_unref(house->policies);
    quota_free(house->quota);
    price_table_free(house->prices);
}

static struct entry call_of(uint64_t input, uint64_t output)
{
    struct entry entry = { .started_ns = some_time,
                           .reserved_input = input,
                           .reserved_output = output,
                           .usage.reported_nanousd = -1 };

    text_store(entry.team, sizeof entry.team, SPAN("red"));
    text_store(entry.caller, sizeof entry.caller, SPAN("ana"));
    text_store(entry.provider, sizeof entry.provider, SPAN("openai"));
    text_store(entry.request_model, sizeof entry.request_model, SPAN("gpt-4o"));
    return entry;
}

static void came_to(struct entry *call, uint64_t input, uint64_t output)
{
    usage_set(&call->usage, TOKENS_INPUT, input);
    usage_set(&call->usage, TOKENS_OUTPUT, output);
    call->usage.source = USAGE_REPORTED;
    call->status = 200;
}

static enum quota_verdict reserve(struct house *house, const struct entry *call,
                                  struct reservation *reservation,
                                  struct quota_state *refusal)
{
    *reservation = (struct reservation){ .count = 0 };
    return quota_reserve(house->quota, house->policies, house->prices, call,
                         since_boot - (some_time - call->started_ns), reservation,
                         refusal);
}

static void settle(struct house *house, const struct entry *call,
                   struct reservation *reservation)
{
    quota_settle(house->quota, house->prices, call, since_boot, reservation);
}

static uint64_t charge(enum config_limit_unit unit, const struct house *house,
                       const struct entry *call)
{
    struct quota_policy policy = { .rule.limit.unit = unit };

    return quota_charge(&policy, house->prices, call);
}

/* ---- what is told ---------------------------------------------------------------- */

struct sums {
    uint64_t used, reserved;
    const char *policy, *subject; /* whose; "*": any */
};

static void add_state(void *self, const struct quota_state *state)
{
    struct sums *sums = self;

    if (state->subject != NULL && strcmp(sums->policy, state->policy->rule.name) == 0 &&
        (*sums->subject == '*' || strcmp(sums->subject, state->subject) == 0)) {
        sums->used += state->used;
        sums->reserved += state->reserved;
    }
}

static struct sums sums_of(struct house *house, const char *policy, const char *subject)
{
    struct sums sums = { .policy = policy, .subject = subject };

    quota_each(house->quota, some_time, since_boot, add_state, &sums);
    return sums;
}

static void assert_sums(struct house *house, const char *policy, uint64_t used,
                        uint64_t reserved)
{
    struct sums sums = sums_of(house, policy, "*");

    assert_int_equal(sums.used, used);
    assert_int_equal(sums.reserved, reserved);
}

/* ---- one call -------------------------------------------------------------------- */

static void calls_reserve_and_settle(void **state)
{
    struct house house =
        house_of("quotas:\n"
                 "  - {name: day, limit: 1000 tokens, per: day}\n"
                 "  - {name: out, limit: 500 output tokens, per: hour}\n"
                 "  - {name: usd, limit: $1, per: month}\n"
                 "  - {name: req, limit: 2 requests, per: minute}\n"
                 "  - {name: now, limit: 2 concurrent}\n"
                 "  - {name: roll, limit: 1000 tokens, per: rolling 5h}\n");
    struct entry call = call_of(100, 400);
    struct reservation reservation;
    struct quota_state refusal;

    (void)state;
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_TAKEN);
    assert_int_equal(reservation.count, 6);
    assert_sums(&house, "day", 0, 500);
    assert_sums(&house, "out", 0, 400);
    assert_sums(&house, "req", 0, 1);
    assert_sums(&house, "now", 0, 1);
    assert_sums(&house, "roll", 0, 500);
    assert_true(sums_of(&house, "usd", "*").reserved > 0);

    came_to(&call, 90, 60);
    call.priced = 1;
    call.cost_nanousd = 825000;
    settle(&house, &call, &reservation);
    assert_int_equal(reservation.count, 0);
    assert_sums(&house, "day", 150, 0);
    assert_sums(&house, "out", 60, 0);
    assert_sums(&house, "usd", 825000, 0);
    assert_sums(&house, "req", 1, 0);
    assert_sums(&house, "now", 0, 0);
    assert_sums(&house, "roll", 150, 0);
    house_done(&house);
}

/* Whatever class the input turns out to be of: settled is never more
 * than was reserved. */
static void weighted_reservations_are_bounds(void **state)
{
    enum { INPUT = 7, OUTPUT = 3 };
    struct house house = house_of(
        "quotas:\n  - {name: w, limit: 50 weighted tokens, per: day, over: shadow}\n");
    const uint64_t reserved = INPUT * 2 + OUTPUT * 5;
    struct entry call = call_of(INPUT, OUTPUT);
    uint64_t greatest = 0, sum = 0;

    (void)state;
    for (uint64_t read = 0; read <= INPUT; read++) {
        for (uint64_t written = 0; written <= INPUT - read; written++) {
            for (uint64_t kept = 0; kept <= written; kept++) {
                struct reservation reservation;
                struct quota_state refusal;
                uint64_t used;

                call.usage = (struct usage){ .reported_nanousd = -1 };
                assert_int_equal(reserve(&house, &call, &reservation, &refusal),
                                 QUOTA_TAKEN);
                assert_int_equal(reservation.holds[0].amount, reserved);
                came_to(&call, INPUT - read - written, kept % (OUTPUT + 1));
                usage_set(&call.usage, TOKENS_CACHE_READ, read);
                usage_set(&call.usage, TOKENS_CACHE_WRITE, written);
                usage_set(&call.usage, TOKENS_REASONING, OUTPUT - kept % (OUTPUT + 1));
                call.usage.cache_write[LIFETIME_1H] = kept;
                settle(&house, &call, &reservation);
                used = sums_of(&house, "w", "*").used - sum;
                assert_in_range(used, 1 + OUTPUT * 5, reserved);
                greatest = used > greatest ? used : greatest;
                sum += used;
            }
        }
    }
    assert_int_equal(greatest, reserved); /* the bound is met, not just kept */
    assert_sums(&house, "w", sum, 0);
    house_done(&house);
}

static void weighted_limits_refuse(void **state)
{
    struct house house =
        house_of("quotas:\n  - {name: w, limit: 100 weighted tokens, per: day}\n");
    struct entry call = call_of(10, 6);
    struct reservation one, other;
    struct quota_state refusal;

    (void)state;
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_TAKEN);
    assert_sums(&house, "w", 0, 50);
    assert_int_equal(reserve(&house, &call, &other, &refusal), QUOTA_TAKEN);
    came_to(&call, 3, 6);
    usage_set(&call.usage, TOKENS_CACHE_READ, 7);
    settle(&house, &call, &one);
    assert_sums(&house, "w", 34, 50); /* 3 + 0.7 + 30, rounded up */
    call.reserved_input = 3;
    call.reserved_output = 3;
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_REFUSED);
    assert_int_equal(refusal.used, 34);
    settle(&house, &call, &other);
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_TAKEN);
    settle(&house, &call, &one);
    house_done(&house);
}

static void refusals_take_nothing(void **state)
{
    struct house house =
        house_of("quotas:\n"
                 "  - {name: wide, limit: 1000 tokens, per: month, each: caller}\n"
                 "  - {name: tight, limit: 300 tokens, per: hour, contact: bo}\n"
                 "  - {name: day, limit: 300 tokens, per: day}\n"
                 "  - {name: seen, limit: 1 tokens, per: day, over: shadow}\n");
    struct entry call = call_of(100, 150);
    struct reservation one, other;
    struct quota_state refusal;

    (void)state;
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_TAKEN);
    assert_int_equal(reserve(&house, &call, &other, &refusal), QUOTA_REFUSED);
    assert_string_equal(refusal.policy->rule.name, "day"); /* it resets last */
    assert_int_equal(refusal.used, 0);
    assert_int_equal(refusal.reserved, 250);
    assert_int_equal(refusal.resets_s, some_time / NS_PER_S + 14 * 3600);
    assert_int_equal(other.count, 0);
    assert_sums(&house, "wide", 0, 250);
    assert_sums(&house, "tight", 0, 250);
    assert_sums(&house, "seen", 0, 250);
    assert_int_equal(quota_policy_at(house.policies, 2)->refused, 1);
    assert_true(quota_policy_at(house.policies, 3)->exceeded >= 1);

    /* Its subject's own counter alone. */
    assert_int_equal(sums_of(&house, "wide", "ana").reserved, 250);
    assert_int_equal(sums_of(&house, "wide", "bo").reserved, 0);

    /* An error without usage gives everything back. */
    call.status = 500;
    settle(&house, &call, &one);
    assert_sums(&house, "tight", 0, 0);
    assert_int_equal(reserve(&house, &call, &other, &refusal), QUOTA_TAKEN);
    settle(&house, &call, &other);
    house_done(&house);
}

static void calls_belong_to_the_window_they_began_in(void **state)
{
    struct house house =
        house_of("quotas: [{name: day, limit: 100 tokens, per: day}]\n");
    struct entry today = call_of(60, 0), tomorrow = call_of(60, 0);
    struct reservation one, other, third;
    struct quota_state refusal;

    (void)state;
    tomorrow.started_ns += UINT64_C(86400) * NS_PER_S;
    assert_int_equal(reserve(&house, &today, &one, &refusal), QUOTA_TAKEN);
    assert_int_equal(reserve(&house, &tomorrow, &other, &refusal), QUOTA_TAKEN);
    /* The clock goes back, and finds what it left. */
    assert_int_equal(reserve(&house, &today, &third, &refusal), QUOTA_REFUSED);
    came_to(&today, 60, 0);
    settle(&house, &today, &one);
    assert_sums(&house, "day", 60, 0);
    came_to(&tomorrow, 10, 0);
    settle(&house, &tomorrow, &other);
    assert_sums(&house, "day", 60, 0);
    house_done(&house);
}

static void warnings_are_told(void **state)
{
    struct house house = house_of(
        "quotas:\n"
        "  - {name: a, limit: 100 tokens, per: day, warn: [80%, 50%]}\n"
        "  - {name: b, limit: 50 tokens, per: day, over: warn}\n"
        "  - {name: c, limit: 10 tokens, per: day, over: shadow, warn: [1%]}\n");
    struct entry call = call_of(10, 0);
    struct reservation reservation;
    struct quota_state state_told;
    static const uint32_t percent[] = { 0, 0, 0, 0, 0, 100, 100, 100, 100, 100 };

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        call = call_of(10, 0);
        assert_int_equal(reserve(&house, &call, &reservation, &state_told),
                         QUOTA_TAKEN);
        assert_int_equal(quota_warning(&reservation, &state_told), percent[i]);
        if (percent[i] > 0) {
            assert_string_equal(state_told.policy->rule.name, "b");
        }
        came_to(&call, 10, 0);
        settle(&house, &call, &reservation);
    }
    house_done(&house);
    house = house_of(
        "quotas: [{name: a, limit: 100 tokens, per: day, warn: [80%, 50%]}]\n");
    for (unsigned i = 0; i < 10; i++) {
        uint32_t wanted = i < 5 ? 0 : i < 8 ? 50 : 80;

        call = call_of(10, 0);
        assert_int_equal(reserve(&house, &call, &reservation, &state_told),
                         QUOTA_TAKEN);
        assert_int_equal(quota_warning(&reservation, &state_told), wanted);
        came_to(&call, 10, 0);
        settle(&house, &call, &reservation);
    }
    house_done(&house);
}

/* Refused calls with a burst are told when the pace has room for them. */
static void bursts_run_ahead_of_the_pace(void **state)
{
    struct house house =
        house_of("quotas: [{name: paced, limit: 86400 requests, burst: "
                 "10 requests, per: day}]\n");
    struct entry call = call_of(0, 0);
    struct reservation reservations[20], reservation;
    struct quota_state refusal;
    int64_t begins = (int64_t)(some_time / NS_PER_S) / 86400 * 86400;

    (void)state;
    call.started_ns = (uint64_t)begins * NS_PER_S;
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(reserve(&house, &call, &reservations[i], &refusal),
                         QUOTA_TAKEN);
    }
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_true(refusal.paced);
    assert_int_equal(refusal.resets_s, begins + 1);
    call.started_ns += NS_PER_S;
    assert_int_equal(reserve(&house, &call, &reservations[10], &refusal), QUOTA_TAKEN);
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_int_equal(refusal.resets_s, begins + 2);
    call.started_ns += UINT64_C(86390) * NS_PER_S;
    assert_int_equal(reserve(&house, &call, &reservations[11], &refusal), QUOTA_TAKEN);
    for (size_t i = 0; i < 12; i++) {
        settle(&house, &call, &reservations[i]);
    }
    house_done(&house);
}

static void no_amount_overflows_the_pace(void **state)
{
    struct house house = house_of("quotas: [{name: vast, limit: 1152921504G tokens, "
                                  "burst: 1 tokens, per: month}]\n");
    struct entry call = call_of(1, 0);
    struct reservation reservation;
    struct quota_state refusal;

    (void)state;
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_TAKEN);
    settle(&house, &call, &reservation);
    call = call_of(UINT64_C(1) << 59, UINT64_C(1) << 58);
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_true(refusal.paced && refusal.resets_s > (int64_t)(some_time / NS_PER_S));
    house_done(&house);
}

/* What is told of a counter, as "share share ...". */
struct told {
    char memory[256];
    struct text text;
};

static void add_told(void *self, const struct quota_state *state, uint32_t percent)
{
    struct told *told = self;

    text_printf(&told->text, "%s %u; ", state->policy->rule.name, percent);
}

static void assert_told(struct house *house, const char *expected)
{
    struct told told;

    told.text = text_over(told.memory, sizeof told.memory - 1);
    quota_each_reached(house->quota, some_time, since_boot, add_told, &told);
    told.memory[told.text.len] = '\0';
    assert_string_equal(told.memory, expected);
}

static void shares_are_told_once(void **state)
{
    struct house house = house_of(
        "quotas:\n"
        "  - {name: a, limit: 100 tokens, per: day, warn: [80%, 50%]}\n"
        "  - {name: b, limit: 1 requests, per: day, over: shadow, warn: [50%]}\n"
        "  - {name: c, limit: 1 concurrent}\n");
    struct entry call = call_of(60, 0);
    struct reservation reservation;
    struct quota_state refusal;

    (void)state;
    assert_told(&house, "");
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_TAKEN);
    assert_told(&house, "");
    came_to(&call, 60, 0);
    settle(&house, &call, &reservation);
    assert_told(&house, "a 50; ");
    assert_told(&house, "");
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_told(&house, "a 100; ");
    assert_int_equal(reserve(&house, &call, &reservation, &refusal), QUOTA_REFUSED);
    assert_told(&house, "");
    house_done(&house);
}

static void charges_follow_the_entry(void **state)
{
    static const struct {
        enum outcome outcome;
        uint16_t status;
        bool free, known, let_through;
        uint64_t tokens, weighted, requests;
    } rows[] = {
        { OUTCOME_COMPLETE, 200, false, true, true, 12, 20, 1 },
        { OUTCOME_COMPLETE, 200, true, true, true, 0, 0, 0 },
        { OUTCOME_COMPLETE, 200, false, false, true, 0, 0, 1 },
        { OUTCOME_COMPLETE, 500, false, false, true, 0, 0, 0 },
        { OUTCOME_REFUSED, 429, false, false, false, 0, 0, 0 },
        { OUTCOME_CLIENT_ABORT, 200, false, true, true, 12, 20, 1 },
        { OUTCOME_CLIENT_ABORT, 0, false, false, true, 100, 200, 1 },
        { OUTCOME_CLIENT_ABORT, 0, false, false, false, 0, 0, 0 },
        { OUTCOME_TIMEOUT, 504, false, false, true, 100, 200, 1 },
        { OUTCOME_UNKNOWN, 0, false, false, true, 500, 2200, 1 },
        { OUTCOME_UNKNOWN, 0, false, false, false, 0, 0, 0 },
    };
    struct house house = house_of("");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct entry call = rows[i].let_through ? call_of(100, 400) : call_of(0, 0);

        if (rows[i].known) {
            came_to(&call, 10, 2);
        }
        call.outcome = (uint8_t)rows[i].outcome;
        call.status = rows[i].status;
        call.free = rows[i].free;
        assert_int_equal(charge(LIMIT_TOKENS, &house, &call), rows[i].tokens);
        assert_int_equal(charge(LIMIT_WEIGHTED, &house, &call), rows[i].weighted);
        assert_int_equal(charge(LIMIT_REQUESTS, &house, &call), rows[i].requests);
        assert_int_equal(charge(LIMIT_CONCURRENT, &house, &call), 0);
    }
    house_done(&house);
}

static void lines_are_charged_once(void **state)
{
    struct house house = house_of("");
    struct entry call = call_of(100, 400);

    (void)state;
    came_to(&call, 10, 20);
    call.priced = 1;
    call.cost_nanousd = 300;
    call.line_count = 2;
    call.lines = line_room();
    call.lines[0] = (struct line){ .within = 1, .priced = 1, .cost_nanousd = 40 };
    usage_set(&call.lines[0].usage, TOKENS_OUTPUT, 15);
    call.lines[1] = (struct line){ .priced = 1, .cost_nanousd = 5 };
    usage_set(&call.lines[1].usage, TOKENS_INPUT, 7);
    assert_int_equal(charge(LIMIT_TOKENS, &house, &call), 37);
    assert_int_equal(charge(LIMIT_INPUT, &house, &call), 17);
    assert_int_equal(charge(LIMIT_OUTPUT, &house, &call), 20);
    assert_int_equal(charge(LIMIT_WEIGHTED, &house, &call), 117);
    assert_int_equal(charge(LIMIT_NANOUSD, &house, &call), 345);
    assert_int_equal(charge(LIMIT_REQUESTS, &house, &call), 1);
    house_done(&house);
}

/* What is answered later counts as reserved until then, in every unit; then as what it
 * came to, by whoever asked for the answer. */
static void what_is_answered_later_is_charged_until_then(void **state)
{
    struct house house =
        house_of("quotas:\n"
                 "  - {name: t, limit: 1000 tokens, per: day}\n"
                 "  - {name: r, limit: 9 requests, per: rolling 5h, each: caller}\n"
                 "  - {name: w, limit: 1M weighted tokens, per: month}\n"
                 "  - {name: m, limit: $1, per: week}\n");
    struct entry call = call_of(100, 800), answer = call_of(0, 0);
    struct reservation one, other;
    struct quota_state refusal;
    int64_t began_s;

    (void)state;
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_TAKEN);
    began_s = one.steady_s;
    call.object = answer.object = 7;
    call.status = 200;
    settle(&house, &call, &one);
    assert_sums(&house, "t", 900, 0);
    assert_sums(&house, "w", 100 * 2 + 800 * 5, 0);
    assert_sums(&house, "r", 1, 0);
    assert_sums(&house, "m", 100 * 2500 + 800 * 10000, 0);
    assert_int_equal(reserve(&house, &call, &other, &refusal), QUOTA_REFUSED);
    quota_take_back(house.quota, house.policies, house.prices, &call, began_s,
                    some_time, since_boot);
    came_to(&answer, 90, 10);
    answer.priced = 1;
    answer.cost_nanousd = 325000;
    quota_add(house.quota, house.policies, house.prices, &answer, since_boot);
    assert_sums(&house, "t", 100, 0);
    assert_sums(&house, "w", 90 + 50, 0);
    assert_sums(&house, "r", 1, 0);
    assert_sums(&house, "m", 325000, 0);
    house_done(&house);
}

static void usual_output_is_learned(void **state)
{
    struct house house = house_of("");
    struct reservation reservation = { .count = 0 };
    struct entry call = call_of(1, 1);

    (void)state;
    assert_int_equal(quota_usual_output(house.quota, "gpt-4o"), 4096);
    came_to(&call, 1, 9000);
    settle(&house, &call, &reservation);
    assert_int_equal(quota_usual_output(house.quota, "gpt-4o"), 9000);
    came_to(&call, 1, 100);
    for (int i = 0; i < 200; i++) {
        settle(&house, &call, &reservation);
    }
    assert_in_range(quota_usual_output(house.quota, "gpt-4o"), 100, 200);
    house_done(&house);
}

static void reload_keeps_what_means_the_same(void **state)
{
    struct house house = house_of("quotas:\n"
                                  "  - {name: a, limit: 100 tokens, per: day}\n"
                                  "  - {name: b, limit: 100 tokens, per: day}\n");
    struct quota_policies
        *old = house.policies,
        *next = compile("quotas:\n"
                        "  - {name: b, limit: 50 tokens, per: hour}\n"
                        "  - {name: a, limit: 70 tokens, per: day, over: warn}\n");
    struct entry call = call_of(60, 0);
    struct reservation one, other;
    struct quota_state refusal;

    (void)state;
    assert_int_equal(reserve(&house, &call, &one, &refusal), QUOTA_TAKEN);
    quota_adopt(house.quota, next);
    assert_true(quota_policy_at(next, 0)->fresh);
    assert_false(quota_policy_at(next, 1)->fresh);
    quota_in_force(house.quota, next);
    house.policies = next;
    assert_sums(&house, "a", 0, 60);
    assert_sums(&house, "b", 0, 0);
    assert_int_equal(reserve(&house, &call, &other, &refusal), QUOTA_REFUSED); /* b */
    came_to(&call, 60, 0);
    /* Began under policies that are gone. */
    quota_settle(house.quota, house.prices, &call, since_boot, &one);
    quota_policies_unref(old);
    assert_sums(&house, "a", 60, 0);
    house_done(&house);
}

/* ---- every order of events ------------------------------------------------------- */

enum { CALLS = 3, ORDER_LIMIT = 5 };

/* A call of the small model: what it reserves, what it comes to. */
static const struct {
    uint64_t reserved, used;
} model_calls[CALLS] = { { 3, 1 }, { 2, 4 }, { 3, 0 } };

enum model_state { WAITING, UNDER_WAY, OVER };

struct model {
    struct house *house;
    uint64_t orders;
    struct quota_state refusal;
};

static void assert_model(struct model *model, const enum model_state *states,
                         uint64_t used, uint64_t reserved)
{
    (void)states;
    assert_sums(model->house, "m", used, reserved);
    assert_sums(model->house, "n", used, reserved);
}

/* Plays a sequence of events, each the number of a call: its first begins, its second
 * ends the call. Compares with plain arithmetic after each. */
static void play(struct model *model, const unsigned *order, size_t length)
{
    enum model_state states[CALLS] = { WAITING };
    struct reservation reservations[CALLS];
    struct entry calls[CALLS];
    uint64_t used = 0, reserved = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned n = order[i];
        enum quota_verdict verdict;

        if (states[n] == WAITING) {
            bool fits = used + reserved + model_calls[n].reserved <= ORDER_LIMIT;

            calls[n] = call_of(model_calls[n].reserved, 0);
            verdict =
                reserve(model->house, &calls[n], &reservations[n], &model->refusal);
            assert_int_equal(verdict, fits ? QUOTA_TAKEN : QUOTA_REFUSED);
            states[n] = fits ? UNDER_WAY : OVER;
            reserved += fits ? model_calls[n].reserved : 0;
        } else if (states[n] == UNDER_WAY) {
            came_to(&calls[n], model_calls[n].used, 0);
            settle(model->house, &calls[n], &reservations[n]);
            reserved -= model_calls[n].reserved;
            used += model_calls[n].used;
            states[n] = OVER;
        }
        assert_model(model, states, used, reserved);
    }
    for (unsigned n = 0; n < CALLS; n++) {
        if (states[n] == UNDER_WAY) {
            settle(model->house, &calls[n], &reservations[n]);
        }
    }
    model->orders++;
}

static void play_all(struct model *model, unsigned *order, size_t length,
                     unsigned *left)
{
    bool more = false;

    for (unsigned n = 0; n < CALLS; n++) {
        if (left[n] > 0) {
            more = true;
            left[n]--;
            order[length] = n;
            play_all(model, order, length + 1, left);
            left[n]++;
        }
    }
    if (!more) {
        struct house house =
            house_of("quotas:\n"
                     "  - {name: m, limit: 5 tokens, per: day}\n"
                     "  - {name: n, limit: 5 input tokens, per: rolling 5h}\n");

        model->house = &house;
        play(model, order, length);
        house_done(&house);
    }
}

static void every_order_of_events_is_exact(void **state)
{
    struct model model = { .orders = 0 };
    unsigned order[2 * CALLS], left[CALLS] = { 2, 2, 2 };

    (void)state;
    play_all(&model, order, 0, left);
    assert_int_equal(model.orders, 90); /* 6! / 2^3 */
}

/* ---- 200 at once ----------------------------------------------------------------- */

enum { CLIENTS = 200 };

struct rush {
    struct house *house;
    pthread_barrier_t start, end;
    int rounds;
    atomic_uint_least64_t let_through, came_to, held, most;
};

static void *client_of_rush(void *self)
{
    struct rush *rush = self;
    unsigned seed = (unsigned)(uintptr_t)&seed;

    for (int round = 0; round < rush->rounds; round++) {
        struct entry call = call_of(7, 0);
        struct reservation reservation;
        struct quota_state refusal;

        call.started_ns += (uint64_t)round * 86400 * NS_PER_S; /* a window each */
        pthread_barrier_wait(&rush->start);
        for (int n = 0; n < 10; n++) {
            uint64_t held, most = atomic_load(&rush->most);

            if (reserve(rush->house, &call, &reservation, &refusal) != QUOTA_TAKEN) {
                continue;
            }
            held = atomic_fetch_add(&rush->held, 7) + 7;
            while (held > most &&
                   !atomic_compare_exchange_weak(&rush->most, &most, held)) {
            }
            call.usage = (struct usage){ .reported_nanousd = -1 };
            came_to(&call, (uint64_t)rand_r(&seed) % 8,
                    0); /* at most what was reserved */
            atomic_fetch_add(&rush->let_through, 1);
            atomic_fetch_add(&rush->came_to, usage_total(&call.usage));
            atomic_fetch_sub(&rush->held, 7 - usage_total(&call.usage));
            settle(rush->house, &call, &reservation);
        }
        pthread_barrier_wait(&rush->end);
    }
    return NULL;
}

static uint64_t used_in_round(struct house *house, int round, uint64_t *reserved)
{
    struct sums sums = { .policy = "budget", .subject = "*" };

    quota_each(house->quota, some_time + (uint64_t)round * 86400 * NS_PER_S, since_boot,
               add_state, &sums);
    *reserved = sums.reserved;
    return sums.used;
}

static void two_hundred_clients_stay_within(void **state)
{
    struct house house = house_of("quotas: [{name: budget, limit: 1000 tokens, per: "
                                  "day, timezone: Europe/Berlin}]\n");
    struct rush rush = { .house = &house };
    pthread_t threads[CLIENTS];
    pthread_attr_t small;
    uint64_t total = 0;

    (void)state;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    rush.rounds = 50;
#else
    rush.rounds = 1000;
#endif
    pthread_barrier_init(&rush.start, NULL, CLIENTS + 1);
    pthread_barrier_init(&rush.end, NULL, CLIENTS + 1);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&threads[i], &small, client_of_rush, &rush), 0);
    }
    for (int round = 0; round < rush.rounds; round++) {
        uint64_t before = atomic_load(&rush.came_to), used, reserved;

        pthread_barrier_wait(&rush.start);
        pthread_barrier_wait(&rush.end);
        used = used_in_round(&house, round, &reserved);
        assert_int_equal(reserved, 0);
        assert_int_equal(used, atomic_load(&rush.came_to) - before);
        assert_in_range(used, 1000 - 6 - 7, 1000); /* until no call fits */
        atomic_store(&rush.held, 0);
        total += used;
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(threads[i], NULL);
    }
    print_message("# %d rounds of %d clients: %llu calls let through, %llu tokens, at "
                  "most %llu of 1000 held at once\n",
                  rush.rounds, CLIENTS, (unsigned long long)rush.let_through,
                  (unsigned long long)total, (unsigned long long)rush.most);
    /* The count here is taken after the reservation and given back before it. */
    assert_true(rush.most <= 1000);
    pthread_attr_destroy(&small);
    pthread_barrier_destroy(&rush.start);
    pthread_barrier_destroy(&rush.end);
    house_done(&house);
}

/* ---- the ledger ------------------------------------------------------------------ */

static char folder[] = "/tmp/test_quota.XXXXXX";

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int folder_remove(void **state)
{
    (void)state;
    return remove_folder(folder);
}

/* Random calls of two days, some of which are under way when the process dies. */
static void run_calls(struct house *house, struct journal *journal, unsigned *seed)
{
    for (int i = 0; i < 4000; i++) {
        uint64_t at = some_time - (uint64_t)rand_r(seed) % 150000 * NS_PER_S;
        struct entry *slot = journal_take(journal, at);
        uint64_t id = slot->id;
        struct reservation reservation;
        struct quota_state refusal;

        *slot = call_of(1 + (uint64_t)rand_r(seed) % 500, (uint64_t)rand_r(seed) % 500);
        slot->id = id;
        slot->started_ns = at;
        if (rand_r(seed) % 2 == 0) {
            text_store(slot->caller, sizeof slot->caller, SPAN("bo"));
        }
        if (reserve(house, slot, &reservation, &refusal) != QUOTA_TAKEN) {
            slot->reserved_input = slot->reserved_output = 0;
            slot->outcome = OUTCOME_REFUSED;
            journal_settle(journal, slot);
            continue;
        }
        if (i > 3900 && rand_r(seed) % 4 == 0) {
            continue; /* nobody sees its end */
        }
        if (rand_r(seed) % 20 == 0) {
            slot->outcome = OUTCOME_CLIENT_ABORT;
        } else {
            came_to(slot, (uint64_t)rand_r(seed) % 900, (uint64_t)rand_r(seed) % 900);
            slot->priced = 1;
            slot->cost_nanousd = rand_r(seed) % 100000;
        }
        settle(house, slot, &reservation);
        journal_settle(journal, slot);
    }
}

static void must_recover(const char *quotas, struct house *house)
{
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, 8192, &error);
    struct ledger *ledger = ledger_open(folder, NULL, &error);

    assert_non_null(journal);
    assert_non_null(ledger);
    assert_true(ledger_recover(ledger, journal, &error));
    *house = house_of(quotas);
    quota_free(house->quota);
    house->quota = quota_new(some_time, since_boot);
    quota_adopt(house->quota, house->policies);
    assert_true(quota_rebuild(house->quota, house->policies, house->prices, folder,
                              some_time, NULL, &error));
    quota_in_force(house->quota, house->policies);
    ledger_close(ledger);
    journal_close(journal);
}

/* A kill -9 in mid-load: settled calls count as they did, those under way at what
 * they had reserved. */
static void counters_come_back_from_the_ledger(void **state)
{
    static const char quotas[] =
        "quotas:\n"
        "  - {name: day, limit: 900k tokens, per: day, each: caller, timezone: "
        "Asia/Tokyo}\n"
        "  - {name: out, limit: 10M output tokens, per: month}\n"
        "  - {name: usd, limit: $1, per: week}\n"
        "  - {name: req, limit: 100k requests, per: day}\n"
        "  - {name: roll, limit: 500k tokens, per: rolling 20h}\n";
    static const char *const names[] = { "day", "out", "usd", "req", "roll" };
    static const char *const subjects[] = { "ana", "bo", "" };
    struct house before = house_of(quotas), after;
    struct error error = { 0 };
    struct journal *journal = journal_open(folder, 0, 8192, &error);
    unsigned seed = 42;

    (void)state;
    run_calls(&before, journal, &seed);
    journal_close(journal);
    for (int restarts = 0; restarts < 2; restarts++) {
        must_recover(quotas, &after);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            for (size_t k = 0; k < sizeof subjects / sizeof subjects[0]; k++) {
                struct sums was = sums_of(&before, names[i], subjects[k]);
                struct sums is = sums_of(&after, names[i], subjects[k]);

                /* What left the rolling period is reserved still, but not charged. */
                if (strcmp(names[i], "roll") != 0) {
                    assert_int_equal(is.used, was.used + was.reserved);
                }
                assert_in_range(is.used, was.used, was.used + was.reserved);
                assert_int_equal(is.reserved, 0);
            }
        }
        house_done(&after);
    }
    house_done(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_reserve_and_settle),
        cmocka_unit_test(weighted_reservations_are_bounds),
        cmocka_unit_test(weighted_limits_refuse),
        cmocka_unit_test(refusals_take_nothing),
        cmocka_unit_test(calls_belong_to_the_window_they_began_in),
        cmocka_unit_test(warnings_are_told),
        cmocka_unit_test(bursts_run_ahead_of_the_pace),
        cmocka_unit_test(no_amount_overflows_the_pace),
        cmocka_unit_test(shares_are_told_once),
        cmocka_unit_test(charges_follow_the_entry),
        cmocka_unit_test(lines_are_charged_once),
        cmocka_unit_test(what_is_answered_later_is_charged_until_then),
        cmocka_unit_test(usual_output_is_learned),
        cmocka_unit_test(reload_keeps_what_means_the_same),
        cmocka_unit_test(every_order_of_events_is_exact),
        cmocka_unit_test(two_hundred_clients_stay_within),
        cmocka_unit_test_setup_teardown(counters_come_back_from_the_ledger, folder_make,
                                        folder_remove),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}

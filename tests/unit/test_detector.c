/* The signals, the score and the rings, by sequences whose outcome is known. */
#include "filters/detect/clearing.h"
#include "filters/detect/context.h"
#include "filters/detect/detector.h"
#include "filters/detect/prompts.h"
#include "filters/detect/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Monday, 2026-03-02, 09:00:07 UTC. */
#define BEGIN_MS INT64_C(1772442007000)

enum { SECOND = 1000, HOUR = 3600 * SECOND, SAMPLES = 12 };

static uint64_t hash_of(uint64_t n)
{
    n = (n + 77) * UINT64_C(0x9e3779b97f4a7c15);
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* A prompt of 60 characters; equal numbers are equal texts, others share nothing. */
static struct prompt_sketch prompt_of(uint64_t text)
{
    struct prompt_sketch prompt = { .whole = hash_of(text * 100 + 1),
                                    .shape = hash_of(text * 100 + 2),
                                    .characters = 60,
                                    .bottom_count = SKETCH_BOTTOM,
                                    .has_words = true };

    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        prompt.bottom[i] = hash_of(text * 100 + 10 + i);
    }
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        prompt.words[i] =
            (int8_t)((int)(hash_of(text * 100 + 30 + i / 8) >> i & 31) - 16);
    }
    qsort(prompt.bottom, SKETCH_BOTTOM, sizeof(*prompt.bottom), ascending);
    return prompt;
}

static bool is_long(void)
{
    const char *value = getenv("ASSAY_LONG");

    return value != NULL && strcmp(value, "1") == 0;
}

static struct turn turn_at(int64_t ms, uint64_t session, uint64_t text)
{
    return (struct turn){ .identity = 1,
                          .session = hash_of(session + 5000),
                          .begin_ms = BEGIN_MS + ms,
                          .end_ms = BEGIN_MS + ms + 5 * SECOND,
                          .kind = TURN_PROMPT,
                          .has_prompt = true,
                          .prompt = prompt_of(text) };
}

static void observe(struct identity_state *state, const struct turn *turn)
{
    static const struct company alone;

    identity_observe(state, turn, &alone, 0);
}

static struct identity_state *new_state(void)
{
    static struct identity_state state;

    identity_state_init(&state, 1);
    return &state;
}

static double gain(enum yes_no bet)
{
    return log(reference[bet].q / reference[bet].p0);
}

static double loss(enum yes_no bet)
{
    return log((1 - reference[bet].p0) / (1 - reference[bet].q));
}

/* By a new prompt after `known` different ones. */
static double loss_new(enum yes_no bet, unsigned known)
{
    double q = fmin((double)known / POOL_PROMPTS, POOL_KNOWN_MAX);

    return fmax(0, log((1 - reference[bet].p0) / (1 - q)));
}

static double nats(const struct identity_state *state, enum yes_no bet)
{
    return (double)state->bets[bet].nats;
}

static void assert_nats(const struct identity_state *state, enum yes_no bet,
                        double wanted)
{
    if (fabs(nats(state, bet) - wanted) > 1e-3) {
        fail_msg("%s: %f instead of %f", reference[bet].name, nats(state, bet), wanted);
    }
}

/* ---- signals --------------------------------------------------------------------- */

static void a_repeated_opener_wins(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 5; i++) {
        struct turn turn = turn_at(i * 400 * SECOND, i, 1);

        observe(state, &turn);
    }
    assert_nats(state, BET_repeat_open, 4 * gain(BET_repeat_open));
    assert_nats(state, BET_near_open, 4 * gain(BET_near_open));
    assert_nats(state, BET_topic_open, 3 * gain(BET_topic_open));
    assert_nats(state, BET_variety, gain(BET_variety) - 3 * loss(BET_variety));
    assert_nats(state, BET_oneshot, 5 * gain(BET_oneshot));
    assert_nats(state, BET_repeat_mid, 0);
    assert_int_equal(state->bets[BET_repeat_open].k, 4);
}

static void strata_do_not_dilute_each_other(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 20; i++) {
        struct turn opener = turn_at(i * HOUR, 100 + i, 1);
        struct turn own = turn_at(i * HOUR + HOUR / 2, 7, 1000 + i);

        observe(state, &opener);
        observe(state, &own);
    }
    assert_true(nats(state, BET_repeat_open) > 15 * gain(BET_repeat_open));
    assert_nats(state, BET_repeat_mid, 0);
}

/* The n-th of moments without rhythm: soon, later, and on the next day. */
static int64_t some_time(uint64_t n)
{
    static const int64_t within_day[] = { 0, 90 * SECOND, 900 * SECOND, 3 * HOUR };

    return (int64_t)(n / 4) * 24 * HOUR + within_day[n % 4] +
           (int64_t)(hash_of(n) % (n % 4 == 1 ? 60 * SECOND : HOUR / 6));
}

/* A person's prompt, of any length. */
static struct turn some_turn(uint64_t n, uint64_t session, uint64_t text)
{
    struct turn turn = turn_at(some_time(n), session, text);

    turn.prompt.characters = 30U << hash_of(n + 1) % 6;
    return turn;
}

/* One and the same opener, but every conversation goes on with something new. */
static void a_conversation_that_goes_on_takes_back_what_its_opener_won(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 40; i++) {
        struct turn opener = some_turn(2 * i, 100 + i, 1);
        struct turn next = some_turn(2 * i + 1, 100 + i, 1000 + i);

        observe(state, &opener);
        observe(state, &next);
    }
    assert_nats(state, BET_repeat_open, 0);
    assert_nats(state, BET_near_open, 0);
    assert_nats(state, BET_topic_open, 0);
    assert_true(nats(state, BET_variety) <= 2 * gain(BET_variety));
}

/* ... and counts as one that opens with something new. */
static void a_conversation_that_goes_on_speaks_against_its_opener(void **unused)
{
    struct identity_state *state = new_state();
    struct turn turn;

    (void)unused;
    for (unsigned i = 0; i < 6; i++) {
        turn = some_turn(i, 100 + i, 1);
        observe(state, &turn);
    }
    turn = some_turn(6, 105, 1000);
    observe(state, &turn);
    assert_nats(state, BET_repeat_open,
                4 * gain(BET_repeat_open) - loss(BET_repeat_open));
    assert_nats(state, BET_near_open, 4 * gain(BET_near_open) - loss(BET_near_open));
}

/* ... but not if it goes on with what came before. */
static void a_conversation_that_goes_on_as_ever_takes_nothing_back(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 12; i++) {
        struct turn opener = turn_at(i * HOUR, 100 + i, 1);
        struct turn next = turn_at(i * HOUR + HOUR / 2, 100 + i, 2);

        observe(state, &opener);
        observe(state, &next);
    }
    assert_true(score_of(state) >= SCORE_FLAG);
}

/* A conversation's opener is said within the next: twelve prompts drawn in any
 * place. */
static void prompts_without_a_place_win(void **unused)
{
    struct identity_state *state = new_state();
    double place = 0;

    (void)unused;
    for (unsigned i = 0; i < 13; i++) {
        struct turn opener = some_turn(2 * i, 100 + i, 1000 + i);
        struct turn next = some_turn(2 * i + 1, 100 + i, 999 + i);

        observe(state, &opener);
        observe(state, &next);
        place =
            i == 0 ? 0 : fmax(0, place - loss_new(BET_place, i + 1)) + gain(BET_place);
    }
    assert_nats(state, BET_place, place);
    assert_nats(state, BET_variety, 0);
    assert_true(nats(state, BET_repeat_mid) > 6);
    assert_true(score_of(state) >= SCORE_FLAG);
}

static void assert_near(double value, double wanted)
{
    if (fabs(value - wanted) > 1e-3) {
        fail_msg("%f instead of %f", value, wanted);
    }
}

/* `prompts` different openers, the last again, something new: what variety has then. */
static double variety_after(unsigned prompts)
{
    struct identity_state *state = new_state();

    for (unsigned i = 0; i < prompts; i++) {
        struct turn turn = some_turn(i, 100 + i, 1000 + i);

        observe(state, &turn);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct turn turn = some_turn(prompts + i, 500 + i, 999 + prompts + i);

        observe(state, &turn);
    }
    return nats(state, BET_variety);
}

/* Most of a pool is known after a while: who still says something new has none. */
static void what_is_new_speaks_against_a_pool_the_more_is_known(void **unused)
{
    (void)unused;
    assert_near(variety_after(4), gain(BET_variety) - loss_new(BET_variety, 4));
    assert_near(variety_after(16), gain(BET_variety) - log(.99 / .8));
    assert_near(variety_after(60), gain(BET_variety) - log(.99 / .6));
}

/* A prompt inside a conversation opens the next, after `between` others. */
static double place_after(unsigned between)
{
    struct identity_state *state = new_state();
    struct turn turn;
    unsigned n = 0;

    for (; n < 2 + between; n++) {
        turn = some_turn(n, 100, 1000 + n);
        observe(state, &turn);
    }
    turn = some_turn(n, 101, 1001);
    observe(state, &turn);
    return nats(state, BET_place);
}

/* A person whose conversation led nowhere begins another with what he said last. */
static void who_starts_over_does_not_mistake_the_place(void **unused)
{
    (void)unused;
    assert_near(place_after(0), 0);
    assert_near(place_after(1), gain(BET_place));
}

/* Who says again what he opened the conversation with is not through with it. */
static void an_opener_said_again_keeps_its_place(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 26; i++) {
        struct turn turn = some_turn(i, 100 + i / 2, 1000 + i / 2);

        observe(state, &turn);
    }
    assert_nats(state, BET_place, 0);
}

/* ... once in each of them: he pastes what failed again. */
static void an_opener_said_again_once_is_excused(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 26; i++) {
        struct turn turn = some_turn(i, 100 + i / 2, 1000 + i / 2);

        observe(state, &turn);
    }
    assert_nats(state, BET_repeat_mid, 0);
    for (unsigned i = 26; i < 46; i++) {
        struct turn turn = some_turn(i, 100 + i / 5, 1000 + i / 5);

        observe(state, &turn);
    }
    assert_true(nats(state, BET_repeat_mid) > 6);
}

/* Two of three prompts inside the conversations are "run the tests and fix what
 * fails". */
static void what_is_new_excuses_habits(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 120; i++) {
        struct turn turn = some_turn(i, i / 12, i % 3 == 0 ? 100 + i : 7);

        observe(state, &turn);
    }
    assert_nats(state, BET_repeat_mid, 0);
    assert_nats(state, BET_near_mid, 0);
    for (unsigned i = 120; i < 150; i++) {
        struct turn turn = some_turn(i, 11, 7);

        observe(state, &turn);
    }
    assert_true(score_of(state) >= SCORE_FLAG);
}

static void recombined_phrases_are_near(void **unused)
{
    struct identity_state *state = new_state();
    struct turn turn = turn_at(0, 0, 1);

    (void)unused;
    observe(state, &turn);
    turn = turn_at(HOUR, 1, 2);
    observe(state, &turn);
    turn = turn_at(2 * HOUR, 2, 3);
    for (unsigned i = 0; i < 4; i++) {
        turn.prompt.bottom[i] = prompt_of(1 + i % 2).bottom[i];
    }
    qsort(turn.prompt.bottom, SKETCH_BOTTOM, sizeof(uint64_t), ascending);
    observe(state, &turn);
    assert_nats(state, BET_near_open, gain(BET_near_open));
    assert_nats(state, BET_repeat_open, 0);
}

static void short_prompts_inside_are_no_evidence(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 50; i++) {
        struct turn turn = turn_at(i * 700 * SECOND, 1, 1);

        turn.prompt.characters = 1;
        observe(state, &turn);
    }
    assert_nats(state, BET_repeat_mid, 0);
    assert_nats(state, BET_near_mid, 0);
    assert_int_equal(state->length.total, 0);
}

static void retries_are_no_evidence(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 30; i++) {
        struct turn turn = turn_at(i * 97 * SECOND * (1 + i % 5), i, 1);

        turn.retry = true;
        observe(state, &turn);
    }
    assert_nats(state, BET_repeat_open, 0);
    assert_nats(state, BET_near_open, 0);
    assert_nats(state, BET_topic_open, 0);
    assert_nats(state, BET_variety, 0);
    assert_nats(state, BET_typing, 0);
}

static void an_echo_of_another_conversation_wins(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        struct turn turn = turn_at(i * HOUR, i, 1000 + i);

        for (unsigned j = 0; j < SAMPLES; j++) {
            turn.prompt.samples[j] = (uint32_t)hash_of(10000 + i * 100 + j);
            turn.response.samples[j] = (uint32_t)hash_of(10100 + i * 100 + j);
        }
        turn.prompt.sample_count = SAMPLES;
        turn.response.count = SAMPLES;
        observe(state, &turn);
    }
    assert_nats(state, BET_echo, 3 * gain(BET_echo));
}

static void a_quotation_within_a_conversation_is_no_echo(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        struct turn turn = turn_at(i * HOUR, 1, 1000 + i);

        for (unsigned j = 0; j < SAMPLES; j++) {
            turn.prompt.samples[j] = (uint32_t)hash_of(10000 + i * 100 + j);
            turn.response.samples[j] = (uint32_t)hash_of(10100 + i * 100 + j);
        }
        turn.prompt.sample_count = SAMPLES;
        turn.response.count = SAMPLES;
        observe(state, &turn);
    }
    assert_nats(state, BET_echo, 0);
}

/* One prompt in every conversation; each response quotes it. */
static void a_prompt_sent_before_echoes_no_response(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        struct turn turn = turn_at(i * HOUR, i, 1);

        for (unsigned j = 0; j < SAMPLES; j++) {
            turn.prompt.samples[j] = (uint32_t)hash_of(10000 + j);
            turn.response.samples[j] = (uint32_t)hash_of(10000 + j);
        }
        turn.prompt.sample_count = SAMPLES;
        turn.response.count = SAMPLES;
        observe(state, &turn);
    }
    assert_nats(state, BET_echo, 0);
}

static void steady_turns_win_by_phase_and_gap(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 40; i++) {
        struct turn turn = turn_at((int64_t)i * 300 * SECOND, 1, 1000 + i);

        observe(state, &turn);
    }
    for (unsigned i = 0; i < 2; i++) {
        const uint8_t *counts = state->phase_counts[i];

        assert_true((double)state->phases[i].nats > 30);
        assert_int_equal(counts[histogram_fullest(counts, PHASE_BINS)], 40);
    }
    /* Three turns in a quarter of an hour count once. */
    assert_int_equal(state->phases[2].total, 14);
    assert_true((double)state->gap.nats > 30);
}

/* Of many people with a hundred turns each, some keep to a phase for a while. */
static void a_rhythm_of_chance_is_no_evidence(void **unused)
{
    enum { IDENTITIES = 100, TURNS = 100 };
    struct identity_state *rhythmic;
    float phase = 0;

    (void)unused;
    for (uint64_t who = 0; who < IDENTITIES; who++) {
        struct identity_state *state = new_state();
        int64_t ms = 0;

        for (uint64_t i = 0; i < TURNS; i++) {
            uint64_t n = who * TURNS + i;
            uint64_t most_ms = UINT64_C(60000) << hash_of(n + 1) % 11;
            struct turn turn = turn_at(ms, 7, 1000 + n);

            ms += (int64_t)(hash_of(n) % most_ms);
            turn.prompt.characters = 30U << hash_of(n + 2) % 6;
            observe(state, &turn);
            phase = fmaxf(phase, state->phases[0].nats);
        }
    }
    assert_true(phase > 5);
    rhythmic = new_state();
    rhythmic->turns = TURNS;
    rhythmic->phases[0].nats = phase;
    assert_true(score_of(rhythmic) <= 0);
    rhythmic->phases[0].nats = 2 * phase;
    assert_true(score_of(rhythmic) > 5);
}

static void a_day_without_rest_wins(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i <= 72; i += 2) {
        struct turn turn = turn_at((int64_t)i * HOUR, 1, 1000 + i);

        observe(state, &turn);
    }
    assert_nats(state, BET_rest, 3 * gain(BET_rest));
}

static void a_night_is_rest(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned day = 0; day < 10; day++) {
        for (unsigned hour = 0; hour < 18; hour++) {
            struct turn turn =
                turn_at(((int64_t)day * 24 + hour) * HOUR, 1, day * 100 + hour);

            observe(state, &turn);
        }
    }
    assert_nats(state, BET_rest, 0);
    assert_true(state->bets[BET_rest].n > 0);
}

static void inhuman_typing_wins(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 6; i++) {
        struct turn turn = turn_at(i * 6 * SECOND, 1, 1000 + i);

        observe(state, &turn);
    }
    assert_nats(state, BET_typing, 5 * gain(BET_typing));
}

static void agents_do_not_bet(void **unused)
{
    struct identity_state *state = new_state();
    struct turn turn = turn_at(0, 1, 1);

    (void)unused;
    observe(state, &turn);
    for (unsigned i = 1; i < 500; i++) {
        turn = turn_at(i * 60 * SECOND, i % 2 == 0 ? 1 : i, 1);
        turn.kind = i % 2 == 0 ? TURN_CONTINUATION : TURN_SUBAGENT;
        observe(state, &turn);
    }
    assert_int_equal(state->turns, 1);
    assert_int_equal(state->calls, 500);
    assert_true(score_of(state) <= 0);
    /* Subagents did not push the person's session out. */
    turn = turn_at(HOUR * 10, 1, 2);
    observe(state, &turn);
    assert_int_equal(state->bets[BET_oneshot].n, 2);
    assert_int_equal(state->bets[BET_oneshot].k, 1);
}

static void nothing_is_said_before_the_eighth_turn(void **unused)
{
    struct identity_state *state = new_state();

    (void)unused;
    for (unsigned i = 0; i < 8; i++) {
        struct turn turn = turn_at(i * 60 * SECOND, i, 1);

        assert_true(score_of(state) <= 0);
        assert_int_equal(grade_of(state, SCORE_FLAG), GRADE_UNRATED);
        observe(state, &turn);
    }
    assert_int_equal(grade_of(state, SCORE_FLAG), GRADE_FLAGGED);
}

static void noise_does_not_evict_what_is_established(void **unused)
{
    struct identity_state *state = new_state();
    struct turn turn;
    uint16_t k;

    (void)unused;
    for (unsigned i = 0; i < 10; i++) {
        turn = turn_at(i * HOUR, i, 1);
        observe(state, &turn);
    }
    for (unsigned i = 10; i < 3000; i++) {
        turn = turn_at((int64_t)i * HOUR, i, 1000 + i);
        observe(state, &turn);
    }
    turn = turn_at(INT64_C(3000) * HOUR, 3000, 1);
    k = state->bets[BET_repeat_open].k;
    observe(state, &turn);
    assert_true(nats(state, BET_repeat_open) > 0);
    assert_true(state->bets[BET_repeat_open].k == 1 ||
                state->bets[BET_repeat_open].k == k + 1);
    assert_int_equal(prompts_top(state)->shape, (uint32_t)prompt_of(1).shape);
}

static void an_agent_s_loop_is_context(void **unused)
{
    struct identity_state *state = new_state();
    static struct evidence evidence;

    (void)unused;
    for (uint64_t n = 0; n < 30; n++) {
        struct turn turn = turn_at((int64_t)n * SECOND, 1, n);

        turn.kind = TURN_CONTINUATION;
        turn.loop = n < 20 ? (uint32_t)n % 5 + 1 : 77;
        observe(state, &turn);
        evidence.count = 0;
        context_collect(state, &evidence);
        assert_int_equal(evidence.count, n >= 25);
    }
    assert_string_equal(evidence.rows[0].signal, "loop");
    assert_non_null(strstr(evidence.rows[0].says, "10 times in a row"));
    assert_true(score_of(state) < 1);
}

static void unattended_work_is_context(void **unused)
{
    struct identity_state *state = new_state();
    struct evidence evidence = { .count = 0 };

    (void)unused;
    for (unsigned i = 0; i < 6 * 101; i++) {
        struct turn turn = turn_at(i * 60 * SECOND, 1, i);

        turn.kind = i % 101 == 0 ? TURN_PROMPT : TURN_CONTINUATION;
        turn.input_tokens = 1000;
        observe(state, &turn);
    }
    unattended_context(state, &evidence);
    assert_int_equal(evidence.count, 1);
    assert_non_null(strstr(evidence.rows[0].says, "6 human turns"));
    assert_non_null(strstr(evidence.rows[0].says, "101 calls"));
    assert_true(score_of(state) <= 0);
}

static void a_sprint_is_context(void **unused)
{
    struct identity_state *state = new_state();
    struct evidence evidence = { .count = 0 };

    (void)unused;
    for (unsigned week = 0; week < 5; week++) {
        /* From Monday 09:00; the last six hours of a week begin on Sunday at 18:00. */
        for (unsigned n = 0; n < 10; n++) {
            int64_t hours = week * 168 + (n < 9 ? n * 10 : 6 * 24 + 10);
            struct turn turn = turn_at(hours * HOUR, 1, week * 10 + n);

            turn.kind = TURN_CONTINUATION;
            turn.input_tokens = n < 9 ? 10000 : week == 3 ? 90000 : 5000;
            observe(state, &turn);
        }
        sprint_context(state, &evidence);
        assert_int_equal(evidence.count, week == 4);
    }
    assert_non_null(strstr(evidence.rows[0].says, "50% of last week's tokens"));
    assert_non_null(strstr(evidence.rows[0].says, "usually 5%"));
}

/* ---- detector -------------------------------------------------------------------- */

struct seen {
    unsigned lines;
    unsigned alarms[64]; /* by identity */
    unsigned rings[64];  /* of them, because of others */
    float last;
    struct evidence evidence;
};

static void see(void *self, const struct finding *finding)
{
    struct seen *seen = self;

    assert_true(finding->identity < 64);
    seen->lines++;
    seen->alarms[finding->identity] += finding->alarm;
    seen->last = finding->score;
    if (finding->alarm) {
        assert_true(finding->evidence.count > 0);
        assert_true(strlen(finding->evidence.rows[0].says) > 20);
        assert_null(strstr(finding->evidence.rows[0].says, "cheat"));
        seen->evidence = finding->evidence;
        seen->rings[finding->identity] += finding->evidence.rows[0].identities > 0;
    }
}

static struct detector *new_detector(bool alone)
{
    return detector_new(&(struct detector_options){ .threshold = SCORE_FLAG,
                                                    .alone = alone,
                                                    .prompts_log2 = 12,
                                                    .samples_log2 = 12 });
}

static void feed(struct detector *detector, uint64_t identity, struct turn turn,
                 struct seen *seen)
{
    turn.identity = identity;
    assert_true(detector_observe(detector, &turn, see, seen));
}

static void a_ring_of_keys_is_found(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 20; i++) {
        for (uint64_t key = 1; key <= 5; key++) {
            feed(detector, key,
                 turn_at(i * 5 * HOUR + (int64_t)key * 977 * SECOND, i, 1), &seen);
        }
        feed(detector, 9, turn_at(i * 5 * HOUR + HOUR * 2, i, 1000 + i), &seen);
        if (i == 3) {
            break;
        }
    }
    for (uint64_t key = 1; key <= 5; key++) {
        assert_true(seen.alarms[key] > 0);
    }
    assert_int_equal(seen.alarms[9], 0);
    assert_string_equal(seen.evidence.rows[0].signal, "shared");
    assert_int_equal(seen.evidence.rows[0].identities, 5);
    detector_free(detector);
}

static void copying_a_person_does_not_implicate_him(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 40; i++) {
        /* Six turns in a morning, at no particular times. */
        int64_t at =
            (i / 6 * 24 + i % 6) * (int64_t)HOUR + (int64_t)(hash_of(i) % HOUR);

        for (uint64_t key = 2; key <= 8; key++) {
            feed(detector, key, turn_at(at - HOUR + (int64_t)key * SECOND, i, i),
                 &seen);
        }
        feed(detector, 1, turn_at(at, 5, i), &seen);
    }
    assert_int_equal(seen.alarms[1], 0);
    detector_free(detector);
}

/* A prompt that shares half of its phrases with the others of its kind. */
static struct turn variation(int64_t ms, uint64_t session, uint64_t kind, uint64_t text)
{
    struct turn turn = turn_at(ms, session, text);

    for (unsigned i = 0; i < SKETCH_BOTTOM / 2; i++) {
        turn.prompt.bottom[i] = hash_of(kind * 1000 + i);
    }
    return turn;
}

/* A class: twelve exercises of one sheet, each pasted by everybody, twice by some. */
static void a_class_is_no_ring(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 12; i++) {
        for (uint64_t key = 1; key <= 20; key++) {
            int64_t at = i * (HOUR / 4) + (int64_t)(hash_of(i * 20 + key) % (HOUR / 6));

            feed(detector, key, variation(at, i, 3, i), &seen);
            feed(detector, key, turn_at(at + 100 * SECOND, i, 1000 * key + i), &seen);
        }
    }
    for (uint64_t key = 1; key <= 20; key++) {
        assert_int_equal(seen.rings[key], 0);
    }
    detector_free(detector);
}

/* A team's prompt: each member opens a fifth of his conversations with it. */
static void a_prompt_of_a_team_makes_no_ring(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 60; i++) {
        for (uint64_t key = 1; key <= 8; key++) {
            struct turn turn = some_turn(i, i, 10000 * key + i);

            if (i % 5 == 0) {
                turn.prompt = variation(0, 0, 3, 500 + i % 2).prompt;
            }
            turn.begin_ms += (int64_t)key * 7777;
            feed(detector, key, turn, &seen);
        }
    }
    for (uint64_t key = 1; key <= 8; key++) {
        assert_int_equal(seen.rings[key], 0);
    }
    detector_free(detector);
}

/* Two pairs of keys whose prompts have nothing in common are one ring once a prompt
 * resembles both. */
static void circles_become_one(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 12; i++) {
        int64_t at = i * 4 * HOUR;
        struct turn both = variation(at + 300 * SECOND, i, 3, 300 + i);

        both.prompt.bottom[6] = hash_of(4 * 1000);
        both.prompt.bottom[7] = hash_of(4 * 1000 + 1);
        feed(detector, 1, variation(at, i, 3, i), &seen);
        feed(detector, 2, variation(at + 100 * SECOND, i, 4, 100 + i), &seen);
        feed(detector, 3, variation(at + 200 * SECOND, i, 3, 200 + i), &seen);
        feed(detector, 4, variation(at + 250 * SECOND, i, 4, 400 + i), &seen);
        feed(detector, 1, both, &seen);
    }
    for (uint64_t key = 1; key <= 4; key++) {
        assert_true(seen.alarms[key] > 0);
    }
    assert_int_equal(seen.evidence.rows[0].identities, 4);
    detector_free(detector);
}

/* Two intents of one script: each key sends both, and at last a prompt with a phrase of
 * either. */
static void circles_of_the_same_keys_become_one(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        for (uint64_t key = 1; key <= 3; key++) {
            feed(detector, key,
                 variation(i * 3 * HOUR + (int64_t)key * 977 * SECOND, i, 3 + i % 2,
                           10 * key + i),
                 &seen);
        }
    }
    for (uint64_t key = 1; key <= 3; key++) {
        assert_int_equal(seen.rings[key], 0);
    }
    for (unsigned i = 4; i < 6; i++) {
        struct turn both = variation(i * 3 * HOUR, i, 3, 100 + i);

        both.prompt.bottom[7] = hash_of(4 * 1000);
        feed(detector, 1, both, &seen);
    }
    for (uint64_t key = 1; key <= 3; key++) {
        assert_true(seen.rings[key] > 0);
    }
    detector_free(detector);
}

/* Responses quote an exercise before the next of the class sends it. */
static void a_copied_prompt_echoes_no_response(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 12; i++) {
        for (uint64_t key = 1; key <= 5; key++) {
            int64_t at = some_time(i) + (int64_t)key * 100 * SECOND;
            struct turn turn = variation(at, i, i, i);

            for (unsigned j = 0; j < SAMPLES; j++) {
                turn.prompt.samples[j] = (uint32_t)hash_of(10000 + i * 100 + j);
            }
            memcpy(turn.response.samples, turn.prompt.samples,
                   sizeof turn.response.samples);
            turn.prompt.sample_count = SAMPLES;
            turn.response.count = SAMPLES;
            feed(detector, key, turn, &seen);
        }
    }
    for (uint64_t key = 1; key <= 5; key++) {
        assert_nats(detector_state(detector, key), BET_echo_others, 0);
    }
    detector_free(detector);
}

static void two_weeks_are_lately(void **unused)
{
    struct lately lately = { .latest = 0 };

    (void)unused;
    lately_count(&lately, 2926);
    lately_count(&lately, 2926);
    lately_count(&lately, 2927);
    assert_int_equal(lately_in(lately, 2927), 3);
    assert_int_equal(lately_in(lately, 2928), 1);
    assert_int_equal(lately_in(lately, 2929), 0);
    for (unsigned i = 0; i < 2 * LATELY_MOST; i++) {
        lately_count(&lately, 2928);
    }
    assert_int_equal(lately_in(lately, 2928), LATELY_MOST + 1);
    lately = lately_sum(lately, lately, 2928);
    assert_int_equal(lately_in(lately, 2928), LATELY_MOST + 2);
}

static void a_call_recorded_twice_is_one(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 6; i++) {
        for (uint64_t key = 1; key <= 5; key++) {
            feed(detector, key, turn_at(i * 7 * HOUR, i, 1), &seen);
        }
    }
    for (uint64_t key = 2; key <= 5; key++) {
        assert_int_equal(seen.alarms[key], 0);
    }
    detector_free(detector);
}

static void echoes_across_keys_are_found(void **unused)
{
    struct detector *detector = new_detector(false);
    struct seen seen = { .lines = 0 };

    (void)unused;
    for (unsigned i = 0; i < 20; i++) {
        struct turn turn = turn_at(i * HOUR, i, 1000 + i);

        for (unsigned j = 0; j < SAMPLES; j++) {
            turn.prompt.samples[j] = (uint32_t)hash_of(10000 + i * 100 + j);
            turn.response.samples[j] = (uint32_t)hash_of(10100 + i * 100 + j);
        }
        turn.prompt.sample_count = SAMPLES;
        turn.response.count = SAMPLES;
        feed(detector, 1 + i % 2, turn, &seen);
    }
    assert_true(seen.alarms[1] > 0 && seen.alarms[2] > 0);
    detector_free(detector);
}

/* ---- properties ------------------------------------------------------------------ */

static struct turn random_turn(uint64_t n)
{
    uint64_t random = hash_of(n);
    struct turn turn = turn_at((int64_t)(n * 7) * SECOND, random % 100, random % 977);

    turn.kind = random % 5 == 0   ? TURN_PROMPT
                : random % 5 == 1 ? TURN_SUBAGENT
                                  : TURN_CONTINUATION;
    turn.retry = random % 40 == 0;
    turn.prompt.characters = (uint32_t)(random >> 20) >> (random >> 52 & 31);
    turn.prompt.sample_count = (uint8_t)(random >> 8 & 31);
    turn.response.count = SAMPLES;
    for (unsigned i = 0; i < SAMPLES; i++) {
        turn.response.samples[i] = (uint32_t)hash_of(random % 500 + i);
        turn.prompt.samples[i] = (uint32_t)hash_of(random % 490 + i);
    }
    return turn;
}

/* The state is one struct without pointers, so its size cannot grow; all of it stays
 * sane. */
static void any_calls_leave_a_sane_state(void **unused)
{
    uint64_t calls = is_long() ? 10000000 : 1000000;
    struct {
        struct identity_state state;
        uint64_t canary;
    } guarded = { .canary = UINT64_C(0x5ca1ab1e) };

    (void)unused;
    identity_state_init(&guarded.state, 1);
    for (uint64_t n = 0; n < calls; n++) {
        struct turn turn = random_turn(n);

        observe(&guarded.state, &turn);
        if (n % 1000 == 0) {
            float score = score_of(&guarded.state);

            assert_true(score >= 0 && score <= 2 * SCORE_MAX + 1);
        }
    }
    assert_true(guarded.canary == UINT64_C(0x5ca1ab1e));
    assert_int_equal(guarded.state.calls, calls);
    assert_true(sizeof(guarded.state) <= STATE_SIZE_MAX);
}

static void the_name_does_not_matter(void **unused)
{
    struct detector *one = new_detector(true), *other = new_detector(true);
    struct seen a = { .lines = 0 }, b = { .lines = 0 };

    (void)unused;
    for (uint64_t n = 0; n < 5000; n++) {
        feed(one, 3, random_turn(n), &a);
        feed(other, 44, random_turn(n), &b);
        assert_memory_equal(&a.last, &b.last, sizeof(a.last));
    }
    assert_true(a.lines > 900);
    detector_free(one);
    detector_free(other);
}

struct saved {
    char bytes[1 << 20];
    size_t len;
};

static void save_piece(void *self, const void *bytes, size_t len)
{
    struct saved *saved = self;

    assert_true(saved->len + len <= sizeof saved->bytes);
    memcpy(saved->bytes + saved->len, bytes, len);
    saved->len += len;
}

/* What identities share is the same after it was saved: both tables go on alike. */
static void what_is_shared_survives_saving(void **unused)
{
    static struct saved saved, again;
    struct company_table *one = company_table_new(8, 8);
    struct company_table *other = company_table_new(8, 8);

    (void)unused;
    for (uint64_t n = 0; n < 600; n++) {
        struct turn turn = turn_at((int64_t)n * HOUR / 10, n, n % 9);

        turn.identity = n % 5 + 1;
        turn.response =
            (struct response_sketch){ .samples = { (uint32_t)n }, .count = 1 };
        (void)company_of(one, &turn);
        company_respond(one, &turn);
        if (n == 300) {
            company_save(one, save_piece, &saved);
            assert_true(company_restore(other, span_of(saved.bytes, saved.len)));
        } else if (n > 300) {
            (void)company_of(other, &turn);
            company_respond(other, &turn);
        }
    }
    saved.len = 0;
    company_save(one, save_piece, &saved);
    company_save(other, save_piece, &again);
    assert_int_equal(saved.len, again.len);
    assert_memory_equal(saved.bytes, again.bytes, saved.len);
    for (size_t cut = 0; cut < saved.len; cut += 97) {
        assert_false(company_restore(other, span_of(saved.bytes, cut)));
    }
    company_table_free(one);
    company_table_free(other);
}

/* What is promised holds: so many ordinary turns, and the score is below. */
static void ordinary_turns_clear(void **unused)
{
    struct identity_state *state = new_state();
    int64_t ms = INT64_C(100) * HOUR;
    unsigned promised;

    (void)unused;
    for (uint64_t n = 0; n < 14; n++) {
        struct turn turn = turn_at((int64_t)n * 7 * HOUR, n, 1);

        observe(state, &turn);
    }
    assert_true(score_of(state) >= SCORE_FLAG);
    promised = clearing_turns(state, SCORE_FLAG);
    assert_in_range(promised, 1, 100);
    for (uint64_t n = 0; n < 2 * promised && score_of(state) >= SCORE_FLAG; n++) {
        struct turn turn;

        ms += (INT64_C(60) * SECOND << n * 7 % 11) + (int64_t)(hash_of(n) % 60000);
        turn = turn_at(ms, 500 + n / 2, 500 + n);
        turn.prompt.characters = 30U << n * 5 % 6;
        observe(state, &turn);
    }
    assert_true(score_of(state) < SCORE_FLAG);
}

/* What is shown is what has weight, strongest first; where nothing has, what has most. */
static void only_what_has_weight_is_shown(void **unused)
{
    static struct identity_state seen;
    static struct evidence evidence;

    (void)unused;
    identity_state_init(&seen, 1);
    seen.bets[BET_typing].nats = 1.2F;
    seen.gap.nats = 1.9F;
    seen.length.nats = 1.5F;
    evidence_collect(&seen, &evidence);
    assert_int_equal(evidence.count, 1);
    assert_string_equal(evidence.rows[0].signal, "gap");

    seen.bets[BET_rest].nats = 2;
    seen.bets[BET_oneshot].nats = 2.5F;
    evidence_collect(&seen, &evidence);
    assert_int_equal(evidence.count, 2);
    assert_string_equal(evidence.rows[0].signal, "oneshot");
    assert_string_equal(evidence.rows[1].signal, "rest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_opener_wins),
        cmocka_unit_test(strata_do_not_dilute_each_other),
        cmocka_unit_test(a_conversation_that_goes_on_takes_back_what_its_opener_won),
        cmocka_unit_test(a_conversation_that_goes_on_speaks_against_its_opener),
        cmocka_unit_test(a_conversation_that_goes_on_as_ever_takes_nothing_back),
        cmocka_unit_test(prompts_without_a_place_win),
        cmocka_unit_test(what_is_new_speaks_against_a_pool_the_more_is_known),
        cmocka_unit_test(who_starts_over_does_not_mistake_the_place),
        cmocka_unit_test(an_opener_said_again_keeps_its_place),
        cmocka_unit_test(an_opener_said_again_once_is_excused),
        cmocka_unit_test(what_is_new_excuses_habits),
        cmocka_unit_test(recombined_phrases_are_near),
        cmocka_unit_test(short_prompts_inside_are_no_evidence),
        cmocka_unit_test(retries_are_no_evidence),
        cmocka_unit_test(an_echo_of_another_conversation_wins),
        cmocka_unit_test(a_quotation_within_a_conversation_is_no_echo),
        cmocka_unit_test(a_prompt_sent_before_echoes_no_response),
        cmocka_unit_test(steady_turns_win_by_phase_and_gap),
        cmocka_unit_test(a_rhythm_of_chance_is_no_evidence),
        cmocka_unit_test(a_day_without_rest_wins),
        cmocka_unit_test(a_night_is_rest),
        cmocka_unit_test(inhuman_typing_wins),
        cmocka_unit_test(agents_do_not_bet),
        cmocka_unit_test(nothing_is_said_before_the_eighth_turn),
        cmocka_unit_test(an_agent_s_loop_is_context),
        cmocka_unit_test(unattended_work_is_context),
        cmocka_unit_test(a_sprint_is_context),
        cmocka_unit_test(noise_does_not_evict_what_is_established),
        cmocka_unit_test(a_ring_of_keys_is_found),
        cmocka_unit_test(copying_a_person_does_not_implicate_him),
        cmocka_unit_test(a_class_is_no_ring),
        cmocka_unit_test(a_prompt_of_a_team_makes_no_ring),
        cmocka_unit_test(circles_become_one),
        cmocka_unit_test(circles_of_the_same_keys_become_one),
        cmocka_unit_test(a_copied_prompt_echoes_no_response),
        cmocka_unit_test(two_weeks_are_lately),
        cmocka_unit_test(a_call_recorded_twice_is_one),
        cmocka_unit_test(echoes_across_keys_are_found),
        cmocka_unit_test(any_calls_leave_a_sane_state),
        cmocka_unit_test(the_name_does_not_matter),
        cmocka_unit_test(what_is_shared_survives_saving),
        cmocka_unit_test(ordinary_turns_clear),
        cmocka_unit_test(only_what_has_weight_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

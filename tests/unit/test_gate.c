#include "filters/turn/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static const int64_t morning = 1700000000000;

static struct gate *gate;

static int open_gate(void **unused)
{
    (void)unused;
    gate = gate_new(4);
    return gate == NULL;
}

static int close_gate(void **unused)
{
    (void)unused;
    gate = gate_free(gate);
    return 0;
}

/* A person's words in a conversation of their own. */
static struct call says(uint64_t words, uint64_t root, int64_t at_ms)
{
    struct call call = { .root = root, .messages = 1, .opens = true };

    call.turn.identity = 7;
    call.turn.kind = TURN_PROMPT;
    call.turn.begin_ms = morning + at_ms;
    call.turn.has_prompt = true;
    call.turn.prompt.whole = words;
    return call;
}

static struct turn judge(struct call call)
{
    gate_judge(gate, &call);
    return call.turn;
}

static void a_prompt_is_a_turn_of_its_roots_session(void **unused)
{
    struct turn turn = judge(says(1, 100, 0));

    (void)unused;
    assert_int_equal(turn.kind, TURN_PROMPT);
    assert_int_equal(turn.session, 100);
    assert_false(turn.retry);
}

static void a_claim_names_the_session(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    call.claimed = 55;
    assert_int_equal(judge(call).session, 55);
}

static void a_failed_call_is_tried_again(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    call.failed = true;
    for (int i = 0; i < 20; i++) {
        struct turn turn = judge(call);

        assert_int_equal(turn.retry, i > 0);
        assert_int_equal(turn.session, 100);
        call.turn.begin_ms += 10 * MINUTE;
    }
}

static void an_answer_is_asked_for_again_soon_and_seldom(void **unused)
{
    (void)unused;
    assert_false(judge(says(1, 100, 0)).retry);
    for (int i = 1; i <= 5; i++) {
        assert_true(judge(says(1, 100, i * 30 * SECOND)).retry);
    }
    assert_false(judge(says(1, 100, 6 * 30 * SECOND)).retry);
    assert_false(judge(says(2, 100, 2 * HOUR)).retry);
    assert_false(judge(says(2, 100, 2 * HOUR + 2 * MINUTE)).retry);
}

static void a_conversation_that_grew_is_no_retry(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    judge(call);
    call.messages = 3;
    call.opens = false;
    call.turn.begin_ms += 10 * SECOND;
    assert_false(judge(call).retry);
}

static void the_same_beginning_later_is_another_conversation(void **unused)
{
    struct call call = says(1, 100, 0);
    uint64_t first, second;

    (void)unused;
    first = judge(call).session;
    call.turn.begin_ms += 20 * MINUTE;
    second = judge(call).session;
    assert_int_not_equal(first, second);

    call.turn.begin_ms += MINUTE;
    call.turn.prompt.whole = 2;
    call.messages = 3;
    call.opens = false;
    assert_int_equal(judge(call).session, second);
}

static void a_claim_does_not_make_conversations_one(void **unused)
{
    struct call call = says(1, 100, 0);
    uint64_t first;

    (void)unused;
    call.claimed = 55;
    first = judge(call).session;
    call.turn.begin_ms += 20 * MINUTE;
    call.turn.prompt.whole = 2;
    call.root = 101;
    assert_int_not_equal(judge(call).session, first);
}

static void a_call_that_names_its_predecessor_is_of_its_session(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    call.reply = 9001;
    judge(call);
    for (unsigned i = 0; i < 3; i++) {
        call = says(2 + i, 200 + i, (i + 1) * MINUTE);
        call.predecessor = 9001 + i;
        call.reply = 9002 + i;
        assert_int_equal(judge(call).session, 100);
    }
}

static void a_companion_copies_a_turn_under_another_root(void **unused)
{
    struct turn turn;

    (void)unused;
    judge(says(1, 100, 0));
    turn = judge(says(1, 101, 2 * SECOND));
    assert_int_equal(turn.kind, TURN_CONTINUATION);
    assert_true(turn.harness);
    assert_int_equal(judge(says(1, 102, 3 * SECOND)).kind, TURN_CONTINUATION);
    assert_int_equal(judge(says(1, 103, 4 * SECOND)).kind, TURN_PROMPT);
    assert_int_equal(judge(says(1, 104, 20 * SECOND)).kind, TURN_PROMPT);
}

static void a_companion_may_be_settled_first(void **unused)
{
    (void)unused;
    judge(says(1, 101, 2 * SECOND));
    assert_int_equal(judge(says(1, 100, 0)).kind, TURN_CONTINUATION);
}

/* A response that delegates: its tool argument has these samples. */
static void delegate(unsigned samples)
{
    struct call call = says(1, 100, 0);

    for (unsigned i = 0; i < samples; i++) {
        call.arguments[call.argument_count++] = 5000 + i;
    }
    judge(call);
}

static struct call task(unsigned samples, uint64_t root)
{
    struct call call = says(77, root, MINUTE);

    for (unsigned i = 0; i < samples; i++) {
        call.turn.prompt.samples[call.turn.prompt.sample_count++] = 5000 + i;
    }
    return call;
}

static void a_task_from_a_tool_argument_is_a_subagents(void **unused)
{
    struct call later = says(78, 300, 2 * MINUTE);

    (void)unused;
    delegate(10);
    assert_int_equal(judge(task(10, 300)).kind, TURN_SUBAGENT);
    assert_int_equal(judge(task(10, 300)).session, 100);
    later.turn.kind = TURN_CONTINUATION;
    assert_int_equal(judge(later).kind, TURN_SUBAGENT);
}

static void four_samples_of_five_are_enough(void **unused)
{
    (void)unused;
    delegate(8);
    assert_int_equal(judge(task(10, 300)).kind, TURN_SUBAGENT);
    assert_int_equal(judge(task(11, 301)).kind, TURN_PROMPT);
}

static void two_samples_are_too_few_but_the_whole_is_enough(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    delegate(2);
    assert_int_equal(judge(task(2, 300)).kind, TURN_PROMPT);
    call.arguments[call.argument_count++] = 78;
    judge(call);
    assert_int_equal(judge(says(78, 301, HOUR)).kind, TURN_SUBAGENT);
}

static void words_in_a_known_conversation_are_no_subagents(void **unused)
{
    (void)unused;
    delegate(10);
    assert_int_equal(judge(task(10, 100)).kind, TURN_PROMPT);
}

static void arguments_are_forgotten_for_newer_ones(void **unused)
{
    (void)unused;
    delegate(10);
    for (unsigned i = 0; i < 2; i++) {
        struct call call = says(2 + i, 100, i * MINUTE);

        for (unsigned n = 0; n < CALL_ARGUMENTS; n++) {
            call.arguments[call.argument_count++] = 9000 + i * CALL_ARGUMENTS + n;
        }
        judge(call);
    }
    assert_int_equal(judge(task(10, 300)).kind, TURN_PROMPT);
}

static void another_identitys_arguments_do_not_count(void **unused)
{
    struct call call = task(10, 300);

    (void)unused;
    delegate(10);
    call.turn.identity = 8;
    assert_int_equal(judge(call).kind, TURN_PROMPT);
}

static void a_full_gate_forgets_who_was_quiet_for_longest(void **unused)
{
    struct call call = says(1, 100, 0);

    (void)unused;
    call.failed = true;
    judge(call);
    for (uint64_t identity = 1000; identity < 1100; identity++) {
        call.turn.identity = identity;
        judge(call);
        call.turn.begin_ms += SECOND;
        assert_true(judge(call).retry);
    }
    call.turn.identity = 7;
    assert_false(judge(call).retry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_gate, close_gate)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_prompt_is_a_turn_of_its_roots_session),
        TEST(a_claim_names_the_session),
        TEST(a_failed_call_is_tried_again),
        TEST(an_answer_is_asked_for_again_soon_and_seldom),
        TEST(a_conversation_that_grew_is_no_retry),
        TEST(the_same_beginning_later_is_another_conversation),
        TEST(a_claim_does_not_make_conversations_one),
        TEST(a_call_that_names_its_predecessor_is_of_its_session),
        TEST(a_companion_copies_a_turn_under_another_root),
        TEST(a_companion_may_be_settled_first),
        TEST(a_task_from_a_tool_argument_is_a_subagents),
        TEST(four_samples_of_five_are_enough),
        TEST(two_samples_are_too_few_but_the_whole_is_enough),
        TEST(words_in_a_known_conversation_are_no_subagents),
        TEST(arguments_are_forgotten_for_newer_ones),
        TEST(another_identitys_arguments_do_not_count),
        TEST(a_full_gate_forgets_who_was_quiet_for_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Grades published by one thread and read by others. */
#include "proxy/analyst/grades.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROOM = 1 << 10, MANY = 100000, IDENTITIES = 64 };

static uint64_t identity_of(uint64_t n)
{
    return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void test_unknown_is_unrated(void **state)
{
    struct grades grades;

    (void)state;
    assert_true(grades_init(&grades, ROOM));
    assert_int_equal(grades_of(&grades, identity_of(1)), GRADE_UNRATED);
    grades_set(&grades, identity_of(1), GRADE_WATCH);
    grades_set(&grades, 0, GRADE_CLEAR);
    assert_int_equal(grades_of(&grades, identity_of(1)), GRADE_WATCH);
    assert_int_equal(grades_of(&grades, 0), GRADE_CLEAR);
    assert_int_equal(grades_of(&grades, identity_of(2)), GRADE_UNRATED);
    grades_set(&grades, identity_of(1), GRADE_CLEAR);
    assert_int_equal(grades_of(&grades, identity_of(1)), GRADE_CLEAR);
    grades_done(&grades);
}

/* More identities than there is room for: those that are flagged stay. */
static void test_the_flagged_stay(void **state)
{
    struct grades grades;

    (void)state;
    assert_true(grades_init(&grades, ROOM));
    for (uint64_t n = 0; n < IDENTITIES; n++) {
        grades_set(&grades, identity_of(n), GRADE_FLAGGED);
    }
    for (uint64_t n = IDENTITIES; n < 4 * ROOM; n++) {
        grades_set(&grades, identity_of(n), GRADE_CLEAR);
    }
    for (uint64_t n = 0; n < IDENTITIES; n++) {
        assert_int_equal(grades_of(&grades, identity_of(n)), GRADE_FLAGGED);
    }
    grades_done(&grades);
}

static void *read_many(void *argument)
{
    struct grades *grades = argument;
    bool legal = true;

    for (unsigned i = 0; i < MANY; i++) {
        enum grade grade = grades_of(grades, identity_of(i % IDENTITIES));

        legal = legal && (grade == GRADE_UNRATED || grade == GRADE_CLEAR ||
                          grade == GRADE_FLAGGED);
    }
    return legal ? grades : NULL;
}

static void test_readers_beside_the_writer(void **state)
{
    struct grades grades;
    pthread_t readers[2];
    void *legal;

    (void)state;
    assert_true(grades_init(&grades, ROOM));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, read_many, &grades), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        grades_set(&grades, identity_of(i % IDENTITIES),
                   i & 1 ? GRADE_CLEAR : GRADE_FLAGGED);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(readers[i], &legal), 0);
        assert_non_null(legal);
    }
    grades_done(&grades);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_is_unrated),
        cmocka_unit_test(test_the_flagged_stay),
        cmocka_unit_test(test_readers_beside_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

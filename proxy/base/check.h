/* A broken promise of the code itself: say where, show what was in flight, abort.
 * Always on. For what a peer or an operator can cause, use enum fault or struct error. */
#ifndef ASSAY_BASE_CHECK_H
#define ASSAY_BASE_CHECK_H

#define CHECK(condition)                                                               \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

#define MUST_CHECK __attribute__((warn_unused_result))

/* A large local array that is written before it is read: not zeroed first, though the
 * build zeroes every other local variable (-ftrivial-auto-var-init). */
#if defined(__has_attribute)
    #if __has_attribute(uninitialized)
        #define SCRATCH __attribute__((uninitialized))
    #endif
#endif
#ifndef SCRATCH
    #define SCRATCH
#endif

/* Prints the broken promise to stderr, runs the dump hook if one is set, aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

/* Called once by check_failed() before the abort, to print what was in flight.
 * The hook must not allocate and must not print bodies, keys or query strings. */
void check_on_failure(void (*dump)(void));

#endif

/* A broken promise of the code itself: say where, abort. Always on. For what a peer or
 * an operator can cause, use enum fault or struct error. */
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

/* Prints the broken promise to stderr and aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif

/* What compilers know beyond the language. */
#ifndef ASSAY_BASE_COMPILER_H
#define ASSAY_BASE_COMPILER_H

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

#endif

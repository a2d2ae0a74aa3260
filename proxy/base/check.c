#include "proxy/base/check.h"

#include <stdio.h>
#include <stdlib.h>

static void (*dump_hook)(void);

void check_on_failure(void (*dump)(void))
{
    dump_hook = dump;
}

_Noreturn void check_failed(const char *condition, const char *file, int line)
{
    void (*dump)(void) = dump_hook;

    dump_hook = NULL; /* a dump that fails itself must not recurse */
    fprintf(stderr, "assay: broken promise: %s at %s:%d\n", condition, file, line);
    if (dump != NULL) {
        dump();
    }
    abort();
}

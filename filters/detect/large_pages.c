#include "filters/detect/large_pages.h"

#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_COLLAPSE
    #define MADV_COLLAPSE 25 /* since Linux 6.1; older ones refuse it */
#endif

static size_t whole(size_t size)
{
    return (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

void *large_pages_new(size_t size)
{
    size_t room = whole(size), before;
    char *memory = mmap(NULL, room + LARGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return NULL;
    }
    before = -(uintptr_t)memory % LARGE_PAGE;
    if (before > 0) {
        (void)munmap(memory, before);
    }
    (void)munmap(memory + before + room, LARGE_PAGE - before);
    return memory + before;
}

void large_pages_free(void *memory, size_t size)
{
    if (memory != NULL) {
        (void)munmap(memory, whole(size));
    }
}

void large_pages_use(void *memory, size_t size)
{
    (void)madvise(memory, whole(size), MADV_HUGEPAGE);
    (void)madvise(memory, whole(size), MADV_COLLAPSE);
}

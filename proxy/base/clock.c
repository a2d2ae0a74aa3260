#include "proxy/base/clock.h"

#include "proxy/base/check.h"

#ifdef ASSAY_TEST_CLOCK

    #include <fcntl.h>
    #include <pthread.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <sys/stat.h>
    #include <unistd.h>

/* The steady clock, and the wall's, which may be the same. */
static const uint64_t *test_steady, *test_wall;

static void test_time_map(void)
{
    const char *path = getenv("ASSAY_TEST_CLOCK_FILE");
    struct stat status;
    int file;
    void *bytes;

    CHECK(path != NULL);
    file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && fstat(file, &status) == 0);
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
    CHECK(bytes != MAP_FAILED);
    CHECK(close(file) == 0);
    test_steady = bytes;
    test_wall = test_steady + (status.st_size == 2 * sizeof *test_wall);
}

static uint64_t now(const uint64_t **clock)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, test_time_map) == 0);
    return __atomic_load_n(*clock, __ATOMIC_RELAXED);
}

uint64_t clock_monotonic_ns(void)
{
    return now(&test_steady);
}

uint64_t clock_unix_ns(void)
{
    return now(&test_wall);
}

#else

    #include <time.h>

static uint64_t now(clockid_t clock)
{
    struct timespec time;

    CHECK(clock_gettime(clock, &time) == 0);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

uint64_t clock_unix_ns(void)
{
    return now(CLOCK_REALTIME);
}

#endif

#include "proxy/base/clock.h"

#include "proxy/base/check.h"

#ifdef ASSAY_TEST_CLOCK

    #include <fcntl.h>
    #include <pthread.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <unistd.h>

static const uint64_t *test_time;

static void test_time_map(void)
{
    const char *path = getenv("ASSAY_TEST_CLOCK_FILE");
    int file;
    void *bytes;

    CHECK(path != NULL);
    file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    bytes = mmap(NULL, sizeof *test_time, PROT_READ, MAP_SHARED, file, 0);
    CHECK(bytes != MAP_FAILED);
    CHECK(close(file) == 0);
    test_time = bytes;
}

static uint64_t now(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    CHECK(pthread_once(&once, test_time_map) == 0);
    return __atomic_load_n(test_time, __ATOMIC_RELAXED);
}

uint64_t clock_monotonic_ns(void)
{
    return now();
}

uint64_t clock_unix_ns(void)
{
    return now();
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

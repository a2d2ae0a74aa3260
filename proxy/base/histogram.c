#include "proxy/base/histogram.h"

#include "proxy/base/check.h"

void histogram_init(struct histogram *histogram, const uint64_t *bounds, size_t count)
{
    CHECK(count <= HISTOGRAM_BOUNDS_MAX);
    for (size_t i = 1; i < count; i++) {
        CHECK(bounds[i - 1] < bounds[i]);
    }
    histogram->bounds = bounds;
    histogram->bound_count = count;
    atomic_init(&histogram->sum, 0);
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS_MAX; i++) {
        atomic_init(&histogram->buckets[i], 0);
    }
}

/* With a single writer, load and store do what a locked addition would. */
static void add(atomic_uint_least64_t *counter, uint64_t amount)
{
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, before + amount, memory_order_relaxed);
}

/* The first bucket whose bound is not below the value. */
static size_t bucket_of(const struct histogram *histogram, uint64_t value)
{
    size_t low = 0;
    size_t high = histogram->bound_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (histogram->bounds[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void histogram_count(struct histogram *histogram, uint64_t value)
{
    add(&histogram->buckets[bucket_of(histogram, value)], 1);
    add(&histogram->sum, value);
}

void histogram_read(const struct histogram *histogram, struct histogram_copy *copy)
{
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        uint64_t n = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);

        copy->buckets[i] += n;
        copy->count += n;
    }
    copy->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
}

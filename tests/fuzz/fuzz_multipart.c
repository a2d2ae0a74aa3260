/* Forms of arbitrary bytes: every split gives the same parts. The first byte says how
 * much of the input is the Content-Type. */
#include "filters/frame/multipart.h"
#include "proxy/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void put(uint64_t *sum, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        *sum = (*sum ^ (unsigned char)bytes.at[i]) * 0x100000001b3;
    }
    *sum = (*sum ^ bytes.len) * 0x100000001b3;
}

static void on_part(void *self, const struct multipart_part *part)
{
    uint64_t *sum = self;

    CHECK(part->name.len > 0 && part->name.len <= MULTIPART_NAME_MAX);
    CHECK(part->value.len <= MULTIPART_VALUE_MAX && part->value.len <= part->bytes);
    put(sum, part->name);
    put(sum, part->value);
    *sum ^= part->bytes;
}

static uint64_t read_form(struct span type, struct span body, size_t step)
{
    struct multipart form;
    uint64_t sum = 0;

    if (!multipart_init(&form, type)) {
        return 1;
    }
    while (body.len > 0) {
        size_t len = body.len < step ? body.len : step;

        multipart_feed(&form, span_of(body.at, len), on_part, &sum);
        body = span_after(body, len);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span type, body;
    uint64_t whole;

    if (size == 0 || bytes[0] >= size) {
        return 0;
    }
    type = span_of((const char *)bytes + 1, bytes[0]);
    body = span_after(span_of((const char *)bytes, size), 1 + type.len);
    whole = read_form(type, body, SIZE_MAX);
    for (size_t step = 1; step < 200; step = step * 3 + 1) {
        CHECK(read_form(type, body, step) == whole);
    }
    return 0;
}

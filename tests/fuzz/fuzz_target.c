/* Request targets of arbitrary bytes. An accepted path has nothing in it that anybody
 * could decode, resolve or drop, and the segments of the raw one. Input: a byte of
 * flags, then the target. */
#include "proxy/http/target.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static size_t count(struct span s, char c)
{
    size_t found = 0;

    for (size_t i = 0; i < s.len; i++) {
        found += s.at[i] == c;
    }
    return found;
}

static void check_segment(struct span segment, bool allow_slash)
{
    CHECK(segment.len > 0 && segment.at[segment.len - 1] != '.');
    CHECK(segment.at[0] != ' ' && segment.at[segment.len - 1] != ' ');
    for (size_t i = 0; i < segment.len; i++) {
        unsigned char c = (unsigned char)segment.at[i];

        CHECK(c >= 0x20 && c < 0x7f && strchr("\\;?#", c) == NULL);
        CHECK(c != '%' ||
              (allow_slash && span_starts(span_after(segment, i), SPAN("%2F"))));
    }
}

static void check_path(struct span raw, struct span path, bool allow_slash)
{
    struct span rest = span_after(path, 1);
    struct span segment;

    CHECK(path.len <= raw.len && path.at[0] == '/');
    CHECK(count(path, '/') == count(raw, '/'));
    while (rest.len > 0 && span_next(&rest, '/', &segment)) {
        check_segment(segment, allow_slash);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span raw = span_of((const char *)bytes + 1, size == 0 ? 0 : size - 1);
    struct target target;
    unsigned flags;
    char *buffer;

    if (size == 0) {
        return 0;
    }
    flags = bytes[0] & TARGET_ALLOW_ENCODED_SLASH;
    buffer = malloc(raw.len + 1);
    CHECK(buffer != NULL);
    if (target_parse(raw, flags, buffer, raw.len, &target) == FAULT_NONE) {
        raw.len -= target.query.len;
        check_path(raw, target.path, flags != 0);
    }
    free(buffer);
    return 0;
}

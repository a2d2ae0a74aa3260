/* count_batch ENCODING FILE: counts the strings of a file that oracle.mjs wrote, whole
 * and as a stream in small pieces, and tells which differ from the oracle. */
#include "filters/count/bpe.h"
#include "proxy/base/check.h"
#include "tests/support/count_in_steps.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN = 5 };

struct tally {
    size_t strings;
    size_t different;
};

static void show(struct span text, uint64_t wanted, uint64_t whole, uint64_t streamed)
{
    printf("wanted %llu, whole %llu, streamed %llu: ", (unsigned long long)wanted,
           (unsigned long long)whole, (unsigned long long)streamed);
    for (size_t i = 0; i < text.len && i < 200; i++) {
        printf("%02x", (unsigned char)text.at[i]);
    }
    putchar('\n');
}

/* In memory of its own length, so that a sanitizer sees a read beyond it. */
static void compare(struct tally *tally, enum encoding encoding, const char *at,
                    size_t len, uint64_t wanted)
{
    char *copy = malloc(len);
    uint64_t whole, streamed;

    CHECK(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, at, len);
    }
    whole = bpe_count(encoding, span_of(copy, len));
    streamed = count_in_steps(encoding, span_of(copy, len), tally->strings % 7 + 1);
    tally->strings++;
    if (whole != wanted || streamed != wanted) {
        tally->different++;
        if (tally->different <= SHOWN) {
            show(span_of(copy, len), wanted, whole, streamed);
        }
    }
    free(copy);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes;
    long end;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0) {
        perror(path);
        exit(2);
    }
    rewind(file);
    *size = (size_t)end;
    bytes = malloc(*size + 1);
    CHECK(bytes != NULL && fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    struct tally tally = { 0, 0 };
    enum encoding encoding;
    size_t size;
    char *bytes;

    if (argc != 3) {
        fputs("usage: count_batch ENCODING FILE\n", stderr);
        return 2;
    }
    encoding = bpe_encoding_named(span_text(argv[1]));
    bytes = read_file(argv[2], &size);
    for (size_t at = 0; at + 8 <= size;) {
        uint32_t head[2];

        memcpy(head, bytes + at, sizeof(head));
        at += sizeof(head) + le32toh(head[0]);
        CHECK(at <= size);
        compare(&tally, encoding, bytes + at - le32toh(head[0]), le32toh(head[0]),
                le32toh(head[1]));
    }
    free(bytes);
    printf("%zu strings, %zu different\n", tally.strings, tally.different);
    return tally.different > 0;
}

/* Feeds files to a fuzz target without a fuzzer: each argument is a file or a folder of
 * files. Prints each name before its turn, so that a crash says which input it was. */
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Exact-size heap copy, so that the sanitizer sees a read one past the end. */
static uint8_t *file_read(const char *path, size_t len)
{
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    FILE *file = fopen(path, "rb");

    if (bytes == NULL || file == NULL || fread(bytes, 1, len, file) != len) {
        perror(path);
        exit(2);
    }
    (void)fclose(file);
    return bytes;
}

static void replay(const char *path, size_t len)
{
    uint8_t *bytes = file_read(path, len);

    (void)LLVMFuzzerTestOneInput(bytes, len);
    free(bytes);
}

int main(int argc, char **argv)
{
    FTS *walk;
    FTSENT *found;
    unsigned count = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
        return 2;
    }
    walk = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    while (walk != NULL && (found = fts_read(walk)) != NULL) {
        if (found->fts_info == FTS_F) {
            (void)puts(found->fts_path);
            (void)fflush(stdout);
            replay(found->fts_path, (size_t)found->fts_statp->st_size);
            count++;
        } else if (found->fts_info == FTS_NS || found->fts_info == FTS_ERR) {
            errno = found->fts_errno;
            perror(found->fts_path);
            return 2;
        }
    }
    if (walk != NULL) {
        (void)fts_close(walk);
    }
    printf("%u inputs\n", count);
    return count > 0 ? 0 : 1;
}

#include "filters/table_file.h"

#include "config/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct span table_file_read(const char *path, struct error *error)
{
    FILE *file = fopen(path, "re");
    char *bytes;
    size_t len;

    if (file == NULL) {
        error_add(error, (struct error_place){ .file = path }, "%s", strerror(errno));
        return span_of(NULL, 0);
    }
    bytes = malloc(TREE_SIZE_LIMIT);
    CHECK(bytes != NULL);
    len = fread(bytes, 1, TREE_SIZE_LIMIT, file);
    if (ferror(file) != 0 || len == TREE_SIZE_LIMIT) {
        error_add(error, (struct error_place){ .file = path },
                  "cannot be read, or is larger than %d bytes", (int)TREE_SIZE_LIMIT);
        free(bytes);
        bytes = NULL;
        len = 0;
    }
    (void)fclose(file);
    return span_of(bytes, len);
}

void table_file_free(struct span bytes)
{
    free((char *)(uintptr_t)bytes.at);
}

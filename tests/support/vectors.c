#include "tests/support/vectors.h"

#include <openssl/evp.h>

#include <stdlib.h>

bool vectors_open(struct vectors *vectors, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "../shared/vectors/%s", name);
    *vectors = (struct vectors){ .file = fopen(path, "r") };
    return vectors->file != NULL;
}

void vectors_close(struct vectors *vectors)
{
    (void)fclose(vectors->file);
    free(vectors->line);
    free(vectors->bytes);
    cJSON_Delete(vectors->object);
}

const cJSON *vectors_next(struct vectors *vectors)
{
    cJSON_Delete(vectors->object);
    vectors->object = NULL;
    if (getline(&vectors->line, &vectors->size, vectors->file) > 0) {
        vectors->object = cJSON_Parse(vectors->line);
    }
    return vectors->object;
}

const char *vectors_string(const cJSON *object, const char *name)
{
    const char *text =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    return text == NULL ? "" : text;
}

struct span vectors_bytes(struct vectors *vectors, const cJSON *object,
                          const char *name)
{
    struct span text = span_text(vectors_string(object, name));
    size_t padding = text.len > 0 && text.at[text.len - 1] == '=';
    int len;

    padding += text.len > 1 && text.at[text.len - 2] == '=';
    free(vectors->bytes);
    vectors->bytes = malloc(text.len + 1);
    if (vectors->bytes == NULL) {
        abort();
    }
    len = EVP_DecodeBlock((unsigned char *)vectors->bytes,
                          (const unsigned char *)text.at, (int)text.len);
    if (len < 0) {
        abort();
    }
    return span_of(vectors->bytes, (size_t)len - padding);
}

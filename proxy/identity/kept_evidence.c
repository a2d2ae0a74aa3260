#include "proxy/identity/kept_evidence.h"

#include <openssl/crypto.h>

#include <stdlib.h>

struct kept_evidence {
    size_t size; /* of all of it */
    size_t field_count;
    struct field fields[]; /* their texts stand behind them */
};

static size_t text_size(const struct field *field)
{
    return field->name.len + field->value.len;
}

static struct span put_text(char **at, struct span text)
{
    char *copy = *at;

    if (text.len > 0) {
        memcpy(copy, text.at, text.len);
    }
    *at += text.len;
    return span_of(copy, text.len);
}

struct kept_evidence *kept_evidence_new(const struct config_listener *listener,
                                        const struct head *head)
{
    size_t count = 0, size = sizeof(struct kept_evidence);
    struct kept_evidence *kept;
    char *text;

    for (size_t i = 0; i < head->field_count; i++) {
        if (identity_reads(listener, &head->fields[i])) {
            size += sizeof head->fields[i] + text_size(&head->fields[i]);
            count++;
        }
    }
    kept = calloc(1, size);
    if (kept == NULL) {
        return NULL;
    }
    kept->size = size;
    text = (char *)&kept->fields[count];
    for (size_t i = 0; i < head->field_count; i++) {
        if (identity_reads(listener, &head->fields[i])) {
            struct field *copy = &kept->fields[kept->field_count++];

            *copy = head->fields[i];
            copy->name = put_text(&text, copy->name);
            copy->value = put_text(&text, copy->value);
        }
    }
    return kept;
}

struct kept_evidence *kept_evidence_free(struct kept_evidence *kept)
{
    if (kept != NULL) {
        OPENSSL_cleanse(kept, kept->size);
        free(kept);
    }
    return NULL;
}

void kept_evidence_head(const struct kept_evidence *kept, struct head *head)
{
    head->field_count = kept->field_count;
    memcpy(head->fields, kept->fields, kept->field_count * sizeof kept->fields[0]);
}

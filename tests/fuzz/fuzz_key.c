/* Keys and heads made of arbitrary bytes: nobody becomes a caller without the one key.
 *
 * Input: a byte for passthrough, then fields of a name byte, a length byte and the
 * value; the length 255 stands for the good key, 254 for "Bearer " and the good key. */
#include "proxy/identity/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LENGTH_KEY = 255, LENGTH_BEARER = 254 };

static const struct config_listener listener = { .identify = { 1, { IDENTIFY_KEY } } };
static struct trust *trust;
static struct verifier *verifier;
static char bearer[7 + KEY_TEXT_SIZE] = "Bearer ";
static char *const key = bearer + 7;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void keys_make(void)
{
    struct key_record wanted = { .team = "platform", .caller = "ana" };
    struct key_record made;
    struct error error;
    char folder[] = "/tmp/fuzz_key.XXXXXX";
    struct config config = { 0 };
    char path[64];

    error_init(&error);
    CHECK(mkdtemp(folder) != NULL);
    CHECK(key_add(folder, &wanted, key, &made, &error));
    config.state = folder;
    trust = trust_new(&config, jwks_keeper_new(&config, NULL, &error), &error);
    verifier = verifier_new();
    CHECK(trust != NULL && verifier != NULL);
    snprintf(path, sizeof path, "%s/keys.db", folder);
    remove(path);
    remove(folder);
}

static struct span value_take(struct span *rest)
{
    size_t len = (unsigned char)rest->at[0];
    struct span value;

    *rest = span_after(*rest, 1);
    if (len == LENGTH_KEY) {
        return span_of(key, KEY_TEXT_SIZE - 1);
    }
    if (len == LENGTH_BEARER) {
        return span_of(bearer, sizeof bearer - 1);
    }
    len = len < rest->len ? len : rest->len;
    value = span_of(rest->at, len);
    *rest = span_after(*rest, len);
    return span_trim(value);
}

static void head_make(struct head *head, struct span rest)
{
    *head = (struct head){ 0 };
    while (rest.len >= 2 && head->field_count < HEAD_FIELDS_MAX) {
        struct field *field = &head->fields[head->field_count++];

        field->id = (enum field_name)((unsigned char)rest.at[0] % FIELD_NAME_COUNT);
        rest = span_after(rest, 1);
        field->value = value_take(&rest);
    }
}

static bool key_carried(const struct head *head, enum field_name id)
{
    const struct span good = span_of(key, KEY_TEXT_SIZE - 1);
    bool carried = false;

    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            carried = span_ends(head->fields[i].value, good);
        }
    }
    return carried;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct head head;
    struct span input = span_of((const char *)bytes, size);
    struct caller caller;
    bool passthrough;

    if (trust == NULL) {
        keys_make();
    }
    CHECK(!key_well_formed(input) || size == KEY_TEXT_SIZE - 1);
    CHECK(key_table_find(trust->keys, input, 0) == NULL ||
          span_equal(input, span_of(key, KEY_TEXT_SIZE - 1)));
    if (size == 0) {
        return 0;
    }
    passthrough = (bytes[0] & 1) != 0;
    head_make(&head, span_after(input, 1));
    if (identity_verify(verifier, trust,
                        &(struct evidence){ .head = &head,
                                            .listener = &listener,
                                            .passthrough = passthrough },
                        &caller) == FAULT_NONE) {
        CHECK(key_carried(&head, caller.credential));
        CHECK(!passthrough || caller.credential == FIELD_X_ASSAY_KEY);
    }
    return 0;
}

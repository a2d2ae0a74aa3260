#include "config/field.h"
#include "config/load.h"

/* Two versions of one struct, and the names that lead to it in the file. */
struct pair {
    const struct config *wanted_config;
    const char *old;
    const char *wanted;
    const char *path; /* "limits." */
    struct error *error;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const char *text_at(const char *member)
{
    const char *text;

    memcpy(&text, member, sizeof text);
    return text;
}

static bool same_value(enum field_type type, const char *old, const char *wanted)
{
    switch (type) {
    case FIELD_SWITCH:
        return memcmp(old, wanted, sizeof(bool)) == 0;
    case FIELD_COUNT:
    case FIELD_DURATION:
    case FIELD_DAYS:
    case FIELD_WEIGHT:
        return memcmp(old, wanted, sizeof(uint32_t)) == 0;
    case FIELD_SIZE:
        return memcmp(old, wanted, sizeof(uint64_t)) == 0;
    case FIELD_WORD:
        return memcmp(old, wanted, sizeof(unsigned)) == 0;
    case FIELD_ADDRESS: /* its text comes first, as in the next two */
    case FIELD_LIMIT:
    case FIELD_PERIOD:
    case FIELD_SHARE:
    case FIELD_TIMEZONE:
    case FIELD_TEXT:
    case FIELD_PATH:
    case FIELD_NAME:
    case FIELD_HEADER:
    case FIELD_URL:
    case FIELD_LINK:
    case FIELD_JWKS:
    case FIELD_REDIS:
        return same_text(text_at(old), text_at(wanted));
    case FIELD_CREDENTIAL:
    case FIELD_SECRET:
    case FIELD_TEXTS:
    case FIELD_WORDS:
    case FIELD_NETWORKS:
    case FIELD_PAIRS:
    case FIELD_MAP:
    case FIELD_LIST:
    case FIELD_NAMED:
        break;
    }
    return true;
}

static void tell(const struct pair *pair, const struct field *field, const char *words)
{
    struct error_place place =
        config_place(pair->wanted_config, pair->wanted + field->offset,
                     (struct error_place){ .file = pair->wanted_config->file });

    error_add(pair->error, place, "%s%s %s", pair->path, field->key, words);
}

static void check_fields(const struct pair *pair, const struct field *fields)
{
    for (const struct field *field = fields; field->key != NULL; field++) {
        if (field->reload == RELOAD_RESTART &&
            !same_value(field->type, pair->old + field->offset,
                        pair->wanted + field->offset)) {
            tell(pair, field, "is changed; only a restart can change it");
        }
    }
}

static void check_listeners(const struct config *old, const struct config *wanted,
                            struct error *error)
{
    const struct field *listen = field_find(&config_schema, "listen");
    struct pair whole = { wanted, (const char *)old, (const char *)wanted, "", error };

    if (old->listener_count != wanted->listener_count) {
        tell(&whole, listen,
             "has more or fewer elements; only a restart can change that");
        return;
    }
    for (size_t i = 0; i < old->listener_count; i++) {
        const struct config_listener *before = &old->listeners[i];
        const struct config_listener *after = &wanted->listeners[i];
        struct pair pair = { wanted, (const char *)before, (const char *)after,
                             "listen.", error };

        check_fields(&pair, listen->group->fields);
        if ((before->tls.certificate_count == 0) !=
            (after->tls.certificate_count == 0)) {
            tell(&pair, field_find(listen->group, "address"),
                 "goes from or to TLS; only a restart can change that");
        }
    }
}

void config_reload_check(const struct config *old, const struct config *wanted,
                         struct error *error)
{
    struct pair whole = { wanted, (const char *)old, (const char *)wanted, "", error };
    char path[64];

    check_fields(&whole, config_schema.fields);
    for (const struct field *field = config_schema.fields; field->key != NULL;
         field++) {
        if (field->type == FIELD_MAP) {
            struct pair nested = whole;

            snprintf(path, sizeof path, "%s.", field->key);
            nested.path = path;
            nested.old += field->offset;
            nested.wanted += field->offset;
            check_fields(&nested, field->group->fields);
        }
    }
    check_listeners(old, wanted, error);
}

#include "proxy/engine/tag.h"

#include "filters/json/scan.h"
#include "proxy/engine/hold.h"
#include "proxy/engine/splice.h"
#include "proxy/engine/worker.h"

enum { PLACE_ROOT, PLACE_OUTER, PLACE_INNER, INSERT_MAX = 128 };

/* Where an API takes an identity: a member, or one within an object. */
struct place {
    const char *dialects[3]; /* that know it */
    const char *outer;       /* NULL: the member stands in the body itself */
    const char *inner;
    struct scan_path paths[3];
    size_t path_count;
    struct scan_plan *plan; /* atomic; made when it is first needed, never freed */
};

static struct place places[] = {
    [TAG_SAFETY_IDENTIFIER] = { { "openai.chat", "openai.responses" },
                                NULL,
                                "safety_identifier",
                                { { "", PLACE_ROOT, SCAN_MEASURED },
                                  { "safety_identifier", PLACE_INNER, SCAN_MEASURED } },
                                2,
                                NULL },
    [TAG_METADATA_USER_ID] = { { "anthropic.messages" },
                               "metadata",
                               "user_id",
                               { { "", PLACE_ROOT, SCAN_MEASURED },
                                 { "metadata", PLACE_OUTER, SCAN_MEASURED },
                                 { "metadata.user_id", PLACE_INNER, SCAN_MEASURED } },
                               3,
                               NULL },
    [TAG_REQUEST_METADATA] = { { "bedrock.converse" },
                               "requestMetadata",
                               "caller",
                               { { "", PLACE_ROOT, SCAN_MEASURED },
                                 { "requestMetadata", PLACE_OUTER, SCAN_MEASURED },
                                 { "requestMetadata.caller", PLACE_INNER,
                                   SCAN_MEASURED } },
                               3,
                               NULL },
};

static const struct scan_plan *plan_of(struct place *place)
{
    struct scan_plan *plan = __atomic_load_n(&place->plan, __ATOMIC_ACQUIRE);
    struct scan_plan *expected = NULL;

    if (plan != NULL) {
        return plan;
    }
    plan = scan_plan_new(place->paths, place->path_count);
    if (!__atomic_compare_exchange_n(&place->plan, &expected, plan, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        scan_plan_free(plan);
        plan = expected;
    }
    return plan;
}

/* ---- finding --------------------------------------------------------------------- */

/* One value of the body. */
struct found {
    uint64_t begin, end; /* end 0: it was not seen */
    bool is_object;
};

struct search {
    struct found values[3]; /* by PLACE_... */
    bool duplicate;
};

static void value_seen(void *self, const struct scan_value *value)
{
    struct search *search = self;
    struct found *found = &search->values[value->tag];

    search->duplicate |= value->duplicate;
    if (value->type == SCAN_OBJECT || value->type == SCAN_ARRAY) {
        found->begin = value->begin;
        found->is_object = value->type == SCAN_OBJECT;
    } else if (value->type != SCAN_PIECE) {
        found->begin = value->type == SCAN_END ? found->begin : value->begin;
        found->end = value->end;
    }
}

/* Has the object no member? Its inside is white space then. */
static bool is_empty(const struct block_queue *body, const struct found *object)
{
    const struct block *cursor = NULL;
    uint64_t at = 0;
    struct span piece;

    while ((piece = block_next(body, &cursor)).len > 0 && at < object->end) {
        size_t from = at > object->begin ? 0 : (size_t)(object->begin + 1 - at);

        for (size_t i = from; i < piece.len && at + i + 1 < object->end; i++) {
            if (memchr(" \t\r\n", piece.at[i], 4) == NULL) {
                return false;
            }
        }
        at += piece.len;
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------- */

static void put_member(struct text *text, const char *name, const char *tag)
{
    text_printf(text, "\"%s\":\"%s\"", name, tag);
}

/* What is to change in the body; `text` holds what comes. */
static struct splice plan_change(const struct place *place, const struct search *search,
                                 const struct block_queue *body, const char *tag,
                                 struct text *text)
{
    const struct found *inner = &search->values[PLACE_INNER];
    const struct found *outer = &search->values[PLACE_OUTER];
    const struct found *into = &search->values[PLACE_ROOT];
    struct splice splice = { 0 };

    if (inner->end != 0) {
        text_printf(text, "\"%s\"", tag);
        splice.at = inner->begin;
        splice.remove = inner->end - inner->begin;
    } else if (outer->end != 0 && !outer->is_object) {
        text_put(text, SPAN("{"));
        put_member(text, place->inner, tag);
        text_put(text, SPAN("}"));
        splice.at = outer->begin;
        splice.remove = outer->end - outer->begin;
    } else {
        into = outer->end != 0 ? outer : into;
        splice.at = into->begin + 1;
        if (place->outer != NULL && outer->end == 0) {
            text_printf(text, "\"%s\":{", place->outer);
            put_member(text, place->inner, tag);
            text_put(text, SPAN("}"));
        } else {
            put_member(text, place->inner, tag);
        }
        text_put(text, is_empty(body, into) ? SPAN("") : SPAN(","));
    }
    splice.insert = text_span(text);
    return splice;
}

static bool tag_of(const struct exchange *x, char tag[CALLER_TAG_SIZE])
{
    return caller_tag(&x->worker->trust->tag_key, span_text(x->entry->caller), tag);
}

bool tag_waits(const struct exchange *x)
{
    const struct place *place = &places[x->origin->provider->tag.field];

    if (x->origin->provider->tag.field == TAG_NONE ||
        (x->route->flags & (ROUTE_FREE | ROUTE_NO_BODY)) != 0) {
        return false;
    }
    for (size_t i = 0; i < 3 && place->dialects[i] != NULL; i++) {
        if (strcmp(place->dialects[i], x->dialect->name) == 0) {
            return true;
        }
    }
    return false;
}

enum fault tag_body(struct exchange *x)
{
    struct place *place = &places[x->origin->provider->tag.field];
    struct search search = { 0 };
    const struct block *cursor = NULL;
    char tag[CALLER_TAG_SIZE], memory[INSERT_MAX];
    struct text text = text_over(memory, sizeof memory);
    struct splice splice;
    struct span piece;
    struct scan scan;

    hold_use_decoded(x);
    scan_init(&scan, plan_of(place), SCAN_STRICT);
    while ((piece = block_next(&x->held, &cursor)).len > 0) {
        (void)scan_feed(&scan, piece, value_seen, &search);
    }
    if (scan_end(&scan, value_seen, &search) != SCAN_COMPLETE ||
        !search.values[PLACE_ROOT].is_object) {
        return FAULT_NONE; /* no body of this API: the provider says so in its words */
    }
    if (search.duplicate) {
        return FAULT_DUPLICATE_KEY;
    }
    if (!tag_of(x, tag)) {
        return FAULT_NO_MEMORY;
    }
    splice = plan_change(place, &search, &x->held, tag, &text);
    CHECK(!text.full);
    return hold_splice(x, &splice) ? FAULT_NONE : FAULT_NO_MEMORY;
}

void tag_put_field(const struct exchange *x, struct text *out)
{
    const char *field = x->origin->provider->tag.header;
    char tag[CALLER_TAG_SIZE];

    if (field != NULL && x->entry != NULL && tag_of(x, tag)) {
        text_put(out, span_text(field));
        text_put(out, SPAN(": "));
        text_put(out, span_text(tag));
        text_put(out, SPAN("\r\n"));
    }
}

/* Feeding watches in tests: heads out of a few words, bodies in any split. */
#ifndef ASSAY_TESTS_UNIT_WATCHING_H
#define ASSAY_TESTS_UNIT_WATCHING_H

#include "filters/registry.h"
#include "filters/watch.h"
#include "tests/support/line_room.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct decode_limits watch_limits = { .bytes = 64 << 20, .ratio = 200 };

static inline void head_add(struct head *head, const char *name, const char *value)
{
    struct field *field = &head->fields[head->field_count++];

    field->name = span_text(name);
    field->value = span_text(value);
    field->id = field_name_of(field->name);
}

static inline const struct dialect *claim_path(const char *path,
                                               const struct dialect_route **route)
{
    static const char *const families[] = { "openai", "anthropic", "gemini", NULL };
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, span_text(path), route);

    assert_non_null(dialect);
    return dialect;
}

/* Calls `feed` with the bytes in pieces of `size`. */
static inline void in_pieces(struct span bytes, size_t size,
                             void (*feed)(void *self, struct span piece), void *self)
{
    while (bytes.len > 0) {
        struct span piece = span_of(bytes.at, size < bytes.len ? size : bytes.len);

        feed(self, piece);
        bytes = span_after(bytes, piece.len);
    }
}

/* What a request of this path and body says; pieces of `size`. */
struct asked {
    struct facts facts;
    struct claims claims;
    enum fault fault;
    uint64_t text_bytes;
    bool decided_early; /* before the end */
    struct request_watch *watch;
};

static inline void asked_feed(void *self, struct span piece)
{
    struct asked *asked = self;
    enum fault fault = request_watch_data(asked->watch, piece);

    if (asked->fault == FAULT_NONE) {
        asked->fault = fault;
    }
}

static inline struct asked ask(struct watch_pool *pool, const char *path,
                               const char *coding, struct span body, size_t size)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim_path(path, &route);
    struct asked asked = { .fault = FAULT_NONE };
    struct head head = { .minor = 1 };
    enum fault fault;

    if (coding != NULL) {
        head_add(&head, "content-encoding", coding);
    }
    asked.watch =
        request_watch_open(pool, dialect, route, &head, &asked.facts, &asked.claims);
    assert_non_null(asked.watch);
    in_pieces(body, size, asked_feed, &asked);
    asked.decided_early = request_watch_decided(asked.watch);
    fault = request_watch_end(asked.watch);
    if (asked.fault == FAULT_NONE) {
        asked.fault = fault;
    }
    asked.text_bytes = request_watch_text_bytes(asked.watch);
    asked.watch = request_watch_close(asked.watch);
    return asked;
}

/* An answer: what its head says, and how it goes. */
struct reading {
    const char *path;
    const char *type;   /* Content-Type; NULL: none */
    const char *coding; /* Content-Encoding; NULL: none */
    unsigned status;
    bool cut;
    bool background;
    uint64_t input_text_bytes;
};

static inline void answer_feed(void *self, struct span piece)
{
    response_watch_data(self, piece);
}

static inline struct entry answer_entry(struct watch_pool *pool,
                                        const struct reading *answer, struct span body,
                                        size_t size)
{
    const struct dialect_route *route;
    const struct dialect *dialect = claim_path(answer->path, &route);
    struct facts facts = { .background = answer->background };
    struct head head = { .minor = 1, .status = answer->status };
    struct entry entry;
    struct response_watch *watch;

    memset(&entry, 0, sizeof(entry));
    entry.lines = line_room();
    if (answer->type != NULL) {
        head_add(&head, "content-type", answer->type);
    }
    if (answer->coding != NULL) {
        head_add(&head, "content-encoding", answer->coding);
    }
    watch = response_watch_open(pool, dialect, route, &head, &facts);
    assert_non_null(watch);
    in_pieces(body, size, answer_feed, watch);
    response_watch_settle(watch, !answer->cut, &facts, answer->input_text_bytes,
                          &entry);
    response_watch_close(watch);
    return entry;
}

#endif

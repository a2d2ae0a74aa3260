/* Request bodies of arbitrary bytes through the splice of include_usage, with the facts
 * of the watch that steers it: what it makes of an accepted body is JSON, asks for
 * usage and says otherwise the same; and it may be done as soon as the watch calls it
 * decided. The first byte chooses the split. */
#include "filters/registry.h"
#include "filters/watch.h"
#include "proxy/engine/splice.h"

#include <cjson/cJSON.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct block_pool blocks;

static struct request_watch *watch_open(struct facts *facts, struct claims *claims)
{
    static const char *const families[] = { "openai", NULL };
    static struct watch_pool *pool;
    const struct head head = { .minor = 1 };
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, SPAN("/v1/chat/completions"), &route);
    struct request_watch *watch;

    if (pool == NULL) {
        pool = watch_pool_new((struct decode_limits){ .bytes = 1 << 20, .ratio = 200 });
        CHECK(pool != NULL);
    }
    watch = request_watch_open(pool, dialect, route, &head, facts, claims);
    CHECK(watch != NULL);
    return watch;
}

static void apply(const struct facts *facts, struct block_queue *queue)
{
    struct splice splice = splice_plan(facts);

    CHECK(splice_apply(&splice, queue, &blocks));
}

/* Watches a body in pieces of `step` and holds it; spliced at its end, or as soon as it
 * may go (`early`). false if the body is refused or needs no splice. */
static bool spliced(struct span body, size_t step, bool early,
                    struct block_queue *queue)
{
    struct facts facts = { .stream = false };
    struct claims claims = { .tool = "" };
    struct request_watch *watch = watch_open(&facts, &claims);
    enum fault fault = FAULT_NONE;
    bool done = false;

    *queue = (struct block_queue){ 0 };
    while (body.len > 0 && fault == FAULT_NONE) {
        struct span piece = span_of(body.at, body.len < step ? body.len : step);

        fault = request_watch_data(watch, piece);
        CHECK(block_put(queue, &blocks, piece));
        body = span_after(body, piece.len);
        if (fault == FAULT_NONE && early && !done && request_watch_decided(watch) &&
            facts.stream && !facts.usage_asked) {
            apply(&facts, queue);
            done = true;
        }
    }
    if (fault == FAULT_NONE) {
        fault = request_watch_end(watch);
    }
    request_watch_close(watch);
    if (fault != FAULT_NONE || !facts.stream || facts.usage_asked) {
        CHECK(fault != FAULT_NONE || !done);
        block_clear(queue, &blocks);
        return false;
    }
    if (!done) {
        apply(&facts, queue);
    }
    return true;
}

static char *queue_text(struct block_queue *queue)
{
    char *text = malloc(queue->bytes + 1), *end = text;

    CHECK(text != NULL);
    while (queue->bytes > 0) {
        struct span front = block_front(queue);

        memcpy(end, front.at, front.len);
        end += front.len;
        block_drop(queue, &blocks, front.len);
    }
    *end = '\0';
    return text;
}

/* Takes out what the splice may change. */
static void forget_usage(cJSON *root, bool whole)
{
    cJSON *options = cJSON_GetObjectItemCaseSensitive(root, "stream_options");

    if (whole || !cJSON_IsObject(options)) {
        cJSON_DeleteItemFromObjectCaseSensitive(root, "stream_options");
    } else {
        cJSON_DeleteItemFromObjectCaseSensitive(options, "include_usage");
    }
}

static void check_meaning(struct span body, struct span made)
{
    cJSON *before = cJSON_ParseWithLength(body.at, body.len);
    cJSON *again = cJSON_ParseWithLength(body.at, body.len);
    bool comparable = cJSON_Compare(before, again, true);
    cJSON *after, *options;

    cJSON_Delete(again);
    /* What cJSON cannot read or compare (deep, with duplicates) is not judged. */
    if (!comparable) {
        cJSON_Delete(before);
        return;
    }
    after = cJSON_ParseWithLength(made.at, made.len);
    options = cJSON_GetObjectItemCaseSensitive(after, "stream_options");
    CHECK(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(options, "include_usage")));
    options = cJSON_GetObjectItemCaseSensitive(before, "stream_options");
    forget_usage(after, !cJSON_IsObject(options));
    forget_usage(before, !cJSON_IsObject(options));
    CHECK(cJSON_Compare(before, after, true));
    cJSON_Delete(before);
    cJSON_Delete(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct block_queue queue;
    struct span body;
    char *whole, *early;

    if (size < 1) {
        return 0;
    }
    block_pool_init(&blocks, 4);
    body = span_of((const char *)bytes + 1, size - 1);
    if (spliced(body, SIZE_MAX, false, &queue)) {
        size_t len = queue.bytes;

        whole = queue_text(&queue);
        check_meaning(body, span_of(whole, len));
        CHECK(spliced(body, (size_t)bytes[0] + 1, true, &queue));
        CHECK(queue.bytes == len);
        early = queue_text(&queue);
        CHECK(memcmp(whole, early, len) == 0);
        free(whole);
        free(early);
    } else if (spliced(body, (size_t)bytes[0] + 1, true, &queue)) {
        check_failed("a split decides", __FILE__, __LINE__);
    }
    block_pool_done(&blocks);
    return 0;
}

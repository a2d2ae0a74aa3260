/* Whole messages, as a connection would read them: the attack vectors of ../shared,
 * whole and in pieces. */
#include "proxy/http/chunked.h"
#include "proxy/http/head.h"
#include "proxy/http/target.h"
#include "tests/support/vectors.h"

#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

/* ---- a connection that only reads ------------------------------------------------ */

enum side { CLIENT_SIDE, UPSTREAM_SIDE };

enum stage { STAGE_HEAD, STAGE_LENGTH, STAGE_CHUNKED, STAGE_CLOSE, STAGE_DONE };

struct connection {
    enum side side;
    enum method method; /* what the responses answer */
    enum stage stage;
    size_t scanned;
    struct head head;
    struct chunked chunked;
    uint64_t left;
    enum fault fault;
    unsigned messages;   /* read to their end; no interim responses */
    uint64_t body_bytes; /* of all messages */
    uint64_t body_digest;
    bool left_over; /* bytes came after the last message */
};

static void note_body(struct connection *connection, struct span data)
{
    for (size_t i = 0; i < data.len; i++) {
        connection->body_digest =
            (connection->body_digest ^ (unsigned char)data.at[i]) * 1099511628211ULL;
    }
    connection->body_bytes += data.len;
}

static void end_message(struct connection *connection)
{
    connection->messages++;
    connection->scanned = 0;
    connection->stage = connection->head.keep_alive ? STAGE_HEAD : STAGE_DONE;
}

static void begin_body(struct connection *connection)
{
    const struct head *head = &connection->head;

    connection->left = head->length;
    chunked_init(&connection->chunked);
    if (head->framing == FRAMING_CHUNKED) {
        connection->stage = STAGE_CHUNKED;
    } else if (head->framing == FRAMING_CLOSE) {
        connection->stage = STAGE_CLOSE;
    } else if (head->framing == FRAMING_LENGTH && head->length > 0) {
        connection->stage = STAGE_LENGTH;
    } else if (connection->side == UPSTREAM_SIDE && head->status < 200) {
        connection->scanned = 0;
    } else {
        end_message(connection);
    }
}

static enum fault judge_target(struct span raw)
{
    char path[HEAD_TARGET_MAX];
    struct target target;

    return target_parse(raw, 0, path, sizeof(path), &target);
}

/* Takes one head off the front of *bytes if it is all there; the raw bytes are copied
 * to memory of their exact size, so that the sanitizer sees a read past the end. */
static bool take_head(struct connection *connection, struct span *bytes)
{
    size_t size;
    char *raw;

    connection->fault = head_find_end(*bytes, &connection->scanned, &size);
    if (connection->fault != FAULT_NONE || size == 0) {
        return false;
    }
    raw = malloc(size);
    assert_non_null(raw);
    memcpy(raw, bytes->at, size);
    if (connection->side == CLIENT_SIDE) {
        connection->fault = head_parse_request(span_of(raw, size), &connection->head);
        if (connection->fault == FAULT_NONE) {
            connection->fault = judge_target(connection->head.target);
        }
    } else {
        connection->fault = head_parse_response(span_of(raw, size), connection->method,
                                                &connection->head);
    }
    free(raw);
    *bytes = span_after(*bytes, size);
    if (connection->fault == FAULT_NONE) {
        begin_body(connection);
    }
    return connection->fault == FAULT_NONE;
}

static void take_length(struct connection *connection, struct span *bytes)
{
    size_t len = connection->left < bytes->len ? (size_t)connection->left : bytes->len;

    note_body(connection, span_of(bytes->at, len));
    *bytes = span_after(*bytes, len);
    connection->left -= len;
    if (connection->left == 0) {
        end_message(connection);
    }
}

static void take_chunked(struct connection *connection, struct span *bytes)
{
    struct span data;
    bool ended;

    connection->fault = chunked_next(&connection->chunked, bytes, &data, &ended);
    if (connection->fault == FAULT_NONE) {
        note_body(connection, data);
        if (ended) {
            end_message(connection);
        }
    }
}

/* Takes what it can off the front of *bytes. */
static void take(struct connection *connection, struct span *bytes)
{
    while (bytes->len > 0 && connection->fault == FAULT_NONE) {
        switch (connection->stage) {
        case STAGE_HEAD:
            if (!take_head(connection, bytes)) {
                return;
            }
            break;
        case STAGE_LENGTH:
            take_length(connection, bytes);
            break;
        case STAGE_CHUNKED:
            take_chunked(connection, bytes);
            break;
        case STAGE_CLOSE:
            note_body(connection, *bytes);
            *bytes = span_after(*bytes, bytes->len);
            break;
        case STAGE_DONE:
            connection->left_over = true;
            return;
        }
    }
}

/* Reads all bytes, which arrive in pieces of at most `piece` bytes. */
static struct connection read_all(enum side side, enum method method, struct span bytes,
                                  size_t piece)
{
    struct connection connection = { .side = side, .method = method };
    struct span window = span_of(bytes.at, 0);

    while (window.at + window.len < bytes.at + bytes.len &&
           connection.fault == FAULT_NONE && !connection.left_over) {
        size_t come = (size_t)(bytes.at + bytes.len - (window.at + window.len));

        window.len += come < piece ? come : piece;
        take(&connection, &window);
    }
    if (connection.stage == STAGE_CLOSE) {
        connection.messages++;
    }
    return connection;
}

static void assert_same(const struct connection *a, const struct connection *b)
{
    assert_int_equal(a->fault, b->fault);
    assert_int_equal(a->messages, b->messages);
    assert_int_equal(a->body_bytes, b->body_bytes);
    assert_true(a->body_digest == b->body_digest);
    assert_int_equal(a->left_over, b->left_over);
}

/* Long messages are split only where that still tells something. */
static struct connection read_in_pieces(enum side side, enum method method,
                                        struct span bytes)
{
    struct connection whole = read_all(side, method, bytes, bytes.len);
    size_t pieces[] = { bytes.len > 4096 ? 509 : 1, 2, 3, 7, 64 };

    for (size_t i = 0; i < (bytes.len > 65536 ? 1 : 5); i++) {
        struct connection split = read_all(side, method, bytes, pieces[i]);

        assert_same(&whole, &split);
    }
    return whole;
}

/* ---- the sets -------------------------------------------------------------------- */

static bool wants(const char *want, const char *word)
{
    return span_starts(span_text(want), span_text(word));
}

/* A refusal must come before any message is complete. */
static bool as_wanted(const struct connection *seen, const char *want, unsigned steps)
{
    if (wants(want, "reject")) {
        return seen->fault != FAULT_NONE && seen->messages == 0;
    }
    if (wants(want, "accept-then-400")) {
        return seen->fault != FAULT_NONE && seen->messages == 1;
    }
    if (wants(want, "accept")) {
        return seen->fault == FAULT_NONE && seen->messages == steps && !seen->left_over;
    }
    if (wants(want, "timeout408")) {
        return seen->fault == FAULT_NONE && seen->messages == 0;
    }
    return true;
}

static void test_own_requests(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    unsigned rejects = 0;
    unsigned accepts = 0;
    unsigned wrong = 0;

    (void)state;
    if (!vectors_open(&vectors, "own-http1/requests.jsonl")) {
        skip();
    }
    while ((object = vectors_next(&vectors)) != NULL) {
        const char *id = vectors_string(object, "id");
        const char *want = vectors_string(object, "want");
        struct span bytes = vectors_bytes(&vectors, object, "b64");
        struct connection seen = read_in_pieces(CLIENT_SIDE, METHOD_GET, bytes);

        if (!as_wanted(&seen, want, wants(id, "pipe-2") ? 2 : 1)) {
            print_error("%s wants %s: %s, %u messages\n", id, want,
                        fault_row(seen.fault)->name, seen.messages);
            wrong++;
        }
        rejects += wants(want, "reject");
        accepts += wants(want, "accept");
    }
    vectors_close(&vectors);
    assert_int_equal(wrong, 0);
    assert_int_equal(rejects, 144);
    assert_int_equal(accepts, 8);
    assert_int_equal(head_disagreements(), 0);
}

/* What cannot be told from one response alone is for the engine: how many interim
 * responses came, and whether an upgrade was asked for. */
static bool judged_later(const char *id)
{
    return wants(id, "100-flood") || wants(id, "101-unasked");
}

static bool response_as_wanted(const struct connection *seen, const char *id,
                               const char *want)
{
    if (judged_later(id)) {
        return true;
    }
    if (wants(want, "502")) {
        /* A head that is never finished fails when the connection ends. */
        return seen->messages == 0 &&
               (seen->fault != FAULT_NONE || wants(id, "http09"));
    }
    if (seen->fault != FAULT_NONE) {
        /* What came after the response was no response: the connection is discarded. */
        return seen->messages == 1 && (wants(want, "extra") || wants(id, "head-body"));
    }
    if (wants(want, "truncated")) {
        return seen->messages == 0;
    }
    if (wants(want, "extra")) {
        return seen->messages == 2;
    }
    if (strstr(want, "not reusable") != NULL || wants(id, "204-") ||
        wants(id, "http10")) {
        return seen->messages == 1 && !seen->head.keep_alive;
    }
    return seen->messages == 1;
}

static void test_own_responses(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    unsigned count = 0;
    unsigned wrong = 0;

    (void)state;
    if (!vectors_open(&vectors, "own-http1/responses.jsonl")) {
        skip();
    }
    while ((object = vectors_next(&vectors)) != NULL) {
        const char *id = vectors_string(object, "id");
        const char *want = vectors_string(object, "want");
        enum method method =
            wants(vectors_string(object, "method"), "HEAD") ? METHOD_HEAD : METHOD_POST;
        struct span bytes = vectors_bytes(&vectors, object, "b64");
        struct connection seen = read_in_pieces(UPSTREAM_SIDE, method, bytes);

        if (!response_as_wanted(&seen, id, want)) {
            print_error("%s wants %s: %s, %u messages\n", id, want,
                        fault_row(seen.fault)->name, seen.messages);
            wrong++;
        }
        count++;
    }
    vectors_close(&vectors);
    assert_int_equal(wrong, 0);
    assert_int_equal(count, 32);
}

/* The policy of a case stands in a file of its own. */
static const char *policy_of(const cJSON *policies, const char *id)
{
    return vectors_string(policies, id);
}

static cJSON *read_policies(void)
{
    cJSON *policies = cJSON_CreateObject();
    struct vectors vectors;
    const cJSON *object;

    assert_true(vectors_open(&vectors, "http11probe/policy.jsonl"));
    while ((object = vectors_next(&vectors)) != NULL) {
        (void)cJSON_AddStringToObject(policies, vectors_string(object, "id"),
                                      vectors_string(object, "policy"));
    }
    vectors_close(&vectors);
    return policies;
}

/* All steps of a case in a row; the caller frees them. */
static struct span joined_steps(struct vectors *vectors, const cJSON *steps,
                                unsigned *count)
{
    char *joined = NULL;
    size_t len = 0;
    const cJSON *step;

    *count = 0;
    cJSON_ArrayForEach(step, steps)
    {
        struct span bytes = vectors_bytes(vectors, step, "b64");

        if (bytes.len > 0) {
            joined = realloc(joined, len + bytes.len);
            assert_non_null(joined);
            memcpy(joined + len, bytes.at, bytes.len);
            len += bytes.len;
            *count += 1;
        }
    }
    return span_of(joined, len);
}

static void test_http11probe(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    cJSON *policies;
    unsigned count = 0;
    unsigned wrong = 0;

    (void)state;
    if (!vectors_open(&vectors, "http11probe/cases.jsonl")) {
        skip();
    }
    policies = read_policies();
    while ((object = vectors_next(&vectors)) != NULL) {
        const char *id = vectors_string(object, "id");
        const char *want = policy_of(policies, id);
        const cJSON *steps = cJSON_GetObjectItemCaseSensitive(object, "steps");
        unsigned step_count;
        struct span bytes = joined_steps(&vectors, steps, &step_count);
        struct connection seen = read_in_pieces(CLIENT_SIDE, METHOD_GET, bytes);

        if (!as_wanted(&seen, want, step_count)) {
            print_error("%s wants %s: %s, %u messages\n", id, want,
                        fault_row(seen.fault)->name, seen.messages);
            wrong++;
        }
        free((void *)(uintptr_t)bytes.at);
        count++;
    }
    cJSON_Delete(policies);
    vectors_close(&vectors);
    assert_int_equal(wrong, 0);
    assert_int_equal(count, 215);
}

/* A pause for an upgrade is no error. */
static bool logs_error(const char *log)
{
    return strstr(log, "error code") != NULL && strstr(log, "error code=22") == NULL;
}

/* Many of these inputs stop in mid-head: they are given an end, so that
 * a verdict falls. */
static struct connection read_to_verdict(enum side side, struct span bytes)
{
    struct connection seen = read_in_pieces(side, METHOD_GET, bytes);
    char *longer;

    if (seen.fault == FAULT_NONE && seen.stage == STAGE_HEAD && seen.scanned > 0) {
        longer = malloc(bytes.len + 4);
        assert_non_null(longer);
        memcpy(longer, bytes.at, bytes.len);
        memcpy(longer + bytes.len, "\r\n\r\n", 4);
        seen = read_in_pieces(side, METHOD_GET, span_of(longer, bytes.len + 4));
        free(longer);
    }
    return seen;
}

/* Where llhttp expects an error, we must refuse too, or have stopped reading before. */
static void test_llhttp_cases(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    unsigned count = 0;
    unsigned complete = 0;
    unsigned wrong = 0;

    (void)state;
    if (!vectors_open(&vectors, "llhttp-md/cases.jsonl")) {
        skip();
    }
    while ((object = vectors_next(&vectors)) != NULL) {
        const char *type =
            vectors_string(cJSON_GetObjectItemCaseSensitive(object, "meta"), "type");
        bool request = strcmp(type, "request") == 0;
        struct span bytes = vectors_bytes(&vectors, object, "b64");
        struct connection seen;

        if (!request && strcmp(type, "response") != 0) {
            continue;
        }
        seen = read_to_verdict(request ? CLIENT_SIDE : UPSTREAM_SIDE, bytes);
        if (logs_error(vectors_string(object, "log")) && seen.fault == FAULT_NONE &&
            !seen.left_over) {
            print_error("%s %s\n", vectors_string(object, "id"),
                        vectors_string(object, "title"));
            wrong++;
        }
        count++;
        complete += seen.fault == FAULT_NONE && seen.messages > 0;
    }
    vectors_close(&vectors);
    assert_int_equal(count, 210);
    assert_int_equal(wrong, 0);
    assert_true(complete > 0);
}

static void read_file(const char *path, size_t len)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(len + 1);

    assert_non_null(file);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, len, file), len);
    (void)fclose(file);
    (void)read_in_pieces(CLIENT_SIDE, METHOD_GET, span_of(bytes, len));
    (void)read_in_pieces(UPSTREAM_SIDE, METHOD_GET, span_of(bytes, len));
    free(bytes);
}

static void test_h2o_corpus(void **state)
{
    char folder[] = "../shared/vectors/h2o-http1-corpus";
    char *folders[] = { folder, NULL };
    FTS *walk = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *found;
    unsigned count = 0;

    (void)state;
    assert_non_null(walk);
    while ((found = fts_read(walk)) != NULL) {
        if (found->fts_info == FTS_F) {
            read_file(found->fts_path, (size_t)found->fts_statp->st_size);
            count++;
        }
    }
    (void)fts_close(walk);
    if (count == 0) {
        skip();
    }
    assert_in_range(count, 1972, 1973);
}

/* An accepted path has one reading: nothing in it is left to decode,
 * drop or resolve. */
static void assert_plain(struct span path)
{
    struct span segment;
    struct span rest = span_after(path, 1);

    assert_int_equal(path.at[0], '/');
    while (span_next(&rest, '/', &segment)) {
        assert_true(segment.len > 0);
        assert_int_not_equal(segment.at[segment.len - 1], '.');
        assert_int_equal(span_find(segment, '%'), segment.len);
        assert_int_equal(span_find(segment, ';'), segment.len);
        assert_int_equal(span_find(segment, '\\'), segment.len);
    }
}

static void test_own_paths(void **state)
{
    struct vectors vectors;
    const cJSON *object;
    unsigned refused = 0;
    unsigned accepted = 0;

    (void)state;
    if (!vectors_open(&vectors, "own-paths/paths.jsonl")) {
        skip();
    }
    while ((object = vectors_next(&vectors)) != NULL) {
        struct span raw = span_text(vectors_string(object, "target"));
        char path[HEAD_TARGET_MAX];
        struct target target;

        if (target_parse(raw, 0, path, sizeof(path), &target) == FAULT_NONE) {
            assert_plain(target.path);
            accepted++;
        } else {
            refused++;
        }
    }
    vectors_close(&vectors);
    assert_int_equal(refused, 82);
    assert_int_equal(accepted, 43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_requests), cmocka_unit_test(test_own_responses),
        cmocka_unit_test(test_http11probe),  cmocka_unit_test(test_llhttp_cases),
        cmocka_unit_test(test_h2o_corpus),   cmocka_unit_test(test_own_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proxy/engine/splice.h"
#include "tests/unit/watching.h"

#include <stdio.h>
#include <stdlib.h>

enum { BODY_MAX = 256 * 1024 };

static struct watch_pool *watches;
static struct block_pool blocks;

static int set_up(void **state)
{
    (void)state;
    watches = watch_pool_new(watch_limits);
    block_pool_init(&blocks, 8);
    return watches == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    watches = watch_pool_free(watches);
    block_pool_done(&blocks);
    return 0;
}

/* ---- into the request ------------------------------------------------------------ */

static void queue_text(const struct block_queue *queue, char *text)
{
    const struct block *cursor = NULL;
    struct span piece;

    while ((piece = block_next(queue, &cursor)).len > 0) {
        memcpy(text, piece.at, piece.len);
        text += piece.len;
    }
    *text = '\0';
}

static void assert_spliced(const char *body, const char *want)
{
    static char text[BODY_MAX];
    struct asked asked =
        ask(watches, "/v1/chat/completions", NULL, span_text(body), SIZE_MAX);
    struct splice splice = splice_plan(&asked.facts);
    struct block_queue queue = { 0 };

    assert_int_equal(asked.fault, FAULT_NONE);
    assert_false(asked.facts.usage_asked);
    assert_true(block_put(&queue, &blocks, span_text(body)));
    assert_true(splice_apply(&splice, &queue, &blocks));
    assert_int_equal(queue.bytes, strlen(want));
    queue_text(&queue, text);
    assert_string_equal(text, want);
    block_clear(&queue, &blocks);
}

static void every_form_of_stream_options_is_met(void **state)
{
    static const struct {
        const char *body, *want;
    } forms[] = {
        { "{}", "{\"stream_options\":{\"include_usage\":true}}" },
        { " \n{ }", " \n{\"stream_options\":{\"include_usage\":true} }" },
        { "{\"stream\":true}",
          "{\"stream_options\":{\"include_usage\":true},\"stream\":true}" },
        { "{\"stream_options\":{}}", "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\" : { \t}}",
          "{\"stream_options\" : {\"include_usage\":true \t}}" },
        { "{\"stream_options\":{\"a\":1}}",
          "{\"stream_options\":{\"include_usage\":true,\"a\":1}}" },
        { "{\"stream_options\":null}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\": null ,\"n\":1}",
          "{\"stream_options\": {\"include_usage\":true} ,\"n\":1}" },
        { "{\"stream_options\":true}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":7}", "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":\"a\\\"b\"}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":[{\"include_usage\":true}]}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"include_usage\":false}}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"a\":{},\"include_usage\": null , \"b\":2},\"n\":1}",
          "{\"stream_options\":{\"a\":{},\"include_usage\": true , \"b\":2},\"n\":1}" },
        { "{\"stream_options\":{\"include_usage\":\"true\"}}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"include_usage\":0}}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"include_usage\":{\"x\":[1]}}}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"include_usage\":[ ],\"a\":1}}",
          "{\"stream_options\":{\"include_usage\":true,\"a\":1}}" },
        /* The same words elsewhere do not count. */
        { "{\"metadata\":{\"stream_options\":{\"include_usage\":false}}}",
          "{\"stream_options\":{\"include_usage\":true},"
          "\"metadata\":{\"stream_options\":{\"include_usage\":false}}}" },
        { "{\"stream_options\":{\"a\":{\"include_usage\":false}}}",
          "{\"stream_options\":{\"include_usage\":true,"
          "\"a\":{\"include_usage\":false}}}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_spliced(forms[i].body, forms[i].want);
    }
}

/* The place of the splice wanders over the borders of the blocks that hold the body. */
static void it_applies_at_every_border(void **state)
{
    static const struct {
        const char *tail, *want;
    } tails[] = {
        { "{\"n\":1}", "{\"stream_options\":{\"include_usage\":true},\"n\":1}" },
        { "{\"stream_options\":null}",
          "{\"stream_options\":{\"include_usage\":true}}" },
        { "{\"stream_options\":{\"include_usage\":false}}",
          "{\"stream_options\":{\"include_usage\":true}}" },
    };
    static char body[BODY_MAX], want[BODY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        size_t len = strlen(tails[i].tail) + 2;

        for (size_t front = BLOCK_BYTES - len; front <= BLOCK_BYTES + 2; front++) {
            memset(body, ' ', front);
            memset(want, ' ', front);
            (void)snprintf(body + front, sizeof body - front, "%s", tails[i].tail);
            (void)snprintf(want + front, sizeof want - front, "%s", tails[i].want);
            assert_spliced(body, want);
        }
    }
}

/* As soon as the watch says that all is decided, the front of the body
 * may be spliced. */
static void a_body_may_be_spliced_before_its_end(void **state)
{
    static const char body[] =
        "{\"stream\":true,\"stream_options\":{\"a\":[],\"include_usage\":false} , "
        "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"model\":\"m\"}";
    static const char want[] =
        "{\"stream\":true,\"stream_options\":{\"a\":[],\"include_usage\":true} , "
        "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"model\":\"m\"}";
    const struct dialect_route *route;
    const struct dialect *dialect = claim_path("/v1/chat/completions", &route);

    (void)state;
    for (size_t front = 1; front < sizeof body - 1; front++) {
        struct facts facts = { .stream = false };
        struct claims claims = { .tool = "" };
        struct head head = { .minor = 1 };
        struct request_watch *watch =
            request_watch_open(watches, dialect, route, &head, &facts, &claims);
        struct block_queue queue = { 0 };
        struct splice splice;
        char text[sizeof want + 1];

        assert_int_equal(request_watch_data(watch, span_of(body, front)), FAULT_NONE);
        if (request_watch_decided(watch)) {
            assert_true(block_put(&queue, &blocks, span_of(body, front)));
            splice = splice_plan(&facts);
            assert_true(splice_apply(&splice, &queue, &blocks));
            assert_true(block_put(&queue, &blocks, span_text(body + front)));
            assert_int_equal(queue.bytes, sizeof want - 1);
            queue_text(&queue, text);
            assert_string_equal(text, want);
            block_clear(&queue, &blocks);
        }
        request_watch_close(watch);
    }
}

/* ---- out of the response --------------------------------------------------------- */

#define USAGE                                                                          \
    "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}"
#define TEXT  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n"
#define CHUNK "data: {\"id\":\"c\",\"choices\":[]," USAGE "}\n\n"
#define DONE  "data: [DONE]\n\n"

/* What comes, and what the client shall see of it. Lines end in LF here; the test also
 * writes them with CRLF and CR. */
struct stream_case {
    const char *body, *want;
};

static const struct stream_case cases[] = {
    { TEXT TEXT CHUNK DONE, TEXT TEXT DONE },
    { CHUNK, "" },
    { CHUNK DONE, DONE },
    { "data:{\"choices\":[ ]," USAGE "}\n\n" DONE, DONE },
    { "data: {" USAGE ",\"choices\":[]}\n\n" DONE, DONE },
    /* Lines may end in different ways. */
    { "data:{\"choices\":[]," USAGE "}\r\r" DONE, DONE },
    /* Only the first one was provoked. */
    { CHUNK CHUNK, CHUNK },
    /* Azure's first chunk has no choices and no usage. */
    { "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n" TEXT CHUNK DONE,
      "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n" TEXT DONE },
    { "data: {\"choices\":[],\"usage\":null}\n\n" DONE,
      "data: {\"choices\":[],\"usage\":null}\n\n" DONE },
    { "data: {\"choices\":[{\"delta\":{}}]," USAGE "}\n\n" DONE,
      "data: {\"choices\":[{\"delta\":{}}]," USAGE "}\n\n" DONE },
    { "data: {\"choices\":[1]," USAGE "}\n\n",
      "data: {\"choices\":[1]," USAGE "}\n\n" },
    { "data: {" USAGE "}\n\n", "data: {" USAGE "}\n\n" },
    { "data: {\"choices\":{}," USAGE "}\n\n", "data: {\"choices\":{}," USAGE "}\n\n" },
    { "data: {\"x\":{\"choices\":[]," USAGE "}}\n\n",
      "data: {\"x\":{\"choices\":[]," USAGE "}}\n\n" },
    { "data: {\"choices\":[]," USAGE "\n\n", "data: {\"choices\":[]," USAGE "\n\n" },
    { "data: {\"choices\":[],\"text\":\"\\\"usage\\\":{}\"}\n\n",
      "data: {\"choices\":[],\"text\":\"\\\"usage\\\":{}\"}\n\n" },
    /* Comments, names and blank lines are left as they are. */
    { ": ping\n\n\n" TEXT ":\n" CHUNK, ": ping\n\n\n" TEXT ":\n" CHUNK },
    { "\n\n" TEXT "\n" CHUNK "\n" DONE, "\n\n" TEXT "\n\n" DONE },
    { "event: x\ndata: {}\nid: 1\n\n" CHUNK, "event: x\ndata: {}\nid: 1\n\n" },
    /* Ends without the blank line. */
    { TEXT "data: {\"choi", TEXT "data: {\"choi" },
    { TEXT DONE "data: tail\n", TEXT DONE "data: tail\n" },
    { TEXT "data: {\"choices\":[]," USAGE "}\n", TEXT },
    { TEXT "data: {\"choices\":[]," USAGE "}", TEXT },
    { "", "" },
    { "not an event stream", "not an event stream" },
};

struct seen {
    size_t len;
    char bytes[BODY_MAX];
};

static void seen_add(void *self, struct span bytes)
{
    struct seen *seen = self;

    assert_true(bytes.len > 0 && seen->len + bytes.len < BODY_MAX);
    memcpy(seen->bytes + seen->len, bytes.at, bytes.len);
    seen->len += bytes.len;
}

/* With `end` for each LF. */
static char *with_ends(const char *text, const char *end)
{
    size_t size = strlen(text) * 2 + 1, len = 0;
    char *made = malloc(size);

    for (; *text != '\0'; text++) {
        len += (size_t)snprintf(made + len, size - len, *text == '\n' ? "%s" : "%.1s",
                                *text == '\n' ? end : text);
    }
    made[len] = '\0';
    return made;
}

static void assert_stripped(const char *body, const char *want, size_t cut, size_t step)
{
    static struct seen seen;
    struct strip *strip = strip_new();
    struct span rest = span_after(span_text(body), cut);

    seen.len = 0;
    strip_feed(strip, span_of(body, cut), seen_add, &seen);
    while (rest.len > 0) {
        size_t len = rest.len < step ? rest.len : step;

        strip_feed(strip, span_of(rest.at, len), seen_add, &seen);
        rest = span_after(rest, len);
    }
    strip_end(strip, seen_add, &seen);
    seen.bytes[seen.len] = '\0';
    assert_string_equal(seen.bytes, want);
    strip_free(strip);
}

static void only_the_usage_chunk_goes_at_every_split(void **state)
{
    static const char *const ends[] = { "\n", "\r\n", "\r" };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
            char *body = with_ends(cases[i].body, ends[e]);
            char *want = with_ends(cases[i].want, ends[e]);

            for (size_t cut = 0; cut <= strlen(body); cut++) {
                assert_stripped(body, want, cut, SIZE_MAX);
                assert_stripped(body, want, cut, 1);
            }
            assert_stripped(body, want, 0, 7);
            free(body);
            free(want);
        }
    }
}

/* Whatever came, every event that is complete in it is out. */
static void a_complete_event_is_not_held_back(void **state)
{
    static const char *const ends[] = { "\n", "\r\n", "\r" };
    static struct seen seen;

    (void)state;
    for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
        char *event = with_ends(TEXT, ends[e]);
        char *body = with_ends(TEXT TEXT TEXT, ends[e]);
        /* A blank line is one at its CR already. */
        size_t end = strlen(event) - (ends[e][1] == '\n' ? 1 : 0);
        struct strip *strip = strip_new();

        seen.len = 0;
        for (size_t fed = 0; fed < strlen(body); fed++) {
            size_t complete = fed + 1 < end ? 0 : (fed + 1 - end) / strlen(event) + 1;

            strip_feed(strip, span_of(body + fed, 1), seen_add, &seen);
            if (complete > 0) {
                assert_true(seen.len >= (complete - 1) * strlen(event) + end);
            }
        }
        strip_free(strip);
        free(event);
        free(body);
    }
}

static void long_events_pass(void **state)
{
    static char body[BODY_MAX / 2];
    size_t sizes[] = { 32 * 1024 - 2, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 100000 };

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *want;

        memset(body, 'x', sizes[i]);
        memcpy(body, "data: ", 6);
        (void)snprintf(body + sizes[i], sizeof body - sizes[i], "\n\n%s%s", CHUNK,
                       DONE);
        want = strdup(body);
        (void)snprintf(want + sizes[i], sizeof CHUNK + sizeof DONE, "\n\n%s", DONE);
        assert_stripped(body, want, 0, SIZE_MAX);
        assert_stripped(body, want, sizes[i] - 1, SIZE_MAX);
        assert_stripped(body, want, 32 * 1024, 5);
        assert_stripped(body, want, 0, 1000);
        free(want);
    }
}

/* What is longer than any usage chunk is not looked through, wherever it was cut. */
static void a_huge_chunk_is_no_usage_chunk(void **state)
{
    static char body[BODY_MAX / 2];

    (void)state;
    (void)snprintf(body, sizeof body,
                   "data: {\"choices\":[]," USAGE ",\"pad\":\"%*s\"}\n\n", 64 * 1024,
                   "");
    assert_stripped(body, body, 0, SIZE_MAX);
    for (size_t step = 1000; step < 70000; step += 9000) {
        assert_stripped(body, body, 0, step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_stream_options_is_met),
        cmocka_unit_test(it_applies_at_every_border),
        cmocka_unit_test(a_body_may_be_spliced_before_its_end),
        cmocka_unit_test(only_the_usage_chunk_goes_at_every_split),
        cmocka_unit_test(a_complete_event_is_not_held_back),
        cmocka_unit_test(long_events_pass),
        cmocka_unit_test(a_huge_chunk_is_no_usage_chunk),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

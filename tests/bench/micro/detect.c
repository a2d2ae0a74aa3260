/* What the detector costs: a continuation call, a turn, the sketch of a prompt and of a
 * response. Many identities, so that states come from memory, not from a cache. Calls come
 * one by one, as on an idle installation, and many together, as the analyst takes them from
 * its ring on a busy one; what expecting those takes is shared out to them. Prints median
 * and 99th percentile of the time that passes: the clock of a thread's CPU time is a system
 * call, which takes a third of a continuation. So nothing else should run on the host. */
#include "filters/detect/detector.h"
#include "filters/registry.h"
#include "filters/turn/sketch.h"
#include "filters/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { IDENTITIES = 20000, ROUNDS = 200000, TEXT_SIZE = 2000, TEXTS = 2000 };

static_assert(ROUNDS % DETECTOR_AHEAD == 0, "all rounds come together");

static uint64_t random_state = 1;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(const char *name, double *ns, size_t count)
{
    qsort(ns, count, sizeof(*ns), ascending);
    printf("%-28s %8.2f us %8.2f us p99\n", name, ns[count / 2] / 1000,
           ns[count * 99 / 100] / 1000);
}

static struct turn random_turn(enum turn_kind kind, unsigned n)
{
    struct turn turn = { .identity = next_random() % IDENTITIES + 1,
                         .session = next_random() % 8 * 7919,
                         .begin_ms = INT64_C(1772442007000) + (int64_t)n * 500,
                         .kind = kind,
                         .has_prompt = kind == TURN_PROMPT };

    turn.end_ms = turn.begin_ms + 400;
    turn.prompt.whole = next_random();
    turn.prompt.shape = next_random() % 100;
    turn.prompt.characters = 200;
    turn.prompt.bottom_count = SKETCH_BOTTOM;
    turn.prompt.sample_count = 24;
    turn.prompt.has_words = true;
    turn.response.count = SKETCH_RESPONSE;
    for (unsigned i = 0; i < SKETCH_BOTTOM; i++) {
        turn.prompt.bottom[i] = next_random();
    }
    for (unsigned i = 0; i < SKETCH_RESPONSE; i++) {
        turn.prompt.samples[2 * i] = (uint32_t)next_random();
        turn.prompt.samples[2 * i + 1] = (uint32_t)next_random();
        turn.response.samples[i] = (uint32_t)next_random();
    }
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        turn.prompt.words[i] = (int8_t)(next_random() % 61 - 30);
    }
    return turn;
}

static void ignore(void *self, const struct finding *finding)
{
    *(float *)self += finding->score;
}

/* Observes calls that come together; each one's time with its share of expecting them. */
static void observe(struct detector *detector, const struct turn *turns, unsigned count,
                    double *ns)
{
    const struct turn *expected[DETECTOR_AHEAD];
    float sum = 0;
    double begin = now_ns(), share;

    for (unsigned i = 0; i < count; i++) {
        expected[i] = &turns[i];
    }
    detector_expect(detector, expected, count);
    share = (now_ns() - begin) / count;
    for (unsigned i = 0; i < count; i++) {
        begin = now_ns();
        CHECK(detector_observe(detector, &turns[i], ignore, &sum));
        ns[i] = now_ns() - begin + share;
    }
}

static void measure_calls(struct detector *detector, const char *name,
                          enum turn_kind kind, unsigned together)
{
    static double ns[ROUNDS];
    struct turn turns[DETECTOR_AHEAD];

    for (unsigned n = 0; n < ROUNDS; n += together) {
        for (unsigned i = 0; i < together; i++) {
            turns[i] = random_turn(kind, n + i);
        }
        observe(detector, turns, together, &ns[n]);
    }
    report(name, ns, ROUNDS);
}

static void measure_detector(unsigned together)
{
    struct detector *detector = detector_new(&(struct detector_options){
        .threshold = SCORE_FLAG, .prompts_log2 = 16, .samples_log2 = 20 });

    printf("calls that come %u at a time:\n", together);
    measure_calls(detector, "  first sight of identities", TURN_CONTINUATION, together);
    measure_calls(detector, "  continuation", TURN_CONTINUATION, together);
    measure_calls(detector, "  turn", TURN_PROMPT, together);
    detector_free(detector);
}

static void random_text(char *text)
{
    size_t len = 0;

    while (len + 12 < TEXT_SIZE) {
        for (unsigned i = 2 + (unsigned)(next_random() % 8); i > 0; i--) {
            text[len++] = (char)('a' + next_random() % 26);
        }
        text[len++] = ' ';
    }
    text[len] = '\0';
}

static void measure_sketches(void)
{
    static double prompts[TEXTS], responses[TEXTS];
    static struct prompt_sketcher sketcher;
    struct response_sketcher response_sketcher;
    struct prompt_sketch prompt;
    struct response_sketch response;
    struct sketch_key key;
    char text[TEXT_SIZE];

    sketch_key_init(&key, SPAN("a key to measure with"));
    for (unsigned n = 0; n < TEXTS; n++) {
        double begin;

        random_text(text);
        begin = now_ns();
        sketch_prompt_begin(&sketcher, &key);
        sketch_prompt_feed(&sketcher, span_text(text));
        sketch_prompt_end(&sketcher, &prompt);
        prompts[n] = now_ns() - begin;
        begin = now_ns();
        sketch_response_begin(&response_sketcher, &key);
        sketch_response_feed(&response_sketcher, span_text(text));
        sketch_response_end(&response_sketcher, &response);
        responses[n] = now_ns() - begin;
    }
    report("prompt of 2 KB, sketched", prompts, TEXTS);
    report("response of 2 KB, sketched", responses, TEXTS);
}

/* ---- the turn gate --------------------------------------------------------------- */

enum { HISTORY = 20, BODY_SIZE = 64 * 1024 };

/* An agent's request: a history of tool calls; behind it a tool's result, or a person's
 * words. */
static struct span agent_body(char *body, bool speaks)
{
    size_t len = (size_t)snprintf(body, BODY_SIZE,
                                  "{\"model\":\"m\",\"max_tokens\":999,\"messages\":[{"
                                  "\"role\":\"user\",\"content\":\"Fix the parser\"}");

    for (unsigned i = 0; i < HISTORY; i++) {
        len += (size_t)snprintf(
            body + len, BODY_SIZE - len,
            ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\","
            "\"name\":\"Read\",\"input\":{\"path\":\"src/a.c\"}}]},{\"role\":\"user\","
            "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":"
            "\"%01500u\"}]}",
            i);
    }
    if (speaks) {
        len += (size_t)
            snprintf(body + len, BODY_SIZE - len,
                     ",{\"role\":\"assistant\",\"content\":\"Done.\"},{\"role\":"
                     "\"user\",\"content\":\"Now look at the test in src/b.c, "
                     "line 42: it says \\\"bad length\\\" and I do not see why. Then "
                     "write one that shows it, and keep it short.\"}");
    }
    len += (size_t)snprintf(body + len, BODY_SIZE - len, "]}");
    return span_of(body, len);
}

static double one_request(struct watch_pool *pool, const struct sketch_key *key,
                          const struct harness *harness, struct span body)
{
    static const char *const families[] = { "anthropic", NULL };
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, SPAN("/v1/messages"), &route);
    struct head head = { .minor = 1, .target = SPAN("/v1/messages") };
    struct facts facts;
    struct claims claims = { .session = "s" };
    double begin = now_ns();
    struct request_watch *watch =
        request_watch_open(pool, dialect, route, &head, &facts, &claims);
    struct call *call = NULL;

    CHECK(watch != NULL);
    CHECK(harness == NULL || request_watch_turns(watch, key, harness));
    CHECK(request_watch_data(watch, body) == FAULT_NONE);
    CHECK(request_watch_end(watch) == FAULT_NONE);
    call = request_watch_call(watch);
    request_watch_close(watch);
    begin = now_ns() - begin;
    if (call != NULL) {
        watch_pool_call_back(pool, call);
    }
    return begin;
}

/* What the gate adds to a request: with it, less without it. */
static void measure_gate(const char *name, bool speaks)
{
    static double times[TEXTS];
    static char body[BODY_SIZE];
    struct span request = agent_body(body, speaks);
    struct watch_pool *pool =
        watch_pool_new((struct decode_limits){ .bytes = 1 << 20, .ratio = 200 });
    struct error error;
    struct harness *harness;
    struct sketch_key key;

    error_init(&error);
    harness = harness_load("config/harness.yaml", &error);
    CHECK(pool != NULL && harness != NULL);
    sketch_key_init(&key, SPAN("a key to measure with"));
    for (unsigned n = 0; n < TEXTS; n++) {
        double plain = one_request(pool, &key, NULL, request);

        times[n] = one_request(pool, &key, harness, request) - plain;
    }
    report(name, times, TEXTS);
    watch_pool_free(pool);
    harness_free(harness);
    error_done(&error);
}

int main(void)
{
    printf("state of an identity: %zu bytes\n", sizeof(struct identity_state));
    measure_detector(1);
    measure_detector(DETECTOR_AHEAD);
    measure_gate("gate, a tool's result, 33 KB", false);
    measure_gate("gate, a person's words, 33 KB", true);
    measure_sketches();
    return 0;
}

/* What the meter adds to a streamed event in user space: the chunk is unwrapped and
 * response_watch reads what is in it, as on the data path. Events come one by one, each
 * in a chunk of its own; nanoseconds of this thread's CPU time, best of the rounds.
 * Prints one line per dialect: NAME, bytes of an event, ns for the watch alone, ns for
 * both, ns for the watch while the turn gate reads along. */
#include "filters/registry.h"
#include "filters/watch.h"
#include "proxy/base/clock.h"
#include "proxy/http/chunked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, STREAMS = 500, EVENTS = 400 };

static struct sketch_key key;

struct stream_case {
    const char *name, *path, *first, *event, *last;
};

static const struct stream_case cases[] = {
    { "openai.chat", "/v1/chat/completions",
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
      "\"model\":\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
      "\"content\":\"\"},\"finish_reason\":null}]}\n\n",
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
      "\"model\":\"gpt-5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" a "
      "word\"},"
      "\"finish_reason\":null}],\"usage\":null}\n\n",
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
      "\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":123,"
      "\"completion_tokens\":400,\"total_tokens\":523}}\n\ndata: [DONE]\n\n" },
    { "anthropic.messages", "/v1/messages",
      "event: message_start\ndata: "
      "{\"type\":\"message_start\",\"message\":{\"id\":\"m\","
      "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\","
      "\"content\":[],\"usage\":{\"input_tokens\":123,\"output_tokens\":1}}}\n\n",
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
      "\"delta\":{\"type\":\"text_delta\",\"text\":\" a word, and a few more\"}}\n\n",
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
      "\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":400}}\n\n"
      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n" },
    { "openai.responses", "/v1/responses",
      "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{"
      "\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\","
      "\"model\":\"gpt-5\",\"usage\":null}}\n\n",
      "event: response.output_text.delta\ndata: "
      "{\"type\":\"response.output_text.delta\","
      "\"sequence_number\":7,\"item_id\":\"msg_1\",\"output_index\":0,"
      "\"content_index\":0,\"delta\":\" a word\",\"logprobs\":[]}\n\n",
      "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{"
      "\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\","
      "\"model\":\"gpt-5\",\"usage\":{\"input_tokens\":123,\"output_tokens\":400,"
      "\"total_tokens\":523}}}\n\n" },
};

static uint64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void stop(const char *words)
{
    fprintf(stderr, "event: %s\n", words);
    exit(1);
}

/* Gives the watch what one chunk holds. */
static void unwrap(struct response_watch *watch, struct chunked *chunked,
                   struct span input)
{
    struct span data;
    bool ended = false;

    while (input.len > 0) {
        if (chunked_next(chunked, &input, &data, &ended) != FAULT_NONE || ended) {
            stop("a chunk is not one");
        }
        if (data.len > 0) {
            response_watch_data(watch, data);
        }
    }
}

static struct response_watch *open_watch(struct watch_pool *pool,
                                         const struct stream_case *with,
                                         const struct facts *facts)
{
    static const char *const families[] = { "openai", "anthropic", NULL };
    const struct dialect_route *route;
    const struct dialect *dialect =
        registry_claim(families, METHOD_POST, span_text(with->path), &route);
    struct head head = { .minor = 1, .status = 200, .field_count = 1 };
    struct response_watch *watch;

    head.fields[0] = (struct field){ .id = FIELD_CONTENT_TYPE,
                                     .name = span_text("Content-Type"),
                                     .value = span_text("text/event-stream") };
    watch = dialect == NULL ? NULL
                            : response_watch_open(pool, dialect, route, &head, facts);
    if (watch == NULL) {
        stop("no watch");
    }
    return watch;
}

/* CPU time of one stream's events in the middle; `turns`: the turn gate reads along. */
static uint64_t one_stream(struct watch_pool *pool, const struct stream_case *with,
                           struct span chunk, bool turns)
{
    struct facts facts = { .stream = true };
    struct response_watch *watch = open_watch(pool, with, &facts);
    struct span event = span_text(with->event);
    struct chunked chunked;
    struct entry entry = { 0 };
    struct call call = { .messages = 1 };
    uint64_t begin, time;

    chunked_init(&chunked);
    if (turns && !response_watch_turns(watch, &key, &call)) {
        stop("no memory");
    }
    response_watch_data(watch, span_text(with->first));
    begin = cpu_ns();
    for (int i = 0; i < EVENTS; i++) {
        if (chunk.len > 0) {
            unwrap(watch, &chunked, chunk);
        } else {
            response_watch_data(watch, event);
        }
    }
    time = cpu_ns() - begin;
    response_watch_data(watch, span_text(with->last));
    response_watch_settle(watch, true, &facts, 0, &entry);
    if (entry.usage.source != USAGE_REPORTED || entry.events < EVENTS) {
        stop("the usage was not found");
    }
    if (turns && call.reply_bytes == 0) {
        stop("the answer was not read");
    }
    response_watch_close(watch);
    return time;
}

/* Nanoseconds per event. */
static double measure(struct watch_pool *pool, const struct stream_case *with,
                      struct span chunk, bool turns)
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t sum = 0;

        for (int i = 0; i < STREAMS; i++) {
            sum += one_stream(pool, with, chunk, turns);
        }
        if ((double)sum / (STREAMS * EVENTS) < best) {
            best = (double)sum / (STREAMS * EVENTS);
        }
    }
    return best;
}

int main(void)
{
    static const struct decode_limits limits = { .bytes = 64 << 20, .ratio = 200 };
    struct watch_pool *pool = watch_pool_new(limits);
    char chunk[1024];

    sketch_key_init(&key, SPAN("a key to measure with"));
    if (pool == NULL) {
        stop("no memory");
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int len = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n",
                           strlen(cases[i].event), cases[i].event);

        printf("%-20s %4zu bytes  watch %6.1f ns  with its chunk %6.1f ns  "
               "with turns %6.1f ns\n",
               cases[i].name, strlen(cases[i].event),
               measure(pool, &cases[i], span_of(NULL, 0), false),
               measure(pool, &cases[i], span_of(chunk, (size_t)len), false),
               measure(pool, &cases[i], span_of(NULL, 0), true));
    }
    watch_pool_free(pool);
    return 0;
}

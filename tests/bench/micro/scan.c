/* What the JSON scan and the event framing cost: nanoseconds per small SSE
 * event, GB/s over large bodies. CPU time of this thread, best of five. Prints
 * one line per case. */
#include "filters/json/scan.h"

#include "filters/frame/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, BODY_SIZE = 500 * 1000 };

static const char event[] =
    "{\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":1,"
    "\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},"
    "\"finish_reason\":null}],\"usage\":null}";

/* The paths of a chat dialect's responses, in kind and number. */
static const struct scan_path response_paths[] = {
    { "usage", 1, SCAN_WHOLE },
    { "usage.prompt_tokens", 2, SCAN_WHOLE },
    { "usage.completion_tokens", 3, SCAN_WHOLE },
    { "usage.total_tokens", 4, SCAN_WHOLE },
    { "usage.input_tokens", 5, SCAN_WHOLE },
    { "usage.output_tokens", 6, SCAN_WHOLE },
    { "usage.cache_read_input_tokens", 7, SCAN_WHOLE },
    { "usage.cache_creation_input_tokens", 8, SCAN_WHOLE },
    { "usage.cost", 9, SCAN_WHOLE },
    { "usage.num_sources_used", 10, SCAN_WHOLE },
    { "usage.prompt_tokens_details.cached_tokens", 11, SCAN_WHOLE },
    { "usage.prompt_tokens_details.cache_write_tokens", 12, SCAN_WHOLE },
    { "usage.prompt_tokens_details.text_tokens", 13, SCAN_WHOLE },
    { "usage.prompt_tokens_details.audio_tokens", 14, SCAN_WHOLE },
    { "usage.prompt_tokens_details.image_tokens", 15, SCAN_WHOLE },
    { "usage.completion_tokens_details.reasoning_tokens", 16, SCAN_WHOLE },
    { "usage.completion_tokens_details.audio_tokens", 17, SCAN_WHOLE },
    { "usage.completion_tokens_details.image_tokens", 18, SCAN_WHOLE },
    { "usage.completion_tokens_details.accepted_prediction_tokens", 19, SCAN_WHOLE },
    { "usage.completion_tokens_details.rejected_prediction_tokens", 20, SCAN_WHOLE },
    { "x_groq.usage.prompt_tokens", 21, SCAN_WHOLE },
    { "x_groq.usage.completion_tokens", 22, SCAN_WHOLE },
    { "model", 23, SCAN_WHOLE },
    { "service_tier", 24, SCAN_WHOLE },
    { "error", 25, SCAN_WHOLE },
    { "choices", 26, SCAN_WHOLE },
    { "choices[].delta.content", 27, SCAN_PIECES },
};

static const struct scan_path request_paths[] = {
    { "model", 1, SCAN_WHOLE },
    { "stream", 2, SCAN_WHOLE },
    { "stream_options", 3, SCAN_WHOLE },
    { "stream_options.include_usage", 4, SCAN_WHOLE },
    { "max_tokens", 5, SCAN_WHOLE },
    { "max_completion_tokens", 6, SCAN_WHOLE },
    { "n", 7, SCAN_WHOLE },
    { "messages[].content", 8, SCAN_PIECES },
    { "messages[].content[].text", 9, SCAN_PIECES },
};

struct bench {
    struct scan_plan *plan;
    enum scan_mode mode;
    struct span text;
    unsigned times;
};

static uint64_t values_seen;

static void count_value(void *self, const struct scan_value *value)
{
    (void)self;
    values_seen += value->text.len + 1;
}

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds per text, best of the rounds. */
static double measure(const struct bench *bench)
{
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds(), seconds;

        for (unsigned i = 0; i < bench->times; i++) {
            struct scan scan;

            scan_init(&scan, bench->plan, bench->mode);
            (void)scan_feed(&scan, bench->text, count_value, NULL);
            if (scan_end(&scan, count_value, NULL) != SCAN_COMPLETE) {
                fprintf(stderr, "scan: not JSON\n");
                exit(1);
            }
        }
        seconds = (cpu_seconds() - begin) / bench->times;
        best = seconds < best ? seconds : best;
    }
    return best;
}

static void count_data(void *self, struct span piece)
{
    (void)self;
    values_seen += piece.len;
}

static void count_event(void *self)
{
    (void)self;
    values_seen++;
}

/* Seconds per event of the framing alone, events coming one by one. */
static double measure_framing(void)
{
    static const struct sse_sink sink = { .data = count_data, .event = count_event };
    const unsigned times = 1000000;
    char frame[sizeof(event) + 8];
    struct sse sse;
    double best = 1e9;

    (void)snprintf(frame, sizeof(frame), "data: %s\n\n", event);
    sse_init(&sse);
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds(), seconds;

        for (unsigned i = 0; i < times; i++) {
            sse_feed(&sse, span_text(frame), &sink, NULL);
        }
        seconds = (cpu_seconds() - begin) / times;
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* A chat request whose messages repeat `words` up to `each` bytes. */
static struct span chat_body(const char *words, size_t each)
{
    char *text = malloc(BODY_SIZE + 2 * each + 1024);
    size_t len, words_len = strlen(words);

    if (text == NULL) {
        abort();
    }
    len = (size_t)sprintf(text, "{\"model\":\"m\",\"stream\":true,\"messages\":[");
    while (len < BODY_SIZE) {
        size_t begin;

        len += (size_t)sprintf(text + len, "%s{\"role\":\"user\",\"content\":\"",
                               text[len - 1] == '[' ? "" : ",");
        for (begin = len; len - begin + words_len <= each; len += words_len) {
            memcpy(text + len, words, words_len);
        }
        len += (size_t)sprintf(text + len, "\"}");
    }
    len += (size_t)sprintf(text + len, "],\"max_tokens\":1000}");
    return span_of(text, len);
}

static void measure_body(struct scan_plan *plan, const char *name, const char *words,
                         size_t each)
{
    struct bench bench = {
        .plan = plan, .mode = SCAN_STRICT, .text = chat_body(words, each), .times = 200
    };
    double seconds = measure(&bench);

    printf("%-28s %8.1f us %7.2f GB/s\n", name, seconds * 1e6,
           (double)bench.text.len / seconds * 1e-9);
    free((void *)(uintptr_t)bench.text.at);
}

int main(void)
{
    struct scan_plan *responses =
        scan_plan_new(response_paths,
                      sizeof(response_paths) / sizeof(response_paths[0]));
    struct scan_plan *requests =
        scan_plan_new(request_paths, sizeof(request_paths) / sizeof(request_paths[0]));
    struct bench bench = { .plan = responses,
                           .mode = SCAN_TOLERANT,
                           .text = span_of(event, sizeof(event) - 1),
                           .times = 300000 };

    printf("%-28s %8.1f ns\n", "chat event, 157 bytes", measure(&bench) * 1e9);
    printf("%-28s %8.1f ns\n", "its SSE frame", measure_framing() * 1e9);
    measure_body(requests, "500 KB, ASCII, 8 KB strings", "All work and no play. ",
                 8192);
    measure_body(requests, "500 KB, an escape in 70 B",
                 "The quick brown fox jumps over the lazy dog, and then it sleeps a\\n",
                 8192);
    measure_body(requests, "500 KB, 60 B strings", "twelve bytes", 60);
    measure_body(requests, "500 KB, German",
                 "Die \xc3\xbc"
                 "ble F\xc3\xa4hre legt sp\xc3\xa4t ab. ",
                 8192);
    measure_body(requests, "500 KB, Russian",
                 "\xd0\x92\xd1\x81\xd0\xb5 "
                 "\xd1\x81\xd1\x87\xd0\xb0\xd1\x81\xd1\x82\xd0\xbb"
                 "\xd0\xb8\xd0\xb2\xd1\x8b\xd0\xb5 ",
                 8192);
    measure_body(requests, "500 KB, Chinese",
                 "\xe5\xad\xa6\xe8\x80\x8c\xe6\x97\xb6\xe4\xb9\xa0\xe4\xb9\x8b\xef\xbc"
                 "\x8c",
                 8192);
    measure_body(requests, "500 KB, \\u escapes", "\\u5b66\\u800c\\u65f6\\u4e60", 8192);
    (void)scan_plan_free(responses);
    (void)scan_plan_free(requests);
    return values_seen == 0;
}

#include "answers.h"

#include "rig.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define STAMP "~t00000000000000000000"
#define CHUNK                                                                          \
    "data: {\"id\":\"chatcmpl-fake0001\",\"object\":\"chat.completion.chunk\","        \
    "\"created\":1700000000,\"model\":\"fake\",\"choices\":["
#define CHAT_USAGE                                                                     \
    "\"usage\":{\"prompt_tokens\":123,\"completion_tokens\":456,"                      \
    "\"total_tokens\":579,\"prompt_tokens_details\":{\"cached_tokens\":64,"            \
    "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":32,"      \
    "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,"                             \
    "\"rejected_prediction_tokens\":0}}"
#define MESSAGES_USAGE                                                                 \
    "\"usage\":{\"input_tokens\":123,\"cache_creation_input_tokens\":0,"               \
    "\"cache_read_input_tokens\":64,\"output_tokens\":"

/* What stands around the text of an answer. */
struct words {
    const char *first, *event, *event_end, *last; /* SSE */
    const char *json, *json_end;
};

static const struct words chat_words = {
    CHUNK "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
          "\"finish_reason\":null}]}\n\n",
    CHUNK "{\"index\":0,\"delta\":{\"content\":\"" STAMP,
    "\"},\"finish_reason\":null}]}\n\n",
    CHUNK "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" CHUNK
          "]," CHAT_USAGE "}\n\ndata: [DONE]\n\n",
    "{\"id\":\"chatcmpl-fake0001\",\"object\":\"chat.completion\","
    "\"created\":1700000000,\"model\":\"fake\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"",
    "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
    "\"finish_reason\":\"stop\"}]," CHAT_USAGE
    ",\"service_tier\":\"default\",\"system_fingerprint\":null}",
};

static const struct words messages_words = {
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{"
    "\"id\":\"msg_fake0001\",\"type\":\"message\",\"role\":\"assistant\","
    "\"model\":\"fake\",\"content\":[],\"stop_reason\":null,"
    "\"stop_sequence\":null," MESSAGES_USAGE "1}}}\n\n"
    "event: content_block_start\ndata: {\"type\":\"content_block_start\","
    "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
    "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" STAMP,
    "\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
    "\"index\":0}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
    "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{"
    "\"output_tokens\":456}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    "{\"id\":\"msg_fake0001\",\"type\":\"message\",\"role\":\"assistant\","
    "\"model\":\"fake\",\"content\":[{\"type\":\"text\",\"text\":\"",
    "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null," MESSAGES_USAGE "456}}",
};

static struct answer *answers;

__attribute__((format(printf, 2, 3))) static char *format(size_t *len, const char *form,
                                                          ...)
{
    char *text = NULL;
    va_list arguments;
    int written;

    va_start(arguments, form);
    written = vasprintf(&text, form, arguments);
    va_end(arguments);
    if (written < 0) {
        die("vasprintf");
    }
    *len = (size_t)written;
    return text;
}

/* Text between two strings, `bytes` in all or as little more as there must be. */
static char *padded(const char *before, const char *after, size_t bytes)
{
    static const char words[] =
        "the model reads a request and writes one token at a "
        "time until the answer is complete and the meter stops ";
    size_t fixed = strlen(before) + strlen(after);
    size_t pad = bytes > fixed + 4 ? bytes - fixed : 4, len;
    char *filling = malloc(pad + 1), *text;

    if (filling == NULL) {
        die("malloc");
    }
    for (size_t i = 0; i < pad; i++) {
        filling[i] = words[i % (sizeof(words) - 1)];
    }
    filling[pad] = '\0';
    text = format(&len, "%s%s%s", before, filling, after);
    free(filling);
    return text;
}

static void build_sse(struct answer *answer, const struct words *words)
{
    char *event = padded(words->event, words->event_end, answer->bytes);

    answer->data = format(&answer->len, "%zx\r\n%s\r\n", strlen(event), event);
    answer->stamp = (size_t)(strstr(answer->data, "~t") + 2 - answer->data);
    free(event);
    answer->head =
        format(&answer->head_len,
               "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
               "Cache-Control: no-cache\r\nx-request-id: req_fake0001\r\n"
               "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n",
               strlen(words->first), words->first);
    answer->tail = format(&answer->tail_len, "%zx\r\n%s\r\n0\r\n\r\n",
                          strlen(words->last), words->last);
}

static void build_json(struct answer *answer, const struct words *words)
{
    unsigned status = answer->endpoint == ENDPOINT_NONE ? 404 : answer->status;
    size_t len;
    char *body;

    if (status >= 400) {
        body = format(&len,
                      "{\"error\":{\"message\":\"fake error %u\",\"type\":"
                      "\"fake_error\",\"param\":null,\"code\":null}}",
                      status);
    } else {
        body = padded(words->json, words->json_end, answer->bytes);
    }
    answer->data = format(&answer->len,
                          "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                          "x-request-id: req_fake0001\r\nContent-Length: %zu\r\n\r\n%s",
                          status, status < 400 ? "OK" : "Error", strlen(body), body);
    free(body);
}

static struct answer *build(enum endpoint endpoint, bool sse, unsigned bytes,
                            unsigned status)
{
    const struct words *words =
        endpoint == ENDPOINT_MESSAGES ? &messages_words : &chat_words;
    struct answer *answer = calloc(1, sizeof(*answer));

    if (answer == NULL) {
        die("calloc");
    }
    answer->endpoint = endpoint;
    answer->sse = sse;
    answer->bytes = bytes;
    answer->status = status;
    if (sse) {
        build_sse(answer, words);
    } else {
        build_json(answer, words);
    }
    return answer;
}

const struct answer *answer_for(enum endpoint endpoint, bool sse, unsigned bytes,
                                unsigned status)
{
    struct answer *answer;

    if (bytes == 0) {
        bytes = sse ? 180 : 1200;
    }
    for (answer = answers; answer != NULL; answer = answer->next) {
        if (answer->endpoint == endpoint && answer->sse == sse &&
            answer->bytes == bytes && answer->status == status) {
            return answer;
        }
    }
    answer = build(endpoint, sse, bytes, status);
    answer->next = answers;
    answers = answer;
    return answer;
}

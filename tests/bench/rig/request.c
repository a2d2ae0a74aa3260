#include "request.h"

#include "rig.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 8192 };

/* What a body looks like around and between its pieces of text. */
struct shape {
    const char *stream, *first, *piece[2];
};

static const struct shape chat_shape = {
    ",\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    "\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful assistant.\"}",
    { ",{\"role\":\"user\",\"content\":\"", ",{\"role\":\"assistant\",\"content\":\"" },
};

static const struct shape messages_shape = {
    ",\"stream\":true",
    "\"system\":\"You are a helpful assistant.\","
    "\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}",
    { ",{\"role\":\"assistant\",\"content\":\"", ",{\"role\":\"user\",\"content\":\"" },
};

/* Prose and code with the escapes that real bodies have; the same at every call. */
static void put_text(FILE *out, size_t bytes)
{
    static const char *const sentences[] = {
        "Please read the following file and explain what the function does. ",
        "static int parse_header(struct ctx *c, const char *p, size_t n)\\n{\\n    ",
        "if (n < 4 || memcmp(p, \\\"HTTP\\\", 4) != 0)\\n        return -1;\\n",
        "The quick brown fox jumps over the lazy dog; pack my box with five jugs. ",
        "def handler(event, context):\\n\\treturn {\\\"statusCode\\\": 200}\\n",
        "Gr\u00fc\u00dfe aus K\u00f6ln, \u4f60\u597d\uff0c\u4e16\u754c. ",
        "for (size_t i = 0; i < len; i++) sum += weights[i] * inputs[i];\\n",
    };
    uint32_t seed = 12345;

    while (bytes > 0) {
        const char *sentence;
        size_t len;

        seed = seed * 1664525U + 1013904223U;
        sentence = sentences[(seed >> 16) % (sizeof(sentences) / sizeof(*sentences))];
        len = strlen(sentence);
        if (len > bytes) {
            while (bytes-- > 0) {
                fputc('x', out);
            }
            return;
        }
        fputs(sentence, out);
        bytes -= len;
    }
}

static char *build_body(const struct request_options *options, size_t *len)
{
    const char *messages = "/v1/messages";
    size_t path_len = strlen(options->path), end_len = strlen(messages);
    bool anthropic = path_len >= end_len &&
                     strcmp(options->path + path_len - end_len, messages) == 0;
    const struct shape *shape = anthropic ? &messages_shape : &chat_shape;
    char *body = NULL;
    FILE *out = open_memstream(&body, len);
    size_t written;

    if (out == NULL) {
        die("open_memstream");
    }
    fprintf(out, "{\"model\":\"fake;%s\"%s,\"max_tokens\":1024,%s", options->params,
            options->sse ? shape->stream : "", shape->first);
    written = (size_t)ftell(out);
    for (unsigned i = 0; i == 0 || written + 64 < options->bytes; i++) {
        size_t left = options->bytes > written + 48 ? options->bytes - written - 48 : 1;

        fputs(shape->piece[i % 2], out);
        put_text(out, left > PIECE + PIECE / 16 ? PIECE : left);
        fputs("\"}", out);
        written = (size_t)ftell(out);
    }
    fputs("]}", out);
    if (fclose(out) != 0) {
        die("request");
    }
    return body;
}

char *request_build(const struct request_options *options, size_t *len)
{
    size_t body_len;
    char *body = build_body(options, &body_len), *request = NULL;
    int written =
        asprintf(&request,
                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: loadgen/1\r\n"
                 "Accept: %s\r\nContent-Type: application/json\r\n"
                 "%sContent-Length: %zu\r\n\r\n%s",
                 options->path, options->port,
                 options->sse ? "text/event-stream" : "application/json",
                 options->fields, body_len, body);

    if (written < 0) {
        die("asprintf");
    }
    free(body);
    *len = (size_t)written;
    return request;
}

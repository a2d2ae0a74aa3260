/* The provider's answers, built once for each size and then only copied. */
#ifndef ASSAY_TESTS_BENCH_ANSWERS_H
#define ASSAY_TESTS_BENCH_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

enum endpoint { ENDPOINT_CHAT, ENDPOINT_MESSAGES, ENDPOINT_HEALTH, ENDPOINT_NONE };

struct answer {
    enum endpoint endpoint;
    bool sse;
    unsigned bytes, status;
    char *data; /* the whole response, or one content event in a chunk */
    size_t len;
    size_t stamp; /* SSE: where the 20 digits of the time stand in `data` */
    char *head;   /* SSE: head and first event */
    char *tail;   /* SSE: last events and last chunk */
    size_t head_len, tail_len;
    struct answer *next;
};

/* `bytes` of a content event or of a JSON body; 0: as usual. Never fails. */
const struct answer *answer_for(enum endpoint endpoint, bool sse, unsigned bytes,
                                unsigned status);

#endif

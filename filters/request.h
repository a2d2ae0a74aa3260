/* What the parts of the request watch share. Private to them.
 *
 *   request_watch.c   codings, life and questions
 *   request_facts.c   what the values of a body say */
#ifndef ASSAY_FILTERS_REQUEST_H
#define ASSAY_FILTERS_REQUEST_H

#include "filters/clients.h"
#include "filters/frame/multipart.h"
#include "filters/registry.h"
#include "filters/watch_pool.h"

enum probe_state { PROBE_IDLE, PROBE_LOOKING, PROBE_EMPTY, PROBE_FULL };

/* Looks whether the object that opened before offset `at` has a member. */
struct probe {
    uint64_t at;
    enum probe_state state;
};

struct request_watch {
    struct request_watch *next; /* in the pool */
    struct watch_pool *pool;
    const struct dialect *dialect;
    const struct dialect_route *route;
    struct facts *facts;
    struct claims *claims;
    struct fresh *fresh;           /* NULL: the turn gate does not read along */
    struct message_facts *message; /* NULL: it is no message over a WebSocket */
    struct decode *decode;         /* NULL: nothing to undo */
    void (*out)(void *self, struct span piece);
    void *out_self;
    uint64_t text_bytes;
    enum fault fault; /* the first one; nothing is read after it */
    bool scanned;     /* there is a body to read */
    bool form;        /* it is multipart/form-data */
    bool path_model;  /* the path names the model, whatever the body says */
    bool path_stream; /* the path asks for a stream, whatever the body says */
    bool declared;    /* Content-Type says JSON */
    bool begun;       /* a byte of the body came that is no white space */
    bool ended;
    uint32_t form_facts; /* a bit per enum fact: a part said it */
    struct probe body, options;
    uint8_t claim_len;
    char claim[CLIENTS_USER_TAIL]; /* of a claim in the body that is being read */
    union {
        struct scan scan;
        struct multipart multipart;
    };
};

/* A value of the JSON body was scanned: notes what it says, or a fault. `self` is the
 * request watch. */
void request_value_seen(void *self, const struct scan_value *value);

/* A text part of a form was read. It says what the JSON value of that name would. */
void request_part_seen(void *self, const struct multipart_part *part);

#endif

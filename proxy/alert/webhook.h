/* Tells operators' own services what happened: JSON by HTTP POST, signed, tried again
 * until it is taken or its time is over, on a thread of its own.
 *
 * The form is that of Standard Webhooks (standardwebhooks.com, 1.0.0), for which there
 * are receivers in every language: the fields webhook-id (the same in every attempt, so
 * that a receiver can tell a message it knows), webhook-timestamp (of the attempt: an
 * old one is a replay) and webhook-signature, "v1," and the base64 of the HMAC-SHA256
 * of "ID.TIMESTAMP.BODY". The body is {"type":EVENT,"timestamp":RFC 3339,"data":{...}}.
 *
 * An answer of 2xx takes a message, 410 refuses it for good; after any other, or none,
 * it is sent again. Redirections are not followed. */
#ifndef ASSAY_ALERT_WEBHOOK_H
#define ASSAY_ALERT_WEBHOOK_H

#include "config/config.h"
#include "proxy/base/check.h"

struct webhook;

/* `directory` holds outbox.db, made once there is a receiver. */
struct webhook *webhook_new(const char *directory);
/* Takes NULL; returns NULL. What was not taken yet waits for the next start. */
struct webhook *webhook_free(struct webhook *webhook);

/* The control thread, at the start and after each reload: where messages go from
 * now on. Copies what it needs, and starts the thread once there is a receiver.
 * false and entries in *error for an authority or an outbox that cannot be used:
 * the old ones stay. */
bool webhook_use(struct webhook *webhook, const struct config *config,
                 struct error *error) MUST_CHECK;

/* What happened. Everything is copied. */
struct webhook_news {
    const char *event; /* one of config_events */
    uint64_t id[2]; /* what it is about, so that it is told once: 128 bits of a hash */
    struct span data;     /* a JSON object, at most WEBHOOK_DATA_MAX bytes */
    uint64_t unix_ns;     /* when it happened */
    int64_t remembered_s; /* Unix time until which the same id is not told again */
};

enum { WEBHOOK_DATA_MAX = 6 * 1024 };

/* Any thread but those of the data path; does not wait. News with an id that was told
 * already are dropped, also across a restart; so are (counted and logged) news that do
 * not fit into the queue. */
void webhook_tell(struct webhook *webhook, const struct webhook_news *news);

/* Any thread: how many messages came to which end since the start. */
struct webhook_counts {
    uint64_t taken;   /* by their receiver */
    uint64_t failed;  /* attempts that will be followed by another */
    uint64_t dropped; /* given up, refused for good, or no room */
};
struct webhook_counts webhook_counts(struct webhook *webhook);

#endif

/* Messages that wait to be taken, and which were taken: `directory`/outbox.db, so
 * that a restart neither forgets a message nor sends one a second time. One
 * thread owns it. */
#ifndef ASSAY_ALERT_OUTBOX_H
#define ASSAY_ALERT_OUTBOX_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/base/span.h"

enum {
    OUTBOX_ID_SIZE = 33,        /* of a message, with its final NUL */
    OUTBOX_BODY_SIZE = 8 * 1024 /* of a body, with its final NUL */
};

struct outbox;

/* NULL and an entry in *error on failure. */
struct outbox *outbox_open(const char *directory, struct error *error);
struct outbox *outbox_close(struct outbox *outbox);

/* One message on its way to one receiver. Times are Unix time in milliseconds. */
struct outbox_message {
    char id[OUTBOX_ID_SIZE];
    char body[OUTBOX_BODY_SIZE];
    uint32_t tries;  /* that failed */
    int64_t made_ms; /* when it was put */
    int64_t next_ms; /* when it is due */
};

enum outbox_put {
    OUTBOX_NEW,
    OUTBOX_KNOWN, /* it is there already, or was */
    OUTBOX_FULL,  /* too many wait for this receiver */
    OUTBOX_BROKEN /* the database cannot be written */
};

/* Keeps a message for a receiver, due at once. Its id is remembered until `keep_ms`,
 * and at least as long as the message waits. */
enum outbox_put outbox_put(struct outbox *outbox, const char *receiver,
                           const struct outbox_message *message,
                           int64_t keep_ms) MUST_CHECK;

/* The receiver's message that is due first, whenever that is; false: none waits. */
bool outbox_next(struct outbox *outbox, const char *receiver,
                 struct outbox_message *message) MUST_CHECK;

/* The message was not taken: it is due again at `next_ms`. false if that could not be
 * written. */
bool outbox_later(struct outbox *outbox, const char *receiver, const char *id,
                  int64_t next_ms) MUST_CHECK;
/* It was taken, or given up: only its id is remembered. false if that could not be
 * written. */
bool outbox_done(struct outbox *outbox, const char *receiver,
                 const char *id) MUST_CHECK;

/* Forgets ids whose time is over. */
void outbox_sweep(struct outbox *outbox, int64_t now_ms);

#endif

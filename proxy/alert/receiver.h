/* A receiver of messages: one attempt at a time, over a connection of its own. */
#ifndef ASSAY_ALERT_RECEIVER_H
#define ASSAY_ALERT_RECEIVER_H

#include "config/config.h"
#include "proxy/alert/outbox.h"
#include "proxy/base/check.h"

enum { RECEIVER_WAIT_MAX_MS = 60 * 60 * 1000 };

struct event_base;
struct receiver;

/* How an attempt ended. */
enum receiver_end {
    RECEIVER_TAKEN,
    RECEIVER_REFUSED, /* for good: 410 */
    RECEIVER_FAILED   /* no answer, or any other */
};

/* Copies what it needs of the configuration. NULL and an entry in *error where its
 * authority cannot be used. */
struct receiver *receiver_new(const struct config_webhook *webhook,
                              struct error *error);
/* Cuts an attempt that is under way. Takes NULL; returns NULL. */
struct receiver *receiver_free(struct receiver *receiver);

const char *receiver_name(const struct receiver *receiver);
bool receiver_wants(const struct receiver *receiver, const char *event);
/* The wait after so many failed attempts (at most RECEIVER_WAIT_MAX_MS), and the time
 * after which no other follows. */
int64_t receiver_wait_ms(const struct receiver *receiver, uint32_t tries);
int64_t receiver_give_up_ms(const struct receiver *receiver);

/* Begins an attempt. `done` is called once, from the loop or from within this call,
 * with what to say of a failure; it may not free the receiver. */
void receiver_send(struct receiver *receiver, struct event_base *base,
                   const struct outbox_message *message, int64_t now_ms,
                   void (*done)(void *self, struct receiver *receiver,
                                enum receiver_end end, const char *reason),
                   void *self);

bool receiver_busy(const struct receiver *receiver);

/* From the loop's top: ends an attempt whose time is over. Returns when that will be;
 * 0: none is under way. */
int64_t receiver_turn(struct receiver *receiver, int64_t now_ms);

#endif

/* What replicas tell one another, in one order for all: messages of one size, in a
 * stream of a Redis or Valkey server. A thread of its own sends what is put and fetches
 * what the others put; nobody waits for it. While the server is away, what is put is
 * lost to the others, and each replica goes on alone.
 *
 * The stream is PREFIX:NAME and holds about FEED_KEPT messages, whoever has heard
 * them: so a replica that was away for a while, or is new, hears what it missed. How
 * far it came is in `directory`/NAME.heard. Messages are plain data of one build:
 * NAME should say which. */
#ifndef ASSAY_SHARING_FEED_H
#define ASSAY_SHARING_FEED_H

#include "config/config.h"
#include "proxy/base/check.h"
#include "proxy/base/error.h"

#include <stddef.h>

enum { FEED_KEPT = 32768 };

struct feed;

/* NULL and an entry in *error on failure; a server that cannot be reached is none. */
struct feed *feed_start(const struct config_redis *config, const char *directory,
                        const char *name, size_t message_size, struct error *error);

/* Sends what was put, as far as the server answers, and ends the thread. Takes NULL;
 * returns NULL. */
struct feed *feed_stop(struct feed *feed);

/* One thread. false: there is no room, the others will not hear of it. */
bool feed_put(struct feed *feed, const void *message) MUST_CHECK;

/* One thread: the next message of another replica. false: there is none yet. */
bool feed_take(struct feed *feed, void *message) MUST_CHECK;

#endif

/* Replicas share their quotas by a Redis or Valkey server. A thread of its own
 * registers what this replica's counters hold and hears what the others' do
 * (quota_share.h); calls never wait for it.
 *
 * A shared counter is a hash PREFIX:quota:POLICY:WINDOW:SUBJECT, with a field per
 * replica: "held time-in-ms". Each replica writes its own field only, as a whole, never
 * by adding: so whatever the server forgot comes back when its replicas tell it again,
 * which they do after every reconnection, when the server lost its mark PREFIX:epoch,
 * and every ten seconds. One script reads the others' fields and writes the own, so
 * that what all have registered stays within the limit. */
#ifndef ASSAY_SHARING_QUOTA_REDIS_H
#define ASSAY_SHARING_QUOTA_REDIS_H

#include "config/config.h"
#include "proxy/meter/quota_share.h"

struct quota_redis;

/* Starts the thread for a quota that quota_share() was called for and whose policies
 * are in force. The replica's name is kept in `directory`/replica. NULL and an entry in
 * *error on failure; a server that cannot be reached is none. */
struct quota_redis *quota_redis_start(const struct config_redis *config,
                                      const char *directory, struct quota *quota,
                                      struct error *error);

/* Ends the thread; takes NULL; returns NULL. The quota lives longer. */
struct quota_redis *quota_redis_stop(struct quota_redis *redis);

#endif

/* A connection to a Redis or Valkey server, by TCP, TLS or a Unix socket: requests
 * are written and read by hiredis, the bytes carried here, so that TLS is spoken
 * with every version of it. Calls wait, each at most config_redis.timeout_ms: for a
 * thread that may. */
#ifndef ASSAY_SHARING_REDIS_LINK_H
#define ASSAY_SHARING_REDIS_LINK_H

#include "certs/tls.h"
#include "config/config.h"
#include "proxy/base/check.h"

#include <hiredis/hiredis.h>

struct redis_link;

/* Connects. `tls` is NULL where the configuration asks for none; else it lives
 * longer. Where the server cannot be reached, or is not who it should be, the link
 * is broken already. */
struct redis_link *redis_link_open(const struct config_redis *config,
                                   struct tls_client *tls);

/* Takes NULL; returns NULL. */
struct redis_link *redis_link_close(struct redis_link *link);

/* Asks for something: it leaves with the next redis_link_get(). */
void redis_link_put(struct redis_link *link, int count, const char **arguments,
                    const size_t *sizes);

/* The next answer, the caller's to free; NULL when the connection is broken or
 * the server silent. */
redisReply *redis_link_get(struct redis_link *link) MUST_CHECK;

/* Why it is broken, in words; NULL while it is not. */
const char *redis_link_why(const struct redis_link *link);

#endif

/* The server through which replicas share things, as one thread of a replica uses it:
 * its connection, and what the log was told of it. */
#ifndef ASSAY_SHARING_REDIS_SERVER_H
#define ASSAY_SHARING_REDIS_SERVER_H

#include "proxy/base/error.h"
#include "proxy/sharing/redis_link.h"

enum { REDIS_REPLICA_SIZE = 17 };

struct redis_server {
    struct config_redis config;       /* its strings are copies */
    char replica[REDIS_REPLICA_SIZE]; /* this one's name, in hex digits */
    const char *sharing;              /* what the log calls it: "quota_sharing" */
    struct tls_client *tls;           /* NULL: none is wanted */
    struct redis_link *link;          /* NULL: not connected */
    bool lost;                        /* and the log was told */
};

/* Not connected yet. The replica's name is kept in `directory`/replica. false and an
 * entry in *error on failure; to be done with in any case. */
bool redis_server_init(struct redis_server *server, const struct config_redis *config,
                       const char *directory, const char *sharing,
                       struct error *error) MUST_CHECK;
void redis_server_done(struct redis_server *server);

/* Connects, says who it is and chooses the database. */
bool redis_server_connect(struct redis_server *server) MUST_CHECK;
void redis_server_disconnect(struct redis_server *server);

/* The server did what it should. Logs that, if it had been lost before. */
void redis_server_reached(struct redis_server *server);

/* An answer; NULL on any failure, also where the server answers with an error. */
redisReply *redis_server_answer(struct redis_server *server) MUST_CHECK;
redisReply *redis_server_ask(struct redis_server *server, int count,
                             const char **arguments, const size_t *sizes) MUST_CHECK;

#endif

/* Request heads that are like one that came before. On a connection that lives on, a
 * program mostly sends the same head again, but for Content-Length: then the verdict of
 * the parsers, the route, the claims and the upstream head are the same again, too.
 *
 * Alike are heads of one form (http/head_form.h), in which the credential is blank: it
 * is verified anew and nothing of it is kept. The values are kept per view, because all
 * of it follows from bytes and snapshot. */
#ifndef ASSAY_ENGINE_KNOWN_HEAD_H
#define ASSAY_ENGINE_KNOWN_HEAD_H

#include "proxy/engine/route.h"
#include "proxy/http/head_form.h"
#include "proxy/identity/identity.h"

struct known_heads;

/* What is known of a head before its credential is looked at, and what it became for
 * the caller that sent it. */
struct known_head {
    const struct head *head; /* spans: into the bytes that were looked up */
    struct route route;
    struct claims claims; /* of the head alone */
    char caller[48];      /* whom the rest was written for: name and public id */
    char key_id[16];
    struct span forwarded, accept, encoding; /* as in struct exchange */
};

/* An empty table; NULL without memory. */
struct known_heads *known_heads_new(void);

/* Takes NULL; returns NULL. */
struct known_heads *known_heads_free(struct known_heads *heads);

/* The head that `raw`, as found by head_find_end(), is like; NULL if there is none.
 * Heads that differ in Content-Length alone have the same hash. Valid until the next
 * call for these heads. */
const struct known_head *known_heads_find(struct known_heads *heads, struct span raw,
                                          uint64_t *hash);

/* The head that `bytes` begin with, if it is like the one of that hash; NULL if not, or
 * if it is not all there. *size is what head_find_end() would say. */
const struct known_head *known_heads_again(struct known_heads *heads, uint64_t hash,
                                           struct span bytes, size_t *size);

/* Keeps what `raw` turned out to be when it came for the second time, in
 * place of another head if need be; keeps nothing where it would be too large, without
 * memory, or where no field of the head carried the credential. head, route and caller
 * are what head_parse_request(), route_find() and identity_verify() made of it;
 * `exchange` is admitted and has the claims and the upstream head. */
void known_heads_add(struct known_heads *heads, struct span raw,
                     const struct head *head, const struct route *route,
                     const struct caller *caller, const struct exchange *exchange);

#endif

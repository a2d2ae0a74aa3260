/* Socket addresses and the URLs of providers, as operators write them. */
#ifndef ASSAY_CONFIG_ADDRESS_H
#define ASSAY_CONFIG_ADDRESS_H

#include "config/config.h"
#include "proxy/base/arena.h"

/* All return NULL, or what is wrong with the text as words that follow it in a sentence
 * ("is not ..."). The strings they fill in are taken from `arena`. */

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path". Hosts are numeric, so that a listener
 * never waits for a name server and means one interface only. */
const char *address_parse(const char *text, struct arena *arena,
                          struct config_address *address) MUST_CHECK;

/* "https://host[:port][/base]". No user, query or fragment; a base is canonical as it
 * stands (no dots, no doubled slash, no escapes), so that joining it to a request's
 * path needs no second look. */
const char *url_parse(const char *text, struct arena *arena,
                      struct config_url *url) MUST_CHECK;

/* "redis://host[:port][/database]", "unix:/path". No user: that has a key
 * of its own. */
const char *redis_url_parse(const char *text, struct arena *arena,
                            struct config_redis *redis) MUST_CHECK;

#endif

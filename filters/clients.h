/* What client programs say of themselves, by the rows of config/clients.yaml: tool,
 * version, mode, session, sub-agent, retry. Claims only. */
#ifndef ASSAY_FILTERS_CLIENTS_H
#define ASSAY_FILTERS_CLIENTS_H

#include "filters/facts.h"
#include "proxy/base/error.h"
#include "proxy/http/head.h"

struct clients;

/* Immutable; shared by all threads. NULL and entries in *error on failure; `path`
 * outlives *error. A NULL path gives a table that knows no tool. */
struct clients *clients_load(const char *path, struct error *error);
struct clients *clients_free(struct clients *clients);

/* Fills the claims from a request head: bounded, printable, cut where too long. */
void clients_claims(const struct clients *clients, const struct head *head,
                    struct claims *claims);

/* A session named in a body field (OpenAI's prompt_cache_key): used only if the
 * head named none. */
void clients_session(struct span value, struct claims *claims);

/* A session named within a body field (Anthropic's metadata.user_id): either behind
 * "_session_" or as the member "session_id" of a JSON text. Its last CLIENTS_USER_TAIL
 * bytes are enough. */
enum { CLIENTS_USER_TAIL = 112 };
void clients_user(struct span value, struct claims *claims);

#endif

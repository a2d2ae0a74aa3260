/* What the client gets: a response's head on its way through, and refusals that assay
 * makes itself, in the words and the shape of the caller's dialect. */
#ifndef ASSAY_ENGINE_REPLY_H
#define ASSAY_ENGINE_REPLY_H

#include "proxy/engine/client.h"

/* Refuses what is not even a request, and closes. */
void reply_refuse_head(struct client *client, enum fault fault);

/* Writes a whole refusal for the exchange to its client; announces the end of the
 * connection unless exchange->keep_alive. Returns the status that was sent. */
int reply_refuse(struct exchange *x, enum fault fault);

struct handshake_terms;

/* Writes a provider's 101 to the client: what both sides agreed on in a WebSocket's
 * handshake, and the further fields as they came. */
void reply_switch(struct exchange *x, const struct head *head,
                  const struct handshake_terms *terms);

/* Writes a refusal as the event that answers a message over a WebSocket: of
 * this response, or of what did not become one (the socket's own exchange).
 * `lane` may be empty. */
enum { REPLY_EVENT_MAX = 10 * 1024 };
void reply_error_event(const struct exchange *x, enum fault fault, struct span lane,
                       struct text *event);

/* Writes the response head to the client and chooses the framing of the body. */
void reply_head(struct exchange *x, const struct head *head);

#endif

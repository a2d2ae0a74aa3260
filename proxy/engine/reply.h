/* What the client gets: a response's head on its way through, and refusals that assay
 * makes itself, in the words and the shape of the caller's dialect. */
#ifndef ASSAY_ENGINE_REPLY_H
#define ASSAY_ENGINE_REPLY_H

#include "proxy/engine/client.h"

/* Refuses what is not even a request, and closes. */
void reply_refuse_head(struct client *client, enum fault fault);

/* Writes a whole refusal for the exchange to its client; announces the end of the
 * connection unless exchange->keep_alive. Returns the status that was sent. */
int reply_refuse(struct exchange *exchange, enum fault fault);

/* Writes the response head to the client and chooses the framing of the body. */
void reply_head(struct exchange *exchange, const struct head *head);

#endif

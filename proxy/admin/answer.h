/* Answers of the admin port: never cached, never sniffed. */
#ifndef ASSAY_ADMIN_ANSWER_H
#define ASSAY_ADMIN_ANSWER_H

struct evbuffer;
struct evhttp_request;

void answer(struct evhttp_request *request, int status, const char *reason,
            const char *type, struct evbuffer *body);

/* One line of plain text. */
void answer_text(struct evhttp_request *request, int status, const char *reason,
                 const char *words);

/* Appends a member of a JSON object, and the comma before the next one. */
void answer_put_text(struct evbuffer *body, const char *name, const char *value);

#endif

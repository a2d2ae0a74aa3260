/* The form of a head: its text, with blanks in place of values that decide nothing. A
 * head that was parsed once leaves its form; whatever fits the form later is the same
 * message but for what fills the blanks, and need not be parsed again.
 *
 * Blank are a request's credential and all values of a response that no parser reads:
 * those of fields that nobody knows, and of Set-Cookie. Blank are also the digits of a
 * Content-Length above 0, which are read anew. What fills a blank is not empty, holds
 * no control character (not even HTAB) and begins and ends with no space: neither
 * parser can see the end of a value or line in it. All other bytes have to be equal. */
#ifndef ASSAY_HTTP_HEAD_FORM_H
#define ASSAY_HTTP_HEAD_FORM_H

#include "proxy/http/head.h"

struct head_form;

/* The form of `raw`, which head_parse_request() or head_parse_response() took apart
 * into *head; nothing of what stood in the blanks is kept. `credential` is the field
 * that has a request's, FIELD_OTHER for a response. NULL without memory, for a
 * head over 4 KiB, and where what stood in a blank may not fill one. */
struct head_form *head_form_new(struct span raw, const struct head *head,
                                enum field_name credential);

/* Takes NULL; returns NULL. */
struct head_form *head_form_free(struct head_form *form);

/* What head_find_end() and the parser say of the head that `bytes` begin with, if it
 * fits the form; NULL if it does not, or is not all there. A response is read as the
 * answer to a request of the same method. Valid until the next call for this form. */
const struct head *head_form_read(struct head_form *form, struct span bytes,
                                  size_t *size);

/* The forms of the responses of one provider, the last one that fitted first. Zeroed:
 * none. */
enum { HEAD_FORMS = 4 };
struct head_forms {
    struct head_form *forms[HEAD_FORMS];
};

void head_forms_done(struct head_forms *forms);

/* The response head that `bytes` begin with, in answer to a request of `method`, if it
 * fits one of the forms: head_form_read(). */
const struct head *head_forms_read(struct head_forms *forms, struct span bytes,
                                   enum method method, size_t *size);

/* Keeps the form of a response head in place of the one that was not used for
 * longest. */
void head_forms_add(struct head_forms *forms, struct span raw, const struct head *head);

#endif

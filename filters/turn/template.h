/* A prompt's skeleton: what stays of the normalised text when URLs (<u>), quotations
 * (<q>), paths (<p>) and numbers (#) go. Each place is decided by what stands up to
 * TEMPLATE_AHEAD characters behind it, so that any split gives the same. */
#ifndef ASSAY_FILTERS_TURN_TEMPLATE_H
#define ASSAY_FILTERS_TURN_TEMPLATE_H

#include "proxy/base/span.h"

enum {
    TEMPLATE_QUOTED = 200, /* characters between quotes, at most */
    TEMPLATE_AHEAD = 256,
    TEMPLATE_WINDOW = 2 * TEMPLATE_AHEAD,
    TEMPLATE_PIECE = 128
};

/* The next piece of the template, in UTF-8. */
typedef void template_seen(void *self, struct span piece);

struct template
{
    template_seen *seen;
    void *self;
    uint32_t window[TEMPLATE_WINDOW];
    char piece[TEMPLATE_PIECE];
    uint16_t piece_len;
    uint16_t len;
    uint16_t quote_left; /* of a quotation that is being left out */
    uint8_t within;
};

void template_init(struct template *template, template_seen *seen, void *self);

/* The window is full: decides what has enough behind it. */
void template_decide(struct template *template);

/* The next code point of the normalised text. */
static inline void template_put(struct template *template, uint32_t code)
{
    template->window[template->len++] = code;
    if (template->len == TEMPLATE_WINDOW) {
        template_decide(template);
    }
}

void template_end(struct template *template);

#endif

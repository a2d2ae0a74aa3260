#include "proxy/engine/cut.h"

#include "filters/count/tokens.h"
#include "filters/frame/eventstream_write.h"
#include "proxy/engine/client.h"
#include "proxy/engine/reserve.h"
#include "proxy/engine/worker.h"
#include "proxy/http/media.h"

enum { EVENT_MAX = 8 * 1024, PREFIX_BYTES = 4 };

/* ---- where events end ------------------------------------------------------------ */

void cut_begin(struct exchange *x, const struct head *head)
{
    static const enum cut_framing framings[MEDIA_OPAQUE + 1] = {
        [MEDIA_EVENTS] = CUT_EVENTS,
        [MEDIA_JSON_LINES] = CUT_LINES,
        [MEDIA_EVENTSTREAM] = CUT_MESSAGES,
    };
    const struct field *type = head_field(head, FIELD_CONTENT_TYPE);
    const struct field *coding = head_field(head, FIELD_CONTENT_ENCODING);

    if (x->reservation.cuts && type != NULL && head->status == 200 &&
        (coding == NULL || !decode_needed(coding->value)) &&
        x->response.sink != FRAMING_LENGTH) {
        x->cut.framing = framings[media_of(type->value)];
    }
}

/* Bytes up to and with the first end of an event; 0: there is none. An event of this
 * kind ends with an empty line; a line with CR, LF or both. */
static size_t events_end(struct cut *cut, struct span piece)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.at[i];

        if (c == '\n' && cut->after_cr) {
            cut->after_cr = false;
            continue;
        }
        cut->after_cr = c == '\r';
        if (c != '\n' && c != '\r') {
            cut->in_line = true;
        } else if (cut->in_line) {
            cut->in_line = false;
        } else {
            return i + 1;
        }
    }
    return 0;
}

static size_t lines_end(struct span piece)
{
    const char *end = memchr(piece.at, '\n', piece.len);

    return end == NULL ? 0 : (size_t)(end - piece.at) + 1;
}

/* A message begins with its whole length, prefix included, big-endian. One that claims
 * to be shorter than its prefix is broken: from then on no end is found. */
static size_t messages_end(struct cut *cut, struct span piece)
{
    size_t at = 0;

    for (; cut->prefix < PREFIX_BYTES && at < piece.len; at++) {
        cut->left = cut->left << 8 | (unsigned char)piece.at[at];
        if (++cut->prefix == PREFIX_BYTES) {
            cut->left =
                cut->left > PREFIX_BYTES ? cut->left - PREFIX_BYTES : UINT32_MAX;
        }
    }
    if (cut->prefix < PREFIX_BYTES || piece.len - at < cut->left) {
        cut->left -= cut->prefix < PREFIX_BYTES ? 0 : (uint32_t)(piece.len - at);
        return 0;
    }
    at += cut->left;
    cut->left = 0;
    cut->prefix = 0;
    return at;
}

struct span cut_take(struct cut *cut, struct span *piece)
{
    size_t end = 0;
    struct span taken;

    switch (cut->framing) {
    case CUT_EVENTS:
        end = events_end(cut, *piece);
        break;
    case CUT_LINES:
        end = lines_end(*piece);
        break;
    case CUT_MESSAGES:
        end = messages_end(cut, *piece);
        break;
    case CUT_NONE:
        break;
    }
    if (piece->len > 0) {
        cut->inside = end == 0;
    }
    taken = span_of(piece->at, end == 0 ? piece->len : end);
    *piece = span_after(*piece, taken.len);
    return taken;
}

/* ---- what it has come to --------------------------------------------------------- */

void cut_look(struct exchange *x)
{
    uint64_t output = tokens_estimate(span_text(x->facts.model),
                                      response_watch_text_bytes(x->answered));

    if (!x->cut.wanted && output > x->entry->reserved_output) {
        x->cut.wanted = !reserve_more(x, output);
    }
}

/* ---- the cut --------------------------------------------------------------------- */

/* The dialect's own event, else its refusal as one. */
static void put_event(const struct exchange *x, struct text *out)
{
    char lines_memory[1024], body_memory[EVENT_MAX / 2], id[ENTRY_ID_SIZE];
    struct text lines = text_over(lines_memory, sizeof lines_memory);
    struct text body = text_over(body_memory, sizeof body_memory);
    struct refusal refusal = { .fault = FAULT_QUOTA_EXCEEDED,
                               .status = fault_row(FAULT_QUOTA_EXCEEDED)->status,
                               .words = x->refusal_words };

    if (x->cut.after_cr) {
        text_put_char(out, '\n'); /* of the same end of a line */
    }
    entry_id_text(x->entry->id, id);
    refusal.id = span_text(id);
    if (x->cut.framing == CUT_EVENTS && x->dialect->cut != NULL) {
        x->dialect->cut(&refusal, response_watch_events(x->answered), out);
        return;
    }
    x->dialect->refuse(&refusal, &lines, &body);
    if (x->cut.framing == CUT_MESSAGES) {
        eventstream_put_exception(out, SPAN("throttlingException"), text_span(&body));
        return;
    }
    text_put(out, x->cut.framing == CUT_EVENTS ? SPAN("data: ") : SPAN(""));
    text_put(out, text_span(&body));
    text_put(out, x->cut.framing == CUT_EVENTS ? SPAN("\n\n") : SPAN("\n"));
}

void cut_now(struct exchange *x)
{
    char memory[EVENT_MAX];
    struct text event = text_over(memory, sizeof memory);
    struct stream *stream = &x->client->stream;

    put_event(x, &event);
    CHECK(!event.full);
    flow_send(&x->response, stream, text_span(&event));
    flow_send_end(&x->response, stream);
    stream_flush(stream);
    exchange_end(x, FAULT_QUOTA_CUT);
}

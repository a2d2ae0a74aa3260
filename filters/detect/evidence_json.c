#include "filters/detect/evidence_json.h"

void evidence_put_time(struct text *out, int64_t unix_ms)
{
    text_printf(out, "%lld.%03lld", (long long)(unix_ms / 1000),
                (long long)(unix_ms % 1000));
}

static void put_moment(struct text *out, const char *name, int64_t unix_ms)
{
    if (unix_ms != 0) {
        text_printf(out, ",\"%s\":", name);
        evidence_put_time(out, unix_ms);
    }
}

static void put_row(struct text *out, const struct evidence_row *row)
{
    text_printf(out, "{\"signal\":\"%s\",\"nats\":%.1f", row->signal,
                (double)row->nats);
    put_moment(out, "since", row->since_ms);
    text_printf(out, ",\"n\":%u,\"k\":%u", row->n, row->k);
    if (row->has_template) {
        text_printf(out, ",\"template\":\"%08x\",\"template_turns\":%u",
                    row->template_id, row->template_turns);
        put_moment(out, "template_first", row->template_first_ms);
        put_moment(out, "template_last", row->template_last_ms);
    }
    if (row->characters[1] != 0) {
        text_printf(out, ",\"characters\":[%u,%u]", row->characters[0],
                    row->characters[1]);
    }
    if (row->identities != 0) {
        text_printf(out, ",\"identities\":%u", row->identities);
    }
    text_put(out, SPAN(",\"says\":"));
    text_put_json(out, span_text(row->says));
    text_put_char(out, '}');
}

void evidence_put_json(struct text *out, const struct evidence *evidence)
{
    text_put_char(out, '[');
    for (unsigned i = 0; i < evidence->count; i++) {
        if (i > 0) {
            text_put_char(out, ',');
        }
        put_row(out, &evidence->rows[i]);
    }
    text_put_char(out, ']');
}

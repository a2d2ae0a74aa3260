#include "proxy/engine/flow.h"

void flow_begin(struct flow *flow, const struct head *head, enum framing sink)
{
    *flow = (struct flow){
        .source = head->framing,
        .sink = sink,
        .left = head->length,
    };
    chunked_init(&flow->chunked);
    flow->ended = head->framing == FRAMING_NONE ||
                  (head->framing == FRAMING_LENGTH && head->length == 0);
}

static void length_next(struct flow *flow, struct span *input, struct span *data)
{
    size_t n = input->len < flow->left ? input->len : (size_t)flow->left;

    *data = span_of(input->at, n);
    *input = span_after(*input, n);
    flow->left -= n;
    flow->ended = flow->left == 0;
}

enum fault flow_next(struct flow *flow, struct span *input, struct span *data)
{
    enum fault fault = FAULT_NONE;

    *data = span_of(NULL, 0);
    if (flow->ended || input->len == 0) {
        return FAULT_NONE;
    }
    switch (flow->source) {
    case FRAMING_NONE:
        break;
    case FRAMING_LENGTH:
        length_next(flow, input, data);
        break;
    case FRAMING_CHUNKED:
        fault = chunked_next(&flow->chunked, input, data, &flow->ended);
        break;
    case FRAMING_CLOSE:
        *data = *input;
        *input = span_after(*input, input->len);
        break;
    }
    flow->bytes += data->len;
    return fault;
}

bool flow_source_closed(struct flow *flow)
{
    if (flow->source == FRAMING_CLOSE) {
        flow->ended = true;
    }
    return flow->ended;
}

void flow_send(const struct flow *flow, struct stream *sink, struct span data)
{
    flow_send_spans(flow, sink, &data, 1);
}

void flow_send_spans(const struct flow *flow, struct stream *sink,
                     const struct span *spans, size_t count)
{
    bool chunk = flow->sink == FRAMING_CHUNKED;
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        total += spans[i].len;
    }
    if (total == 0) {
        return; /* an empty chunk would end the body */
    }
    if (chunk) {
        char line[CHUNKED_LINE_MAX];

        stream_send_copy(sink, span_of(line, chunked_size_line(line, total)));
    }
    for (size_t i = 0; i < count; i++) {
        stream_send(sink, spans[i]);
    }
    if (chunk) {
        stream_send(sink, SPAN("\r\n"));
    }
}

void flow_send_end(const struct flow *flow, struct stream *sink)
{
    if (flow->sink == FRAMING_CHUNKED) {
        stream_send(sink, SPAN("0\r\n\r\n"));
    }
}

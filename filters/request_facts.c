/* What the values of a request say: facts, claims, and for the turn gate what is
 * said. */
#include "filters/clients.h"
#include "filters/paid_tool.h"
#include "filters/request.h"

/* ---- claims ---------------------------------------------------------------------- */

/* Keeps the last bytes of a claim that comes in pieces. */
static void keep_tail(struct request_watch *watch, struct span piece)
{
    size_t room = sizeof(watch->claim), kept = watch->claim_len;

    if (piece.len > room) {
        piece = span_after(piece, piece.len - room);
    }
    if (kept + piece.len > room) {
        size_t drop = kept + piece.len - room;

        memmove(watch->claim, watch->claim + drop, kept - drop);
        kept -= drop;
    }
    memcpy(watch->claim + kept, piece.at, piece.len);
    watch->claim_len = (uint8_t)(kept + piece.len);
}

static void claim_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct span claim = span_of(watch->claim, watch->claim_len);

    if (value->type == SCAN_PIECE) {
        keep_tail(watch, value->text);
    } else if (value->type == SCAN_STRING) {
        if (value->tag == FACT_USER) {
            clients_user(claim, watch->claims);
        } else {
            clients_session(claim, watch->claims);
        }
        watch->claim_len = 0;
    }
}

/* ---- facts ----------------------------------------------------------------------- */

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A null is no model: clients of servers that have one only send it. */
static enum fault model_seen(struct facts *facts, const struct scan_value *value)
{
    if (value->type == SCAN_NULL) {
        return FAULT_NONE;
    }
    if (value->type != SCAN_STRING || !is_printable(value->text)) {
        return FAULT_BAD_BODY;
    }
    facts->model_cut = !text_store(facts->model, sizeof(facts->model), value->text);
    facts->model_cut |= value->cut;
    return FAULT_NONE;
}

static void options_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct facts *facts = watch->facts;

    facts->options_begin = value->begin;
    if (value->type == SCAN_OBJECT) {
        facts->options_object = true;
        watch->options = (struct probe){ value->begin + 1, PROBE_LOOKING };
    } else if (value->type != SCAN_ARRAY) {
        facts->options_end = value->end;
    }
}

/* The greatest limit counts. A negative one means none (LM Studio, llama.cpp); one
 * beyond any count is the greatest there is. */
static void limit_seen(uint64_t *limit, const struct scan_value *value)
{
    uint64_t count = INT64_MAX;

    if (value->type != SCAN_NUMBER || value->text.at[0] == '-') {
        return;
    }
    if (!scan_count(value->text, &count) || value->cut) {
        count = INT64_MAX;
    }
    if (count > *limit) {
        *limit = count;
    }
}

/* Each one once. */
static void tool_seen(struct named_tools *tools, struct span type, bool cut)
{
    if (tools == NULL) {
        return;
    }
    for (size_t i = 0; i < tools->count; i++) {
        if (span_equal(span_text(tools->names[i]), type)) {
            return;
        }
    }
    if (cut || tools->count == NAMED_TOOLS_MAX || type.len >= NAMED_TOOL_SIZE) {
        tools->cut = true;
    } else {
        text_store(tools->names[tools->count++], NAMED_TOOL_SIZE, type);
    }
}

/* A key that stands for a tool, under the name that this has elsewhere. */
static void tool_key_seen(struct named_tools *tools, const struct scan_value *value)
{
    static const char *const names[] = {
        [FACT_WEB_SEARCH] = "web_search",         [FACT_MAPS_SEARCH] = "maps_search",
        [FACT_CODE_EXECUTION] = "code_execution", [FACT_URL_CONTEXT] = "url_context",
        [FACT_FILE_SEARCH] = "file_search",       [FACT_COMPUTER_USE] = "computer_use",
    };

    if (value->type != SCAN_NULL && value->type != SCAN_FALSE &&
        value->type != SCAN_END) {
        tool_seen(tools, span_text(names[value->tag]), false);
    }
}

static void tier_seen(struct facts *facts, const struct scan_value *value)
{
    if (value->type == SCAN_STRING && !facts->fast) {
        text_store(facts->service_tier, sizeof(facts->service_tier), value->text);
    }
}

static enum fault root_seen(struct request_watch *watch, const struct scan_value *value)
{
    if (value->type == SCAN_END) {
        return FAULT_NONE;
    }
    if (value->type != SCAN_OBJECT) {
        return FAULT_BAD_BODY;
    }
    watch->facts->body_open = value->begin + 1;
    watch->body = (struct probe){ value->begin + 1, PROBE_LOOKING };
    return FAULT_NONE;
}

static void turn_seen(struct request_watch *watch, const struct scan_value *value)
{
    if (watch->fresh != NULL) {
        fresh_value(watch->fresh, (enum fresh_tag)(value->tag - FACT_SAID), value,
                    &watch->scan.raw);
    }
}

static enum fault message_seen(struct request_watch *watch,
                               const struct scan_value *value)
{
    struct message_facts *message = watch->message;

    if (message == NULL) {
        return FAULT_NONE; /* another member of that name, of a plain request */
    }
    if (value->duplicate) {
        return FAULT_DUPLICATE_KEY;
    }
    if (value->type != SCAN_STRING) {
        return value->tag == FACT_SOCKET_TYPE ? FAULT_BAD_BODY : FAULT_NONE;
    }
    if (value->tag == FACT_SOCKET_TYPE) {
        text_store(message->type, sizeof(message->type), value->text);
    } else {
        text_store(message->lane, sizeof(message->lane), value->text);
    }
    return FAULT_NONE;
}

static enum fault fact_seen(struct request_watch *watch, const struct scan_value *value)
{
    struct facts *facts = watch->facts;

    switch ((enum fact)value->tag) {
    case FACT_ROOT:
        return root_seen(watch, value);
    case FACT_MODEL:
        return watch->path_model ? FAULT_NONE : model_seen(facts, value);
    case FACT_STREAM:
        facts->stream_said = true;
        if (value->type != SCAN_NULL) {
            facts->stream = watch->path_stream || value->type == SCAN_TRUE;
        }
        break;
    case FACT_STREAM_OPTIONS:
        options_seen(watch, value);
        break;
    case FACT_INCLUDE_USAGE:
        facts->usage_asked = value->type == SCAN_TRUE;
        facts->include_begin = value->begin;
        facts->include_end = value->end;
        break;
    case FACT_MAX_OUTPUT:
        limit_seen(&facts->max_output, value);
        break;
    case FACT_CHOICES:
        limit_seen(&facts->choices, value);
        break;
    case FACT_SERVICE_TIER:
        tier_seen(facts, value);
        break;
    case FACT_SPEED:
        if (value->type == SCAN_STRING && !span_equal(value->text, SPAN("standard"))) {
            tier_seen(facts, value);
            facts->fast = true;
        }
        break;
    case FACT_BACKGROUND:
        facts->background = value->type == SCAN_TRUE;
        break;
    case FACT_MORE_MODELS:
        facts->more_models |= value->type == SCAN_STRING || value->type == SCAN_OBJECT;
        break;
    case FACT_TOOL:
        if (value->type == SCAN_STRING && paid_tool(value->text)) {
            tool_seen(facts->tools, value->text, value->cut);
        }
        break;
    case FACT_WEB_SEARCH:
    case FACT_MAPS_SEARCH:
    case FACT_CODE_EXECUTION:
    case FACT_URL_CONTEXT:
    case FACT_FILE_SEARCH:
    case FACT_COMPUTER_USE:
        tool_key_seen(facts->tools, value);
        break;
    case FACT_SESSION:
    case FACT_USER:
        claim_seen(watch, value);
        break;
    case FACT_INPUT_TEXT:
        watch->text_bytes += scan_string_bytes(value);
        break;
    case FACT_INPUT_JSON:
        watch->text_bytes += value->type == SCAN_END ? value->end - value->begin : 0;
        break;
    case FACT_SAID:
    case FACT_SYSTEM:
    case FACT_PROMPT:
        watch->text_bytes += scan_string_bytes(value);
        turn_seen(watch, value);
        break;
    case FACT_MESSAGE:
    case FACT_ROLE:
    case FACT_TYPE:
    case FACT_RESULT:
    case FACT_IMAGE:
    case FACT_PREDECESSOR:
        turn_seen(watch, value);
        break;
    case FACT_SOCKET_TYPE:
    case FACT_SOCKET_LANE:
        return message_seen(watch, value);
    }
    return FAULT_NONE;
}

void request_value_seen(void *self, const struct scan_value *value)
{
    struct request_watch *watch = self;

    if (watch->fault != FAULT_NONE) {
        return;
    }
    if (value->duplicate && fact_decides((enum fact)value->tag)) {
        watch->fault = FAULT_DUPLICATE_KEY;
    } else {
        watch->fault = fact_seen(watch, value);
    }
}

/* ---- forms ----------------------------------------------------------------------- */

/* A part as the JSON value that it stands for. */
static struct scan_value value_of_part(enum fact fact,
                                       const struct multipart_part *part)
{
    struct scan_value value = { .tag = fact,
                                .type = SCAN_STRING,
                                .text = part->value,
                                .cut = part->bytes > part->value.len,
                                .end =
                                    part->bytes + 2 /* its quotes, if it had any */ };
    uint64_t count;

    if (span_equal_nocase(part->value, SPAN("true"))) {
        value.type = SCAN_TRUE;
    } else if (scan_count(part->value, &count)) {
        value.type = SCAN_NUMBER;
    }
    if (fact == FACT_MODEL || fact == FACT_INPUT_TEXT) {
        value.type = SCAN_STRING;
    }
    return value;
}

void request_part_seen(void *self, const struct multipart_part *part)
{
    struct request_watch *watch = self;
    const struct scan_path *row = watch->dialect->request;
    struct scan_value value;
    uint32_t bit;

    while (row->path != NULL && !span_equal(span_text(row->path), part->name)) {
        row++;
    }
    if (row->path == NULL || watch->fault != FAULT_NONE) {
        return;
    }
    bit = UINT32_C(1) << row->tag;
    value = value_of_part((enum fact)row->tag, part);
    value.duplicate = (watch->form_facts & bit) != 0;
    watch->form_facts |= bit;
    request_value_seen(watch, &value);
}

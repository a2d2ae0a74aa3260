#include "filters/clients.h"

#include "filters/clients_table.h"
#include "proxy/base/text.h"

/* The values of the fields that the table names; at is NULL where a field is absent. */
struct values {
    struct span at[CLIENTS_FIELDS_MAX];
};

static void find_values(const struct clients *clients, const struct head *head,
                        struct values *values)
{
    memset(values, 0, sizeof(*values));
    for (size_t i = head->field_count; i > 0; i--) {
        const struct field *field = &head->fields[i - 1];
        size_t len = field->name.len;
        unsigned k = len > CLIENTS_NAME_MAX ? 0 : clients->newest_of_length[len];

        while (k != 0 && !span_equal_nocase(field->name, clients->fields[k - 1])) {
            k = clients->older[k - 1];
        }
        if (k != 0) {
            values->at[k - 1] = field->value;
        }
    }
}

/* Does it hold? *behind is what follows the text. */
static bool holds(const struct condition *condition, const struct values *values,
                  struct span *behind)
{
    struct span value = values->at[condition->field];

    if (value.at == NULL) {
        return false;
    }
    if (condition->anywhere) {
        const char *at =
            value.len == 0
                ? NULL
                : memmem(value.at, value.len, condition->text.at, condition->text.len);

        if (at == NULL) {
            return false;
        }
        value = span_after(value, (size_t)(at - value.at));
    } else if (!span_starts(value, condition->text)) {
        return false;
    }
    *behind = span_after(value, condition->text.len);
    return true;
}

static bool any_holds(const struct conditions *conditions, const struct values *values)
{
    struct span behind;

    for (size_t i = 0; i < conditions->count; i++) {
        if (holds(&conditions->at[i], values, &behind)) {
            return true;
        }
    }
    return false;
}

/* Stores a claim: printable ASCII, cut where too long. */
static void store_claim(char *array, size_t size, struct span value)
{
    size_t len = value.len < size ? value.len : size - 1;

    for (size_t i = 0; i < len; i++) {
        char c = value.at[i];

        array[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    array[len] = '\0';
}

static void member_seen(void *self, const struct scan_value *value)
{
    struct text *found = self;

    if (value->type == SCAN_STRING) {
        found->len = 0;
        text_put(found, value->text);
    }
}

/* The first of these sources that says something; the value may lie in `memory`. */
static struct span find_source(const struct sources *sources,
                               const struct values *values, struct text *memory)
{
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->at[i];
        struct span value = values->at[source->field];

        if (value.at != NULL && source->member != NULL) {
            struct scan scan;

            memory->len = 0;
            scan_init(&scan, source->member, SCAN_TOLERANT);
            (void)scan_feed(&scan, value, member_seen, memory);
            value = text_span(memory);
        }
        if (value.len > 0) {
            return value;
        }
    }
    return span_of(NULL, 0);
}

/* "2.1.0 (external, cli)" is 2.1.0. */
static struct span first_word(struct span text)
{
    size_t len = 0;

    while (len < text.len && memchr(" /;,()", text.at[len], 6) == NULL) {
        len++;
    }
    return span_of(text.at, len);
}

static void store_version(const struct tool *tool, const struct values *values,
                          struct span behind, struct text *memory,
                          struct claims *claims)
{
    struct span version = find_source(&tool->version, values, memory);

    store_claim(claims->tool_version, sizeof(claims->tool_version),
                first_word(version.len > 0 ? version : behind));
}

static bool recognise(const struct tool *tool, const struct values *values,
                      struct text *memory, struct claims *claims)
{
    for (size_t i = 0; i < tool->match.count; i++) {
        const struct condition *condition = &tool->match.at[i];
        struct span behind;

        if (!holds(condition, values, &behind)) {
            continue;
        }
        store_claim(claims->tool, sizeof(claims->tool), span_text(tool->name));
        if (condition->field != CLIENTS_USER_AGENT) {
            behind = span_of(NULL, 0);
        }
        store_version(tool, values, behind, memory, claims);
        if (any_holds(&tool->headless, values)) {
            store_claim(claims->mode, sizeof(claims->mode), SPAN("headless"));
        } else if (any_holds(&tool->interactive, values)) {
            store_claim(claims->mode, sizeof(claims->mode), SPAN("interactive"));
        }
        return true;
    }
    return false;
}

/* A program nobody knows goes by the product its User-Agent begins with. */
static void store_product(struct span agent, struct claims *claims)
{
    struct span product, rest;

    if (agent.at == NULL) {
        return;
    }
    product = first_word(agent);
    rest = span_after(agent, product.len);
    store_claim(claims->tool, sizeof(claims->tool), product);
    if (rest.len > 0 && rest.at[0] == '/') {
        store_claim(claims->tool_version, sizeof(claims->tool_version),
                    first_word(span_after(rest, 1)));
    }
}

void clients_claims(const struct clients *clients, const struct head *head,
                    struct claims *claims)
{
    SCRATCH char bytes[SCAN_TEXT_MAX];
    struct text memory = text_over(bytes, sizeof(bytes));
    struct values values;
    uint64_t retry;
    size_t i = 0;

    memset(claims, 0, sizeof(*claims));
    find_values(clients, head, &values);
    while (i < clients->count &&
           !recognise(&clients->tools[i], &values, &memory, claims)) {
        i++;
    }
    if (i == clients->count) {
        store_product(values.at[CLIENTS_USER_AGENT], claims);
    }
    store_claim(claims->session, sizeof(claims->session),
                find_source(&clients->session, &values, &memory));
    store_claim(claims->agent, sizeof(claims->agent),
                find_source(&clients->agent, &values, &memory));
    if (span_decimal(find_source(&clients->retry, &values, &memory), &retry)) {
        claims->retry = retry < UINT32_MAX ? (uint32_t)retry : UINT32_MAX;
    }
}

/* ---- claims in bodies ------------------------------------------------------------ */

void clients_session(struct span value, struct claims *claims)
{
    if (claims->session[0] == '\0') {
        store_claim(claims->session, sizeof(claims->session), value);
    }
}

/* What follows the last `mark` in the value; false if it is not there. */
static bool behind_mark(struct span value, struct span mark, struct span *behind)
{
    bool found = false;

    while (value.len >= mark.len) {
        const char *at = memmem(value.at, value.len, mark.at, mark.len);

        if (at == NULL) {
            break;
        }
        value = span_after(value, (size_t)(at - value.at) + mark.len);
        *behind = value;
        found = true;
    }
    return found;
}

void clients_user(struct span value, struct claims *claims)
{
    struct span session;

    if (behind_mark(value, SPAN("\"session_id\":"), &session)) {
        while (session.len > 0 && (session.at[0] == ' ' || session.at[0] == '"')) {
            session = span_after(session, 1);
        }
        clients_session(span_of(session.at, span_find(session, '"')), claims);
    } else if (span_find(value, '"') == value.len &&
               behind_mark(value, SPAN("_session_"), &session)) {
        clients_session(session, claims);
    }
}

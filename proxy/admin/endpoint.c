#include "filters/count/bpe.h"
#include "proxy/admin/admin_parts.h"
#include "proxy/admin/answer.h"
#include "proxy/admin/callers.h"
#include "proxy/admin/findings.h"
#include "proxy/admin/quotas.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/http/head.h"
#include "proxy/meter/ledger.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include <sys/queue.h>

enum {
    RECENT = 256, /* exchanges that /v1/exchanges looks at */
    DAYS = 30,    /* that /v1/callers looks back by itself */
    DAYS_MAX = 366,
    S_PER_DAY = 86400,
    NOWHERE_SIZE = 512 /* of the list of all paths */
};

static bool admits(struct admin *admin, struct evhttp_request *request,
                   enum guarded guarded, struct guest *guest)
{
    return guard_admits(access_now(admin)->guard, request, guarded, guest);
}

/* ---- health and metrics ----------------------------------------------------------- */

static void on_health(struct evhttp_request *request, void *self)
{
    (void)self;
    answer_text(request, 200, "OK", "ok");
}

static void on_ready(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;

    if (admin->sources.ready(admin->sources.self)) {
        answer_text(request, 200, "OK", "ready");
    } else {
        answer_text(request, 503, "Service Unavailable",
                    "not ready: stopping, or the ledger cannot be written");
    }
}

static void body_put(void *self, struct span piece)
{
    evbuffer_add(self, piece.at, piece.len);
}

static void put_value(struct evbuffer *body, const char *name, const char *help,
                      uint64_t value, const char *type)
{
    evbuffer_add_printf(body, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name,
                        type, name, (unsigned long long)value);
}

static void put_webhooks(struct webhook *webhook, struct evbuffer *body)
{
    struct webhook_counts counts = webhook_counts(webhook);

    evbuffer_add_printf(body,
                        "# HELP assay_webhook_messages_total Messages to webhooks: "
                        "taken by their "
                        "receiver, attempts that failed, dropped for good.\n"
                        "# TYPE assay_webhook_messages_total counter\n"
                        "assay_webhook_messages_total{result=\"taken\"} %llu\n"
                        "assay_webhook_messages_total{result=\"failed\"} %llu\n"
                        "assay_webhook_messages_total{result=\"dropped\"} %llu\n",
                        (unsigned long long)counts.taken,
                        (unsigned long long)counts.failed,
                        (unsigned long long)counts.dropped);
}

static void on_metrics(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    const struct admin_sources *sources = &admin->sources;
    int64_t expiry = sources->certificate_expiry(sources->self);
    struct evbuffer *body;
    struct guest guest;

    if (!admits(admin, request, GUARDED_SERVICE, &guest)) {
        return;
    }
    body = evbuffer_new();
    CHECK(body != NULL);
    metrics_write(sources->shards, sources->shard_count, sources->state_names, body_put,
                  body);
    quotas_put_metrics(sources->quota, body);
    put_webhooks(sources->webhook, body);
    put_value(body, "assay_ready",
              "1 while it takes traffic and its ledger can be written, as /readyz.",
              sources->ready(sources->self) ? 1 : 0, "gauge");
    if (expiry != 0) {
        put_value(body, "assay_certificate_expiry_seconds",
                  "Unix time at which the first listener certificate expires.",
                  (uint64_t)expiry, "gauge");
    }
    put_value(body, "assay_credentials_failing",
              "Keys and tokens for providers that could not be had or renewed.",
              sources->credentials_failing(sources->self), "gauge");
    put_value(body, "assay_parser_disagreements_total",
              "Heads refused because the two parsers read them differently.",
              head_disagreements(), "counter");
    put_value(body, "assay_log_lines_dropped_total",
              "Log lines dropped because the log could not be written in time.",
              log_dropped(), "counter");
    put_value(body, "assay_rank_tables_loaded",
              "1 once cut streams are estimated by o200k_base, not by their bytes "
              "alone.",
              bpe_loaded(ENCODING_O200K_BASE) ? 1 : 0, "gauge");
    evbuffer_add_printf(body,
                        "# HELP assay_build_info The running version.\n"
                        "# TYPE assay_build_info gauge\n"
                        "assay_build_info{version=\"%s\"} 1\n",
                        ASSAY_VERSION);
    answer(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", body);
    evbuffer_free(body);
}

/* ---- exchanges and callers -------------------------------------------------------- */

/* ?NAME=N of a request, at most `most`; `otherwise` without one; 0 if
 * it is malformed. */
static uint64_t wanted_number(struct evhttp_request *request, const char *name,
                              uint64_t otherwise, uint64_t most)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *query = evhttp_uri_get_query(uri);
    struct evkeyvalq parameters;
    uint64_t number = otherwise;
    const char *value;

    if (query == NULL || evhttp_parse_query_str(query, &parameters) != 0) {
        return query == NULL ? number : 0;
    }
    value = evhttp_find_header(&parameters, name);
    if (value != NULL && !span_decimal(span_text(value), &number)) {
        number = 0;
    }
    evhttp_clear_headers(&parameters);
    return number > most ? most : number;
}

struct newest {
    const struct guest *guest;
    struct evbuffer *body;
    uint64_t limit, put, seen;
};

/* Of those that the guest may see. */
static bool put_newest(void *self, const struct entry *entry)
{
    struct newest *newest = self;
    char memory[ENTRY_JSON_MAX];
    struct text line = text_over(memory, sizeof memory);

    if (guest_sees(newest->guest, entry->team)) {
        entry_json(entry, &line);
        evbuffer_add_printf(newest->body, newest->put++ == 0 ? "\n" : ",\n");
        evbuffer_add(newest->body, line.at, line.len);
    }
    return ++newest->seen < RECENT && newest->put < newest->limit;
}

static void answer_newest(struct admin *admin, struct evhttp_request *request,
                          struct newest *newest)
{
    const struct ledger_query query = { .newest_first = true };
    struct error error;

    error_init(&error);
    evbuffer_add_printf(newest->body, "{\"exchanges\":[");
    if (ledger_each(admin->state, &query, put_newest, newest, &error)) {
        evbuffer_add_printf(newest->body, "]}\n");
        answer(request, 200, "OK", "application/json", newest->body);
    } else {
        log_line(LOG_ERROR, "ledger_unread", "%s", error.entries[0].words);
        answer_text(request, 500, "Internal Server Error", "the ledger cannot be read");
    }
    error_done(&error);
}

static void on_exchanges(struct evhttp_request *request, void *self)
{
    uint64_t limit = wanted_number(request, "limit", RECENT, RECENT);
    struct guest guest;
    struct newest newest = { .guest = &guest, .limit = limit };

    if (!admits(self, request, GUARDED_PEOPLE, &guest)) {
        return;
    }
    if (limit == 0) {
        answer_text(request, 400, "Bad Request", "limit must be a whole number from 1");
        return;
    }
    newest.body = evbuffer_new();
    CHECK(newest.body != NULL);
    answer_newest(self, request, &newest);
    evbuffer_free(newest.body);
}

static void answer_callers(struct admin *admin, struct evhttp_request *request,
                           const char *caller)
{
    uint64_t days = wanted_number(request, "days", DAYS, DAYS_MAX);
    struct guest guest;
    struct callers_query query = { .state = admin->state,
                                   .guest = &guest,
                                   .caller = caller,
                                   .since_ns =
                                       clock_unix_ns() - days * S_PER_DAY * NS_PER_S };
    struct evbuffer *body;
    struct error error;
    size_t found;

    if (!admits(admin, request, GUARDED_PEOPLE, &guest)) {
        return;
    }
    body = evbuffer_new();
    CHECK(body != NULL);
    error_init(&error);
    if (days == 0) {
        answer_text(request, 400, "Bad Request", "days must be a whole number from 1");
    } else if (!callers_put_json(&query, admin->sources.quota, body, &found, &error)) {
        log_line(LOG_ERROR, "callers_unread", "%s", error.entries[0].words);
        answer_text(request, 500, "Internal Server Error", "the ledger cannot be read");
    } else if (caller != NULL && found == 0) {
        answer_text(request, 404, "Not Found", "nobody of this name was seen");
    } else {
        answer(request, 200, "OK", "application/json", body);
    }
    error_done(&error);
    evbuffer_free(body);
}

static void on_callers(struct evhttp_request *request, void *self)
{
    answer_callers(self, request, NULL);
}

/* ---- quotas ----------------------------------------------------------------------- */

static void on_quotas(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    struct evbuffer *body;
    struct guest guest;

    if (!admits(admin, request, GUARDED_SUBJECTS, &guest)) {
        return;
    }
    body = evbuffer_new();
    CHECK(body != NULL);
    quotas_put_json(admin->sources.quota, guest.sees_people && guest.team == NULL,
                    body);
    answer(request, 200, "OK", "application/json", body);
    evbuffer_free(body);
}

/* ---- findings --------------------------------------------------------------------- */

static void answer_json(struct evhttp_request *request, cJSON *json,
                        struct error *error)
{
    struct evbuffer *body = evbuffer_new();
    char *text = json == NULL ? NULL : cJSON_PrintUnformatted(json);

    CHECK(body != NULL);
    if (text == NULL) {
        log_line(LOG_ERROR, "findings_unread", "%s",
                 error_any(error) ? error->entries[0].words : "out of memory");
        answer_text(request, 500, "Internal Server Error", "findings cannot be read");
    } else {
        evbuffer_add_printf(body, "%s\n", text);
        answer(request, 200, "OK", "application/json", body);
    }
    cJSON_free(text);
    cJSON_Delete(json);
    evbuffer_free(body);
    error_done(error);
}

static int64_t unix_ms(void)
{
    return (int64_t)(clock_unix_ns() / NS_PER_MS);
}

/* Sums of the teams that a guest may see. A lead gets nothing else: what was found of
 * whom is for auditors and for himself. */
static void answer_sums(struct admin *admin, struct evhttp_request *request,
                        const struct guest *guest)
{
    struct error error;

    error_init(&error);
    answer_json(request, findings_teams_json(admin->state, guest->team, &error),
                &error);
}

static void on_findings(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    const char *query_text =
        evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct finding_query query = { .now_ms = unix_ms() };
    struct evkeyvalq parameters;
    struct error error;
    struct guest guest;

    if (!admits(admin, request, GUARDED_PEOPLE, &guest)) {
        return;
    }
    if (guest.team != NULL) {
        answer_sums(admin, request, &guest);
        return;
    }
    TAILQ_INIT(&parameters);
    error_init(&error);
    if (query_text != NULL && evhttp_parse_query_str(query_text, &parameters) == 0) {
        query.team = evhttp_find_header(&parameters, "team");
        query.caller = evhttp_find_header(&parameters, "caller");
    }
    answer_json(request, findings_json(admin->state, &query, &error), &error);
    evhttp_clear_headers(&parameters);
}

static void on_teams(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    struct guest guest;

    if (admits(admin, request, GUARDED_SERVICE, &guest)) {
        answer_sums(admin, request, &guest);
    }
}

/* Everybody may see what is said of him. */
static void on_me(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    const struct admin_sources *sources = &admin->sources;
    struct known_caller caller;
    struct error error;
    enum fault fault = me_verify(request, &access_now(admin)->names, sources->verify,
                                 sources->self, &caller);

    if (fault != FAULT_NONE) {
        answer_text(request, fault_row(fault)->status, "Refused",
                    fault_row(fault)->words);
    } else {
        const struct finding_query query = { .team = caller.team,
                                             .caller = caller.name,
                                             .now_ms = unix_ms() };

        error_init(&error);
        answer_json(request, findings_json(admin->state, &query, &error), &error);
    }
}

/* ---- all of them ------------------------------------------------------------------ */

const struct endpoint endpoints[] = {
    { "/metrics", on_metrics },
    { "/healthz", on_health },
    { "/readyz", on_ready },
    { "/v1/exchanges", on_exchanges },
    { "/v1/callers", on_callers },
    { "/v1/quotas", on_quotas },
    { "/v1/findings", on_findings },
    { "/v1/findings/teams", on_teams },
    { "/v1/me", on_me },
    { .path = NULL },
};

static const char callers_front[] = "/v1/callers/";

/* Tells what there is. */
static void answer_nowhere(struct evhttp_request *request)
{
    char memory[NOWHERE_SIZE];
    struct text words = text_over(memory, sizeof memory);

    text_put(&words, SPAN("here are "));
    for (const struct endpoint *endpoint = endpoints; endpoint->path != NULL;
         endpoint++) {
        text_put(&words, span_text(endpoint->path));
        text_put(&words, SPAN(", "));
    }
    text_printf(&words, "and %sNAME", callers_front);
    memory[words.len] = '\0';
    answer_text(request, 404, "Not Found", memory);
}

void endpoint_other(struct evhttp_request *request, void *self)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    char *caller;

    if (path == NULL || strncmp(path, callers_front, sizeof callers_front - 1) != 0) {
        answer_nowhere(request);
        return;
    }
    caller = evhttp_uridecode(path + sizeof callers_front - 1, 0, NULL);
    CHECK(caller != NULL);
    answer_callers(self, request, caller);
    free(caller);
}

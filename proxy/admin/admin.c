#include "proxy/admin/admin.h"

#include "proxy/admin/findings.h"
#include "proxy/admin/quotas.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/identity/virtual_key.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    RECENT = 256,        /* exchanges that /v1/exchanges can show */
    HEAD_MAX = 8 * 1024, /* of an admin request */
    TIMEOUT_S = 10,
    BACKLOG = 64
};

struct admin {
    struct admin_sources sources;
    char *state;
    struct event_base *base;
    struct evhttp *http;
    struct event *stop;
    int stop_fd;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* recent and written: ledger's thread and this one */
    uint64_t written;     /* entries ever */
    struct entry recent[RECENT];
};

/* ---- answers ----------------------------------------------------------------------- */

static void answer(struct evhttp_request *request, int status, const char *reason,
                   const char *type, struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    evhttp_add_header(headers, "Content-Type", type);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_send_reply(request, status, reason, body);
}

static void answer_text(struct evhttp_request *request, int status, const char *reason,
                        const char *words)
{
    struct evbuffer *body = evbuffer_new();

    CHECK(body != NULL);
    evbuffer_add_printf(body, "%s\n", words);
    answer(request, status, reason, "text/plain; charset=utf-8", body);
    evbuffer_free(body);
}

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

static void put_gauge(struct evbuffer *body, const char *name, const char *help,
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
    struct evbuffer *body = evbuffer_new();
    int64_t expiry = sources->certificate_expiry(sources->self);

    CHECK(body != NULL);
    metrics_write(sources->shards, sources->shard_count, sources->state_names, body_put,
                  body);
    quotas_put_metrics(sources->quota, body);
    put_webhooks(sources->webhook, body);
    put_gauge(body, "assay_ready",
              "1 while it takes traffic and its ledger can be written, as /readyz.",
              sources->ready(sources->self) ? 1 : 0, "gauge");
    if (expiry != 0) {
        put_gauge(body, "assay_certificate_expiry_seconds",
                  "Unix time at which the first listener certificate expires.",
                  (uint64_t)expiry, "gauge");
    }
    put_gauge(body, "assay_log_lines_dropped_total",
              "Log lines dropped because the log could not be written in time.",
              log_dropped(), "counter");
    evbuffer_add_printf(body,
                        "# HELP assay_build_info The running version.\n"
                        "# TYPE assay_build_info gauge\n"
                        "assay_build_info{version=\"%s\"} 1\n",
                        ASSAY_VERSION);
    answer(request, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", body);
    evbuffer_free(body);
}

/* ?limit=N, within 1 and RECENT; RECENT without one; 0 if it is malformed. */
static uint64_t wanted_limit(struct evhttp_request *request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *query = evhttp_uri_get_query(uri);
    struct evkeyvalq parameters;
    uint64_t limit = RECENT;
    const char *value;

    if (query == NULL || evhttp_parse_query_str(query, &parameters) != 0) {
        return query == NULL ? limit : 0;
    }
    value = evhttp_find_header(&parameters, "limit");
    if (value != NULL && !span_decimal(span_text(value), &limit)) {
        limit = 0;
    }
    evhttp_clear_headers(&parameters);
    return limit > RECENT ? RECENT : limit;
}

static void put_recent(struct admin *admin, struct evbuffer *body, uint64_t limit)
{
    char memory[ENTRY_JSON_MAX];

    pthread_mutex_lock(&admin->lock);
    for (uint64_t i = 0; i < limit && i < admin->written; i++) {
        struct text line = text_over(memory, sizeof memory);

        entry_json(&admin->recent[(admin->written - 1 - i) % RECENT], &line);
        evbuffer_add_printf(body, i == 0 ? "\n" : ",\n");
        evbuffer_add(body, line.at, line.len);
    }
    pthread_mutex_unlock(&admin->lock);
}

static void on_exchanges(struct evhttp_request *request, void *self)
{
    uint64_t limit = wanted_limit(request);
    struct evbuffer *body;

    if (limit == 0) {
        answer_text(request, 400, "Bad Request", "limit must be a whole number from 1");
        return;
    }
    body = evbuffer_new();
    CHECK(body != NULL);
    evbuffer_add_printf(body, "{\"exchanges\":[");
    put_recent(self, body, limit);
    evbuffer_add_printf(body, "]}\n");
    answer(request, 200, "OK", "application/json", body);
    evbuffer_free(body);
}

static void on_quotas(struct evhttp_request *request, void *self)
{
    struct admin *admin = self;
    struct evbuffer *body = evbuffer_new();

    CHECK(body != NULL);
    quotas_put_json(admin->sources.quota, body);
    answer(request, 200, "OK", "application/json", body);
    evbuffer_free(body);
}

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

static void on_findings(struct evhttp_request *request, void *self)
{
    const struct admin *admin = self;
    const char *query_text =
        evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct finding_query query = { .now_ms = unix_ms() };
    struct evkeyvalq parameters;
    struct error error;

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
    const struct admin *admin = self;
    struct error error;

    error_init(&error);
    answer_json(request, findings_teams_json(admin->state, NULL, &error),
                &error);
}

/* The virtual key of "Authorization: Bearer KEY" or "x-api-key: KEY". */
static struct span credential_of(struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const char *bearer = evhttp_find_header(headers, "Authorization");
    const char *key = evhttp_find_header(headers, "x-api-key");
    struct span value = span_text(bearer != NULL ? bearer : key);

    return bearer != NULL && span_starts_nocase(value, SPAN("Bearer "))
               ? span_after(value, sizeof "Bearer " - 1)
               : value;
}

/* Everybody may see what is said of him. Keys change, so they are read each time. */
static void on_me(struct evhttp_request *request, void *self)
{
    const struct admin *admin = self;
    struct error error;
    struct key_table *keys;
    const struct key_record *record;

    error_init(&error);
    keys = key_table_load(admin->state, &error);
    record = keys == NULL
                 ? NULL
                 : key_table_find(keys, credential_of(request), unix_ms() / 1000);
    if (record == NULL) {
        answer_text(request, 401, "Unauthorized",
                    "send your own virtual key: Authorization: Bearer assay_...");
        error_done(&error);
    } else {
        const struct finding_query query = { .caller = record->caller,
                                             .now_ms = unix_ms() };

        answer_json(request, findings_json(admin->state, &query, &error),
                    &error);
    }
    key_table_free(keys);
}

static void on_other(struct evhttp_request *request, void *self)
{
    (void)self;
    answer_text(request, 404, "Not Found",
                "here are /metrics, /healthz, /readyz, /v1/exchanges, /v1/quotas, "
                "/v1/findings, /v1/findings/teams and /v1/me");
}

/* ---- life -------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t fd, short events, void *self)
{
    struct admin *admin = self;

    (void)fd;
    (void)events;
    event_base_loopbreak(admin->base);
}

static void *admin_run(void *self)
{
    struct admin *admin = self;

    event_base_dispatch(admin->base);
    return NULL;
}

static bool admin_make(struct admin *admin)
{
    admin->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    admin->base = event_base_new();
    if (admin->stop_fd < 0 || admin->base == NULL) {
        return false;
    }
    admin->stop = event_new(admin->base, admin->stop_fd, EV_READ, on_stop, admin);
    admin->http = evhttp_new(admin->base);
    if (admin->stop == NULL || admin->http == NULL ||
        event_add(admin->stop, NULL) != 0) {
        return false;
    }
    evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_max_headers_size(admin->http, HEAD_MAX);
    evhttp_set_max_body_size(admin->http, 0);
    evhttp_set_timeout(admin->http, TIMEOUT_S);
    evhttp_set_gencb(admin->http, on_other, admin);
    return evhttp_set_cb(admin->http, "/metrics", on_metrics, admin) == 0 &&
           evhttp_set_cb(admin->http, "/healthz", on_health, admin) == 0 &&
           evhttp_set_cb(admin->http, "/readyz", on_ready, admin) == 0 &&
           evhttp_set_cb(admin->http, "/v1/exchanges", on_exchanges, admin) == 0 &&
           evhttp_set_cb(admin->http, "/v1/findings", on_findings, admin) == 0 &&
           evhttp_set_cb(admin->http, "/v1/findings/teams", on_teams, admin) == 0 &&
           evhttp_set_cb(admin->http, "/v1/me", on_me, admin) == 0 &&
           evhttp_set_cb(admin->http, "/v1/quotas", on_quotas, admin) == 0;
}

/* A socket file that an earlier process left is replaced; who may connect is decided by
 * the rights of its folder. */
static bool bind_path(struct admin *admin, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    (void)unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, BACKLOG) == 0 && evhttp_accept_socket(admin->http, fd) == 0) {
        return true;
    }
    close(fd);
    return false;
}

static bool admin_bind(struct admin *admin)
{
    const struct config_address *address = &admin->sources.address;

    return address->path != NULL
               ? bind_path(admin, address->path)
               : evhttp_bind_socket(admin->http, address->host, address->port) == 0;
}

struct admin *admin_new(const struct admin_sources *sources, struct error *error)
{
    const struct error_place nowhere = { 0 };
    struct admin *admin = calloc(1, sizeof *admin);

    CHECK(admin != NULL);
    admin->sources = *sources;
    admin->state = strdup(sources->state);
    CHECK(admin->state != NULL);
    pthread_mutex_init(&admin->lock, NULL);
    if (!admin_make(admin)) {
        error_add(error, nowhere, "the admin port cannot be made: out of resources");
        return admin_free(admin);
    }
    if (!admin_bind(admin)) {
        error_add(error, nowhere, "cannot listen on %s for admin: %s",
                  sources->address.text, strerror(errno));
        return admin_free(admin);
    }
    admin->started = pthread_create(&admin->thread, NULL, admin_run, admin) == 0;
    if (!admin->started) {
        error_add(error, nowhere, "the admin thread cannot be started");
        return admin_free(admin);
    }
    return admin;
}

void admin_entry(struct admin *admin, const struct entry *entry)
{
    if (admin != NULL) {
        pthread_mutex_lock(&admin->lock);
        admin->recent[admin->written % RECENT] = *entry;
        admin->written++;
        pthread_mutex_unlock(&admin->lock);
    }
}

struct admin *admin_free(struct admin *admin)
{
    const uint64_t one = 1;

    if (admin == NULL) {
        return NULL;
    }
    if (admin->started) {
        (void)!write(admin->stop_fd, &one, sizeof one);
        pthread_join(admin->thread, NULL);
    }
    if (admin->http != NULL) {
        evhttp_free(admin->http);
    }
    if (admin->stop != NULL) {
        event_free(admin->stop);
    }
    if (admin->base != NULL) {
        event_base_free(admin->base);
    }
    if (admin->stop_fd >= 0) {
        close(admin->stop_fd);
    }
    pthread_mutex_destroy(&admin->lock);
    free(admin->state);
    free(admin);
    return NULL;
}

#include "proxy/admin/guard.h"

#include "proxy/admin/answer.h"
#include "proxy/base/text.h"
#include "proxy/identity/audit.h"
#include "proxy/identity/key_digest.h"
#include "proxy/identity/peer.h"

#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <limits.h>
#include <stdlib.h>

struct user {
    char name[64];
    enum config_role role;
    char team[32];
    bool by_token;
    struct key_digest token;
    char certificate[PEER_NAME_MAX + 1];
};

struct guard {
    char state[PATH_MAX];
    struct config_words names;
    size_t count;
    struct user users[];
};

static const char *const role_names[] = {
    [ROLE_OPERATOR] = "operator", [ROLE_AUDITOR] = "auditor", [ROLE_LEAD] = "lead"
};

#define STORE(array, value) text_store(array, sizeof(array), span_text(value))

struct guard *guard_new(const struct config *config)
{
    struct guard *guard =
        calloc(1, sizeof *guard + config->admin_user_count * sizeof(struct user));

    CHECK(guard != NULL);
    STORE(guard->state, config->state);
    guard->names = config->admin_tls.names;
    for (size_t i = 0; i < config->admin_user_count; i++) {
        const struct config_admin_user *wanted = &config->admin_users[i];
        struct user *user = &guard->users[guard->count++];

        user->role = wanted->role;
        STORE(user->name, wanted->name);
        STORE(user->team, wanted->team);
        STORE(user->certificate, wanted->certificate);
        user->by_token = wanted->token != NULL;
        CHECK(!user->by_token ||
              key_digest(secret_reveal(wanted->token), &user->token));
    }
    return guard;
}

struct guard *guard_free(struct guard *guard)
{
    free(guard);
    return NULL;
}

/* ---- who asks -------------------------------------------------------------------- */

static const struct user *user_by_token(const struct guard *guard,
                                        struct evhttp_request *request)
{
    const char *field =
        evhttp_find_header(evhttp_request_get_input_headers(request), "authorization");
    struct span value = span_text(field);
    const struct span bearer = SPAN("bearer ");
    const struct user *found = NULL;
    struct key_digest digest;

    if (!span_starts_nocase(value, bearer) ||
        !key_digest(span_trim(span_after(value, bearer.len)), &digest)) {
        return NULL;
    }
    for (size_t i = 0; i < guard->count; i++) {
        const struct user *user = &guard->users[i];

        if (user->by_token && key_digest_equal(&user->token, &digest)) {
            found = user;
        }
    }
    return found;
}

static const struct user *user_by_certificate(const struct guard *guard,
                                              struct evhttp_request *request)
{
    struct bufferevent *stream =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    const SSL *ssl = bufferevent_openssl_get_ssl(stream);
    char name[PEER_NAME_MAX + 1];

    if (ssl == NULL || !peer_certificate_name(ssl, &guard->names, name)) {
        return NULL;
    }
    for (size_t i = 0; i < guard->count; i++) {
        if (strcmp(guard->users[i].certificate, name) == 0) {
            return &guard->users[i];
        }
    }
    return NULL;
}

/* A token that is sent has to be good, certificate or not. */
static const struct user *user_find(const struct guard *guard,
                                    struct evhttp_request *request)
{
    bool token = evhttp_find_header(evhttp_request_get_input_headers(request),
                                    "authorization") != NULL;

    return token ? user_by_token(guard, request) : user_by_certificate(guard, request);
}

/* ---- what he may ----------------------------------------------------------------- */

static bool note(const struct guard *guard, struct evhttp_request *request,
                 const struct guest *guest, const char *action)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = evhttp_uri_get_path(uri);
    char *peer = NULL;
    ev_uint16_t port = 0;
    struct audit_event event = { .actor = guest->name,
                                 .role = guest->role,
                                 .action = action,
                                 .what = path == NULL ? "" : path,
                                 .detail = "" };
    struct error error;
    bool written;

    evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
    event.detail = peer == NULL ? "" : peer;
    error_init(&error);
    written = audit_write(guard->state, &event, &error);
    error_done(&error);
    return written;
}

static bool refuse(const struct guard *guard, struct evhttp_request *request,
                   const struct guest *guest, int status, const char *reason,
                   const char *words)
{
    /* The refusal stands, whether or not it can be written down. */
    (void)note(guard, request, guest, "refused");
    if (status == 401) {
        evhttp_add_header(evhttp_request_get_output_headers(request),
                          "WWW-Authenticate", "Bearer realm=\"assay\"");
    }
    answer_text(request, status, reason, words);
    return false;
}

bool guard_admits(const struct guard *guard, struct evhttp_request *request,
                  enum guarded guarded, struct guest *guest)
{
    const struct user *user = guard->count == 0 ? NULL : user_find(guard, request);

    *guest = (struct guest){ .name = "", .role = "", .sees_people = true };
    if (user != NULL) {
        *guest = (struct guest){ .name = user->name,
                                 .role = role_names[user->role],
                                 .team = user->role == ROLE_LEAD ? user->team : NULL,
                                 .sees_people = user->role != ROLE_OPERATOR };
    } else if (guard->count > 0) {
        return refuse(guard, request, guest, 401, "Unauthorized",
                      "who asks? send Authorization: Bearer, or a client certificate");
    }
    if (guarded == GUARDED_SERVICE ||
        (guarded == GUARDED_SUBJECTS && (!guest->sees_people || guest->team != NULL))) {
        return true;
    }
    if (!guest->sees_people) {
        return refuse(guard, request, guest, 403, "Forbidden",
                      "what people did is for auditors, and for leads of their team");
    }
    if (guard->count > 0 && !note(guard, request, guest, "read")) {
        answer_text(request, 503, "Service Unavailable",
                    "the audit log cannot be written, so nothing is told");
        return false;
    }
    return true;
}

bool guest_sees(const struct guest *guest, const char *team)
{
    return guest->sees_people &&
           (guest->team == NULL || strcmp(guest->team, team) == 0);
}

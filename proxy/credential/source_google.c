/* Access tokens of Google: for a service account's key, or for the
 * machine's own account. */
#include "proxy/credential/google_account.h"
#include "proxy/credential/source.h"

#include <stdio.h>
#include <stdlib.h>

/* docs.cloud.google.com/compute/docs/metadata/querying-metadata */
#define METADATA_HOST "169.254.169.254"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

static void on_token(struct source *source, const struct fetch_reply *reply)
{
    struct credential *token;

    if (reply->status != 200) {
        source_failed(source, "Google's token service: %s%.*s",
                      reply->status == 0 ? reply->failure : "",
                      (int)(reply->body.len < 200 ? reply->body.len : 200),
                      reply->status == 0 ? "" : reply->body.at);
        return;
    }
    token = google_token_of_json(reply->body, source->now_s);
    if (token == NULL) {
        source_failed(source, "Google's token service answered without a token");
        return;
    }
    source_renewed(source, token);
}

static void ask_metadata(struct source *source)
{
    static const struct fetch_field fields[] = { { "Metadata-Flavor", "Google" },
                                                 { NULL, NULL } };
    const char *host = getenv("GCE_METADATA_HOST");
    char url[512];
    const struct fetch_request request = { .method = FETCH_GET,
                                           .url = url,
                                           .fields = fields };

    (void)snprintf(url, sizeof url, "http://%s" METADATA_PATH,
                   host == NULL ? METADATA_HOST : host);
    source_fetch(source, &request, on_token);
}

static void ask_for_account(struct source *source, const char *file)
{
    static const struct fetch_field fields[] = {
        { "Content-Type", "application/x-www-form-urlencoded" }, { NULL, NULL }
    };
    struct google_account *account;
    struct fetch_request request = { .method = FETCH_POST, .fields = fields };
    struct error error;
    char *form;

    error_init(&error);
    account = google_account_read(file, &error);
    if (account == NULL) {
        source_failed(source, "%s: %s", file, error.entries[0].words);
        error_done(&error);
        return;
    }
    form = google_account_form(account, source->origin.scope, source->now_s);
    request.url = google_account_token_uri(account);
    request.body = span_text(form);
    source_fetch(source, &request, on_token);
    free(form);
    google_account_free(account);
    error_done(&error);
}

void source_renew_google(struct source *source)
{
    const char *file = source->origin.file != NULL
                           ? source->origin.file
                           : getenv("GOOGLE_APPLICATION_CREDENTIALS");

    if (file != NULL && file[0] != '\0') {
        ask_for_account(source, file);
    } else {
        ask_metadata(source);
    }
}

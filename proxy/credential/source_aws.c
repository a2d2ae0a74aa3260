/* Keys of AWS, from where its own tools look for them and under the same names:
 * docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
#include "proxy/base/secret.h"
#include "proxy/credential/aws_key.h"
#include "proxy/credential/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { URL_SIZE = 1024, AUTHORIZATION_SIZE = 4096 };

/* A variable that is set to something; else NULL. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool wants(const struct source *source, enum config_aws_source which)
{
    return source->origin.source == AWS_CHAIN || source->origin.source == which;
}

/* In a chain the next place is asked; a place that was named has to have a key. */
static bool is_last(const struct source *source, enum config_aws_source which)
{
    return source->origin.source == which;
}

/* ---- the environment ------------------------------------------------------------- */

static bool renew_from_env(struct source *source)
{
    const char *id = variable("AWS_ACCESS_KEY_ID");
    const char *secret = variable("AWS_SECRET_ACCESS_KEY");

    if (!wants(source, AWS_ENV)) {
        return false;
    }
    if (id != NULL && secret != NULL) {
        source_renewed(source,
                       credential_new(span_text(id), span_text(secret),
                                      span_text(variable("AWS_SESSION_TOKEN")), 0));
        return true;
    }
    if (is_last(source, AWS_ENV)) {
        source_failed(source, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not "
                              "both set");
        return true;
    }
    return false;
}

/* ---- a credentials file ---------------------------------------------------------- */

static const char *profile_of(const struct source *source)
{
    const char *named = source->origin.profile;

    if (named == NULL) {
        named = variable("AWS_PROFILE");
    }
    return named == NULL ? "default" : named;
}

/* false: there is no file to look into. */
static bool file_path(const struct source *source, char *path, size_t size)
{
    const char *named = source->origin.file;
    const char *home = variable("HOME");

    if (named == NULL) {
        named = variable("AWS_SHARED_CREDENTIALS_FILE");
    }
    if (named != NULL) {
        (void)snprintf(path, size, "%s", named);
    } else {
        (void)snprintf(path, size, "%s/.aws/credentials", home == NULL ? "" : home);
    }
    return source->origin.file != NULL || is_last(source, AWS_FILE) ||
           access(path, F_OK) == 0;
}

static bool renew_from_file(struct source *source)
{
    char path[URL_SIZE], named[URL_SIZE + 8];
    struct credential *credential;
    struct secret *text;
    struct error error;

    if (!wants(source, AWS_FILE) || !file_path(source, path, sizeof path)) {
        return false;
    }
    error_init(&error);
    (void)snprintf(named, sizeof named, "file:%s", path);
    text = secret_read(span_text(named), (struct error_place){ .file = path }, &error);
    if (text == NULL) {
        source_failed(source, "%s", error.entries[0].words);
        error_done(&error);
        return true;
    }
    error_done(&error);
    credential = aws_key_of_profile(secret_reveal(text), profile_of(source));
    secret_free(text);
    if (credential != NULL) {
        source_renewed(source, credential);
    } else if (source->origin.source != AWS_CHAIN || source->origin.file != NULL ||
               source->origin.profile != NULL) {
        source_failed(source,
                      "%s has no aws_access_key_id and aws_secret_access_key "
                      "under [%s]",
                      path, profile_of(source));
    } else {
        return false;
    }
    return true;
}

/* ---- metadata services ----------------------------------------------------------- */

static void on_key(struct source *source, const struct fetch_reply *reply)
{
    struct credential *credential;

    if (reply->status != 200) {
        source_failed(source, "the role's credentials: %s (status %d)",
                      reply->status == 0 ? reply->failure : "refused", reply->status);
        return;
    }
    credential = aws_key_of_json(reply->body);
    if (credential == NULL) {
        source_failed(source, "the role's credentials came without a key");
        return;
    }
    source_renewed(source, credential);
}

/* What the container's service wants as Authorization; "" for nothing, NULL if the file
 * with it cannot be read. */
static const char *container_authorization(char *memory, size_t size)
{
    const char *file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *value = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    FILE *stream;
    size_t len;

    if (file == NULL) {
        return value == NULL ? "" : value;
    }
    stream = fopen(file, "re");
    if (stream == NULL) {
        return NULL;
    }
    len = fread(memory, 1, size - 1, stream);
    (void)fclose(stream);
    while (len > 0 && (memory[len - 1] == '\n' || memory[len - 1] == '\r')) {
        len--;
    }
    memory[len] = '\0';
    return memory;
}

static void ask_container(struct source *source, const char *url)
{
    char memory[AUTHORIZATION_SIZE];
    const char *authorization = container_authorization(memory, sizeof memory);
    const struct fetch_field fields[] = { { "Authorization", authorization },
                                          { NULL, NULL } };
    struct fetch_request request = { .method = FETCH_GET, .url = url };

    if (authorization == NULL) {
        source_failed(source, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read");
        return;
    }
    request.fields = authorization[0] == '\0' ? NULL : fields;
    source_fetch(source, &request, on_key);
}

static bool renew_from_container(struct source *source)
{
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[URL_SIZE];

    if (!wants(source, AWS_CONTAINER)) {
        return false;
    }
    if (relative != NULL || full != NULL) {
        (void)snprintf(url, sizeof url, "%s%s",
                       relative != NULL ? "http://169.254.170.2" : "",
                       relative != NULL ? relative : full);
        ask_container(source, url);
        return true;
    }
    if (is_last(source, AWS_CONTAINER)) {
        source_failed(source, "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
                              "AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
        return true;
    }
    return false;
}

/* IMDSv2: a session token first, then the role's name, then its key. */
static void ask_instance(struct source *source, enum fetch_method method,
                         const char *path, const struct fetch_field *fields,
                         void (*done)(struct source *source,
                                      const struct fetch_reply *reply))
{
    const char *endpoint = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char url[URL_SIZE];
    const struct fetch_request request = { .method = method,
                                           .url = url,
                                           .fields = fields };

    endpoint = endpoint == NULL ? "http://169.254.169.254" : endpoint;
    (void)snprintf(url, sizeof url, "%.*s%s",
                   (int)(span_ends(span_text(endpoint), SPAN("/"))
                             ? strlen(endpoint) - 1
                             : strlen(endpoint)),
                   endpoint, path);
    source_fetch(source, &request, done);
}

#define ROLES "/latest/meta-data/iam/security-credentials/"

static void ask_role(struct source *source, const char *role,
                     void (*done)(struct source *source,
                                  const struct fetch_reply *reply))
{
    const struct fetch_field fields[] = {
        { "X-aws-ec2-metadata-token", source->metadata_token }, { NULL, NULL }
    };
    char path[URL_SIZE];

    (void)snprintf(path, sizeof path, ROLES "%s", role);
    ask_instance(source, FETCH_GET, path, fields, done);
}

static void on_role(struct source *source, const struct fetch_reply *reply)
{
    struct span role = reply->body;
    char name[256];

    role.len = span_find(role, '\n');
    if (reply->status != 200 || role.len == 0 || !text_store(name, sizeof name, role)) {
        source_failed(source, "no role is attached to this instance (status %d)",
                      reply->status);
        return;
    }
    ask_role(source, name, on_key);
}

static void on_session(struct source *source, const struct fetch_reply *reply)
{
    if (reply->status != 200 ||
        !text_store(source->metadata_token, SOURCE_TOKEN_SIZE, reply->body)) {
        source_failed(source,
                      source->origin.source == AWS_CHAIN
                          ? "no key in the environment, in a credentials file or for "
                            "the container, and the instance's metadata service: %s"
                          : "the instance's metadata service: %s",
                      reply->status == 0 ? reply->failure : "refused");
        return;
    }
    ask_role(source, "", on_role);
}

void source_renew_aws(struct source *source)
{
    static const struct fetch_field fields[] = {
        { "X-aws-ec2-metadata-token-ttl-seconds", "21600" }, { NULL, NULL }
    };

    if (!renew_from_env(source) && !renew_from_file(source) &&
        !renew_from_container(source)) {
        ask_instance(source, FETCH_PUT, "/latest/api/token", fields, on_session);
    }
}

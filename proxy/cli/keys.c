/* assay keys: make, list, rotate and revoke virtual keys. A running assay follows within a
 * second. */
#include "config/nearest.h"
#include "proxy/base/text.h"
#include "proxy/cli/action.h"
#include "proxy/cli/moment.h"
#include "proxy/identity/audit.h"
#include "proxy/identity/directory.h"
#include "proxy/identity/virtual_key.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_LEN = KEY_ID_SIZE - 1 };

static const char default_grace[] = "24h";

/* Says why, and lets go of it. */
static int keys_failed(struct error *error)
{
    error_print(error, stderr);
    error_done(error);
    return COMMAND_FAILED;
}

static bool audited(const struct config *config, const char *action, const char *what,
                    const char *detail, struct error *error)
{
    return audit_write(config->state,
                       &(struct audit_event){ audit_own_actor(), "", action, what,
                                              detail },
                       error);
}

/* The moment that an option names; `otherwise` if it was not given. */
static bool option_moment(const struct command_line *line, const char *name,
                          int64_t now, int64_t otherwise, int64_t *moment)
{
    const char *text = command_option(line, name);

    if (text == NULL) {
        *moment = otherwise;
        return true;
    }
    if (moment_parse(text, now, MOMENT_AHEAD, moment)) {
        return true;
    }
    command_misused(line,
                    "--%s: '%s' is neither a date (2027-01-31, 2027-01-31T15:04:05Z)"
                    " nor a duration (90d, 12h)",
                    name, text);
    return false;
}

static bool option_expires(const struct command_line *line, int64_t now,
                           int64_t *expires)
{
    if (!option_moment(line, "expires", now, 0, expires)) {
        return false;
    }
    if (*expires != 0 && *expires <= now) {
        command_misused(line, "--expires: '%s' lies in the past",
                        command_option(line, "expires"));
        return false;
    }
    return true;
}

/* ---- showing a new key ----------------------------------------------------------- */

static bool serves(const struct config_provider *provider, const char *family)
{
    for (const char *const *dialect = provider->dialects; *dialect != NULL; dialect++) {
        if (strcmp(*dialect, family) == 0) {
            return true;
        }
    }
    return false;
}

/* What tools of a family read: the variables, and what follows
 * the provider's address. */
static const struct {
    const char *family;
    const char *url, *path;
    const char *key;
} hints[] = {
    { "anthropic", "ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY" },
    { "openai", "OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY" },
    { "gemini", "GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY" },
    { "bedrock", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "", "AWS_BEARER_TOKEN_BEDROCK" },
};

static void hint_provider(const struct config_provider *provider, const char *base)
{
    if (provider->credential == CREDENTIAL_PASSTHROUGH) {
        fprintf(stderr,
                "  %s/%s  beside the provider's own credential, send\n"
                "    x-assay-key: $ASSAY_KEY\n",
                base, provider->name);
        return;
    }
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        if (serves(provider, hints[i].family)) {
            fprintf(stderr, "  export %s=%s/%s%s %s=\"$ASSAY_KEY\"\n", hints[i].url,
                    base, provider->name, hints[i].path, hints[i].key);
        }
    }
}

/* The first listener that a tool can reach by a URL; NULL if there is none. */
static const struct config_listener *url_listener(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].address.host != NULL) {
            return &config->listeners[i];
        }
    }
    return NULL;
}

/* The key goes to stdout alone, so that a script can take it; the hints never hold it,
 * so that a log of stderr does not. */
static void show(const struct config *config, const struct key_record *made,
                 char key[KEY_TEXT_SIZE])
{
    const struct config_listener *listener = url_listener(config);
    char until[MOMENT_TEXT_SIZE] = "revoked";
    char base[128];

    puts(key);
    fflush(stdout);
    explicit_bzero(key, KEY_TEXT_SIZE);
    if (made->expires != 0) {
        moment_print(made->expires, until);
    }
    fprintf(stderr,
            "Key %s of %s in team %s, good until %s. It is shown this once only.\n",
            made->id, made->caller, made->team, until);
    if (listener == NULL) {
        return;
    }
    snprintf(base, sizeof base, "%s://%s",
             listener->tls.certificate_count > 0 ? "https" : "http",
             listener->address.text);
    fputs("With ASSAY_KEY set to it, point tools at assay:\n", stderr);
    for (size_t i = 0; i < config->provider_count; i++) {
        hint_provider(&config->providers[i], base);
    }
}

/* ---- add ------------------------------------------------------------------------- */

/* Words near to the one that was given. */
struct offers {
    struct nearest nearest;
    const char *team; /* whose members are offered; NULL: teams are */
};

static bool offer(void *self, const struct member *member)
{
    struct offers *offers = self;

    if (offers->team == NULL) {
        nearest_offer(&offers->nearest, member->team);
    } else if (strcmp(member->team, offers->team) == 0) {
        nearest_offer(&offers->nearest, member->name);
    }
    return true;
}

static void tell_absent(const struct command_line *line,
                        const struct directory *directory, const char *team,
                        const char *name)
{
    struct offers offers = { nearest_to(name), team };
    const char *near;

    directory_each(directory, offer, &offers);
    near = offers.nearest.word;
    command_misused(line, "%s%s%s has no %s '%s'%s%s%s", team == NULL ? "" : "team '",
                    team == NULL ? line->config : team, team == NULL ? "" : "'",
                    team == NULL ? "team" : "caller", name,
                    near == NULL ? "" : "; did you mean '", near == NULL ? "" : near,
                    near == NULL ? "" : "'?");
}

/* Is he a member, by the configuration or an import? */
static bool member_check(const struct command_line *line, const struct config *config,
                         const char *team, const char *name)
{
    struct error error;
    struct directory *directory;
    bool known = false;

    error_init(&error);
    directory = directory_new(config, config->state, &error);
    if (directory == NULL) {
        error_print(&error, stderr);
    } else if (directory_team(directory, span_text(team)) == NULL) {
        tell_absent(line, directory, NULL, team);
    } else {
        const struct member *member =
            directory_member(directory, span_text(team), span_text(name));

        known = member != NULL && strcmp(member->name, name) == 0;
        if (!known) {
            tell_absent(line, directory, team, name);
        }
    }
    directory_free(directory);
    error_done(&error);
    return known;
}

static bool record_fill(const struct command_line *line, struct key_record *record)
{
    const char *label = command_option(line, "label");
    bool fits = text_store(record->team, sizeof record->team,
                           span_text(command_option(line, "team"))) &&
                text_store(record->caller, sizeof record->caller,
                           span_text(command_option(line, "caller"))) &&
                text_store(record->label, sizeof record->label, span_text(label));

    if (!fits) {
        command_misused(line, "a team has at most %zu bytes, a caller and a label %zu",
                        sizeof record->team - 1, sizeof record->caller - 1);
    }
    return fits;
}

static int keys_add(const struct command_line *line, const struct config *config,
                    int64_t now)
{
    const char *team_name = command_option(line, "team");
    const char *caller = command_option(line, "caller");
    struct key_record wanted = { .created = now };
    struct key_record made;
    char key[KEY_TEXT_SIZE];
    struct error error;

    if (team_name == NULL || caller == NULL) {
        return command_misused(line, "add needs --team and --caller");
    }
    if (!member_check(line, config, team_name, caller) || !record_fill(line, &wanted) ||
        !option_expires(line, now, &wanted.expires)) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    if (!audited(config, "keys add", team_name, caller, &error) ||
        !key_add(config->state, &wanted, key, &made, &error)) {
        return keys_failed(&error);
    }
    show(config, &made, key);
    return COMMAND_OK;
}

/* ---- list ------------------------------------------------------------------------ */

struct listing {
    int64_t now;
    cJSON *rows; /* NULL: a table is printed */
};

static const char *status_of(const struct key_record *record, int64_t now)
{
    if (record->revoked != 0 && record->revoked <= now) {
        return "revoked";
    }
    if (record->expires != 0 && record->expires <= now) {
        return "expired";
    }
    return record->revoked != 0 ? "ending" : "active";
}

/* When a key stops or stopped to be good; 0: never. */
static int64_t end_of(const struct key_record *record)
{
    if (record->revoked == 0 || record->expires == 0) {
        return record->revoked + record->expires;
    }
    return record->revoked < record->expires ? record->revoked : record->expires;
}

static void list_row(void *self, const struct key_record *record)
{
    const struct listing *listing = self;
    char created[MOMENT_TEXT_SIZE];
    char end[MOMENT_TEXT_SIZE] = "-";

    moment_print(record->created, created);
    if (end_of(record) != 0) {
        moment_print(end_of(record), end);
    }
    printf("%-12s  %-8s  %-16s  %-16s  %-20s  %-20s  %s\n", record->id,
           status_of(record, listing->now), record->team, record->caller, created, end,
           record->label);
}

static void json_moment(cJSON *row, const char *name, int64_t moment)
{
    char text[MOMENT_TEXT_SIZE];

    if (moment == 0) {
        cJSON_AddNullToObject(row, name);
        return;
    }
    moment_print(moment, text);
    cJSON_AddStringToObject(row, name, text);
}

static void list_json(void *self, const struct key_record *record)
{
    const struct listing *listing = self;
    cJSON *row = cJSON_CreateObject();

    cJSON_AddStringToObject(row, "id", record->id);
    cJSON_AddStringToObject(row, "status", status_of(record, listing->now));
    cJSON_AddStringToObject(row, "team", record->team);
    cJSON_AddStringToObject(row, "caller", record->caller);
    cJSON_AddStringToObject(row, "label", record->label);
    json_moment(row, "created", record->created);
    json_moment(row, "expires", record->expires);
    json_moment(row, "revoked", record->revoked);
    cJSON_AddItemToArray(listing->rows, row);
}

static int print_json(const struct config *config, struct listing *listing)
{
    struct error error;
    char *text;

    error_init(&error);
    listing->rows = cJSON_CreateArray();
    if (!key_list(config->state, list_json, listing, &error)) {
        cJSON_Delete(listing->rows);
        return keys_failed(&error);
    }
    text = cJSON_Print(listing->rows);
    cJSON_Delete(listing->rows);
    if (text == NULL) {
        fputs("assay keys: not enough memory\n", stderr);
        return COMMAND_FAILED;
    }
    puts(text);
    cJSON_free(text);
    return COMMAND_OK;
}

static int print_table(const struct config *config, struct listing *listing)
{
    struct error error;

    error_init(&error);
    printf("%-12s  %-8s  %-16s  %-16s  %-20s  %-20s  %s\n", "ID", "STATUS", "TEAM",
           "CALLER", "CREATED", "ENDS", "LABEL");
    if (!key_list(config->state, list_row, listing, &error)) {
        return keys_failed(&error);
    }
    return COMMAND_OK;
}

static int keys_list(const struct command_line *line, const struct config *config,
                     int64_t now)
{
    int format = command_choice(line, "format", table_or_json);
    struct listing listing = { .now = now };

    if (format < 0) {
        return COMMAND_MISUSED;
    }
    return format == AS_JSON ? print_json(config, &listing)
                             : print_table(config, &listing);
}

/* ---- revoke, rotate -------------------------------------------------------------- */

static int keys_revoke(const struct command_line *line, const struct config *config,
                       int64_t now)
{
    const char *id = line->arguments[1];
    char from[MOMENT_TEXT_SIZE];
    struct error error;
    int64_t at;

    if (!option_moment(line, "at", now, now, &at)) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    if (!audited(config, "keys revoke", id, "", &error) ||
        !key_revoke(config->state, id, at, &error)) {
        return keys_failed(&error);
    }
    moment_print(at, from);
    printf("key %s is refused from %s on\n", id, from);
    return COMMAND_OK;
}

static int keys_rotate(const struct command_line *line, const struct config *config,
                       int64_t now)
{
    const char *id = line->arguments[1];
    const char *grace = command_option(line, "grace");
    struct key_record made;
    char key[KEY_TEXT_SIZE];
    char until[MOMENT_TEXT_SIZE];
    struct key_rotation rotation = { .now = now };
    struct error error;

    grace = grace == NULL ? default_grace : grace;
    if (!moment_parse(grace, now, MOMENT_AHEAD, &rotation.old_ends) ||
        rotation.old_ends < now) {
        return command_misused(line, "--grace: '%s' is no duration (24h)", grace);
    }
    if (!option_expires(line, now, &rotation.new_expires)) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    if (!audited(config, "keys rotate", id, "", &error) ||
        !key_rotate(config->state, id, &rotation, key, &made, &error)) {
        return keys_failed(&error);
    }
    show(config, &made, key);
    moment_print(rotation.old_ends, until);
    fprintf(stderr, "Key %s is refused from %s on.\n", id, until);
    return COMMAND_OK;
}

/* ---- the command ----------------------------------------------------------------- */

static const char *const add_options[] = { "team", "caller", "expires", "label", NULL };
static const char *const list_options[] = { "format", NULL };
static const char *const revoke_options[] = { "at", NULL };
static const char *const rotate_options[] = { "grace", "expires", NULL };

static const char no_argument[] = "no further argument";
static const char one_key[] = "the id of one key";

static const struct action actions[] = {
    { "add", 0, 0, no_argument, add_options, true, keys_add },
    { "list", 0, 0, no_argument, list_options, true, keys_list },
    { "revoke", 1, 1, one_key, revoke_options, true, keys_revoke },
    { "rotate", 1, 1, one_key, rotate_options, true, keys_rotate },
    { 0 },
};

int command_keys(const struct command_line *line)
{
    return action_run(line, actions);
}

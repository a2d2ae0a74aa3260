/* assay evidence: what was found of whom, why, and what people said of it. */
#include "proxy/admin/findings.h"
#include "proxy/base/clock.h"
#include "proxy/cli/action.h"
#include "proxy/cli/command.h"
#include "proxy/cli/moment.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOURS_SHOWN = 24 };

static int64_t now_ms(void)
{
    return (int64_t)(clock_unix_ns() / NS_PER_MS);
}

/* ---- words ----------------------------------------------------------------------- */

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

    return text == NULL ? "" : text;
}

static double number_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void print_template(const cJSON *row)
{
    const cJSON *characters = cJSON_GetObjectItem(row, "characters");
    char first[MOMENT_TEXT_SIZE], last[MOMENT_TEXT_SIZE];

    moment_print((int64_t)number_of(row, "template_first"), first);
    moment_print((int64_t)number_of(row, "template_last"), last);
    printf("      template %s: %.0f turns, %.0f to %.0f characters, %s to %s\n",
           text_of(row, "template"), number_of(row, "template_turns"),
           cJSON_GetNumberValue(cJSON_GetArrayItem(characters, 0)),
           cJSON_GetNumberValue(cJSON_GetArrayItem(characters, 1)), first, last);
}

/* A template is named once, however many bets speak of it. */
static void print_evidence(const cJSON *rows)
{
    const cJSON *row;
    char named[16] = "";

    cJSON_ArrayForEach(row, rows)
    {
        const char *template = text_of(row, "template");

        printf("    %-11s %5.1f  %s\n", text_of(row, "signal"), number_of(row, "nats"),
               text_of(row, "says"));
        if (*template != '\0' && strcmp(template, named) != 0) {
            print_template(row);
            (void)snprintf(named, sizeof named, "%s", template);
        }
    }
}

static void print_scores(const cJSON *scores)
{
    int count = cJSON_GetArraySize(scores);
    const cJSON *row;
    int at = 0;

    printf("  score over time (the highest of an hour, UTC)\n");
    cJSON_ArrayForEach(row, scores)
    {
        if (at++ >= count - HOURS_SHOWN) {
            printf("    %.13s  %5.1f\n", text_of(row, "hour"), number_of(row, "score"));
        }
    }
    if (count > HOURS_SHOWN) {
        printf("    (%d hours before these: --format json)\n", count - HOURS_SHOWN);
    }
}

static void print_remarks(const cJSON *remarks)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, remarks)
    {
        printf("  %s, %s by %s: %s\n", text_of(row, "at"), text_of(row, "kind"),
               text_of(row, "by"), text_of(row, "words"));
    }
}

static void print_finding(const cJSON *finding)
{
    bool shadow = cJSON_IsTrue(cJSON_GetObjectItem(finding, "shadow"));

    printf("finding %.0f: traffic of %s (%s) looks automated; %s%s\n",
           number_of(finding, "id"), text_of(finding, "caller"),
           text_of(finding, "team"), text_of(finding, "status"),
           shadow ? ", in shadow mode: no call is flagged" : "");
    printf("  score %.1f; automated-looking from %.1f\n", number_of(finding, "score"),
           number_of(finding, "threshold"));
    printf("  first seen %s, last %s, forgotten %s\n", text_of(finding, "first"),
           text_of(finding, "last"), text_of(finding, "expires"));
    printf("  what was seen (weight in nats)\n");
    print_evidence(cJSON_GetObjectItem(finding, "evidence"));
    printf("  what would clear it\n    %s\n", text_of(finding, "clears"));
    print_scores(cJSON_GetObjectItem(finding, "scores"));
    print_remarks(cJSON_GetObjectItem(finding, "remarks"));
    printf("\n");
}

static void print_caller(const cJSON *caller)
{
    int turns = (int)number_of(caller, "turns");

    printf("%s (%s) now: %s, score %.1f after %d %s, last seen %s\n",
           text_of(caller, "caller"), text_of(caller, "team"), text_of(caller, "grade"),
           number_of(caller, "score"), turns, turns == 1 ? "turn" : "turns",
           text_of(caller, "seen"));
    print_evidence(cJSON_GetObjectItem(caller, "evidence"));
}

static void print_all(const cJSON *json, const struct finding_query *query)
{
    const cJSON *findings = cJSON_GetObjectItem(json, "findings");
    const cJSON *callers = cJSON_GetObjectItem(json, "callers");
    const cJSON *item;

    if (cJSON_GetArraySize(findings) == 0) {
        printf("No finding stands.\n");
    }
    cJSON_ArrayForEach(item, findings)
    {
        print_finding(item);
    }
    cJSON_ArrayForEach(item, callers)
    {
        print_caller(item);
    }
    if (query->caller != NULL && cJSON_GetArraySize(callers) == 0) {
        printf("No call of a caller '%s' was looked at.\n", query->caller);
    }
}

/* ---- showing --------------------------------------------------------------------- */

static bool print_json(const cJSON *json)
{
    char *text = cJSON_Print(json);

    CHECK(text != NULL);
    printf("%s\n", text);
    cJSON_free(text);
    return true;
}

static int show(const struct command_line *line, const struct config *config,
                struct error *error)
{
    int format = command_choice(line, "format", table_or_json);
    const struct finding_query query = {
        .team = command_option(line, "team"),
        .caller = command_option(line, "caller"),
        .now_ms = now_ms(),
    };
    cJSON *json;

    if (format < 0) {
        return COMMAND_MISUSED;
    }
    json = findings_json(config->state, &query, error);
    if (json == NULL) {
        return COMMAND_FAILED;
    }
    signal(SIGPIPE, SIG_DFL); /* `| head` ends this quietly */
    if (format == AS_JSON) {
        print_json(json);
    } else {
        print_all(json, &query);
    }
    cJSON_Delete(json);
    return COMMAND_OK;
}

/* ---- remarks --------------------------------------------------------------------- */

static const struct {
    const char *action, *kind;
} remarks[] = {
    { "note", "note" },
    { "appeal", "appeal" },
    { "dismiss", "dismissal" },
};

static const char *kind_of(const char *action)
{
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++) {
        if (strcmp(remarks[i].action, action) == 0) {
            return remarks[i].kind;
        }
    }
    return NULL;
}

static int remark(const struct command_line *line, const struct config *config,
                  struct error *error)
{
    const char *by = command_option(line, "by");
    const struct remark_row row = {
        .at_ms = now_ms(),
        .kind = kind_of(line->arguments[0]),
        .by = by == NULL ? getenv("USER") : by,
        .words = command_option(line, "words"),
    };
    uint64_t id;

    if (row.kind == NULL || line->argument_count != 2 ||
        !span_decimal(span_text(line->arguments[1]), &id) || id > INT64_MAX) {
        return command_misused(line, "takes note, appeal or dismiss and the number of "
                                     "a finding, or options alone");
    }
    if (row.words == NULL || row.words[0] == '\0' || row.by == NULL) {
        return command_misused(line, "%s needs --words (why) and --by (who says so)",
                               line->arguments[0]);
    }
    return finding_remark(config->state, (int64_t)id, &row, error) ? COMMAND_OK
                                                                   : COMMAND_FAILED;
}

int command_evidence(const struct command_line *line)
{
    struct config *config = command_config(line, CONFIG_WITHOUT_SECRETS);
    struct error error;
    int code;

    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    code = line->argument_count > 0 ? remark(line, config, &error)
                                    : show(line, config, &error);
    error_print(&error, stderr);
    error_done(&error);
    config_free(config);
    return code;
}

/* assay quota: which quotas count a call, and what is left of them. */
#include "proxy/base/clock.h"
#include "proxy/cli/action.h"
#include "proxy/cli/grid.h"
#include "proxy/cli/quota_view.h"
#include "proxy/identity/directory.h"

#include <string.h>

/* The counters of one call, as they are printed. */
struct explanation {
    struct grid *grid;
    size_t count;
    const struct quota_policy *tightest; /* the one with the smallest share left */
    uint32_t percent;
};

static void put_amount(struct grid *grid, const struct quota_state *state,
                       uint64_t amount)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    quota_put_amount(&text, state->policy->rule.limit.unit, amount);
    grid_printf(grid, "%.*s", (int)text.len, text.at);
}

static void put_period(struct grid *grid, const struct config_quota *rule)
{
    grid_printf(grid, "%s%s%s", rule->limit.text,
                rule->period.text == NULL ? "" : " / ",
                rule->period.text == NULL ? "" : rule->period.text);
}

static void explain_one(void *self, const struct quota_state *state)
{
    static const char *const over[] = {
        [OVER_REFUSE] = "refuses", [OVER_WARN] = "warns", [OVER_SHADOW] = "only counts"
    };
    struct explanation *explanation = self;
    const struct config_quota *rule = &state->policy->rule;
    uint64_t limit = rule->limit.amount;
    uint32_t percent = quota_percent(state->used, limit);
    char memory[64];
    struct text resets = text_over(memory, sizeof memory);

    grid_put(explanation->grid, rule->name);
    grid_put(explanation->grid, state->subject);
    put_amount(explanation->grid, state, state->used);
    put_period(explanation->grid, rule);
    put_amount(explanation->grid, state, limit > state->used ? limit - state->used : 0);
    if (state->resets_s > 0) {
        quota_put_reset(&resets, state);
    }
    grid_printf(explanation->grid, "%.*s", (int)resets.len, resets.at);
    grid_put(explanation->grid, over[rule->over]);
    explanation->count++;
    if (rule->over == OVER_REFUSE &&
        (explanation->tightest == NULL || percent > explanation->percent)) {
        explanation->tightest = state->policy;
        explanation->percent = percent;
    }
}

static void explain(struct quota_view *view, const struct entry *call)
{
    static const char *const heads[] = { "QUOTA", "WHOSE",  "USED",     "LIMIT",
                                         "LEFT",  "RESETS", "BEYOND IT" };
    struct explanation explanation = { .grid = grid_new() };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        grid_column(explanation.grid, heads[i],
                    i == 2 || i == 4 ? GRID_RIGHT : GRID_LEFT);
    }
    quota_look(view->quota, view->policies, call, clock_monotonic_ns(), explain_one,
               &explanation);
    if (explanation.count == 0) {
        puts("No quota counts this call.");
    } else {
        grid_print(explanation.grid, stdout);
    }
    if (explanation.tightest != NULL) {
        printf("The tightest is '%s': %u%% used.\n", explanation.tightest->rule.name,
               explanation.percent);
    }
    grid_free(explanation.grid);
}

/* ---- the call -------------------------------------------------------------------- */

/* The teams that somebody is in. */
struct teams_of {
    const char *caller;
    const char *wanted; /* NULL: any */
    const char *team;   /* the first that fits */
    size_t count;
};

static bool team_seen(void *self, const struct member *member)
{
    struct teams_of *teams = self;

    if (strcmp(member->name, teams->caller) == 0 &&
        (teams->wanted == NULL || strcmp(member->team, teams->wanted) == 0)) {
        teams->team = teams->count++ == 0 ? member->team : teams->team;
    }
    return true;
}

/* The team that pays; NULL (and told) if that is not clear. Of the directory. */
static const char *team_of(const struct command_line *line,
                           const struct directory *directory, const char *caller)
{
    const char *wanted = command_option(line, "team");
    struct teams_of teams = { .caller = caller, .wanted = wanted };

    directory_each(directory, team_seen, &teams);
    if (teams.count == 0) {
        command_misused(line, "no team%s%s has a caller '%s'",
                        wanted == NULL ? "" : " ", wanted == NULL ? "" : wanted,
                        caller);
    } else if (teams.count > 1) {
        command_misused(line, "'%s' is in several teams: which --team?", caller);
        return NULL;
    }
    return teams.team;
}

/* The provider that is named, else the first default; NULL (and told) if there is none
 * of that name. */
static const char *provider_of(const struct command_line *line,
                               const struct config *config)
{
    const char *wanted = command_option(line, "provider");

    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];

        if (wanted == NULL ? provider->is_default
                           : strcmp(provider->name, wanted) == 0) {
            return provider->name;
        }
    }
    if (wanted != NULL) {
        command_misused(line, "--provider: no provider is called '%s'", wanted);
        return NULL;
    }
    return "";
}

/* NULL (and told): no mode that there is. */
static const char *mode_of(const struct command_line *line)
{
    const char *mode = command_option(line, "mode");

    if (mode == NULL || strcmp(mode, "interactive") == 0 ||
        strcmp(mode, "headless") == 0) {
        return mode == NULL ? "" : mode;
    }
    command_misused(line, "--mode: '%s' is neither interactive nor headless", mode);
    return NULL;
}

#define STORE(array, value) text_store(array, sizeof(array), span_text(value))

static bool read_team(const struct command_line *line, const struct config *config,
                      const char *caller, struct entry *call)
{
    struct directory *directory;
    struct error error;
    const char *team = NULL;

    error_init(&error);
    directory = directory_new(config, config->state, &error);
    if (directory != NULL) {
        team = team_of(line, directory, caller);
        STORE(call->team, team);
    }
    directory_free(directory);
    error_print(&error, stderr);
    error_done(&error);
    return team != NULL;
}

static bool read_call(const struct command_line *line, const struct config *config,
                      struct entry *call)
{
    const char *caller = command_option(line, "caller");
    const char *provider = provider_of(line, config), *mode = mode_of(line);

    if (caller == NULL) {
        command_misused(line, "whose call? --caller CALLER");
        return false;
    }
    *call = (struct entry){ .started_ns = clock_unix_ns() };
    if (provider == NULL || mode == NULL || !read_team(line, config, caller, call)) {
        return false;
    }
    STORE(call->caller, caller);
    STORE(call->request_model, command_option(line, "model"));
    STORE(call->provider, provider);
    STORE(call->tool, command_option(line, "tool"));
    STORE(call->mode, mode);
    return true;
}

static int quota_explain(const struct command_line *line, const struct config *config,
                         int64_t now)
{
    struct quota_view view;
    struct entry call;
    struct error error;
    bool good;

    (void)now;
    if (!read_call(line, config, &call)) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    good = quota_view_open(&view, config, &error);
    if (good) {
        explain(&view, &call);
    }
    quota_view_close(&view);
    error_print(&error, stderr);
    error_done(&error);
    return good ? COMMAND_OK : COMMAND_FAILED;
}

int command_quota(const struct command_line *line)
{
    static const char *const options[] = { "caller", "team", "model", "provider",
                                           "tool",   "mode", NULL };
    static const struct action actions[] = {
        { "explain", 0, 0, "options only, as --caller ana", options, true,
          quota_explain },
        { .name = NULL },
    };

    return action_run(line, actions);
}

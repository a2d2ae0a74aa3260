#include "proxy/cli/action.h"

#include "config/nearest.h"
#include "proxy/base/clock.h"
#include "proxy/base/text.h"

#include <string.h>

enum { LIST_SIZE = 128 };

/* "add, list, revoke or rotate" */
static void list_names(const struct action *actions, char list[LIST_SIZE])
{
    struct text text = text_over(list, LIST_SIZE - 1);

    for (const struct action *action = actions; action->name != NULL; action++) {
        if (action != actions) {
            text_put(&text, action[1].name == NULL ? SPAN(" or ") : SPAN(", "));
        }
        text_put(&text, span_text(action->name));
    }
    list[text.len] = '\0';
}

static const struct action *choose(const struct command_line *line,
                                   const struct action *actions)
{
    struct nearest nearest;
    char names[LIST_SIZE];

    list_names(actions, names);
    if (line->argument_count == 0) {
        command_misused(line, "say what to do: %s", names);
        return NULL;
    }
    nearest = nearest_to(line->arguments[0]);
    for (const struct action *action = actions; action->name != NULL; action++) {
        if (strcmp(action->name, line->arguments[0]) == 0) {
            return action;
        }
        nearest_offer(&nearest, action->name);
    }
    if (nearest.word != NULL) {
        command_misused(line, "'%s' is not %s; did you mean '%s'?", line->arguments[0],
                        names, nearest.word);
    } else {
        command_misused(line, "'%s' is not %s", line->arguments[0], names);
    }
    return NULL;
}

static bool takes_option(const struct action *action, const char *name)
{
    for (const char *const *known = action->options; *known != NULL; known++) {
        if (strcmp(*known, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "config") == 0;
}

static bool fits(const struct action *action, const struct command_line *line)
{
    size_t arguments = line->argument_count - 1;

    if (arguments < action->least || arguments > action->most) {
        command_misused(line, "%s takes %s", action->name, action->takes);
        return false;
    }
    for (size_t i = 0; i < line->setting_count; i++) {
        if (!takes_option(action, line->settings[i].name)) {
            command_misused(line, "%s takes no --%s", action->name,
                            line->settings[i].name);
            return false;
        }
    }
    return true;
}

int action_run(const struct command_line *line, const struct action *actions)
{
    const struct action *action = choose(line, actions);
    struct config *config = NULL;
    int status;

    if (action == NULL || !fits(action, line)) {
        return COMMAND_MISUSED;
    }
    if (action->configured) {
        config = command_config(line, CONFIG_WITHOUT_SECRETS);
        if (config == NULL) {
            return COMMAND_MISUSED;
        }
    }
    status = action->run(line, config, clock_seconds(clock_unix_ns()));
    config_free(config);
    return status;
}

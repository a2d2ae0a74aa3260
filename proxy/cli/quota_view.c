#include "proxy/cli/quota_view.h"

#include "proxy/base/clock.h"
#include "proxy/cli/grid.h"
#include "proxy/meter/quota_sum.h"

#include <stdlib.h>
#include <unistd.h>

static bool has_ledger(const struct config *config)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/ledger.db", config->state);
    return access(path, F_OK) == 0;
}

bool quota_view_open(struct quota_view *view, const struct config *config,
                     struct error *error)
{
    *view = (struct quota_view){
        .quota = quota_new(clock_unix_ns(), clock_monotonic_ns()),
        .policies = quota_policies_new(config, error),
        .prices = price_table_load(config->prices, error),
    };
    if (view->policies == NULL || view->prices == NULL) {
        return false;
    }
    quota_adopt(view->quota, view->policies);
    quota_in_force(view->quota, view->policies);
    return !has_ledger(config) ||
           quota_rebuild(view->quota, view->policies, view->prices, config->state,
                         clock_unix_ns(), NULL, error);
}

void quota_view_close(struct quota_view *view)
{
    quota_policies_unref(view->policies);
    price_table_free(view->prices);
    quota_free(view->quota);
}

/* ---- the report ------------------------------------------------------------------ */

static void put_amount(struct grid *grid, enum config_limit_unit unit, uint64_t amount)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    quota_put_amount(&text, unit, amount);
    grid_printf(grid, "%.*s", (int)text.len, text.at);
}

static void put_counter(struct grid *grid, const struct quota_sum *sum,
                        const struct quota_top *top)
{
    uint64_t used = top == NULL ? 0 : top->used;

    grid_put(grid, sum->name);
    grid_put(grid, top == NULL ? "" : top->subject);
    put_amount(grid, sum->unit, used);
    grid_printf(grid, "%s%s%s", sum->limit_text, sum->period[0] == '\0' ? "" : " / ",
                sum->period);
    grid_printf(grid, "%u%%", quota_percent(used, sum->limit));
    grid_put(grid, top == NULL ? "" : top->resets);
}

static void print_sums(const struct quota_sum *sums, size_t count)
{
    struct grid *grid;

    if (count == 0) {
        puts("No quota is configured.");
        return;
    }
    grid = grid_new();
    grid_column(grid, "QUOTA", GRID_LEFT);
    grid_column(grid, "WHOSE", GRID_LEFT);
    grid_column(grid, "USED", GRID_RIGHT);
    grid_column(grid, "LIMIT", GRID_LEFT);
    grid_column(grid, "SHARE", GRID_RIGHT);
    grid_column(grid, "RESETS", GRID_LEFT);
    for (size_t i = 0; i < count; i++) {
        const struct quota_sum *sum = &sums[i];

        if (sum->top_count == 0) {
            put_counter(grid, sum, NULL);
        }
        for (size_t k = 0; k < sum->top_count; k++) {
            put_counter(grid, sum, &sum->top[k]);
        }
    }
    grid_print(grid, stdout);
    grid_free(grid);
    for (size_t i = 0; i < count; i++) {
        if (sums[i].counters > sums[i].top_count) {
            printf("%s: the %zu that used most of %llu\n", sums[i].name,
                   sums[i].top_count, (unsigned long long)sums[i].counters);
        }
    }
}

static bool stands_alone(const struct command_line *line)
{
    return command_option(line, "by") == NULL &&
           command_option(line, "since") == NULL &&
           command_option(line, "until") == NULL &&
           command_option(line, "format") == NULL;
}

int quota_view_report(const struct command_line *line)
{
    struct config *config;
    struct quota_view view;
    struct error error;
    size_t count;
    bool good;

    if (!stands_alone(line)) {
        return command_misused(line, "--quota takes no other option");
    }
    config = command_config(line, CONFIG_WITHOUT_SECRETS);
    if (config == NULL) {
        return COMMAND_MISUSED;
    }
    error_init(&error);
    good = quota_view_open(&view, config, &error);
    if (good) {
        struct quota_sum *sums =
            quota_sums(view.quota, clock_unix_ns(), clock_monotonic_ns(), &count);

        print_sums(sums, count);
        free(sums);
    }
    quota_view_close(&view);
    config_free(config);
    error_print(&error, stderr);
    error_done(&error);
    return good ? COMMAND_OK : COMMAND_FAILED;
}

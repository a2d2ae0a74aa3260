#include "proxy/engine/permit.h"

#include "config/scope.h"
#include "proxy/engine/worker.h"
#include "proxy/meter/call_scope.h"

enum { WORDS_MAX = 1024 };

static const struct config *config_of(const struct exchange *x)
{
    return x->view->snapshot->config;
}

bool permit_waits(const struct exchange *x)
{
    const struct config *config = config_of(x);

    if (x->entry->free) {
        return false;
    }
    for (size_t i = 0; i < config->permit_count; i++) {
        if (call_scope_fits_sender(&config->permits[i].scope, x->entry)) {
            return true;
        }
    }
    return x->origin->provider->unpriced == UNPRICED_DENY;
}

/* ---- one permit ------------------------------------------------------------------ */

/* Lists are NULL where everything is allowed. */
static bool allows(const char *const *patterns, const char *name)
{
    for (; *patterns != NULL; patterns++) {
        if (scope_fits_name(span_text(*patterns), span_text(name))) {
            return true;
        }
    }
    return false;
}

static void put_list(struct text *words, const char *const *patterns)
{
    if (*patterns == NULL) {
        text_put(words, SPAN("none"));
    }
    for (size_t i = 0; patterns[i] != NULL; i++) {
        text_printf(words, "%s%s", i == 0 ? "" : ", ", patterns[i]);
    }
}

/* Each of these writes what is wrong, or nothing. */

static void judge_model(const struct config_permit *permit, const struct facts *facts,
                        struct text *words)
{
    if (permit->models == NULL) {
        return;
    }
    if (facts->model[0] == '\0') {
        text_put(words, SPAN("a request has to name its model; allowed: "));
    } else if (facts->more_models) {
        text_put(words, SPAN("a request may name one model only; allowed: "));
    } else if (facts->model_cut || !allows(permit->models, facts->model)) {
        text_printf(words, "model '%s' is not allowed; allowed: ", facts->model);
    } else {
        return;
    }
    put_list(words, permit->models);
}

static void judge_output(const struct config_permit *permit, const struct exchange *x,
                         struct text *words)
{
    bool generates =
        (x->route->flags & (ROUTE_NO_USAGE | ROUTE_INPUT_ONLY | ROUTE_NO_TEXT)) == 0;

    if (permit->max_output == 0 || !generates) {
        return;
    }
    if (x->facts.max_output == 0) {
        text_printf(words,
                    "a request has to limit its output to at most %u tokens, and this "
                    "one "
                    "does not limit it",
                    permit->max_output);
    } else if (x->facts.max_output > permit->max_output) {
        text_printf(words, "%llu output tokens are more than the %u that are allowed",
                    (unsigned long long)x->facts.max_output, permit->max_output);
    }
}

static void judge_tier(const struct config_permit *permit, const struct facts *facts,
                       struct text *words)
{
    if (permit->service_tiers != NULL && facts->service_tier[0] != '\0' &&
        !allows(permit->service_tiers, facts->service_tier)) {
        text_printf(words,
                    "service tier '%s' is not allowed; allowed: ", facts->service_tier);
        put_list(words, permit->service_tiers);
    }
}

static void judge_tools(const struct config_permit *permit, const struct facts *facts,
                        struct text *words)
{
    const struct named_tools *tools = facts->tools;

    if (permit->paid_tools == NULL || tools == NULL) {
        return;
    }
    for (size_t i = 0; i < tools->count; i++) {
        if (!allows(permit->paid_tools, tools->names[i])) {
            text_printf(words, "tool '%s' costs extra and is not allowed; allowed: ",
                        tools->names[i]);
            put_list(words, permit->paid_tools);
            return;
        }
    }
    if (tools->cut) {
        text_put(words,
                 SPAN("the request names more tools of the provider's than can be "
                      "looked at"));
    }
}

static enum fault judge(struct exchange *x, const struct config_permit *permit)
{
    char memory[WORDS_MAX];
    struct text words = text_over(memory, sizeof memory);
    size_t front;

    text_printf(&words, "permit '%s': ", permit->name);
    front = words.len;
    judge_model(permit, &x->facts, &words);
    if (words.len == front) {
        judge_output(permit, x, &words);
    }
    if (words.len == front) {
        judge_tier(permit, &x->facts, &words);
    }
    if (words.len == front) {
        judge_tools(permit, &x->facts, &words);
    }
    if (words.len == front) {
        return FAULT_NONE;
    }
    if (permit->contact != NULL) {
        text_printf(&words, "; ask %s", permit->contact);
    }
    x->refusal_words = arena_copy(&x->arena, text_span(&words));
    return FAULT_NOT_PERMITTED;
}

/* ---- prices ---------------------------------------------------------------------- */

static enum fault judge_price(struct exchange *x)
{
    const struct entry *entry = x->entry;
    const struct price_key key = { .provider = span_text(entry->provider),
                                   .model = span_text(entry->request_model),
                                   .service_tier = span_text(entry->service_tier),
                                   .at_unix_ns = entry->started_ns };
    struct price_rates rates;
    char memory[WORDS_MAX];
    struct text words = text_over(memory, sizeof memory);

    if (x->origin->provider->unpriced == UNPRICED_ALLOW ||
        price_find(x->view->snapshot->prices, &key, &rates)) {
        return FAULT_NONE;
    }
    text_printf(&words,
                "model '%s'%s%s has no price, and calls without one are refused",
                entry->request_model, entry->service_tier[0] == '\0' ? "" : " in tier ",
                entry->service_tier);
    x->refusal_words = arena_copy(&x->arena, text_span(&words));
    return FAULT_UNPRICED_MODEL;
}

enum fault permit(struct exchange *x)
{
    const struct config *config = config_of(x);
    enum fault fault = FAULT_NONE;

    if (x->entry->free) {
        return FAULT_NONE;
    }
    for (size_t i = 0; i < config->permit_count && fault == FAULT_NONE; i++) {
        const struct config_permit *permit = &config->permits[i];

        if (call_scope_fits(&permit->scope, x->entry)) {
            fault = judge(x, permit);
        }
    }
    return fault == FAULT_NONE ? judge_price(x) : fault;
}

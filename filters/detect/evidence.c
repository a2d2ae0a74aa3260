#include "filters/detect/evidence.h"

#include "filters/detect/context.h"
#include "filters/detect/prompts.h"
#include "filters/detect/reference.h"
#include "filters/detect/signal.h"
#include "proxy/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_NATS 2.0F

static struct evidence_row *add(struct evidence *evidence, const char *signal)
{
    struct evidence_row *row = &evidence->rows[evidence->count++];

    CHECK(evidence->count <= EVIDENCE_ROWS);
    *row = (struct evidence_row){ .signal = signal };
    return row;
}

/* The row of a bet; NULL if that is too weak to be shown, so that nothing is written which
 * nobody reads. */
static struct evidence_row *add_bet(struct evidence *evidence, const char *signal,
                                    float nats)
{
    bool only_weak = evidence->count == 1 && evidence->rows[0].nats < LEAST_NATS;
    struct evidence_row *row;

    if (only_weak && nats > evidence->rows[0].nats) {
        evidence->count = 0;
    }
    if (evidence->count > 0 && nats < LEAST_NATS) {
        return NULL;
    }
    row = add(evidence, signal);
    row->nats = nats;
    return row;
}

struct evidence_row *evidence_add_yes_no(struct evidence *evidence,
                                         const struct identity_state *state,
                                         enum yes_no bet)
{
    const struct yes_no_bet *held = &state->bets[bet];
    const struct reference_row *people = &reference[bet];
    struct evidence_row *row = add_bet(evidence, people->name, held->nats);

    if (row == NULL) {
        return NULL;
    }
    row->n = held->n;
    row->k = held->k;
    row->since_ms = held->since == 0 ? 0 : state_unix_ms(held->since);
    (void)snprintf(row->says, sizeof(row->says), "%u of %u %s; %.0f%% %s", held->k,
                   held->n, people->what, 100 * people->worst, people->worst_words);
    return row;
}

void evidence_add_content(struct evidence *evidence, const struct identity_state *state,
                          enum yes_no bet)
{
    struct evidence_row *row = evidence_add_yes_no(evidence, state, bet);
    const struct template_state *top = prompts_top(state);

    if (row != NULL && top->count > 0) {
        row->has_template = true;
        row->template_id = top->shape;
        row->template_turns = top->count;
        row->template_first_ms = state_unix_ms(top->first);
        row->template_last_ms = state_unix_ms(top->latest);
        row->characters[0] = top->shortest;
        row->characters[1] = top->longest;
    }
}

void evidence_add_histogram(struct evidence *evidence, const char *signal,
                            const struct histogram_bet *bet, unsigned k,
                            const char *format, ...)
{
    struct evidence_row *row = add_bet(evidence, signal, bet->nats);
    va_list arguments;

    if (row == NULL) {
        return;
    }
    row->n = bet->total;
    row->k = k;
    va_start(arguments, format);
    (void)vsnprintf(row->says, sizeof(row->says), format, arguments);
    va_end(arguments);
}

void evidence_add_context(struct evidence *evidence, const char *signal,
                          const char *format, ...)
{
    struct evidence_row *row = add(evidence, signal);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(row->says, sizeof(row->says), format, arguments);
    va_end(arguments);
}

void context_collect(const struct identity_state *state, struct evidence *evidence)
{
    sprint_context(state, evidence);
    unattended_context(state, evidence);
}

static int strongest_first(const void *a, const void *b)
{
    float x = ((const struct evidence_row *)a)->nats;
    float y = ((const struct evidence_row *)b)->nats;

    return (x < y) - (x > y);
}

void evidence_collect(const struct identity_state *state, struct evidence *evidence)
{
    evidence->count = 0;
    for (unsigned i = 0; signals[i] != NULL; i++) {
        if (signals[i]->explain != NULL) {
            signals[i]->explain(state, evidence);
        }
    }
    qsort(evidence->rows, evidence->count, sizeof(*evidence->rows), strongest_first);
}

void evidence_put_circle(struct evidence *evidence, const struct circle *circle)
{
    struct evidence_row row = { .signal = "shared", .nats = circle->nats };

    for (unsigned i = 0; i < circle->count; i++) {
        row.n += lately_in(circle->turns[i], circle->hour / WEEK_HOURS);
    }
    row.k = row.n;
    row.identities = circle->count;
    (void)snprintf(
        row.says, sizeof(row.says),
        "%u identities sent %u prompts that resemble each other, each within a "
        "week of the next; no prompt of the reference came from three people",
        row.identities, row.n);
    CHECK(evidence->count < EVIDENCE_ROWS);
    memmove(&evidence->rows[1], &evidence->rows[0], evidence->count * sizeof(row));
    evidence->rows[0] = row;
    evidence->count++;
}

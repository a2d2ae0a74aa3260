/* What a reader should know beside the score, and what never moves it: deadlines look
 * like sprints, and agents are meant to work unattended. */
#ifndef ASSAY_FILTERS_DETECT_CONTEXT_H
#define ASSAY_FILTERS_DETECT_CONTEXT_H

#include "filters/detect/evidence.h"

/* Adds rows of 0 nats for a sprint before the end of quota windows and for work that
 * hardly anybody attends. */
void context_collect(const struct identity_state *state, struct evidence *evidence);

/* Each signal's own part of it. */
void sprint_context(const struct identity_state *state, struct evidence *evidence);
void unattended_context(const struct identity_state *state, struct evidence *evidence);

#endif

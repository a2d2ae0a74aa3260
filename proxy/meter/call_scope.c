#include "proxy/meter/call_scope.h"

#include "config/scope.h"

#include <assert.h>

static_assert((int)CONFIG_GRADE_UNRATED == (int)GRADE_UNRATED + 1 &&
                  (int)CONFIG_GRADE_DECLARED == (int)GRADE_DECLARED + 1 &&
                  (int)CONFIG_GRADE_DECLARED == GRADES,
              "the configuration's grades are the entry's, from 1");

static bool is(const char *wanted, const char *word)
{
    return wanted == NULL || strcmp(wanted, word) == 0;
}

static bool is_service(enum config_service wanted, bool service)
{
    return wanted == SERVICE_ANY || (wanted == SERVICE_YES) == service;
}

bool call_scope_fits_sender(const struct config_scope *scope, const struct entry *call)
{
    return is(scope->team, call->team) && is(scope->caller, call->caller) &&
           is(scope->provider, call->provider) &&
           is_service(scope->service, call->service != 0) &&
           (scope->grade == CONFIG_GRADE_ANY ||
            (unsigned)scope->grade == call->grade + 1U);
}

bool call_scope_fits(const struct config_scope *scope, const struct entry *call)
{
    return call_scope_fits_sender(scope, call) && is(scope->tool, call->tool) &&
           is(scope->mode, call->mode) &&
           (scope->model == NULL ||
            scope_fits_name(span_text(scope->model), span_text(call->request_model)));
}

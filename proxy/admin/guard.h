/* Who may use the admin port, and see what. Every read of what people did is audited,
 * and so is every refusal. */
#ifndef ASSAY_ADMIN_GUARD_H
#define ASSAY_ADMIN_GUARD_H

#include "config/config.h"
#include "proxy/base/check.h"

struct evhttp_request;
struct guard;

/* What a path tells. */
enum guarded {
    GUARDED_SERVICE,  /* how assay does: every user */
    GUARDED_SUBJECTS, /* the same, with names for those who may see everybody's */
    GUARDED_PEOPLE    /* who did what: auditors, and leads of their team */
};

/* Who asks. */
struct guest {
    const char *name; /* of the guard's; "" where nobody is asked who he is */
    const char *role;
    const char *team; /* NULL: of every team */
    bool sees_people;
};

/* Copies what it needs of the configuration. */
struct guard *guard_new(const struct config *config);
struct guard *guard_free(struct guard *guard);

/* May this request be answered? If not, it has been: 401, 403 or, where the audit log
 * cannot be written, 503. *guest borrows from the guard. */
bool guard_admits(const struct guard *guard, struct evhttp_request *request,
                  enum guarded guarded, struct guest *guest) MUST_CHECK;

/* May this guest see what a team's people did? */
bool guest_sees(const struct guest *guest, const char *team);

#endif

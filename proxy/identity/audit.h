/* The audit log: who looked at what people did, and who changed keys or members. A line
 * of JSON per event in `state`/audit.log, which is only ever appended to. */
#ifndef ASSAY_IDENTITY_AUDIT_H
#define ASSAY_IDENTITY_AUDIT_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"

struct audit_event {
    const char *actor;  /* the admin user, or "uid 0 (root)" of a command */
    const char *role;   /* "" of commands */
    const char *action; /* "read", "refused", "keys add" */
    const char *what;   /* a path without its query, a key's id, a file */
    const char *detail; /* "" */
};

/* Writes one line in one piece; any thread, any process. false and an entry in *error
 * if it cannot be written: the caller should then refuse what was to be audited. */
bool audit_write(const char *state, const struct audit_event *event,
                 struct error *error) MUST_CHECK;

/* The user that runs this process, as an actor. Main thread. */
const char *audit_own_actor(void);

#endif

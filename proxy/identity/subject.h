/* From what a credential proved to the caller, as the directory knows him. */
#ifndef ASSAY_IDENTITY_SUBJECT_H
#define ASSAY_IDENTITY_SUBJECT_H

#include "proxy/base/fault.h"
#include "proxy/identity/directory.h"
#include "proxy/identity/virtual_key.h"

/* A verified caller as text of his own, not borrowed from what verified him. */
struct known_caller {
    char team[32];
    char name[48];
    char key_id[KEY_ID_SIZE];    /* public id of the credential */
    char tags[MEMBER_TAGS_SIZE]; /* "cost_centre=4711,project=atlas" */
    bool service;                /* declared automation */
};

/* What was proved. */
struct subject {
    const char *method; /* "jwt", "certificate", "header" */
    const char *issuer; /* within the method; "" where there is but one */
    struct span name;
    const struct member *team; /* that the credential names; NULL: none, or unknown */
    const char *default_team;  /* NULL: none */
    struct span tags;          /* that the credential itself gives */
};

/* The first team of a list with commas that the directory knows; NULL: none. */
const struct member *subject_team_of_list(struct span list,
                                          const struct directory *directory);

/* Names the caller: found by name or alias, in the team that was said, else in his own,
 * else in the default. The public id of the credential comes from method, issuer and
 * name, so that it stays the same from one token to the next. FAULT_UNKNOWN_MEMBER: he
 * is in no team; FAULT_BAD_CREDENTIAL: a name that is none (empty, not printable ASCII,
 * longer than 47 characters, without an alias). */
enum fault subject_resolve(const struct subject *subject,
                           const struct directory *directory,
                           struct known_caller *caller) MUST_CHECK;

#endif

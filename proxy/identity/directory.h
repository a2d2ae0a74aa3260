/* Who is in which team: people, declared automation, and the tags of their calls.
 * Made of the configuration and of the members that were imported. Immutable;
 * threads share it. */
#ifndef ASSAY_IDENTITY_DIRECTORY_H
#define ASSAY_IDENTITY_DIRECTORY_H

#include "config/config.h"
#include "proxy/identity/member_store.h"

struct member {
    const char *team;
    const char *name;
    const char *tags; /* "cost_centre=4711,project=atlas": the team's and his own */
    bool service;
    bool imported;
};

struct directory;

/* `state` holds the imported members. Where the configuration and an import
 * name the same member of a team, the import's words hold. NULL and entries in
 * *error on failure. */
struct directory *directory_new(const struct config *config, const char *state,
                                struct error *error);
struct directory *directory_free(struct directory *directory);

/* A team by its name; NULL: there is none. `name` of the result is "". */
const struct member *directory_team(const struct directory *directory,
                                    struct span team);

/* The member of that team who is called so, or has that alias. NULL: he is
 * not in it. */
const struct member *directory_member(const struct directory *directory,
                                      struct span team, struct span name);

/* The first team, in the order of the configuration and then of the import, that has a
 * member of this name or alias. NULL: nobody is called so. */
const struct member *directory_find(const struct directory *directory,
                                    struct span name);

/* All members, in that order; `each` returning false stops. */
void directory_each(const struct directory *directory,
                    bool (*each)(void *self, const struct member *), void *self);

/* Joins two lists of tags; where both have one, the second's value holds.
 * Those that there is no room for are left out whole, and a last one says
 * how many: "tags_left_out=2". */
void directory_join_tags(struct span first, struct span second,
                         char joined[MEMBER_TAGS_SIZE]);

#endif

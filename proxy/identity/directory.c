#include "proxy/identity/directory.h"

#include "proxy/base/arena.h"
#include "proxy/base/text.h"
#include "proxy/identity/key_store.h"
#include "proxy/meter/entry.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { BUDGET = 512 * 1024 * 1024 };

/* A name or alias under which somebody is found. Those of one hash form a chain, oldest
 * first. */
struct listed {
    struct listed *next;
    const char *name;
    const struct member *member;
};

struct directory {
    struct arena_pool pool;
    struct arena arena;
    struct member *members;
    size_t count, room;
    struct member *teams;
    size_t team_count, team_room;
    struct listed **chains;
    size_t mask;
};

enum { LEFT_OUT_SIZE = sizeof ",tags_left_out=99" };

static_assert((int)MEMBER_TAGS_SIZE == (int)CONFIG_TAGS_SIZE &&
                  MEMBER_TAGS_SIZE == sizeof(((struct entry *)NULL)->tags),
              "a record has room for the tags that the configuration lets pass");

static const struct error_place nowhere = { 0 };

/* ---- tags ------------------------------------------------------------------------ */

/* The tag's name, without its value. */
static struct span tag_name(struct span tag)
{
    return span_of(tag.at, span_find(tag, '='));
}

static bool tags_name(struct span tags, struct span name)
{
    struct span tag;

    while (span_next(&tags, ',', &tag)) {
        if (span_equal(tag_name(tag), name)) {
            return true;
        }
    }
    return false;
}

/* Puts the tags behind what is there, those that `other` names not; returns how many
 * there was no room for in `size` bytes. */
static unsigned put_tags(struct text *text, struct span tags, struct span other,
                         size_t size)
{
    unsigned left_out = 0;
    struct span tag;

    while (tags.len > 0 && span_next(&tags, ',', &tag)) {
        if (tags_name(other, tag_name(tag))) {
            continue;
        }
        if (text->len + (text->len > 0) + tag.len >= size) {
            left_out++;
            continue;
        }
        text_put(text, text->len == 0 ? SPAN("") : SPAN(","));
        text_put(text, tag);
    }
    return left_out;
}

void directory_join_tags(struct span first, struct span second,
                         char joined[MEMBER_TAGS_SIZE])
{
    const size_t sizes[] = { MEMBER_TAGS_SIZE, MEMBER_TAGS_SIZE - LEFT_OUT_SIZE };
    struct text text;
    unsigned left_out = 1;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && left_out > 0; i++) {
        text = text_over(joined, MEMBER_TAGS_SIZE - 1);
        left_out = put_tags(&text, first, second, sizes[i]);
        left_out += put_tags(&text, second, SPAN(""), sizes[i]);
    }
    if (left_out > 0) {
        text_printf(&text, "%stags_left_out=%u", text.len == 0 ? "" : ",", left_out);
    }
    joined[text.len] = '\0';
}

static void tags_of(const struct config_pair *pairs, size_t count,
                    char tags[MEMBER_TAGS_SIZE])
{
    struct text text = text_over(tags, MEMBER_TAGS_SIZE - 1);

    for (size_t i = 0; i < count; i++) {
        text_put(&text, i == 0 ? SPAN("") : SPAN(","));
        text_put(&text, span_text(pairs[i].name));
        text_put(&text, SPAN("="));
        text_put(&text, span_text(pairs[i].value));
    }
    CHECK(!text.full); /* identity_rules_validate() has seen to that */
    tags[text.len] = '\0';
}

/* ---- filling --------------------------------------------------------------------- */

static const char *keep(struct directory *directory, const char *text)
{
    return arena_copy(&directory->arena, span_text(text)).at;
}

static bool grow(struct member **members, size_t count, size_t *room)
{
    size_t wanted = *room == 0 ? 64 : *room * 2;
    struct member *grown;

    if (count < *room) {
        return true;
    }
    grown = reallocarray(*members, wanted, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    *members = grown;
    *room = wanted;
    return true;
}

/* While the directory is being filled: from the newest on, as an import
 * comes by teams. */
static const struct member *team_before(const struct directory *directory,
                                        const char *team)
{
    for (size_t i = directory->team_count; i > 0; i--) {
        if (strcmp(directory->teams[i - 1].team, team) == 0) {
            return &directory->teams[i - 1];
        }
    }
    return NULL;
}

static bool team_add(struct directory *directory, const char *name, const char *tags)
{
    struct member team = { .team = keep(directory, name),
                           .name = "",
                           .tags = keep(directory, tags) };

    if (team.team == NULL || team.tags == NULL ||
        !grow(&directory->teams, directory->team_count, &directory->team_room)) {
        return false;
    }
    directory->teams[directory->team_count++] = team;
    return true;
}

static bool member_add(struct directory *directory, const struct member *wanted)
{
    struct member member = *wanted;

    member.team = keep(directory, member.team);
    member.name = keep(directory, member.name);
    member.tags = keep(directory, member.tags);
    if (member.team == NULL || member.name == NULL || member.tags == NULL ||
        !grow(&directory->members, directory->count, &directory->room)) {
        return false;
    }
    directory->members[directory->count++] = member;
    return true;
}

static bool callers_add(struct directory *directory, const struct config_team *team,
                        const char *const *names, const char *tags, bool service)
{
    for (; names != NULL && *names != NULL; names++) {
        struct member member = {
            .team = team->name, .name = *names, .tags = tags, .service = service
        };

        if (!member_add(directory, &member)) {
            return false;
        }
    }
    return true;
}

static bool config_team_add(struct directory *directory, const struct config_team *team)
{
    char tags[MEMBER_TAGS_SIZE];

    tags_of(team->tags, team->tag_count, tags);
    return team_add(directory, team->name, tags) &&
           callers_add(directory, team, team->callers, tags, false) &&
           callers_add(directory, team, team->services, tags, true);
}

/* ---- the index ------------------------------------------------------------------- */

static struct listed **chain_of(const struct directory *directory, struct span name)
{
    return &directory->chains[XXH3_64bits(name.at, name.len) & directory->mask];
}

static bool list(struct directory *directory, const char *name,
                 const struct member *member)
{
    struct listed *listed = arena_take(&directory->arena, sizeof *listed);
    struct listed **link = chain_of(directory, span_text(name));

    if (listed == NULL) {
        return false;
    }
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *listed = (struct listed){ .name = keep(directory, name), .member = member };
    *link = listed;
    return listed->name != NULL;
}

static bool chains_make(struct directory *directory, size_t names)
{
    size_t chains = 64;

    while (chains < names) {
        chains *= 2;
    }
    directory->chains = calloc(chains, sizeof(struct listed *));
    directory->mask = chains - 1;
    return directory->chains != NULL;
}

static bool is_team(const struct member *member)
{
    return member->name[0] == '\0';
}

static const struct member *listed_find(const struct directory *directory,
                                        struct span team, struct span name)
{
    const struct listed *listed = *chain_of(directory, name);

    for (; listed != NULL; listed = listed->next) {
        if (span_equal(span_text(listed->name), name) && !is_team(listed->member) &&
            (team.at == NULL || span_equal(span_text(listed->member->team), team))) {
            return listed->member;
        }
    }
    return NULL;
}

/* ---- imported members ------------------------------------------------------------ */

/* What reading the import fills; its members come behind those of the configuration. */
struct import {
    struct directory *directory;
    char (*aliases)[MEMBER_ALIAS_SIZE]; /* of members, by their place from `first` on */
    size_t first, room;
};

static bool aliases_grow(struct import *import, size_t index)
{
    size_t room = import->room == 0 ? 64 : import->room * 2;
    void *grown;

    if (index < import->room) {
        return true;
    }
    grown = reallocarray(import->aliases, room, sizeof *import->aliases);
    if (grown == NULL) {
        return false;
    }
    import->aliases = grown;
    import->room = room;
    return true;
}

static bool row_add(void *self, const struct member_row *row)
{
    struct import *import = self;
    struct directory *directory = import->directory;
    size_t index = directory->count - import->first;
    struct member member = { .team = row->team,
                             .name = row->caller,
                             .service = row->service,
                             .imported = true };
    char tags[MEMBER_TAGS_SIZE];
    const struct member *team = team_before(directory, row->team);

    if ((team == NULL && !team_add(directory, row->team, "")) ||
        !aliases_grow(import, index)) {
        return false;
    }
    directory_join_tags(team == NULL ? SPAN("") : span_text(team->tags),
                        span_text(row->tags), tags);
    member.tags = tags;
    memcpy(import->aliases[index], row->alias, sizeof row->alias);
    return member_add(directory, &member);
}

static bool import_read(struct import *import, const char *state, struct error *error)
{
    sqlite3 *db = key_store_open(state, error);
    bool read = db != NULL && member_store_each(db, row_add, import, error);

    key_store_close(db);
    return read;
}

static bool aliases_list(struct directory *directory, const struct config_team *team)
{
    for (size_t i = 0; i < team->alias_count; i++) {
        const struct member *member = listed_find(directory, span_text(team->name),
                                                  span_text(team->aliases[i].value));

        if (member != NULL && !list(directory, team->aliases[i].name, member)) {
            return false;
        }
    }
    return true;
}

/* Imported members are listed under their names only if the configuration has not
 * listed them already; then its member takes on what the import says. */
static bool imported_list(const struct import *import)
{
    struct directory *directory = import->directory;

    for (size_t i = import->first; i < directory->count; i++) {
        struct member *member = &directory->members[i];
        const char *alias = import->aliases[i - import->first];
        const struct member *known =
            listed_find(directory, span_text(member->team), span_text(member->name));

        if (known != NULL) {
            struct member *written = &directory->members[known - directory->members];

            written->tags = member->tags;
            written->service = member->service;
            member->name = NULL; /* it is that one */
        } else {
            known = member;
            if (!list(directory, member->name, member)) {
                return false;
            }
        }
        if (alias[0] != '\0' && !list(directory, alias, known)) {
            return false;
        }
    }
    return true;
}

static bool directory_fill(struct directory *directory, const struct config *config,
                           const char *state, struct error *error)
{
    struct import import = { .directory = directory };
    size_t aliases = 0;
    bool filled = true;

    for (size_t i = 0; filled && i < config->team_count; i++) {
        aliases += config->teams[i].alias_count;
        filled = config_team_add(directory, &config->teams[i]);
    }
    import.first = directory->count;
    filled =
        filled && import_read(&import, state, error) &&
        chains_make(directory, directory->count * 2 + directory->team_count + aliases);
    for (size_t i = 0; filled && i < directory->team_count; i++) {
        filled = list(directory, directory->teams[i].team, &directory->teams[i]);
    }
    for (size_t i = 0; filled && i < import.first; i++) {
        filled = list(directory, directory->members[i].name, &directory->members[i]);
    }
    for (size_t i = 0; filled && i < config->team_count; i++) {
        filled = aliases_list(directory, &config->teams[i]);
    }
    filled = filled && imported_list(&import);
    free(import.aliases);
    return filled;
}

struct directory *directory_new(const struct config *config, const char *state,
                                struct error *error)
{
    struct directory *directory = calloc(1, sizeof *directory);
    size_t mistakes = error->count;

    if (directory != NULL) {
        arena_pool_init(&directory->pool, 0);
        arena_init(&directory->arena, &directory->pool, BUDGET);
        if (directory_fill(directory, config, state, error)) {
            return directory;
        }
    }
    if (error->count == mistakes) {
        error_add(error, nowhere, "no memory for the directory of teams");
    }
    return directory_free(directory);
}

struct directory *directory_free(struct directory *directory)
{
    if (directory != NULL) {
        free(directory->members);
        free(directory->teams);
        free(directory->chains);
        arena_done(&directory->arena);
        arena_pool_done(&directory->pool);
        free(directory);
    }
    return NULL;
}

/* ---- looking --------------------------------------------------------------------- */

const struct member *directory_team(const struct directory *directory, struct span team)
{
    const struct listed *listed = *chain_of(directory, team);

    while (listed != NULL &&
           !(is_team(listed->member) && span_equal(span_text(listed->name), team))) {
        listed = listed->next;
    }
    return listed == NULL ? NULL : listed->member;
}

const struct member *directory_member(const struct directory *directory,
                                      struct span team, struct span name)
{
    return listed_find(directory, team, name);
}

const struct member *directory_find(const struct directory *directory, struct span name)
{
    return listed_find(directory, span_of(NULL, 0), name);
}

void directory_each(const struct directory *directory,
                    bool (*each)(void *self, const struct member *), void *self)
{
    for (size_t i = 0; i < directory->count; i++) {
        const struct member *member = &directory->members[i];

        if (member->name != NULL && !each(self, member)) {
            return;
        }
    }
}

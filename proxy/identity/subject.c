#include "proxy/identity/subject.h"

#include "proxy/base/text.h"
#include "proxy/identity/key_digest.h"

#include <stdio.h>

const struct member *subject_team_of_list(struct span list,
                                          const struct directory *directory)
{
    const struct member *team = NULL;
    struct span name;

    while (team == NULL && list.len > 0 && span_next(&list, ',', &name)) {
        team = directory_team(directory, span_trim(name));
    }
    return team;
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] <= ' ' || name.at[i] > '~') {
            return false;
        }
    }
    return name.len > 0;
}

static bool id_make(const struct subject *subject, char id[KEY_ID_SIZE])
{
    char memory[1024];
    struct text text = text_over(memory, sizeof memory);
    struct key_digest digest;

    text_put(&text, span_text(subject->method));
    text_put_char(&text, '\n');
    text_put(&text, span_text(subject->issuer));
    text_put_char(&text, '\n');
    text_put(&text, subject->name);
    if (text.full || !key_digest(text_span(&text), &digest)) {
        return false;
    }
    for (size_t i = 0; i + 1 < KEY_ID_SIZE; i += 2) {
        snprintf(id + i, 3, "%02x", digest.bytes[i / 2]);
    }
    return true;
}

/* The member he is, or the team that he lands in; NULL: nowhere. */
static const struct member *place_find(const struct subject *subject,
                                       const struct directory *directory)
{
    const struct member *found;

    if (subject->team != NULL) {
        found =
            directory_member(directory, span_text(subject->team->team), subject->name);
        return found != NULL ? found : subject->team;
    }
    found = directory_find(directory, subject->name);
    if (found == NULL && subject->default_team != NULL) {
        found = directory_team(directory, span_text(subject->default_team));
    }
    return found;
}

enum fault subject_resolve(const struct subject *subject,
                           const struct directory *directory,
                           struct known_caller *caller)
{
    const struct member *place;
    struct span name = subject->name;

    if (!is_name(name)) {
        return FAULT_BAD_CREDENTIAL;
    }
    place = place_find(subject, directory);
    if (place == NULL) {
        return FAULT_UNKNOWN_MEMBER;
    }
    if (place->name[0] != '\0') {
        name = span_text(place->name);
    }
    if (!text_store(caller->team, sizeof caller->team, span_text(place->team)) ||
        !text_store(caller->name, sizeof caller->name, name) ||
        !id_make(subject, caller->key_id)) {
        return FAULT_BAD_CREDENTIAL;
    }
    caller->service = place->service;
    directory_join_tags(span_text(place->tags), subject->tags, caller->tags);
    return FAULT_NONE;
}

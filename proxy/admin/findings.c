#include "proxy/admin/findings.h"

#include "filters/detect/clearing.h"
#include "filters/detect/context.h"
#include "filters/detect/evidence_json.h"
#include "filters/detect/score.h"
#include "filters/detect/state_pack.h"
#include "proxy/base/check.h"
#include "proxy/base/date.h"

#include <stdlib.h>

enum { MOMENT_SIZE = 40, MS_PER_S = 1000, S_PER_HOUR = 3600 };

/* ---- values ---------------------------------------------------------------------- */

static void add_moment(cJSON *object, const char *name, int64_t unix_s)
{
    char memory[MOMENT_SIZE];
    struct text text = text_over(memory, sizeof memory - 1);

    date_put(&text, unix_s, unix_s);
    memory[text.len] = '\0';
    cJSON_AddStringToObject(object, name, memory);
}

/* One decimal: more would be false precision. */
static void add_score(cJSON *object, const char *name, double score)
{
    cJSON_AddNumberToObject(object, name, (double)(int64_t)(score * 10 + .5) / 10);
}

static cJSON *new_array(cJSON *object, const char *name)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);

    CHECK(array != NULL);
    return array;
}

static cJSON *new_object(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();

    CHECK(object != NULL);
    cJSON_AddItemToArray(array, object);
    return object;
}

/* ---- findings -------------------------------------------------------------------- */

struct reading {
    struct finding_store *store;
    struct error *error;
    cJSON *into; /* an array */
};

static void put_score(void *self, const struct score_row *row)
{
    cJSON *object = new_object(self);

    add_moment(object, "hour", row->hour * S_PER_HOUR);
    add_score(object, "score", row->score);
}

static void put_remark(void *self, const struct remark_row *row)
{
    cJSON *object = new_object(self);

    add_moment(object, "at", row->at_ms / MS_PER_S);
    cJSON_AddStringToObject(object, "kind", row->kind);
    cJSON_AddStringToObject(object, "by", row->by);
    cJSON_AddStringToObject(object, "words", row->words);
}

static void put_finding(void *self, const struct finding_row *row)
{
    struct reading *reading = self;
    cJSON *object = new_object(reading->into);

    cJSON_AddNumberToObject(object, "id", (double)row->id);
    cJSON_AddStringToObject(object, "team", row->team);
    cJSON_AddStringToObject(object, "caller", row->caller);
    cJSON_AddStringToObject(object, "says", "automated-looking");
    cJSON_AddStringToObject(object, "status", finding_status_name(row->status));
    cJSON_AddBoolToObject(object, "shadow", row->shadow);
    add_moment(object, "first", row->first_ms / MS_PER_S);
    add_moment(object, "last", row->last_ms / MS_PER_S);
    add_moment(object, "expires", row->expires_ms / MS_PER_S);
    add_score(object, "score", row->score);
    add_score(object, "threshold", row->threshold);
    cJSON_AddItemToObject(object, "evidence", cJSON_Parse(row->evidence));
    cJSON_AddStringToObject(object, "clears", row->clears);
    (void)finding_store_scores(reading->store, row->identity, put_score,
                               new_array(object, "scores"), reading->error);
    (void)finding_store_remarks(reading->store, row->id, put_remark,
                                new_array(object, "remarks"), reading->error);
}

/* ---- callers --------------------------------------------------------------------- */

/* What speaks for automation so far, and what is only good to know. */
static void add_evidence(cJSON *object, const struct suspect_row *row)
{
    struct identity_state *state = malloc(sizeof *state);
    struct evidence *evidence = malloc(sizeof *evidence);
    char *memory = malloc(EVIDENCE_JSON_MAX);
    struct text text = text_over(memory, EVIDENCE_JSON_MAX - 1);

    CHECK(state != NULL && evidence != NULL && memory != NULL);
    if (row->layout == STATE_LAYOUT && state_unpack(row->state, state)) {
        evidence_collect(state, evidence);
        context_collect(state, evidence);
        evidence_put_json(&text, evidence);
        memory[text.len] = '\0';
        cJSON_AddItemToObject(object, "evidence", cJSON_Parse(memory));
    }
    free(memory);
    free(evidence);
    free(state);
}

static void put_caller(void *self, const struct suspect_row *row)
{
    struct reading *reading = self;
    cJSON *object = new_object(reading->into);

    cJSON_AddStringToObject(object, "team", row->team);
    cJSON_AddStringToObject(object, "caller", row->caller);
    cJSON_AddStringToObject(object, "grade", grade_name(row->grade));
    add_score(object, "score", row->score);
    cJSON_AddNumberToObject(object, "turns", row->turns);
    add_moment(object, "seen", row->seen_ms / MS_PER_S);
    add_evidence(object, row);
}

static bool read_all(struct reading *reading, cJSON *object,
                     const struct finding_query *query)
{
    reading->into = new_array(object, "findings");
    if (!finding_store_each(reading->store, query, put_finding, reading,
                            reading->error)) {
        return false;
    }
    reading->into = new_array(object, "callers");
    return query->caller == NULL ||
           finding_store_suspects(reading->store, query, put_caller, reading,
                                  reading->error);
}

static void put_nothing(cJSON *object)
{
    (void)new_array(object, "findings");
    (void)new_array(object, "callers");
}

/* An empty object is filled; NULL in place of it after a failure. */
static cJSON *filled(struct reading *reading, cJSON *object, bool good)
{
    finding_store_close(reading->store);
    if (!good || error_any(reading->error)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

cJSON *findings_json(const char *state, const struct finding_query *query,
                     struct error *error)
{
    struct reading reading = { .store = finding_store_read(state, error),
                               .error = error };
    cJSON *object = cJSON_CreateObject();
    bool good = true;

    CHECK(object != NULL);
    if (reading.store == NULL) {
        put_nothing(object);
    } else {
        good = read_all(&reading, object, query);
    }
    return filled(&reading, object, good);
}

/* ---- teams ----------------------------------------------------------------------- */

/* Of the team at hand: rows come team by team. */
struct crowd {
    cJSON *into;
    char team[sizeof(((struct entry *)NULL)->team)];
    bool begun;
    unsigned grades[GRADES];
};

static void end_team(struct crowd *crowd)
{
    cJSON *object;
    unsigned rated = 0;

    if (!crowd->begun) {
        return;
    }
    for (unsigned grade = GRADE_CLEAR; grade < GRADES; grade++) {
        rated += grade == GRADE_DECLARED ? 0 : crowd->grades[grade];
    }
    object = new_object(crowd->into);
    cJSON_AddStringToObject(object, "team", crowd->team);
    for (unsigned grade = 0; grade < GRADES; grade++) {
        if (rated < FINDINGS_CROWD) {
            cJSON_AddNullToObject(object, grade_name(grade));
        } else {
            cJSON_AddNumberToObject(object, grade_name(grade), crowd->grades[grade]);
        }
    }
}

static void count_caller(void *self, const struct suspect_row *row)
{
    struct crowd *crowd = self;

    if (!crowd->begun || strcmp(crowd->team, row->team) != 0) {
        end_team(crowd);
        *crowd = (struct crowd){ .into = crowd->into, .begun = true };
        (void)text_store(crowd->team, sizeof crowd->team, span_text(row->team));
    }
    crowd->grades[row->grade]++;
}

cJSON *findings_teams_json(const char *state, const char *team, struct error *error)
{
    const struct finding_query query = { .team = team };
    struct reading reading = { .store = finding_store_read(state, error),
                               .error = error };
    cJSON *object = cJSON_CreateObject();
    struct crowd crowd = { .begun = false };
    bool good = true;

    CHECK(object != NULL);
    crowd.into = new_array(object, "teams");
    if (reading.store != NULL) {
        good =
            finding_store_suspects(reading.store, &query, count_caller, &crowd, error);
        end_team(&crowd);
    }
    return filled(&reading, object, good);
}

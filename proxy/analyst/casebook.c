#include "proxy/analyst/casebook.h"

#include "filters/detect/clearing.h"
#include "filters/detect/evidence_json.h"
#include "filters/detect/state_pack.h"
#include "proxy/analyst/company_file.h"
#include "proxy/analyst/turn_log.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/meter/finding_store.h"

#include <math.h>
#include <stdlib.h>

enum {
    COMPANY_DAYS = 7, /* that a circle lives without another turn */
    HOUSEKEEPING_MS = 3600 * 1000,
    CLEARS_MAX = 512,
    CLEARS_EVERY = 32 /* turns: hundreds are played through to tell what would clear */
};

#define MS_PER_DAY (INT64_C(24) * 3600 * 1000)

/* Somebody decided that what was found of it is none. */
struct dismissal {
    uint64_t identity;
    int64_t until_ms;
};

/* What was found of somebody last, until casebook_maintain() writes it down: of his calls
 * in between only the last tells anything. */
struct unwritten {
    char team[32];
    char caller[48];
    bool any;
    bool service;
    bool clears; /* tell what would clear him */
    struct finding finding;
};

struct casebook {
    char *state;
    struct grades *grades;
    struct finding_store *store;
    struct turn_log *turns;
    struct webhook *webhook;
    struct config_detection detection;
    struct config_retention retention;
    float calibrated;
    int64_t at_ms; /* the greatest begin_ms of a call */
    struct dismissal *dismissals;
    size_t dismissal_count;
    struct unwritten unwritten;
    bool saving;             /* a round is under way */
    uint64_t saved_number;   /* of the last call when the last round began */
    uint64_t round_ns;       /* when that was */
    int64_t housekeeping_ms; /* Unix time of the next */
};

/* ---- dismissals ------------------------------------------------------------------ */

static const struct dismissal *dismissal_of(const struct casebook *casebook,
                                            uint64_t identity)
{
    for (size_t i = 0; i < casebook->dismissal_count; i++) {
        if (casebook->dismissals[i].identity == identity &&
            casebook->dismissals[i].until_ms > casebook->at_ms) {
            return &casebook->dismissals[i];
        }
    }
    return NULL;
}

static void note_dismissal(void *self, const struct finding_row *row)
{
    struct casebook *casebook = self;
    struct dismissal *dismissals;

    if (row->status != FINDING_DISMISSED) {
        return;
    }
    dismissals = reallocarray(casebook->dismissals, casebook->dismissal_count + 1,
                              sizeof *dismissals);
    CHECK(dismissals != NULL);
    dismissals[casebook->dismissal_count++] =
        (struct dismissal){ row->identity, row->expires_ms };
    casebook->dismissals = dismissals;
    grades_set(casebook->grades, row->identity, GRADE_CLEAR);
}

static bool read_dismissals(struct casebook *casebook, struct error *error)
{
    const struct finding_query query = { .now_ms = casebook->at_ms };

    casebook->dismissal_count = 0;
    return finding_store_each(casebook->store, &query, note_dismissal, casebook, error);
}

/* ---- states ---------------------------------------------------------------------- */

static void save(void *self, uint64_t identity, uint64_t number, struct span packed)
{
    struct casebook *casebook = self;

    finding_store_save(casebook->store, identity, number, STATE_LAYOUT, packed);
}

static bool load(void *self, uint64_t identity, uint64_t *number,
                 struct identity_state *state)
{
    struct casebook *casebook = self;
    char packed[STATE_PACKED_MAX];
    size_t length = finding_store_load(casebook->store, identity, STATE_LAYOUT, number,
                                       packed, sizeof packed);

    return length > 0 && state_unpack(span_of(packed, length), state) &&
           state->identity == identity;
}

struct state_keeper casebook_keeper(struct casebook *casebook)
{
    return (struct state_keeper){ .self = casebook, .save = save, .load = load };
}

/* The company as it is when the round begins; states follow a few at a time. */
static void begin_round(struct casebook *casebook, struct detector *detector,
                        uint64_t now_ns)
{
    const struct company_mark mark = { detector_number(detector), casebook->at_ms };

    casebook->round_ns = now_ns;
    casebook->saving =
        company_file_draft(casebook->state, detector_company(detector), &mark);
    if (casebook->saving) {
        casebook->saved_number = mark.number;
    } else {
        log_line(LOG_ERROR, "detection_unsaved", "%s/company cannot be written",
                 casebook->state);
    }
}

/* Only when the states are safe does the company count. */
static void end_round(struct casebook *casebook)
{
    casebook->saving = false;
    if (!finding_store_commit(casebook->store) ||
        !finding_store_sync(casebook->store) ||
        !company_file_publish(casebook->state)) {
        log_line(LOG_ERROR, "detection_unsaved", "states cannot be saved in %s",
                 casebook->state);
    }
}

static void go_on_saving(struct casebook *casebook, struct detector *detector,
                         uint64_t now_ns)
{
    if (!casebook->saving && casebook->saved_number != detector_number(detector) &&
        now_ns - casebook->round_ns >= (uint64_t)CASEBOOK_ROUND_MS * NS_PER_MS) {
        begin_round(casebook, detector, now_ns);
    }
    if (casebook->saving && detector_save_some(detector)) {
        end_round(casebook);
    }
}

/* ---- recovery -------------------------------------------------------------------- */

static void put_grade(void *self, uint64_t identity, enum grade grade)
{
    struct casebook *casebook = self;

    grades_set(casebook->grades, identity, grade);
}

static bool take_in(void *self, const struct turn_row *row)
{
    return detector_recover(self, &row->turn, row->number);
}

bool casebook_recover(struct casebook *casebook, struct detector *detector,
                      struct error *error)
{
    struct company_mark mark = { 0 };

    /* Without it, from the calls of as many days as it would tell of. */
    if (!company_file_read(casebook->state, detector_company(detector), &mark)) {
        mark.number = 0;
        mark.at_ms = turn_log_at_ms(casebook->turns) - COMPANY_DAYS * MS_PER_DAY;
        mark.at_ms = mark.at_ms < 0 ? 0 : mark.at_ms;
    }
    detector_begin_after(detector, mark.number);
    casebook->saved_number = mark.number;
    casebook->at_ms = mark.at_ms;
    if (!finding_store_grades(casebook->store, put_grade, casebook, error) ||
        !turn_log_each(casebook->state, mark.at_ms, mark.number, take_in, detector,
                       error)) {
        return false;
    }
    if (turn_log_at_ms(casebook->turns) > casebook->at_ms) {
        casebook->at_ms = turn_log_at_ms(casebook->turns);
    }
    return read_dismissals(casebook, error);
}

/* ---- calls ----------------------------------------------------------------------- */

void casebook_call(struct casebook *casebook, const struct analyst_call *call,
                   uint64_t number)
{
    struct turn_row row = { .number = number, .turn = call->call.turn };

    if (row.turn.begin_ms > casebook->at_ms) {
        casebook->at_ms = row.turn.begin_ms;
    }
    row.at_ms = casebook->at_ms;
    (void)text_store(row.model, sizeof row.model, span_text(call->model));
    (void)text_store(row.tool, sizeof row.tool, span_text(call->tool));
    turn_log_put(casebook->turns, &row);
}

/* ---- findings -------------------------------------------------------------------- */

/* A ring's other members have gone quiet, maybe: their names are on file. */
static bool name(struct casebook *casebook, const struct analyst_call *call,
                 uint64_t identity, struct unwritten *found)
{
    if (call->call.turn.identity != identity) {
        return finding_store_name(casebook->store, identity, found->team,
                                  found->caller);
    }
    (void)text_store(found->team, sizeof found->team, span_text(call->team));
    (void)text_store(found->caller, sizeof found->caller, span_text(call->caller));
    return true;
}

/* What a receiver needs to ask on: not the evidence, which is for auditors. */
static void alert(struct casebook *casebook, const struct finding_row *row)
{
    char memory[1024];
    struct text data = text_over(memory, sizeof memory);
    struct webhook_news news = {
        .event = "finding.new",
        .id = { row->identity, (uint64_t)row->first_ms },
        .unix_ns = (uint64_t)row->last_ms * NS_PER_MS,
        .remembered_s = row->expires_ms / 1000,
    };

    log_line(LOG_INFO, "finding", "traffic of %s (%s) looks automated: score %.1f",
             row->caller, row->team, row->score);
    if (casebook->webhook == NULL) {
        return;
    }
    text_put(&data, SPAN("{\"team\":"));
    text_put_json(&data, span_text(row->team));
    text_put(&data, SPAN(",\"caller\":"));
    text_put_json(&data, span_text(row->caller));
    text_printf(&data, ",\"score\":%.1f,\"threshold\":%.1f,\"says\":", row->score,
                row->threshold);
    text_put(&data, SPAN("\"automated-looking traffic; see: assay evidence\"}"));
    news.data = text_span(&data);
    webhook_tell(casebook->webhook, &news);
}

static const char *what_clears(const struct casebook *casebook,
                               const struct identity_state *state,
                               char memory[CLEARS_MAX])
{
    struct text sentence = text_over(memory, CLEARS_MAX - 1);

    if (state != NULL) {
        clearing_put(&sentence, state, casebook_threshold(casebook));
    }
    memory[sentence.len] = '\0';
    return memory;
}

static void note_finding(struct casebook *casebook, const struct unwritten *found,
                         struct detector *detector)
{
    const struct finding *finding = &found->finding;
    char evidence[EVIDENCE_JSON_MAX], clears[CLEARS_MAX];
    struct text rows = text_over(evidence, sizeof evidence - 1);
    const struct identity_state *state = detector_state(detector, finding->identity);
    bool shadow = casebook->detection.mode != DETECTION_ON;
    struct finding_row row = {
        .identity = finding->identity,
        .team = found->team,
        .caller = found->caller,
        .shadow = shadow,
        .first_ms = finding->at_ms,
        .last_ms = finding->at_ms,
        .expires_ms = finding->at_ms + casebook->retention.findings_days * MS_PER_DAY,
        .score = (double)finding->score,
        .threshold = (double)casebook_threshold(casebook),
        .evidence = evidence,
    };

    evidence_put_json(&rows, &finding->evidence);
    evidence[rows.len] = '\0';
    if (found->clears) {
        row.clears = what_clears(casebook, state, clears);
    }
    if (finding_store_again(casebook->store, &row)) {
        return;
    }
    row.clears = what_clears(casebook, state, clears);
    if (finding_store_found(casebook->store, &row) && !shadow) {
        alert(casebook, &row);
    }
}

static enum grade grade_found(const struct casebook *casebook,
                              const struct unwritten *found)
{
    const struct finding *finding = &found->finding;

    if (found->service) {
        return GRADE_DECLARED;
    }
    return finding->grade > GRADE_CLEAR &&
                   dismissal_of(casebook, finding->identity) != NULL
               ? GRADE_CLEAR
               : finding->grade;
}

static void write_found(struct casebook *casebook, struct detector *detector)
{
    struct unwritten *found = &casebook->unwritten;
    const struct finding *finding = &found->finding;
    const struct suspect_row row = {
        .identity = finding->identity,
        .team = found->team,
        .caller = found->caller,
        .grade = grade_found(casebook, found),
        .score = (double)finding->score,
        .turns = finding->turns,
        .seen_ms = finding->at_ms,
    };

    if (!found->any) {
        return;
    }
    found->any = false;
    finding_store_rate(casebook->store, &row);
    if (finding->alarm && !found->service) {
        note_finding(casebook, found, detector);
    }
}

void casebook_found(struct casebook *casebook, const struct analyst_call *call,
                    const struct finding *finding, struct detector *detector)
{
    struct unwritten *found = &casebook->unwritten;
    bool service = call->service && call->call.turn.identity == finding->identity;

    if (!found->any || found->finding.identity != finding->identity ||
        found->finding.alarm != finding->alarm || found->service != service) {
        write_found(casebook, detector);
        found->any = name(casebook, call, finding->identity, found);
        found->clears = false;
    }
    found->service = service;
    found->clears = found->clears || finding->turns % CLEARS_EVERY == 0;
    found->finding = *finding;
    if (found->any) {
        grades_set(casebook->grades, finding->identity, grade_found(casebook, found));
    }
}

/* ---- maintenance ----------------------------------------------------------------- */

float casebook_threshold(const struct casebook *casebook)
{
    float configured = (float)casebook->detection.threshold;

    return casebook->calibrated > configured ? casebook->calibrated : configured;
}

static void calibrate(struct casebook *casebook, struct detector *detector)
{
    uint64_t people;
    double highest = finding_store_calibration(casebook->store, &people);

    /* Just above them; not so high that nothing could be found any more. */
    casebook->calibrated = (float)fmin(floor(highest) + 1, (double)SCORE_MAX);
    detector_threshold(detector, casebook_threshold(casebook));
}

static void keep_house(struct casebook *casebook, struct detector *detector,
                       int64_t unix_ms)
{
    const struct config_retention *retention = &casebook->retention;

    casebook->housekeeping_ms = unix_ms + HOUSEKEEPING_MS;
    turn_log_delete_before(casebook->turns,
                           unix_ms - retention->turns_days * MS_PER_DAY);
    finding_store_expire(casebook->store, unix_ms,
                         unix_ms - retention->findings_days * MS_PER_DAY);
    calibrate(casebook, detector);
}

static void look_for_remarks(struct casebook *casebook)
{
    struct error error;

    if (finding_store_changed(casebook->store)) {
        error_init(&error);
        (void)!read_dismissals(casebook, &error);
        error_done(&error);
    }
}

void casebook_maintain(struct casebook *casebook, struct detector *detector,
                       uint64_t now_ns, int64_t unix_ms)
{
    write_found(casebook, detector);
    if (!turn_log_flush(casebook->turns) || !finding_store_commit(casebook->store)) {
        log_line(LOG_ERROR, "detection_unsaved", "%s cannot be written",
                 casebook->state);
    }
    look_for_remarks(casebook);
    go_on_saving(casebook, detector, now_ns);
    if (unix_ms >= casebook->housekeeping_ms) {
        keep_house(casebook, detector, unix_ms);
    }
    (void)!finding_store_commit(casebook->store);
}

void casebook_finish(struct casebook *casebook, struct detector *detector)
{
    write_found(casebook, detector);
    if (casebook->saved_number == detector_number(detector) && !casebook->saving) {
        return;
    }
    while (casebook->saving && !detector_save_some(detector)) {
    }
    begin_round(casebook, detector, casebook->round_ns);
    while (casebook->saving && !detector_save_some(detector)) {
    }
    if (casebook->saving) {
        end_round(casebook);
    }
    (void)!turn_log_flush(casebook->turns);
}

/* ---- life ------------------------------------------------------------------------ */

void casebook_use(struct casebook *casebook, const struct config_detection *detection,
                  const struct config_retention *retention)
{
    casebook->detection = *detection;
    casebook->retention = *retention;
    casebook->housekeeping_ms = 0; /* what is to be kept less long goes now */
}

void casebook_alert(struct casebook *casebook, struct webhook *webhook)
{
    casebook->webhook = webhook;
}

struct casebook *casebook_open(const char *state, struct grades *grades,
                               struct error *error)
{
    struct casebook *casebook = calloc(1, sizeof *casebook);

    CHECK(casebook != NULL);
    casebook->state = strdup(state);
    casebook->grades = grades;
    CHECK(casebook->state != NULL);
    casebook->store = finding_store_open(state, error);
    casebook->turns = casebook->store == NULL ? NULL : turn_log_open(state, error);
    return casebook->turns == NULL ? casebook_close(casebook) : casebook;
}

struct casebook *casebook_close(struct casebook *casebook)
{
    if (casebook != NULL) {
        turn_log_close(casebook->turns);
        finding_store_close(casebook->store);
        free(casebook->dismissals);
        free(casebook->state);
        free(casebook);
    }
    return NULL;
}

#include "proxy/analyst/analyst.h"

#include "filters/detect/detector.h"
#include "filters/turn/gate.h"
#include "proxy/analyst/call_order.h"
#include "proxy/analyst/casebook.h"
#include "proxy/analyst/grades.h"
#include "proxy/analyst/sketch_secret.h"
#include "proxy/base/clock.h"
#include "proxy/base/ring.h"
#include "proxy/sharing/feed.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    RING_CALLS = 2048,   /* of a worker; taken out every BUSY_MS */
    ORDER_CALLS = 32768, /* waiting for one that began earlier */
    GRADES_ROOM = 1 << 21,
    SHARED_PROMPTS_LOG2 = 17,
    SHARED_SAMPLES_LOG2 = 20,
    GATE_IDENTITIES_LOG2 = 14, /* whose last calls the gate remembers */
    FEED_PATIENCE_MS = 500,    /* calls of other replicas are known by then, mostly */
    BUSY_MS = 20,
    IDLE_MS = 100
};

/* Of identities' states: with what they share, a million take 4 GiB. */
#define STATES_MEMORY (UINT64_C(4000) << 20)

/* Of another replica's calls: what Unix time can be in 32 bits. */
#define TIME_MOST_MS (INT64_C(1000) * UINT32_MAX)

/* A worker's end. What it changes lies apart from what the analyst
 * changes: in `calls`. */
struct analyst_ring {
    struct ring calls;         /* of struct analyst_call */
    _Atomic int64_t oldest_ms; /* begin of the oldest call under way; INT64_MAX: none */
    struct analyst_open *first, *last; /* calls under way, as they began */
    const struct analyst *analyst;
    struct metrics_shard *metrics;
};

struct analyst {
    struct sketch_key key;
    struct grades grades;
    _Atomic uint32_t mode; /* enum config_detection_mode */
    _Atomic uint32_t threshold;
    _Atomic uint32_t turns_days, findings_days;
    _Atomic bool reloaded; /* and not yet in use */
    struct analyst_ring *rings;
    unsigned ring_count;
    struct gate *gate;
    struct detector *detector;
    struct call_order *order;
    struct casebook *casebook;
    struct feed *feed; /* of other replicas' calls; NULL: there are none */
    const struct analyst_call *current; /* while the detector looks at it */
    pthread_t thread;
    bool started;
    int stop_fd;
};

static enum config_detection_mode mode_of(const struct analyst *analyst)
{
    return atomic_load_explicit(&analyst->mode, memory_order_relaxed);
}

/* ---- workers --------------------------------------------------------------------- */

struct analyst_ring *analyst_ring(struct analyst *analyst, unsigned worker,
                                  struct metrics_shard *metrics)
{
    CHECK(worker < analyst->ring_count);
    analyst->rings[worker].metrics = metrics;
    return &analyst->rings[worker];
}

static void publish_oldest(struct analyst_ring *ring)
{
    int64_t oldest = ring->first == NULL ? INT64_MAX : ring->first->begin_ms;

    atomic_store_explicit(&ring->oldest_ms, oldest, memory_order_release);
}

void analyst_opened(struct analyst_ring *ring, struct analyst_open *open,
                    int64_t begin_ms)
{
    /* The clock may have stepped back. */
    if (ring->last != NULL && begin_ms < ring->last->begin_ms) {
        begin_ms = ring->last->begin_ms;
    }
    *open = (struct analyst_open){ .previous = ring->last,
                                   .begin_ms = begin_ms,
                                   .open = true };
    if (ring->last == NULL) {
        ring->first = open;
        publish_oldest(ring);
    } else {
        ring->last->next = open;
    }
    ring->last = open;
}

void analyst_closed(struct analyst_ring *ring, struct analyst_open *open)
{
    bool oldest = ring->first == open;

    if (!open->open) {
        return;
    }
    *(open->previous == NULL ? &ring->first : &open->previous->next) = open->next;
    *(open->next == NULL ? &ring->last : &open->next->previous) = open->previous;
    *open = (struct analyst_open){ .open = false };
    if (oldest) {
        publish_oldest(ring);
    }
}

void analyst_hand_over(struct analyst_ring *ring, const struct call *seen,
                       const struct entry *entry)
{
    struct analyst_call call = { .call = *seen, .service = entry->service != 0 };
    bool reported = entry->response_model[0] != '\0';

    memcpy(call.team, entry->team, sizeof call.team);
    memcpy(call.caller, entry->caller, sizeof call.caller);
    memcpy(call.model, reported ? entry->response_model : entry->request_model,
           sizeof call.model);
    memcpy(call.tool, entry->tool, sizeof call.tool);
    if (!ring_put(&ring->calls, &call)) {
        metrics_add(ring->metrics, METRIC_TURNS_DROPPED, 1);
    }
}

uint64_t analyst_identity(const struct analyst_ring *ring, const struct entry *entry)
{
    return sketch_hash(&ring->analyst->key, entry->caller, strlen(entry->caller));
}

enum grade analyst_grade(const struct analyst_ring *ring, const struct entry *entry)
{
    enum config_detection_mode mode = mode_of(ring->analyst);
    enum grade grade;

    if (entry->service) {
        return GRADE_DECLARED;
    }
    if (mode == DETECTION_OFF) {
        return GRADE_UNRATED;
    }
    grade = grades_of(&ring->analyst->grades, analyst_identity(ring, entry));
    return grade == GRADE_FLAGGED && mode != DETECTION_ON ? GRADE_WATCH : grade;
}

const struct sketch_key *analyst_key(const struct analyst_ring *ring)
{
    return &ring->analyst->key;
}

/* ---- the thread ------------------------------------------------------------------ */

static void found(void *self, const struct finding *finding)
{
    struct analyst *analyst = self;

    casebook_found(analyst->casebook, analyst->current, finding, analyst->detector);
}

static void look_at(struct analyst *analyst, struct analyst_call *call)
{
    if (mode_of(analyst) == DETECTION_OFF) {
        return;
    }
    gate_judge(analyst->gate, &call->call);
    call->call.turn.loop = (uint32_t)call->call.loop;
    analyst->current = call;
    casebook_call(analyst->casebook, call, detector_number(analyst->detector) + 1);
    (void)!detector_observe(analyst->detector, &call->call.turn, found, analyst);
    analyst->current = NULL;
}

/* At most this many together: what is known of each is on its way from memory while those
 * before it are looked at. */
static unsigned look_at_some(struct analyst *analyst, int64_t before_ms)
{
    struct analyst_call *calls[DETECTOR_AHEAD];
    const struct turn *turns[DETECTOR_AHEAD];
    unsigned count = 0;

    while (count < DETECTOR_AHEAD &&
           (calls[count] = call_order_take(analyst->order, before_ms)) != NULL) {
        turns[count] = &calls[count]->call.turn;
        count++;
    }
    detector_expect(analyst->detector, turns, count);
    for (unsigned i = 0; i < count; i++) {
        look_at(analyst, calls[i]);
    }
    return count;
}

static unsigned look_at_those(struct analyst *analyst, int64_t before_ms)
{
    unsigned count = 0, some;

    do {
        some = look_at_some(analyst, before_ms);
        count += some;
    } while (some == DETECTOR_AHEAD);
    return count;
}

/* Calls that began before it are all handed over; those of a slow one, or of other
 * replicas, are not waited for longer than that. */
static int64_t settled_before(const struct analyst *analyst)
{
    int64_t now = (int64_t)(clock_unix_ns() / NS_PER_MS);
    int64_t before = analyst->feed == NULL ? INT64_MAX : now - FEED_PATIENCE_MS;
    int64_t patience = now - ANALYST_PATIENCE_MS;

    for (unsigned i = 0; i < analyst->ring_count; i++) {
        int64_t oldest =
            atomic_load_explicit(&analyst->rings[i].oldest_ms, memory_order_acquire);

        before = oldest < before ? oldest : before;
    }
    return before > patience ? before : patience;
}

/* Room for one more call. */
static struct analyst_call *free_slot(struct analyst *analyst)
{
    if (call_order_full(analyst->order)) {
        look_at(analyst, call_order_take(analyst->order, INT64_MAX));
    }
    return call_order_slot(analyst->order);
}

static void take_ring(struct analyst *analyst, struct ring *calls)
{
    size_t waiting = ring_waiting(calls);

    for (size_t i = 0; i < waiting; i++) {
        struct analyst_call *call = free_slot(analyst);

        if (!ring_take(calls, call)) {
            return;
        }
        if (analyst->feed != NULL) {
            (void)!feed_put(analyst->feed, call);
        }
        call_order_put(analyst->order);
    }
}

static bool is_truth(const bool *value)
{
    unsigned char byte;

    memcpy(&byte, value, sizeof byte);
    return byte <= 1;
}

static bool ends(const char *array, size_t size)
{
    return memchr(array, '\0', size) != NULL;
}

/* Whoever can write to the server can put anything there: may it be a call? */
static bool is_legal(const struct analyst_call *call)
{
    const struct call *seen = &call->call;
    const struct turn *turn = &seen->turn;
    const struct prompt_sketch *prompt = &turn->prompt;

    return (unsigned)turn->kind <= TURN_SUBAGENT && turn->begin_ms >= 0 &&
           turn->begin_ms <= turn->end_ms && turn->end_ms <= TIME_MOST_MS &&
           prompt->bottom_count <= SKETCH_BOTTOM &&
           prompt->sample_count <= SKETCH_PROMPT &&
           turn->response.count <= SKETCH_RESPONSE &&
           seen->argument_count <= CALL_ARGUMENTS && is_truth(&turn->retry) &&
           is_truth(&turn->harness) && is_truth(&turn->has_prompt) &&
           is_truth(&prompt->has_words) && is_truth(&seen->opens) &&
           is_truth(&seen->failed) && is_truth(&call->service) &&
           ends(call->team, sizeof call->team) &&
           ends(call->caller, sizeof call->caller) &&
           ends(call->model, sizeof call->model) && ends(call->tool, sizeof call->tool);
}

/* Those of other replicas: what began before them may have been looked at already. */
static void take_feed(struct analyst *analyst)
{
    struct analyst_call *call = free_slot(analyst);
    unsigned taken = 0;

    while (taken++ < RING_CALLS && feed_take(analyst->feed, call)) {
        if (is_legal(call)) {
            call_order_put(analyst->order);
            call = free_slot(analyst);
        }
    }
}

/* Takes what is handed over; looks at what has its turn. Returns how many calls. */
static unsigned take_calls(struct analyst *analyst)
{
    int64_t before = settled_before(analyst);

    for (unsigned i = 0; i < analyst->ring_count; i++) {
        take_ring(analyst, &analyst->rings[i].calls);
    }
    if (analyst->feed != NULL) {
        take_feed(analyst);
    }
    return look_at_those(analyst, before);
}

/* Returns true once the thread shall end. */
static bool pause_ms(const struct analyst *analyst, int ms)
{
    struct pollfd stop = { .fd = analyst->stop_fd, .events = POLLIN };

    return poll(&stop, 1, ms) > 0;
}

static uint32_t load_u32(const _Atomic uint32_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void use_reloaded(struct analyst *analyst)
{
    const struct config_detection detection = {
        .mode = mode_of(analyst),
        .threshold = load_u32(&analyst->threshold),
    };
    const struct config_retention retention = {
        .turns_days = load_u32(&analyst->turns_days),
        .findings_days = load_u32(&analyst->findings_days),
    };

    casebook_use(analyst->casebook, &detection, &retention);
    detector_threshold(analyst->detector, casebook_threshold(analyst->casebook));
}

static void *run(void *self)
{
    struct analyst *analyst = self;
    bool stop;

    do {
        unsigned count;

        if (atomic_exchange_explicit(&analyst->reloaded, false, memory_order_acquire)) {
            use_reloaded(analyst);
        }
        count = take_calls(analyst);
        casebook_maintain(analyst->casebook, analyst->detector, clock_monotonic_ns(),
                          (int64_t)(clock_unix_ns() / NS_PER_MS));
        stop = pause_ms(analyst, count > 0 ? BUSY_MS : IDLE_MS);
    } while (!stop);
    (void)take_calls(analyst);
    (void)look_at_those(analyst, INT64_MAX);
    casebook_finish(analyst->casebook, analyst->detector);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------ */

static bool make_rings(struct analyst *analyst, unsigned workers)
{
    analyst->rings = calloc(workers, sizeof *analyst->rings);
    for (unsigned i = 0; analyst->rings != NULL && i < workers; i++) {
        struct analyst_ring *ring = &analyst->rings[i];

        ring->analyst = analyst;
        atomic_init(&ring->oldest_ms, INT64_MAX);
        if (!ring_init(&ring->calls, sizeof(struct analyst_call), RING_CALLS)) {
            return false;
        }
        analyst->ring_count++;
    }
    return analyst->rings != NULL;
}

static bool make(struct analyst *analyst, const struct config *config, unsigned workers,
                 struct error *error)
{
    struct detector_options options = {
        .threshold = (float)config->detection.threshold,
        .prompts_log2 = SHARED_PROMPTS_LOG2,
        .samples_log2 = SHARED_SAMPLES_LOG2,
        .memory = STATES_MEMORY,
    };

    analyst->casebook = casebook_open(config->state, &analyst->grades, error);
    if (analyst->casebook == NULL ||
        !sketch_secret_load(config, &analyst->key, error)) {
        return false;
    }
    options.keeper = casebook_keeper(analyst->casebook);
    analyst->gate = gate_new(GATE_IDENTITIES_LOG2);
    analyst->detector = detector_new(&options);
    analyst->order = call_order_new(ORDER_CALLS);
    analyst->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!grades_init(&analyst->grades, GRADES_ROOM) || analyst->order == NULL ||
        analyst->gate == NULL || analyst->stop_fd < 0 ||
        !make_rings(analyst, workers)) {
        error_add(error, (struct error_place){ .file = config->file },
                  "the analyst cannot be made: out of resources");
        return false;
    }
    analyst_reload(analyst, config);
    return true;
}

struct analyst *analyst_new(const struct config *config, unsigned workers,
                            struct error *error)
{
    struct analyst *analyst = calloc(1, sizeof *analyst);

    CHECK(analyst != NULL);
    analyst->stop_fd = -1;
    return make(analyst, config, workers, error) ? analyst : analyst_free(analyst);
}

static void store_u32(_Atomic uint32_t *value, uint32_t number)
{
    atomic_store_explicit(value, number, memory_order_relaxed);
}

void analyst_reload(struct analyst *analyst, const struct config *config)
{
    store_u32(&analyst->mode, config->detection.mode);
    store_u32(&analyst->threshold, config->detection.threshold);
    store_u32(&analyst->turns_days, config->retention.turns_days);
    store_u32(&analyst->findings_days, config->retention.findings_days);
    atomic_store_explicit(&analyst->reloaded, true, memory_order_release);
}

void analyst_alert(struct analyst *analyst, struct webhook *webhook)
{
    casebook_alert(analyst->casebook, webhook);
}

/* Replicas of another secret or another build could not be understood. */
static bool start_feed(struct analyst *analyst, const struct config *config,
                       struct error *error)
{
    char name[64];

    if (config->redis.text == NULL || config->detection.secret == NULL) {
        return true;
    }
    snprintf(name, sizeof name, "calls-%d-%zu-%016llx", CALL_LAYOUT,
             sizeof(struct analyst_call),
             (unsigned long long)sketch_hash(&analyst->key, "calls", 5));
    analyst->feed = feed_start(&config->redis, config->state, name,
                               sizeof(struct analyst_call), error);
    return analyst->feed != NULL;
}

bool analyst_start(struct analyst *analyst, const struct config *config,
                   struct error *error)
{
    use_reloaded(analyst);
    if (!casebook_recover(analyst->casebook, analyst->detector, error) ||
        !start_feed(analyst, config, error)) {
        return false;
    }
    analyst->started = pthread_create(&analyst->thread, NULL, run, analyst) == 0;
    if (!analyst->started) {
        error_add(error, (struct error_place){ 0 },
                  "the analyst's thread cannot be started");
    }
    return analyst->started;
}

void analyst_stop(struct analyst *analyst)
{
    const uint64_t one = 1;

    if (analyst->started) {
        (void)!write(analyst->stop_fd, &one, sizeof one);
        pthread_join(analyst->thread, NULL);
        analyst->started = false;
    }
    analyst->feed = feed_stop(analyst->feed);
}

struct analyst *analyst_free(struct analyst *analyst)
{
    if (analyst == NULL) {
        return NULL;
    }
    analyst_stop(analyst);
    for (unsigned i = 0; i < analyst->ring_count; i++) {
        ring_done(&analyst->rings[i].calls);
    }
    free(analyst->rings);
    call_order_free(analyst->order);
    detector_free(analyst->detector);
    gate_free(analyst->gate);
    casebook_close(analyst->casebook);
    grades_done(&analyst->grades);
    if (analyst->stop_fd >= 0) {
        close(analyst->stop_fd);
    }
    explicit_bzero(&analyst->key, sizeof analyst->key);
    free(analyst);
    return NULL;
}

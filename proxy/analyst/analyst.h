/* The analyst: a thread that owns what is known of every identity and runs the
 * detector over the calls that the workers hand over. Nobody waits for it: a worker
 * puts a call into a ring of its own, or drops it where the ring is full, and reads
 * grades without a lock.
 *
 * Calls are looked at in the order in which they began, as `assay replay` looks at
 * those of a file: a call waits while one that began before it, on any worker, is still
 * under way, but not longer than ANALYST_PATIENCE_MS. */
#ifndef ASSAY_ANALYST_ANALYST_H
#define ASSAY_ANALYST_ANALYST_H

#include "config/config.h"
#include "filters/detect/score.h"
#include "filters/turn/call.h"
#include "filters/turn/sketch_key.h"
#include "proxy/alert/webhook.h"
#include "proxy/meter/entry.h"
#include "proxy/meter/metrics.h"

enum { ANALYST_PATIENCE_MS = 60 * 1000 };

struct analyst;

/* Makes the analyst for `workers` workers; no thread runs yet. The secret of the
 * installation's sketches is read from the state folder, or made there. NULL and an
 * entry in *error on failure. */
struct analyst *analyst_new(const struct config *config, unsigned workers,
                            struct error *error);
/* First it takes in what an earlier process observed and had not saved. Where the
 * configuration shares `detection.secret` by `quota.redis`, the calls of other
 * replicas are looked at like the own ones, so that one identity seen by several
 * is one state. */
bool analyst_start(struct analyst *analyst, const struct config *config,
                   struct error *error);

/* Looks at what was handed over, then ends the thread. */
void analyst_stop(struct analyst *analyst);
/* Takes NULL; returns NULL. */
struct analyst *analyst_free(struct analyst *analyst);

/* Any thread: another configuration is in force. */
void analyst_reload(struct analyst *analyst, const struct config *config);

/* Before it is started: who is told of new findings. Borrowed. */
void analyst_alert(struct analyst *analyst, struct webhook *webhook);

/* ---- for a worker ---------------------------------------------------------------- */

/* A worker's end of it. */
struct analyst_ring;

/* The ring of a worker, which alone uses it from then on; what is dropped is counted in
 * `metrics`. */
struct analyst_ring *analyst_ring(struct analyst *analyst, unsigned worker,
                                  struct metrics_shard *metrics);

/* A call under way: calls that began later wait for it. Lies in the worker's own
 * object; zeroed while the call is not open. */
struct analyst_open {
    struct analyst_open *previous, *next;
    int64_t begin_ms;
    bool open;
};

void analyst_opened(struct analyst_ring *ring, struct analyst_open *open,
                    int64_t begin_ms);
/* Also of a call that is not open. */
void analyst_closed(struct analyst_ring *ring, struct analyst_open *open);

/* Hands a call over, before analyst_closed(). `entry` is the call's: its names are
 * copied. Its turn's identity is analyst_identity() of the entry, begin_ms what
 * analyst_opened() was told. */
void analyst_hand_over(struct analyst_ring *ring, const struct call *seen,
                       const struct entry *entry);

/* Who the entry's caller is to the detector: a keyed hash. */
uint64_t analyst_identity(const struct analyst_ring *ring, const struct entry *entry);

/* The grade to note in the entry of a call that ends now. */
enum grade analyst_grade(const struct analyst_ring *ring, const struct entry *entry);

/* The key of all sketches; immutable. */
const struct sketch_key *analyst_key(const struct analyst_ring *ring);

#endif

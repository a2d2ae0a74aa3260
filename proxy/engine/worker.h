/* One thread of the data path: its own loop, listeners, clients, upstream pools,
 * journal and metric shard. It shares nothing that changes, and waits for nobody. */
#ifndef ASSAY_ENGINE_WORKER_H
#define ASSAY_ENGINE_WORKER_H

#include "filters/watch.h"
#include "proxy/analyst/analyst.h"
#include "proxy/credential/wallet.h"
#include "proxy/engine/adoption.h"
#include "proxy/engine/exchange.h"
#include "proxy/engine/snapshot.h"
#include "proxy/engine/turn_pace.h"
#include "proxy/engine/upstream.h"
#include "proxy/identity/verifier.h"
#include "proxy/meter/calibration.h"
#include "proxy/meter/journal.h"
#include "proxy/meter/metrics.h"
#include "proxy/meter/once.h"
#include "proxy/meter/quota.h"
#include "proxy/net/listen.h"
#include "proxy/net/resolve.h"

#include <pthread.h>

/* Room for the text of one head. */
enum { WORKER_BUILT_BYTES = 80 * 1024 };

enum worker_stop { WORKER_RUNS, WORKER_DRAINS, WORKER_STOPS };

/* A snapshot as one worker uses it: with connections. Lives as long as exchanges that
 * began under it. */
struct view {
    struct view *next; /* among the retired */
    struct snapshot *snapshot;
    struct origin *origins; /* one per provider, in the configuration's order */
    struct known_heads *known;
    size_t exchanges;
};

/* What other threads hand in; taken over by the worker at the next turn of its loop. */
struct mailbox {
    struct snapshot *snapshot; /* atomic */
    struct trust *trust;       /* atomic */
    struct wallet *wallet;     /* atomic */
    enum worker_stop stop;     /* atomic */
    int event_fd;
};

struct worker {
    unsigned number;
    unsigned workers; /* how many there are */
    pthread_t thread;
    struct loop *loop;
    struct loop_watch mail;
    struct mailbox mailbox;
    struct resolver *resolver;
    struct journal *journal;
    struct metrics_shard *metrics;
    struct quota *quota; /* shared by all workers, like the next two */
    struct once *once;
    struct calibration *calibration;
    uint64_t drift_bytes; /* of text that may be counted beside its provider now */
    uint64_t drift_ns;    /* when that was reckoned, monotonic */
    struct analyst_ring *analyst;
    struct turn_pace turn_pace;
    struct watch_pool *watches;
    struct arena_pool arenas;
    struct view *view;           /* in force */
    struct view *retired;        /* with exchanges still under way */
    struct trust *trust;         /* what callers are verified by */
    struct verifier *verifier;   /* remembers who was verified */
    struct wallet *wallet;       /* NULL: no provider's credential changes */
    struct listener **listeners; /* one per configured listener */
    struct listening *listening; /* what their callbacks know */
    size_t listener_count;
    struct client *clients; /* ring's first; NULL: none */
    size_t client_count;
    size_t exchange_count;
    size_t drain_count;
    uint64_t held_bytes;                      /* of request bodies */
    struct exchange *states[EXCHANGE_STATES]; /* a list per state */
    struct client *spare_clients;
    struct exchange *spare_exchanges;
    size_t spare_count;
    enum worker_stop stop;
    struct deadline stop_deadline;
    struct adoption *adoption; /* atomic: of the newest snapshot, worker_adoption() */
    bool ended;                /* atomic: the thread is done */
    char *built;               /* text of the head being built */
};

/* What a worker writes to; outlives it. */
struct worker_meters {
    struct journal *journal;
    struct metrics_shard *metrics;
    struct quota *quota;
    struct analyst_ring *analyst;
    struct once *once;
    struct calibration *calibration;
};

/* Makes a worker with its listeners bound, so that every mistake is known before
 * any thread runs. `first` is the first worker (NULL for it itself). References
 * to the snapshot and the trust are taken over, also on failure (NULL, with
 * entries in *error). */
struct worker *worker_new(unsigned number, unsigned workers, struct snapshot *snapshot,
                          struct trust *trust, const struct worker_meters *meters,
                          const struct worker *first, struct error *error);

/* Starts and joins its thread. */
bool worker_start(struct worker *worker) MUST_CHECK;
bool worker_ended(const struct worker *worker);
void worker_join(struct worker *worker);
struct worker *worker_free(struct worker *worker);

/* From any thread. The references are taken over. */
void worker_reload(struct worker *worker, struct snapshot *snapshot);
/* What the worker made of the last reload, for the caller to free;
 * NULL: nothing yet. */
struct adoption *worker_adoption(struct worker *worker);
void worker_use_trust(struct worker *worker, struct trust *trust);
void worker_use_wallet(struct worker *worker, struct wallet *wallet);

/* WORKER_DRAINS: no new connections, open exchanges finish, the thread ends by itself
 * or at the configured deadline. WORKER_STOPS: everything is cut and settled now. */
void worker_stop(struct worker *worker, enum worker_stop stop);

/* Views are kept while exchanges use them. */
struct view *view_ref(struct view *view);
void view_unref(struct worker *worker, struct view *view);

/* Objects of the data path, kept for reuse. NULL when there are too many
 * or no memory. */
struct client *worker_client(struct worker *worker);
void worker_client_back(struct worker *worker, struct client *client);
struct exchange *worker_exchange(struct worker *worker);
void worker_exchange_back(struct worker *worker, struct exchange *exchange);

static inline const struct config *worker_config(const struct worker *worker)
{
    return worker->view->snapshot->config;
}

#endif

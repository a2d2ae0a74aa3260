#include "proxy/engine/worker.h"

#include "proxy/base/clock.h"
#include "proxy/engine/client.h"
#include "proxy/engine/known_head.h"
#include "proxy/engine/tunnel.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    IDLE_ARENA_BLOCKS = 64,
    SPARE_OBJECTS = 256 /* clients and exchanges kept for reuse, each */
};

/* What a listener's callback knows. */
struct listening {
    struct worker *worker;
    size_t number;
};

/* ---- views ----------------------------------------------------------------------- */

static struct view *view_free(struct view *view)
{
    for (size_t i = 0; i < view->snapshot->config->provider_count; i++) {
        origin_done(&view->origins[i]);
    }
    free(view->origins);
    known_heads_free(view->known);
    snapshot_unref(view->snapshot);
    free(view);
    return NULL;
}

/* Takes over the reference to the snapshot. */
static struct view *view_new(struct worker *worker, struct snapshot *snapshot,
                             struct error *error)
{
    const struct config *config = snapshot->config;
    struct view *view = calloc(1, sizeof *view);
    bool sound = true;

    CHECK(view != NULL);
    view->snapshot = snapshot;
    view->origins = calloc(config->provider_count, sizeof *view->origins);
    view->known = known_heads_new();
    CHECK(view->origins != NULL && view->known != NULL);
    for (size_t i = 0; i < config->provider_count; i++) {
        sound = origin_init(&view->origins[i], worker, &config->providers[i], error) &&
                sound;
    }
    return sound ? view : view_free(view);
}

struct view *view_ref(struct view *view)
{
    view->exchanges++;
    return view;
}

void view_unref(struct worker *worker, struct view *view)
{
    struct view **link = &worker->retired;

    view->exchanges--;
    if (view->exchanges > 0 || view == worker->view) {
        return;
    }
    while (*link != view) {
        link = &(*link)->next;
    }
    *link = view->next;
    view_free(view);
}

static void view_retire(struct worker *worker, struct view *view)
{
    for (size_t i = 0; i < view->snapshot->config->provider_count; i++) {
        origin_close_idle(&view->origins[i]);
    }
    if (view->exchanges == 0) {
        view_free(view);
        return;
    }
    view->next = worker->retired;
    worker->retired = view;
}

/* ---- mail ------------------------------------------------------------------------ */

static void take_snapshot(struct worker *worker, struct snapshot *snapshot)
{
    struct view *old = worker->view;
    struct error error;
    struct view *view;

    error_init(&error);
    view = view_new(worker, snapshot, &error);
    /* Everything that can be wrong was tried by the thread that made the snapshot; what
     * is left is memory, and then the old view stays in force. */
    if (view != NULL) {
        worker->view = view;
        free(__atomic_exchange_n(&worker->adoption, adoption_make(worker),
                                 __ATOMIC_ACQ_REL));
        view_retire(worker, old);
    }
    error_done(&error);
}

static void stop_now(void *self)
{
    struct worker *worker = self;

    worker->stop = WORKER_STOPS;
    for (int state = 0; state < EXCHANGE_STATES; state++) {
        while (worker->states[state] != NULL) {
            exchange_fail(worker->states[state], FAULT_STOPPING);
        }
    }
    for (struct client *client = worker->clients; client != NULL;
         client = client->next) {
        /* It leaves the list at the end of the turn. */
        client_close(client,
                     stream_queued(&client->stream) > 0 ? CLOSE_RESET : CLOSE_ORDERLY);
    }
}

static void close_idle_clients(struct worker *worker)
{
    struct client *next;

    for (struct client *client = worker->clients; client != NULL; client = next) {
        next = client->next;
        if (client->exchange == NULL && !client->closing && client->pending_len == 0) {
            client_close(client, CLOSE_ORDERLY);
        }
    }
}

static void stop_tunnels(struct worker *worker)
{
    struct exchange *next;

    for (struct exchange *x = worker->states[EXCHANGE_TUNNEL]; x != NULL; x = next) {
        next = x->next;
        tunnel_stop(x->tunnel);
    }
}

static void begin_drain(struct worker *worker)
{
    uint64_t wait_ns =
        (uint64_t)worker_config(worker)->limits.stop_timeout_ms * NS_PER_MS;

    worker->stop = WORKER_DRAINS;
    for (size_t i = 0; i < worker->listener_count; i++) {
        worker->listeners[i] = listener_close(worker->listeners[i]);
    }
    close_idle_clients(worker);
    stop_tunnels(worker);
    deadline_set(&worker->loop->deadlines, &worker->stop_deadline, worker->loop->now_ns,
                 wait_ns);
}

static void take_stop(struct worker *worker, enum worker_stop wanted)
{
    if (wanted >= WORKER_DRAINS && worker->stop == WORKER_RUNS) {
        begin_drain(worker);
    }
    if (wanted == WORKER_STOPS && worker->stop != WORKER_STOPS) {
        deadline_clear(&worker->stop_deadline);
        stop_now(worker);
    }
}

static void on_mail(void *self, uint32_t events)
{
    struct worker *worker = self;
    struct mailbox *mailbox = &worker->mailbox;
    struct snapshot *snapshot;
    struct trust *trust;
    struct wallet *wallet;
    uint64_t count;

    (void)events;
    (void)!read(mailbox->event_fd, &count, sizeof count);
    snapshot = __atomic_exchange_n(&mailbox->snapshot, NULL, __ATOMIC_ACQ_REL);
    trust = __atomic_exchange_n(&mailbox->trust, NULL, __ATOMIC_ACQ_REL);
    wallet = __atomic_exchange_n(&mailbox->wallet, NULL, __ATOMIC_ACQ_REL);
    if (wallet != NULL) {
        wallet_unref(worker->wallet);
        worker->wallet = wallet;
    }
    /* First, as the old one points into the old configuration. */
    if (trust != NULL) {
        trust_unref(worker->trust);
        worker->trust = trust;
    }
    if (snapshot != NULL) {
        take_snapshot(worker, snapshot);
    }
    take_stop(worker, __atomic_load_n(&mailbox->stop, __ATOMIC_ACQUIRE));
}

static void mailbox_ring(struct mailbox *mailbox)
{
    const uint64_t one = 1;

    (void)!write(mailbox->event_fd, &one, sizeof one);
}

void worker_reload(struct worker *worker, struct snapshot *snapshot)
{
    snapshot_unref(
        __atomic_exchange_n(&worker->mailbox.snapshot, snapshot, __ATOMIC_ACQ_REL));
    mailbox_ring(&worker->mailbox);
}

void worker_use_wallet(struct worker *worker, struct wallet *wallet)
{
    wallet_unref(
        __atomic_exchange_n(&worker->mailbox.wallet, wallet, __ATOMIC_ACQ_REL));
    mailbox_ring(&worker->mailbox);
}

struct adoption *worker_adoption(struct worker *worker)
{
    return __atomic_exchange_n(&worker->adoption, NULL, __ATOMIC_ACQ_REL);
}

void worker_use_trust(struct worker *worker, struct trust *trust)
{
    trust_unref(__atomic_exchange_n(&worker->mailbox.trust, trust, __ATOMIC_ACQ_REL));
    mailbox_ring(&worker->mailbox);
}

void worker_stop(struct worker *worker, enum worker_stop stop)
{
    __atomic_store_n(&worker->mailbox.stop, stop, __ATOMIC_RELEASE);
    mailbox_ring(&worker->mailbox);
}

/* ---- objects --------------------------------------------------------------------- */

struct client *worker_client(struct worker *worker)
{
    struct client *client = worker->spare_clients;

    if (worker->client_count >= worker_config(worker)->limits.connections) {
        return NULL;
    }
    if (client != NULL) {
        worker->spare_clients = client->next;
        *client = (struct client){ 0 };
    } else {
        client = calloc(1, sizeof *client);
        if (client == NULL) {
            return NULL;
        }
    }
    client->worker = worker;
    client->next = worker->clients;
    if (worker->clients != NULL) {
        worker->clients->previous = client;
    }
    worker->clients = client;
    worker->client_count++;
    metrics_add(worker->metrics, METRIC_CONNECTIONS, 1);
    metrics_add(worker->metrics, METRIC_CONNECTIONS_TOTAL, 1);
    return client;
}

void worker_client_back(struct worker *worker, struct client *client)
{
    if (client->previous != NULL) {
        client->previous->next = client->next;
    } else {
        worker->clients = client->next;
    }
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    worker->client_count--;
    metrics_add(worker->metrics, METRIC_CONNECTIONS, -1);
    if (worker->client_count >= SPARE_OBJECTS) {
        free(client);
        return;
    }
    client->next = worker->spare_clients;
    worker->spare_clients = client;
}

struct exchange *worker_exchange(struct worker *worker)
{
    struct exchange *exchange = worker->spare_exchanges;

    if (worker->exchange_count >= worker_config(worker)->limits.exchanges) {
        return NULL;
    }
    if (exchange != NULL) {
        worker->spare_exchanges = exchange->next;
        worker->spare_count--;
        *exchange = (struct exchange){ 0 };
    } else {
        exchange = calloc(1, sizeof *exchange);
        if (exchange == NULL) {
            return NULL;
        }
    }
    exchange->worker = worker;
    worker->exchange_count++;
    return exchange;
}

void worker_exchange_back(struct worker *worker, struct exchange *exchange)
{
    worker->exchange_count--;
    if (worker->spare_count >= SPARE_OBJECTS) {
        free(exchange);
        return;
    }
    exchange->next = worker->spare_exchanges;
    worker->spare_exchanges = exchange;
    worker->spare_count++;
}

/* ---- life ------------------------------------------------------------------------ */

static struct listen_address listen_address(const struct config *config, size_t number)
{
    const struct config_address *address = &config->listeners[number].address;

    return (struct listen_address){
        .host = address->host,
        .path = address->path,
        .port = address->port,
        .place = config->listeners[number].place,
    };
}

static bool addresses_unused(const struct config *config, struct error *error)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listen_address where = listen_address(config, i);

        if (!listen_address_unused(&where, error)) {
            return false;
        }
    }
    return true;
}

static bool listeners_open(struct worker *worker, const struct worker *first,
                           struct error *error)
{
    const struct config *config = worker_config(worker);

    worker->listener_count = config->listener_count;
    worker->listeners = calloc(worker->listener_count, sizeof(struct listener *));
    worker->listening = calloc(worker->listener_count, sizeof *worker->listening);
    CHECK(worker->listeners != NULL && worker->listening != NULL);
    if (first == NULL && !addresses_unused(config, error)) {
        return false;
    }
    for (size_t i = 0; i < worker->listener_count; i++) {
        const struct listen_address where = listen_address(config, i);

        worker->listening[i] = (struct listening){ worker, i };
        worker->listeners[i] =
            listener_open(&where, first == NULL ? NULL : first->listeners[i], error);
        if (worker->listeners[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool mailbox_open(struct worker *worker)
{
    worker->mailbox.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->mail = (struct loop_watch){ on_mail, worker };
    return worker->mailbox.event_fd >= 0 &&
           loop_watch(worker->loop, worker->mailbox.event_fd, EPOLLIN, &worker->mail);
}

struct worker *worker_new(unsigned number, unsigned workers, struct snapshot *snapshot,
                          struct trust *trust, const struct worker_meters *meters,
                          const struct worker *first, struct error *error)
{
    const struct config_limits *limits = &snapshot->config->limits;
    const struct error_place place = { .file = snapshot->config->file };
    struct worker *worker = calloc(1, sizeof *worker);

    CHECK(worker != NULL);
    worker->number = number;
    worker->workers = workers;
    worker->journal = meters->journal;
    worker->metrics = meters->metrics;
    worker->quota = meters->quota;
    worker->once = meters->once;
    worker->calibration = meters->calibration;
    worker->analyst = meters->analyst;
    worker->trust = trust;
    worker->verifier = verifier_new();
    worker->loop = loop_new();
    worker->built = malloc(WORKER_BUILT_BYTES);
    worker->watches = watch_pool_new((struct decode_limits){
        .bytes = limits->decoded_bytes,
        .ratio = limits->decoded_ratio,
    });
    arena_pool_init(&worker->arenas, IDLE_ARENA_BLOCKS);
    worker->stop_deadline = (struct deadline){ .expired = stop_now, .owner = worker };
    if (worker->loop == NULL || worker->built == NULL || worker->watches == NULL ||
        worker->verifier == NULL || !mailbox_open(worker)) {
        error_add(error, place, "worker %u cannot be made: out of resources", number);
        snapshot_unref(snapshot);
        return worker_free(worker);
    }
    worker->resolver = resolver_new(worker->loop);
    worker->view = view_new(worker, snapshot, error);
    if (worker->view == NULL || !listeners_open(worker, first, error)) {
        return worker_free(worker);
    }
    return worker;
}

static void accepted(void *self, int fd)
{
    const struct listening *listening = self;

    client_accept(listening->worker, listening->number, fd);
}

static void accepting_paused(void *self)
{
    const struct listening *listening = self;

    metrics_add(listening->worker->metrics, METRIC_ACCEPT_PAUSED, 1);
}

static bool worker_done(const struct worker *worker)
{
    return worker->stop != WORKER_RUNS && worker->client_count == 0 &&
           worker->exchange_count == 0;
}

static void *worker_run(void *self)
{
    struct worker *worker = self;

    /* Nobody cancels a worker. Told so, and that it could be done at any time, the C
     * library spares each system call the locked instructions of a cancellation point. */
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL) == 0);
    CHECK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL) == 0);
    while (!worker_done(worker)) {
        loop_turn(worker->loop);
    }
    __atomic_store_n(&worker->ended, true, __ATOMIC_RELEASE);
    return NULL;
}

bool worker_start(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (!listener_start(worker->listeners[i], worker->loop, accepted,
                            accepting_paused, &worker->listening[i])) {
            return false;
        }
    }
    return pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
}

bool worker_ended(const struct worker *worker)
{
    return __atomic_load_n(&worker->ended, __ATOMIC_ACQUIRE);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

static void spares_free(struct worker *worker)
{
    while (worker->spare_clients != NULL) {
        struct client *client = worker->spare_clients;

        worker->spare_clients = client->next;
        free(client);
    }
    while (worker->spare_exchanges != NULL) {
        struct exchange *exchange = worker->spare_exchanges;

        worker->spare_exchanges = exchange->next;
        free(exchange);
    }
}

struct worker *worker_free(struct worker *worker)
{
    if (worker == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < worker->listener_count; i++) {
        listener_close(worker->listeners[i]);
    }
    free(worker->listeners);
    free(worker->listening);
    if (worker->view != NULL) {
        view_free(worker->view);
    }
    deadline_clear(&worker->stop_deadline);
    resolver_free(worker->resolver);
    if (worker->mailbox.event_fd > 0) {
        close(worker->mailbox.event_fd);
    }
    free(worker->adoption);
    snapshot_unref(worker->mailbox.snapshot);
    trust_unref(worker->mailbox.trust);
    wallet_unref(worker->mailbox.wallet);
    wallet_unref(worker->wallet);
    trust_unref(worker->trust);
    verifier_free(worker->verifier);
    loop_free(worker->loop);
    watch_pool_free(worker->watches);
    spares_free(worker);
    arena_pool_done(&worker->arenas);
    free(worker->built);
    free(worker);
    return NULL;
}

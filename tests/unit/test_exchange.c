#include "filters/registry.h"
#include "proxy/base/clock.h"
#include "proxy/engine/exchange.h"
#include "proxy/engine/service.h"
#include "proxy/identity/virtual_key.h"
#include "tests/support/remove_folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The whole data path as it runs, with this test as its client and as its provider. */

enum { PATIENCE_MS = 60000, ENTRIES = 64, LARGE = 3000000, STEP = 40000 };

struct house {
    char folder[64];
    char file[80]; /* the configuration's name */
    char key[KEY_TEXT_SIZE];
    struct service *service;
    int provider; /* listens */
    pthread_mutex_t lock;
    size_t entry_count;
    struct entry entries[ENTRIES]; /* in the ledger; without their lines */
};

/* ---- the house ------------------------------------------------------------------- */

static void written(void *self, const struct entry *entry)
{
    struct house *house = self;

    pthread_mutex_lock(&house->lock);
    if (house->entry_count < ENTRIES) {
        house->entries[house->entry_count] = *entry;
        house->entries[house->entry_count++].lines = NULL;
    }
    pthread_mutex_unlock(&house->lock);
}

static int provider_listen(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static struct config *house_config(struct house *house, uint16_t port,
                                   const char *provider, const char *limits,
                                   struct error *error)
{
    char yaml[2048], here[512];

    assert_non_null(getcwd(here, sizeof here));
    (void)snprintf(house->file, sizeof house->file, "%s/assay.yaml", house->folder);
    (void)snprintf(yaml, sizeof yaml,
                   "listen: [{address: 'unix:%s/socket'}]\n"
                   "state: %s\n"
                   "workers: 1\n"
                   "prices: %s/config/prices.yaml\n"
                   "clients: %s/config/clients.yaml\n"
                   "providers:\n"
                   "  p:\n"
                   "    url: http://127.0.0.1:%u\n"
                   "    dialects: [openai]\n"
                   "    credential: none\n"
                   "    default: true\n"
                   "%s"
                   "teams: {t: {callers: [c]}}\n"
                   "limits: {%s}\n",
                   house->folder, house->folder, here, here, (unsigned)port, provider,
                   limits);
    return config_parse(house->file, span_text(yaml), registry_families(),
                        CONFIG_WITH_SECRETS, error);
}

/* `provider` are further lines of the provider, `limits` members of that map. */
static struct house *house_open(const char *provider, const char *limits)
{
    const struct key_record wanted = { .team = "t", .caller = "c", .created = 1 };
    struct house *house = calloc(1, sizeof *house);
    struct key_record made;
    struct config *config;
    struct error error;
    uint16_t port;

    assert_non_null(house);
    (void)snprintf(house->folder, sizeof house->folder, "/tmp/test_exchange.XXXXXX");
    assert_non_null(mkdtemp(house->folder));
    pthread_mutex_init(&house->lock, NULL);
    house->provider = provider_listen(&port);
    error_init(&error);
    assert_true(key_add(house->folder, &wanted, house->key, &made, &error));
    config = house_config(house, port, provider, limits, &error);
    house->service = config == NULL ? NULL : service_new(config, &error);
    error_print(&error, stderr);
    assert_non_null(house->service);
    assert_true(service_start(house->service, written, house, &error));
    error_done(&error);
    return house;
}

static void house_close(struct house *house)
{
    service_stop(house->service, WORKER_STOPS);
    house->service = service_free(house->service);
    close(house->provider);
    pthread_mutex_destroy(&house->lock);
    assert_int_equal(remove_folder(house->folder), 0);
    free(house);
}

/* The first entry, as soon as it is in the ledger. */
static struct entry first_entry(struct house *house)
{
    struct entry entry = { .id = 0 };

    for (int i = 0; i < PATIENCE_MS / 10 && entry.id == 0; i++) {
        pthread_mutex_lock(&house->lock);
        if (house->entry_count > 0) {
            entry = house->entries[0];
        }
        pthread_mutex_unlock(&house->lock);
        usleep(10000);
    }
    assert_int_not_equal(entry.id, 0);
    return entry;
}

/* ---- both sides ------------------------------------------------------------------ */

static int patient(int fd)
{
    const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                                sizeof patience),
                     0);
    return fd;
}

static int client_connect(const struct house *house)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = patient(socket(AF_UNIX, SOCK_STREAM, 0));

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/socket",
                   house->folder);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int provider_accept(const struct house *house)
{
    struct pollfd waits = { .fd = house->provider, .events = POLLIN };

    assert_int_equal(poll(&waits, 1, PATIENCE_MS), 1);
    return patient(accept(house->provider, NULL, NULL));
}

static void put(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Sends the head of a request, with the house's key. */
static void put_request(const struct house *house, int fd, const char *line,
                        const char *fields)
{
    char text[512];

    (void)snprintf(text, sizeof text,
                   "%s HTTP/1.1\r\nhost: assay\r\nx-assay-key: %s\r\n%s\r\n", line,
                   house->key, fields);
    put(fd, text);
}

static void put_chat(const struct house *house, int fd)
{
    put_request(house, fd, "POST /v1/chat/completions",
                "content-type: application/json\r\ncontent-length: 13\r\n");
    put(fd, "{\"model\":\"m\"}");
}

/* Reads a head, byte by byte, so that nothing behind it is taken. */
static void get_head(int fd, char *head, size_t size)
{
    size_t len = 0;

    do {
        assert_true(len + 1 < size);
        assert_int_equal(recv(fd, head + len, 1, 0), 1);
        head[++len] = '\0';
    } while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
}

static void assert_status(int fd, const char *status)
{
    char head[4096];

    get_head(fd, head, sizeof head);
    assert_memory_equal(head + strlen("HTTP/1.1 "), status, strlen(status));
}

/* Reads so many bytes, in pieces of at most `piece` and with a rest between. */
static void get_bytes(int fd, size_t size, size_t piece, unsigned rest_us)
{
    static char bytes[1024 * 1024];

    while (size > 0) {
        size_t most = size < piece ? size : piece;
        ssize_t n = recv(fd, bytes, most, 0);

        if (n <= 0) {
            fail_msg("%zu bytes are missing (%s)", size,
                     n == 0 ? "end" : strerror(errno));
        }
        size -= (size_t)n;
        usleep(rest_us);
    }
}

/* Answers with a body of so many bytes. */
static void put_answer(int fd, size_t size)
{
    char *text = malloc(size + 256);
    size_t len = (size_t)snprintf(text, 256,
                                  "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
                                  "content-length: %zu\r\n\r\n",
                                  size);
    size_t sent = 0;

    memset(text + len, 'x', size);
    while (sent < len + size) {
        ssize_t n = send(fd, text + sent, len + size - sent, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    free(text);
}

struct reading {
    int fd;
    size_t size;
};

static void *answer_runs(void *self)
{
    const struct reading *answer = self;

    put_answer(answer->fd, answer->size);
    return NULL;
}

/* A client asks and its provider has the request: `upstream` is the provider's side. */
static int begin_call(const struct house *house, int client)
{
    char head[4096];
    int upstream;

    put_chat(house, client);
    upstream = provider_accept(house);
    get_head(upstream, head, sizeof head);
    get_bytes(upstream, 13, 13, 0);
    return upstream;
}

/* ---- tests ----------------------------------------------------------------------- */

static void a_call_is_relayed_and_recorded(void **state)
{
    struct house *house = house_open("", "");
    int client = client_connect(house), upstream = begin_call(house, client);
    struct entry entry;

    (void)state;
    put_answer(upstream, 5);
    assert_status(client, "200");
    get_bytes(client, 5, 5, 0);
    entry = first_entry(house);
    assert_int_equal(entry.outcome, OUTCOME_COMPLETE);
    assert_int_equal(entry.status, 200);
    assert_string_equal(entry.request_model, "m");
    assert_string_equal(entry.caller, "c");
    assert_int_equal(entry.request_bytes, 13);
    assert_int_equal(entry.response_bytes, 5);
    close(client);
    close(upstream);
    house_close(house);
}

/* What a client sends behind its request waits in the kernel, not in assay. */
static void requests_sent_ahead_are_bounded(void **state)
{
    static char ahead[64 * 1024];
    struct house *house = house_open("", "");
    int client = client_connect(house), upstream;
    size_t taken = 0;
    int idle = 0;

    (void)state;
    memset(ahead, 'x', sizeof ahead);
    put_chat(house, client);
    while (idle < 20 && taken < LARGE) {
        ssize_t n = send(client, ahead, sizeof ahead, MSG_DONTWAIT | MSG_NOSIGNAL);

        taken += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        usleep(n > 0 ? 0 : 10000);
    }
    upstream = provider_accept(house);
    assert_true(taken < LARGE);
    close(client);
    close(upstream);
    house_close(house);
}

static void a_refused_client_may_not_stay_forever(void **state)
{
    struct house *house = house_open("", "keep_alive: 100ms");
    int client = client_connect(house);
    char text[4096];
    ssize_t n;

    (void)state;
    put_request(house, client, "GET /v1/nothing", "");
    assert_status(client, "404");
    do {
        n = recv(client, text, sizeof text, 0);
    } while (n > 0);
    assert_int_equal(n, 0);
    close(client);
    house_close(house);
}

static void a_refused_client_may_ask_again(void **state)
{
    struct house *house = house_open("", "");
    int client = client_connect(house), upstream;
    char head[4096];
    const char *length;

    (void)state;
    put_request(house, client, "GET /v1/nothing", "");
    get_head(client, head, sizeof head);
    length = strstr(head, "content-length: ");
    assert_non_null(length);
    get_bytes(client, strtoul(length + 16, NULL, 10), 4096, 0);
    upstream = begin_call(house, client);
    put_answer(upstream, 5);
    assert_status(client, "200");
    close(client);
    close(upstream);
    house_close(house);
}

/* A client may end its side while the rest of its response still waits for it. */
static void a_half_closed_client_gets_all(void **state)
{
    struct house *house = house_open("", "");
    int client = client_connect(house), upstream = begin_call(house, client);

    (void)state;
    put_answer(upstream, 400000);
    first_entry(house);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    usleep(200000);
    assert_status(client, "200");
    get_bytes(client, 400000, 65536, 0);
    close(client);
    close(upstream);
    house_close(house);
}

static void put_body(int fd, size_t size)
{
    static const char bytes[STEP];

    for (size_t sent = 0; sent < size;) {
        size_t most = size - sent < sizeof bytes ? size - sent : sizeof bytes;
        ssize_t n = send(fd, bytes, most, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
}

/* Something always waits for this client, though it reads as fast as more comes. */
static void a_slow_reader_is_not_cut(void **state)
{
    struct house *house = house_open("", "write_timeout: 2s");
    int client = client_connect(house), upstream = begin_call(house, client);

    (void)state;
    put(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 2400000\r\n\r\n");
    put_body(upstream, 400000);
    assert_status(client, "200");
    for (int i = 0; i < 50; i++) {
        get_bytes(client, STEP, STEP, 50000);
        put_body(upstream, STEP);
    }
    get_bytes(client, 400000, STEP, 0);
    assert_int_equal(first_entry(house).outcome, OUTCOME_COMPLETE);
    close(client);
    close(upstream);
    house_close(house);
}

static void who_reads_nothing_is_cut(void **state)
{
    struct house *house =
        house_open("    on_client_abort: cancel\n", "write_timeout: 200ms");
    int client = client_connect(house), upstream = begin_call(house, client);
    char byte;

    (void)state;
    put(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n");
    while (send(upstream, house->folder, sizeof house->folder, MSG_NOSIGNAL) > 0) {
    }
    assert_int_equal(first_entry(house).outcome, OUTCOME_CLIENT_ABORT);
    while (recv(client, &byte, 1, 0) > 0) {
    }
    close(client);
    close(upstream);
    house_close(house);
}

/* While the client is slow, the silence of the provider is assay's own doing. */
static void a_paused_provider_is_not_silent(void **state)
{
    struct house *house = house_open("    timeouts: {idle: 2s}\n", "");
    int client = client_connect(house), upstream = begin_call(house, client);
    struct reading answer = { upstream, LARGE };
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, answer_runs, &answer), 0);
    usleep(3000000);
    assert_status(client, "200");
    get_bytes(client, LARGE, 65536, 0);
    pthread_join(thread, NULL);
    assert_int_equal(first_entry(house).outcome, OUTCOME_COMPLETE);
    close(client);
    close(upstream);
    house_close(house);
}

static void a_silent_provider_is(void **state)
{
    struct house *house = house_open("    timeouts: {idle: 100ms}\n", "");
    int client = client_connect(house), upstream = begin_call(house, client);

    (void)state;
    put(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    assert_status(client, "200");
    assert_int_equal(first_entry(house).fault, FAULT_IDLE_TIMEOUT);
    close(client);
    close(upstream);
    house_close(house);
}

struct upload {
    int fd;
    size_t size;
};

static void *upload_runs(void *self)
{
    static char bytes[64 * 1024];
    const struct upload *upload = self;
    size_t sent = 0;

    memset(bytes, ' ', sizeof bytes);
    while (sent < upload->size) {
        size_t most = upload->size - sent;
        ssize_t n = send(upload->fd, bytes, most < sizeof bytes ? most : sizeof bytes,
                         MSG_NOSIGNAL);

        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    return NULL;
}

/* While the provider is slow, the silence of the client is assay's own doing. */
static void a_paused_client_is_not_silent(void **state)
{
    static const char front[] = "{\"model\":\"m\",\"stream\":false,"
                                "\"stream_options\":null}";
    struct house *house = house_open("", "body_timeout: 2s");
    int client = client_connect(house), upstream;
    struct upload upload = { client, 20000000 - (sizeof front - 1) };
    pthread_t thread;
    char head[4096];

    (void)state;
    put_request(house, client, "POST /v1/embeddings",
                "content-type: application/json\r\ncontent-length: 20000000\r\n");
    put(client, front);
    assert_int_equal(pthread_create(&thread, NULL, upload_runs, &upload), 0);
    upstream = provider_accept(house);
    usleep(3000000);
    get_head(upstream, head, sizeof head);
    get_bytes(upstream, 20000000, 1024 * 1024, 0);
    pthread_join(thread, NULL);
    put_answer(upstream, 5);
    assert_status(client, "200");
    close(client);
    close(upstream);
    house_close(house);
}

static void a_silent_client_is(void **state)
{
    struct house *house = house_open("", "body_timeout: 100ms");
    int client = client_connect(house);

    (void)state;
    put_request(house, client, "POST /v1/chat/completions", "content-length: 9\r\n");
    put(client, "{");
    assert_status(client, "408");
    assert_int_equal(first_entry(house).fault, FAULT_BODY_TIMEOUT);
    close(client);
    house_close(house);
}

static void a_call_that_assay_cuts_is_not_its_clients_fault(void **state)
{
    struct house *house = house_open("", "");
    int client = client_connect(house), upstream = begin_call(house, client);
    struct entry entry;

    (void)state;
    put(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    assert_status(client, "200");
    get_bytes(client, 3, 3, 0);
    service_stop(house->service, WORKER_STOPS);
    entry = first_entry(house);
    assert_int_equal(entry.fault, FAULT_STOPPING);
    assert_int_not_equal(entry.outcome, OUTCOME_CLIENT_ABORT);
    close(client);
    close(upstream);
    house_close(house);
}

/* Idle connections that died together cost no call. */
static void dead_pooled_connections_are_passed_over(void **state)
{
    const struct linger now = { .l_onoff = 1 };
    struct house *house = house_open("", "");
    int clients[4], upstreams[4], client, upstream;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_connect(house);
        upstreams[i] = begin_call(house, clients[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        put_answer(upstreams[i], 5);
        assert_status(clients[i], "200");
        close(clients[i]);
    }
    usleep(50000);
    client = client_connect(house);
    for (size_t i = 0; i < 4; i++) {
        setsockopt(upstreams[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(upstreams[i]);
    }
    upstream = begin_call(house, client);
    put_answer(upstream, 5);
    assert_status(client, "200");
    close(client);
    close(upstream);
    house_close(house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_relayed_and_recorded),
        cmocka_unit_test(requests_sent_ahead_are_bounded),
        cmocka_unit_test(a_refused_client_may_not_stay_forever),
        cmocka_unit_test(a_refused_client_may_ask_again),
        cmocka_unit_test(a_half_closed_client_gets_all),
        cmocka_unit_test(a_slow_reader_is_not_cut),
        cmocka_unit_test(who_reads_nothing_is_cut),
        cmocka_unit_test(a_paused_provider_is_not_silent),
        cmocka_unit_test(a_silent_provider_is),
        cmocka_unit_test(a_paused_client_is_not_silent),
        cmocka_unit_test(a_silent_client_is),
        cmocka_unit_test(a_call_that_assay_cuts_is_not_its_clients_fault),
        cmocka_unit_test(dead_pooled_connections_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

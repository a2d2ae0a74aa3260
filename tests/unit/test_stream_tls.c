#include "certs/mint.h"
#include "certs/tls.h"
#include "proxy/net/stream.h"
#include "tests/unit/streaming.h"

#include <stdio.h>

enum {
    TRANSFER = 6 * 1024 * 1024,
    PIECE_MAX = 300 * 1024,
    FLOOD_TURNS = 100,
    KEY_UPDATES = 400 /* per turn */
};

static char folder[] = "/tmp/test_stream_tls.XXXXXX";
static char ca_file[64];
static struct tls_server *server;
static struct tls_client *client;
static struct error error;

static void file_remove(const char *name)
{
    char path[80];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static int set_up(void **state)
{
    static const char *const names[] = { "localhost", NULL };
    const struct mint_leaf leaf = { .names = names, .days = 2 };
    char chain[64], key[64];
    struct tls_certificate certificate = { .chain = chain, .key = key };

    (void)state;
    error_init(&error);
    assert_non_null(mkdtemp(folder));
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(chain, sizeof chain, "%s/leaf.pem", folder);
    snprintf(key, sizeof key, "%s/leaf.key", folder);
    assert_true(mint_ca(folder, "test CA", 2, &error));
    assert_true(mint_leaf(folder, "leaf", &leaf, &error));
    server = tls_server_new(&certificate, 1, NULL, &error);
    client = tls_client_new("localhost", ca_file, false, &error);
    assert_false(error_any(&error));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    client = tls_client_free(client);
    server = tls_server_free(server);
    file_remove("ca.pem");
    file_remove("ca.key");
    file_remove("leaf.pem");
    file_remove("leaf.key");
    error_done(&error);
    return rmdir(folder);
}

/* Two ends of a TLS connection on one loop. */
struct both {
    struct rig rig;
    struct end near, far; /* the client's, the server's */
};

static void both_begin(struct both *both, SSL *ssl)
{
    int peer;

    rig_open(&both->rig);
    peer = end_connect(&both->near, &both->rig, ssl);
    end_open(&both->far, &both->rig, peer, tls_server_ssl(server));
}

static int both_open(void **state)
{
    struct both *both = calloc(1, sizeof *both);

    both_begin(both, tls_client_ssl(client));
    TURN_UNTIL(&both->rig, both->near.ready == 1 && both->far.ready == 1);
    *state = both;
    return 0;
}

static void both_end(struct both *both)
{
    end_close(&both->near);
    end_close(&both->far);
    rig_close(&both->rig);
    assert_int_equal(both->near.freed, 1);
    assert_int_equal(both->far.freed, 1);
}

static int both_close(void **state)
{
    both_end(*state);
    free(*state);
    return 0;
}

/* ---- ends ------------------------------------------------------------------------ */

static void bytes_pass_both_ways(void **state)
{
    struct both *both = *state;

    both->far.reply = SPAN("pong");
    stream_send(&both->near.stream, SPAN("pi"));
    stream_send(&both->near.stream, SPAN("ng"));
    stream_flush(&both->near.stream);
    TURN_UNTIL(&both->rig, both->near.bytes == 4);
    assert_memory_equal(both->far.kept, "ping", 4);
    assert_memory_equal(both->near.kept, "pong", 4);
}

static void close_notify_is_an_end(void **state)
{
    struct both *both = *state;

    stream_send(&both->near.stream, SPAN("last words"));
    stream_shutdown(&both->near.stream);
    TURN_UNTIL(&both->rig, both->far.ends[STREAM_EOF] == 1);
    assert_memory_equal(both->far.kept, "last words", 10);
    /* The other direction lives on. */
    stream_send(&both->far.stream, SPAN("reply"));
    stream_close(&both->far.stream, CLOSE_ORDERLY, end_freed);
    TURN_UNTIL(&both->rig, both->near.ends[STREAM_EOF] == 1);
    assert_memory_equal(both->near.kept, "reply", 5);
    turn(&both->rig, 2);
    assert_int_equal(both->far.ends[STREAM_TRUNCATED], 0);
    assert_int_equal(both->near.ends[STREAM_TRUNCATED], 0);
}

static void an_end_without_close_notify_is_a_truncation(void **state)
{
    struct both *both = *state;

    stream_send(&both->near.stream, SPAN("half a"));
    stream_flush(&both->near.stream);
    assert_int_equal(shutdown(both->near.stream.fd, SHUT_WR), 0);
    TURN_UNTIL(&both->rig, both->far.ends[STREAM_TRUNCATED] == 1);
    assert_int_equal(both->far.bytes, 6);
    assert_int_equal(both->far.ends[STREAM_EOF], 0);
}

static void data_before_a_reset_is_decrypted(void **state)
{
    struct both *both = *state;

    both->far.closes = &both->far;
    both->far.closing_on = ON_ENDED;
    stream_send(&both->near.stream, SPAN("before"));
    stream_flush(&both->near.stream);
    stream_close(&both->near.stream, CLOSE_RESET, end_freed);
    TURN_UNTIL(&both->rig, both->far.ends[STREAM_RESET] == 1);
    assert_int_equal(both->far.bytes, 6);
}

static void a_damaged_record_is_bad_tls(void **state)
{
    static const char record[] =
        "\x17\x03\x03\x00\x20not what was agreed on, at all!!!";
    struct both *both = *state;

    both->far.closes = &both->far;
    both->far.closing_on = ON_ENDED;
    assert_true(send(both->near.stream.fd, record, sizeof record - 1, 0) > 0);
    TURN_UNTIL(&both->rig, both->far.ends[STREAM_BAD_TLS] == 1);
    assert_int_equal(both->far.bytes, 0);
    turn(&both->rig, 2);
}

static void an_untrusted_certificate_is_refused(void **state)
{
    struct tls_client *stranger =
        tls_client_new("elsewhere.test", ca_file, false, &error);
    struct both both;

    (void)state;
    both_begin(&both, tls_client_ssl(stranger));
    both.near.closes = &both.near;
    both.near.closing_on = ON_ENDED;
    TURN_UNTIL(&both.rig, both.near.ends[STREAM_BAD_TLS] == 1);
    TURN_UNTIL(&both.rig, both.far.ends[STREAM_BAD_TLS] + both.far.ends[STREAM_RESET] +
                                  both.far.ends[STREAM_TRUNCATED] >=
                              1);
    assert_int_equal(both.near.ready, 0);
    both_end(&both);
    tls_client_free(stranger);
}

static void plain_bytes_are_no_handshake(void **state)
{
    struct rig rig;
    struct end end;
    int sockets[2];

    (void)state;
    rig_open(&rig);
    socket_pair(sockets);
    end_open(&end, &rig, sockets[0], tls_server_ssl(server));
    end.closes = &end;
    end.closing_on = ON_ENDED;
    assert_int_equal(send(sockets[1], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    TURN_UNTIL(&rig, end.freed == 1);
    assert_int_equal(end.ends[STREAM_BAD_TLS], 1);
    assert_int_equal(end.ready, 0);
    close(sockets[1]);
    rig_close(&rig);
}

static void callbacks_may_close(void **state)
{
    const enum end_event events[] = { ON_READY, ON_READABLE, ON_ENDED };

    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        struct both both;

        both_begin(&both, tls_client_ssl(client));
        both.far.closes = &both.far;
        both.far.closing_on = events[i];
        TURN_UNTIL(&both.rig, both.near.ready == 1);
        stream_send(&both.near.stream, SPAN("hello"));
        stream_shutdown(&both.near.stream);
        TURN_UNTIL(&both.rig, both.far.freed == 1);
        both_end(&both);
    }
}

static void a_handshake_may_be_closed(void **state)
{
    struct both both;

    (void)state;
    for (int turns = 0; turns < 4; turns++) {
        both_begin(&both, tls_client_ssl(client));
        turn(&both.rig, turns);
        end_close(&both.far);
        turn(&both.rig, 2);
        both_end(&both);
    }
}

/* ---- transfers ------------------------------------------------------------------- */

/* One direction of a large transfer in pieces of random sizes. */
struct transfer {
    struct end *from, *to;
    uint64_t sent;
    unsigned seed;
};

static unsigned roll(struct transfer *transfer)
{
    transfer->seed = transfer->seed * 1103515245 + 12345;
    return transfer->seed >> 8;
}

static void transfer_sends(struct transfer *transfer)
{
    static char bytes[PIECE_MAX];
    struct stream *stream = &transfer->from->stream;

    while (transfer->sent < TRANSFER && stream_queued(stream) <= STREAM_HIGH) {
        size_t size =
            roll(transfer) % ((roll(transfer) & 1) != 0 ? PIECE_MAX : 600) + 1;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = byte_at(transfer->sent + i);
        }
        if (size < LOOP_SCRATCH_BYTES && (roll(transfer) & 1) != 0) {
            stream_send_copy(stream, span_of(bytes, size / 2));
            stream_send(stream, span_of(bytes + size / 2, size - size / 2));
        } else {
            stream_send(stream, span_of(bytes, size));
        }
        stream_flush(stream);
        transfer->sent += size;
    }
}

static void transfer_steps(struct transfer *transfer)
{
    transfer_sends(transfer);
    if ((roll(transfer) & 3) != 0) {
        stream_resume(&transfer->to->stream);
    }
}

static void transfer_runs(struct rig *rig, struct end *a, struct end *b)
{
    struct transfer there = { .from = a, .to = b, .seed = 1 };
    struct transfer back = { .from = b, .to = a, .seed = 2 };

    a->patterned = true;
    b->patterned = true;
    a->pauses = true;
    b->pauses = true;
    while (there.sent < TRANSFER || back.sent < TRANSFER || b->bytes < there.sent ||
           a->bytes < back.sent) {
        transfer_steps(&there);
        transfer_steps(&back);
        turn(rig, 1);
        assert_true(stream_queued(&a->stream) < STREAM_HIGH + 2 * PIECE_MAX);
    }
    assert_int_equal(b->bytes, there.sent);
    assert_int_equal(a->bytes, back.sent);
    assert_false(a->corrupt || b->corrupt);
}

static void large_transfers_arrive_plain(void **state)
{
    struct both both;

    (void)state;
    rig_open(&both.rig);
    end_open(&both.far, &both.rig, end_connect(&both.near, &both.rig, NULL), NULL);
    TURN_UNTIL(&both.rig, both.near.ready == 1);
    transfer_runs(&both.rig, &both.near, &both.far);
    both_end(&both);
}

static void large_transfers_arrive_encrypted(void **state)
{
    struct both *both = *state;

    transfer_runs(&both->rig, &both->near, &both->far);
}

/* A client may ask for small records (RFC 6066, section 4). */
static void small_records_carry_large_transfers(void **state)
{
    SSL *ssl = tls_client_ssl(client);
    struct both both;

    (void)state;
    assert_int_equal(SSL_set_tlsext_max_fragment_length(ssl,
                                                        TLSEXT_max_fragment_length_512),
                     1);
    both_begin(&both, ssl);
    TURN_UNTIL(&both.rig, both.near.ready == 1 && both.far.ready == 1);
    transfer_runs(&both.rig, &both.near, &both.far);
    both_end(&both);
}

/* ---- hostile peers --------------------------------------------------------------- */

/* A TLS client of OpenSSL's own over a socket, made ready against `end`. */
static SSL *raw_client(struct rig *rig, struct end *end, int fd)
{
    SSL *ssl = tls_client_ssl(client);

    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    SSL_set_connect_state(ssl);
    while (end->ready == 0) {
        SSL_do_handshake(ssl);
        turn(rig, 1);
    }
    return ssl;
}

/* Every key update asks for an answer, and nobody reads those. */
static void unread_key_updates_do_not_pile_up(void **state)
{
    struct rig rig;
    struct end end;
    int sockets[2];
    SSL *ssl;

    (void)state;
    rig_open(&rig);
    socket_pair(sockets);
    end_open(&end, &rig, sockets[0], tls_server_ssl(server));
    end.closes = &end;
    end.closing_on = ON_ENDED;
    ssl = raw_client(&rig, &end, sockets[1]);
    for (int i = 0; i < FLOOD_TURNS && !end.stream.closed; i++) {
        for (int n = 0; n < KEY_UPDATES; n++) {
            SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
            if (SSL_do_handshake(ssl) != 1) {
                break;
            }
        }
        turn(&rig, 1);
    }
    assert_int_equal(end.ends[STREAM_BAD_TLS], 1);
    SSL_free(ssl);
    close(sockets[1]);
    end_close(&end);
    rig_close(&rig);
}

int main(void)
{
#define BOTH(name) cmocka_unit_test_setup_teardown(name, both_open, both_close)
    const struct CMUnitTest tests[] = {
        BOTH(bytes_pass_both_ways),
        BOTH(close_notify_is_an_end),
        BOTH(an_end_without_close_notify_is_a_truncation),
        BOTH(data_before_a_reset_is_decrypted),
        BOTH(a_damaged_record_is_bad_tls),
        cmocka_unit_test(an_untrusted_certificate_is_refused),
        cmocka_unit_test(plain_bytes_are_no_handshake),
        cmocka_unit_test(callbacks_may_close),
        cmocka_unit_test(a_handshake_may_be_closed),
        cmocka_unit_test(large_transfers_arrive_plain),
        BOTH(large_transfers_arrive_encrypted),
        cmocka_unit_test(small_records_carry_large_transfers),
        cmocka_unit_test(unread_key_updates_do_not_pile_up),
    };
#undef BOTH

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

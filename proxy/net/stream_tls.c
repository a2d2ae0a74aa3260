#include "proxy/net/stream_tls.h"

#include <openssl/err.h>

#include <limits.h>

/* What TLS adds to LOOP_RECORD_BYTES: header, nonce and tag of each record, of
 * which there are 32 if the peer asked for the smallest (RFC 6066, section 4), and
 * a key update. */
enum { RECORD_EXTRA_MAX = 2048 };

static int wire_read(BIO *bio, char *out, int size)
{
    struct loop *loop = BIO_get_data(bio);
    size_t n = loop->cipher_input.len;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > (size_t)size) {
        n = (size_t)size;
    }
    memcpy(out, loop->cipher_input.at, n);
    loop->cipher_input = span_after(loop->cipher_input, n);
    return (int)n;
}

static int wire_write(BIO *bio, const char *bytes, int size)
{
    struct loop *loop = BIO_get_data(bio);
    size_t room = LOOP_CIPHER_BYTES - loop->cipher_used;
    size_t n = (size_t)size < room ? (size_t)size : room;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(loop->cipher_buffer + loop->cipher_used, bytes, n);
    loop->cipher_used += n;
    return (int)n;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

static int wire_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* Made once for the process; BIO_METHODs are never freed while BIOs exist. */
static BIO_METHOD *wire_method(void)
{
    static BIO_METHOD *shared;
    BIO_METHOD *method = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);
    BIO_METHOD *expected = NULL;

    if (method != NULL) {
        return method;
    }
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "loop");
    if (method == NULL) {
        return NULL;
    }
    BIO_meth_set_read(method, wire_read);
    BIO_meth_set_write(method, wire_write);
    BIO_meth_set_ctrl(method, wire_control);
    BIO_meth_set_create(method, wire_create);
    if (!__atomic_compare_exchange_n(&shared, &expected, method, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        BIO_meth_free(method);
        method = expected;
    }
    return method;
}

bool stream_tls_attach(struct stream *stream)
{
    BIO_METHOD *method = wire_method();
    BIO *bio = method == NULL ? NULL : BIO_new(method);

    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, stream->loop);
    SSL_set_bio(stream->ssl, bio, bio);
    return true;
}

/* What stands in OpenSSL's queue of errors would pass for one of the next call. To clear
 * an empty queue costs as much as a full one: 500 instructions. */
static void errors_clear(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

static enum stream_tls_state tls_state(struct stream *stream, int result)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return STREAM_TLS_OK;
    case SSL_ERROR_ZERO_RETURN:
        return STREAM_TLS_CLOSED;
    default:
        return STREAM_TLS_FAILED;
    }
}

enum stream_tls_state stream_tls_handshake(struct stream *stream)
{
    int result;

    errors_clear();
    result = SSL_do_handshake(stream->ssl);
    if (result == 1) {
        stream->handshaking = false;
        return STREAM_TLS_OK;
    }
    return tls_state(stream, result);
}

/* May there be more to decrypt of what one recv brought? */
static bool has_more(const struct stream *stream)
{
    return stream->loop->cipher_input.len > 0 || SSL_has_pending(stream->ssl) != 0;
}

enum stream_tls_state stream_tls_read(struct stream *stream, struct span *plain)
{
    struct loop *loop = stream->loop;
    enum stream_tls_state state = STREAM_TLS_OK;
    size_t used = 0;
    int n;

    /* Whatever one recv brought fits, decrypted, so cipher_input is empty afterwards:
     * the owner may then use other TLS streams of the loop. */
    do {
        CHECK(LOOP_PLAIN_BYTES - used >= LOOP_RECORD_BYTES);
        errors_clear();
        n = SSL_read(stream->ssl, loop->decrypted.bytes + used, LOOP_RECORD_BYTES);
        if (n <= 0) {
            state = tls_state(stream, n);
        } else {
            used += (size_t)n;
        }
    } while (n > 0 && has_more(stream));
    /* Reading session tickets leaves OpenSSL with a write buffer that it would keep
     * until the next write: 16 KiB of every idle connection. */
    SSL_free_buffers(stream->ssl);
    loop_dirties(&loop->decrypted, used);
    *plain = span_of(loop->decrypted.bytes, used);
    return state;
}

/* Joins spans into one record's worth of bytes; a single span is used where it lies. */
static struct span record_fill(struct loop *loop, const struct iovec **span,
                               size_t *count, size_t *offset)
{
    size_t used = 0;
    size_t left = (*span)->iov_len - *offset;

    if (*count == 1 || left >= LOOP_RECORD_BYTES) {
        const char *at = (const char *)(*span)->iov_base + *offset;
        size_t n = left < LOOP_RECORD_BYTES ? left : LOOP_RECORD_BYTES;

        *offset += n;
        if (*offset == (*span)->iov_len) {
            (*span)++;
            (*count)--;
            *offset = 0;
        }
        return span_of(at, n);
    }
    while (*count > 0 && used < LOOP_RECORD_BYTES) {
        size_t n = (*span)->iov_len - *offset;

        if (n > LOOP_RECORD_BYTES - used) {
            n = LOOP_RECORD_BYTES - used;
        }
        memcpy(loop->record.bytes + used, (const char *)(*span)->iov_base + *offset, n);
        used += n;
        *offset += n;
        if (*offset == (*span)->iov_len) {
            (*span)++;
            (*count)--;
            *offset = 0;
        }
    }
    loop_dirties(&loop->record, used);
    return span_of(loop->record.bytes, used);
}

/* Encrypts it all; the peer may have asked for smaller records. */
static bool record_write(SSL *ssl, struct span record)
{
    while (record.len > 0) {
        int n;

        errors_clear();
        n = SSL_write(ssl, record.at, (int)record.len);
        if (n <= 0) {
            return false;
        }
        record = span_after(record, (size_t)n);
    }
    return true;
}

ssize_t stream_tls_write(struct stream *stream, const struct iovec *spans, size_t count)
{
    struct loop *loop = stream->loop;
    size_t taken = 0, offset = 0;

    while (count > 0 && LOOP_CIPHER_BYTES - loop->cipher_used >
                            LOOP_RECORD_BYTES + RECORD_EXTRA_MAX) {
        struct span record;

        if (spans->iov_len == 0) {
            spans++;
            count--;
            continue;
        }
        record = record_fill(loop, &spans, &count, &offset);
        if (!record_write(stream->ssl, record)) {
            return -1;
        }
        taken += record.len;
    }
    return (ssize_t)taken;
}

void stream_tls_shutdown(struct stream *stream)
{
    errors_clear();
    SSL_shutdown(stream->ssl);
    errors_clear();
}

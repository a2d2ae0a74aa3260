/* TLS for a stream, as a transform between the wire's bytes and the owner's: OpenSSL
 * never touches the socket. Only stream.c includes this. */
#ifndef ASSAY_NET_STREAM_TLS_H
#define ASSAY_NET_STREAM_TLS_H

#include "proxy/net/stream.h"

enum stream_tls_state {
    STREAM_TLS_OK,
    STREAM_TLS_CLOSED, /* the peer's close_notify was read */
    STREAM_TLS_FAILED
};

/* Ties stream->ssl to the stream's loop. false without memory. */
bool stream_tls_attach(struct stream *stream) MUST_CHECK;

/* Continues the handshake with the bytes of loop->cipher_input; clears
 * stream->handshaking when it is done. Output goes to loop->cipher_buffer. */
enum stream_tls_state stream_tls_handshake(struct stream *stream);

/* Decrypts from loop->cipher_input; *plain lies in loop->plain_buffer and is empty when
 * everything was read. */
enum stream_tls_state stream_tls_read(struct stream *stream, struct span *plain);

/* Encrypts spans into loop->cipher_buffer, as few records as possible. Returns how many
 * bytes of the spans it took before the buffer was full, or -1 on failure. */
ssize_t stream_tls_write(struct stream *stream, const struct iovec *spans,
                         size_t count);

/* Writes close_notify into loop->cipher_buffer. */
void stream_tls_shutdown(struct stream *stream);

#endif

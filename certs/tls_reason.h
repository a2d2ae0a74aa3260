/* Why OpenSSL failed, in words. */
#ifndef ASSAY_CERTS_TLS_REASON_H
#define ASSAY_CERTS_TLS_REASON_H

struct tls_reason {
    char words[96];
};

/* The first cause in this thread's error queue, which is emptied. */
struct tls_reason tls_reason(void);

#endif

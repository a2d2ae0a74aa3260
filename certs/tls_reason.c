#include "certs/tls_reason.h"

#include "proxy/base/text.h"

#include <openssl/err.h>

#include <string.h>

struct tls_reason tls_reason(void)
{
    struct tls_reason reason = { "no reason given" };
    unsigned long code = ERR_peek_error();
    const char *words = ERR_SYSTEM_ERROR(code) ? strerrordesc_np(ERR_GET_REASON(code))
                                               : ERR_reason_error_string(code);

    if (words != NULL) {
        (void)text_store(reason.words, sizeof reason.words, span_text(words));
    }
    ERR_clear_error();
    return reason;
}

/* Why an exchange failed: one row of fault.def. FAULT_NONE is success. */
#ifndef ASSAY_BASE_FAULT_H
#define ASSAY_BASE_FAULT_H

#include <stdbool.h>

enum fault {
    FAULT_NONE,
#define FAULT(NAME, name, status, blame, retry, words) FAULT_##NAME,
#include "proxy/base/fault.def"
#undef FAULT
    FAULT_COUNT
};

enum blame { BLAME_NONE, BLAME_CLIENT, BLAME_POLICY, BLAME_ASSAY, BLAME_UPSTREAM };

struct fault_row {
    const char *name; /* as in logs, the ledger and metrics */
    int status;       /* HTTP status if nothing was sent to the client yet */
    enum blame blame;
    bool retry; /* may the same request be sent again as it is? */
    const char *words;
};

/* The row of a fault; that of FAULT_NONE has status 0 and the name "none". */
const struct fault_row *fault_row(enum fault fault);

#endif

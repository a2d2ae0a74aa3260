#include "proxy/base/fault.h"

#include "proxy/base/check.h"

static const struct fault_row rows[] = {
    { "none", 0, BLAME_NONE, false, "no fault" },
#define FAULT(NAME, name, status, blame, retry, words)                                 \
    { name, status, BLAME_##blame, retry, words },
#include "proxy/base/fault.def"
#undef FAULT
};

const struct fault_row *fault_row(enum fault fault)
{
    CHECK((unsigned)fault < FAULT_COUNT);
    return &rows[fault];
}

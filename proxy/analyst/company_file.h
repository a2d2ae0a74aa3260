/* What identities share, as a file: `state`/company. It is renewed whole, into a draft
 * that company_file_publish() moves into place. */
#ifndef ASSAY_ANALYST_COMPANY_FILE_H
#define ASSAY_ANALYST_COMPANY_FILE_H

#include "filters/detect/company.h"
#include "proxy/base/check.h"

/* Up to which call it goes. */
struct company_mark {
    uint64_t number;
    int64_t at_ms;
};

/* false if the disk refused. */
bool company_file_draft(const char *state, const struct company_table *table,
                        const struct company_mark *mark) MUST_CHECK;
bool company_file_publish(const char *state) MUST_CHECK;

/* false if there is none, or it is not whole: the table is empty then. */
bool company_file_read(const char *state, struct company_table *table,
                       struct company_mark *mark) MUST_CHECK;

#endif

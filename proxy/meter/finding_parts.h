/* What finding_store.c and finding_read.c share. */
#ifndef ASSAY_METER_FINDING_PARTS_H
#define ASSAY_METER_FINDING_PARTS_H

#include <sqlite3.h>

struct finding_store;

/* Its connection, borrowed. */
sqlite3 *finding_store_sqlite(const struct finding_store *store);

#endif

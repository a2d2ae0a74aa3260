/* The labels of the ledger: what its entries repeat (who, what, how it ended), written
 * once and then referred to by number.
 *
 * Which were written lately is known from a cache of limited size. One that fell out, or
 * was written before a restart, is written once more, which costs a row and changes no
 * sum. */
#ifndef ASSAY_METER_LEDGER_LABEL_H
#define ASSAY_METER_LEDGER_LABEL_H

#include "proxy/meter/entry.h"

#include <sqlite3.h>

struct ledger_labels;

/* Of a ledger that is open for writing, which outlives them. NULL: its table of labels
 * cannot be written, as sqlite3_errmsg() says. */
struct ledger_labels *ledger_labels_new(sqlite3 *sqlite);
struct ledger_labels *ledger_labels_free(struct ledger_labels *labels);

/* The number of the entry's label, within a transaction; 0 on failure. */
int64_t ledger_label(struct ledger_labels *labels, const struct entry *entry);

/* To be called when labels may be gone: rolled back or deleted. */
void ledger_labels_forget(struct ledger_labels *labels);

#endif

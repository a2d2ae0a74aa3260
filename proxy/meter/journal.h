/* The journal: one file of fixed-size slots per worker, mapped into memory. An exchange
 * takes a slot before its first byte goes upstream and settles it once. The page cache
 * outlives kill -9, so nothing that was settled is lost and nothing waits on a disk.
 *
 * Life of a slot:  FREE --take--> OPEN --settle--> SETTLED --ledger commit--> FREE
 *
 * Threads: one worker takes and settles; one other thread (the ledger writer) reads
 * settled slots and gives them back. Nobody locks. */
#ifndef ASSAY_METER_JOURNAL_H
#define ASSAY_METER_JOURNAL_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/meter/entry.h"

struct journal;

/* Opens or creates `directory`/journal-NN (NN = worker, below 256) with `slots` slots,
 * 1 to 2^20, for which the disk space is taken at once. Slots that an earlier process
 * left are kept for journal_recover(). NULL and an entry in *error on failure, also
 * when another process has the file open. */
struct journal *journal_open(const char *directory, unsigned worker, uint32_t slots,
                             struct error *error);

/* Unmaps; takes NULL; returns NULL. */
struct journal *journal_close(struct journal *journal);

/* What the process before this one left: calls back once per slot that is settled, in
 * the order of settling, and once per slot that was open, whose entry then has
 * OUTCOME_UNKNOWN. The slots stay until journal_recovered() is called, so that a
 * second crash loses nothing. Call both before the first journal_take().
 * journal_recovered() makes as many slots as were asked for: false and an entry in
 * *error without disk space.
 *
 * After a power failure slots may be torn: one whose checksum is wrong counts as open,
 * and every value is brought into its range, so that any file is safe to recover. */
void journal_recover(struct journal *journal, void (*each)(void *self, struct entry *),
                     void *self);
bool journal_recovered(struct journal *journal, struct error *error) MUST_CHECK;

/* Worker: an open slot's entry, zeroed but for its id, the room for lines and
 * usage.reported_nanousd (none); NULL when all slots are taken. `now_unix_ns` makes the
 * id, which is greater than every id given before, also when the clock steps back. */
struct entry *journal_take(struct journal *journal, uint64_t now_unix_ns) MUST_CHECK;

/* Worker: the entry is final. Not touched afterwards. */
void journal_settle(struct journal *journal, struct entry *entry);

/* Ledger: the oldest settled entry that was not peeked at yet; NULL if none. */
const struct entry *journal_peek(struct journal *journal);

/* Ledger: all entries peeked at are safe in the ledger; their slots are free again. */
void journal_release(struct journal *journal);

/* Any thread: slots that are not free. */
uint32_t journal_in_use(const struct journal *journal);

/* Worker: the greatest id given so far, and how many slots were taken, ever. */
uint64_t journal_last_id(const struct journal *journal);
uint32_t journal_taken(const struct journal *journal);

/* Any thread: how many slots were given back by the ledger, ever: their entries are in
 * it. */
uint32_t journal_released(const struct journal *journal);

/* Any thread: how many slots there are: as many as were asked for, once
 * it is recovered. */
uint32_t journal_slots(const struct journal *journal);

#endif

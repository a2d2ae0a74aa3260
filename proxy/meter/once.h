/* Calls that are answered later, in an object that may be asked for again and again: a
 * background response, a batch, a run. Whoever had it made pays when its usage is first
 * seen, on whatever route, and never again.
 *
 * What is awaited is kept in memory of fixed size, found again after a restart because
 * the ledger notes an object with the call that made it, and with the one that showed
 * its usage. All functions may be called from any thread at the same time; nobody
 * waits. */
#ifndef ASSAY_METER_ONCE_H
#define ASSAY_METER_ONCE_H

#include "proxy/base/check.h"
#include "proxy/base/error.h"
#include "proxy/meter/entry.h"

/* Of more, those that were made first are given up. What was made longer ago than this
 * is not looked for after a restart: providers have dropped it by then. */
enum { ONCE_OBJECTS = 1 << 15, ONCE_DAYS = 35 };

struct once;

struct once *once_new(void);
struct once *once_free(struct once *once);

/* An object's key: by its provider and the hash of its id. Never 0. */
uint64_t once_object(const char *provider, uint64_t id);

/* The object is awaited from now on; `maker` (whose `object` it is) will pay. Nothing
 * happens if it is awaited already. `began_s` is that of quota_take_back(). */
void once_await(struct once *once, const struct entry *maker, int64_t began_s);

/* The maker is settled with what it is now. Until its answer comes, quotas are charged
 * with what was reserved for it. false: the answer came already, and the charge is the
 * caller's to take back. */
bool once_charged(struct once *once, const struct entry *maker) MUST_CHECK;

/* What stood for an answer until it came. */
struct once_charge {
    bool charged;      /* the maker's quotas were: it is to be taken back */
    int64_t began_s;   /* of quota_take_back() */
    struct entry call; /* as much of the maker as its charge depends on */
};

/* Its usage may also be seen as that of another one: a batch, and the file it fills. */
void once_also(struct once *once, uint64_t object, uint64_t other);

/* Is somebody waiting for this object, or for the one that it is another name of? */
bool once_awaited(struct once *once, uint64_t object);

/* The object's usage has been seen. true for one caller only, and only if it was
 * awaited: *bill then has its maker's labels, and its object. */
bool once_claim(struct once *once, uint64_t object, struct entry *bill,
                struct once_charge *charge) MUST_CHECK;

/* Before any thread runs: awaits what the ledger in `directory` says was made lately
 * and not seen yet. false and an entry in *error if it cannot be read. */
bool once_load(struct once *once, const char *directory, uint64_t unix_ns,
               struct error *error);

#endif

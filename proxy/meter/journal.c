#include "proxy/meter/journal.h"

#include "proxy/base/ring.h"
#include "proxy/base/xxh3_long.h"
#include "proxy/meter/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHE_LINE = RING_CACHE_LINE, WORKERS_MAX = 1 << ENTRY_ID_WORKER_BITS };

/* A last id beyond this (in 2092) would soon leave no ids to give. */
static const uint64_t id_sane = (UINT64_C(1) << 63) - (UINT64_C(1) << 57);

struct journal {
    struct journal_header *header;
    size_t map_size;
    int fd;
    char *path;
    uint32_t slots;
    uint32_t wanted;    /* slots, as soon as nothing is left of an earlier process */
    uint32_t leftovers; /* slots of an earlier process, until journal_recovered() */

    /* the worker's */
    alignas(CACHE_LINE) uint32_t fresh; /* slots from here on were not taken yet */
    uint32_t *idle;                     /* slots given back; the last one is next */
    uint32_t idle_count;
    unsigned worker;
    uint64_t last_id;
    uint64_t settled_count;
    _Atomic uint32_t taken; /* ever */

    struct ring settled; /* numbers of slots, worker to ledger */
    struct ring freed;   /* ledger to worker */

    /* the ledger's */
    alignas(CACHE_LINE) uint32_t *peeked;
    uint32_t peeked_count;
    _Atomic uint32_t released; /* ever */
};

/* A ring of slot numbers cannot overflow: there is room for all, and a slot is in one
 * place at a time. */
static bool number_ring_init(struct ring *ring, uint32_t slots)
{
    size_t capacity = 1;

    while (capacity < slots) {
        capacity *= 2;
    }
    return ring_init(ring, sizeof(uint32_t), capacity);
}

static void number_put(struct ring *ring, uint32_t number)
{
    bool put = ring_put(ring, &number);

    CHECK(put);
}

static struct journal_slot *slot_at(const struct journal *journal, uint32_t number)
{
    return (void *)((char *)journal->header + journal_slot_offset(number));
}

static struct line *lines_at(const struct journal *journal, uint32_t number)
{
    return (void *)((char *)journal->header +
                    journal_lines_offset(journal->slots, number));
}

static struct journal_slot *slot_of(const struct journal *journal, struct entry *entry,
                                    uint32_t *number)
{
    struct journal_slot *first = slot_at(journal, 0);
    size_t offset = (size_t)((char *)entry - (char *)&first->entry);

    CHECK(offset % sizeof *first == 0 && offset / sizeof *first < journal->slots);
    *number = (uint32_t)(offset / sizeof *first);
    return first + *number;
}

static enum slot_state slot_state(const struct journal_slot *slot)
{
    return atomic_load_explicit(&slot->state, memory_order_relaxed) & SLOT_STATE_MASK;
}

/* Of all but where the lines lie, which only their own process knows. */
static uint64_t entry_checksum(const struct entry *entry, const struct line *lines)
{
    size_t count = entry->line_count < LINES_MAX ? entry->line_count : LINES_MAX;
    uint64_t sum = XXH3_64bits(entry, offsetof(struct entry, lines));

    return count == 0 ? sum : XXH3_64bits_withSeed(lines, count * sizeof lines[0], sum);
}

/* ---- opening --------------------------------------------------------------------- */

static bool fail(struct error *error, const char *path, const char *what, int number)
{
    if (number == 0) {
        error_add(error, (struct error_place){ 0 }, "journal %s: %s", path, what);
    } else {
        error_add(error, (struct error_place){ 0 }, "journal %s: %s: %s", path, what,
                  strerror(number));
    }
    return false;
}

/* Where the slots of any version end. */
static size_t slots_end(uint32_t slots, size_t slot_size)
{
    return JOURNAL_HEADER_SIZE + (size_t)slots * slot_size;
}

/* The numbers of a file's header, read without mapping anything. */
struct found {
    size_t size;
    uint32_t version, slot_size, slots;
    uint64_t last_id;
    uint32_t taken; /* slots that are not free */
};

static bool is_ours(const struct found *found)
{
    return found->version == JOURNAL_VERSION &&
           found->slot_size == sizeof(struct journal_slot);
}

static bool is_damaged(const struct found *found)
{
    return found->slots > JOURNAL_SLOTS_MAX || found->slot_size < sizeof(uint64_t) ||
           found->slot_size > JOURNAL_SLOT_MAX || found->last_id > id_sane ||
           found->size < slots_end(found->slots, found->slot_size) ||
           (is_ours(found) && found->size < journal_file_size(found->slots));
}

static bool read_header(int fd, const char *path, struct found *found,
                        struct error *error)
{
    struct journal_header header;
    struct stat status;
    ssize_t got;

    if (fstat(fd, &status) != 0) {
        return fail(error, path, "cannot be looked at", errno);
    }
    found->size = (size_t)status.st_size;
    got = pread(fd, &header, sizeof header, 0);
    if (got < 0) {
        return fail(error, path, "cannot be read", errno);
    }
    /* Without the magic number nothing was ever recorded. */
    if (got < (ssize_t)sizeof header || header.magic == 0) {
        return true;
    }
    if (header.magic != JOURNAL_MAGIC) {
        return fail(error, path, "is not a journal", 0);
    }
    found->version = header.version;
    found->slot_size = header.slot_size;
    found->slots = header.slots;
    found->last_id = atomic_load_explicit(&header.last_id, memory_order_relaxed);
    return !is_damaged(found) || fail(error, path, "is damaged", 0);
}

/* A slot begins with its state in every version, so that any journal can be
 * told whether it is empty. Reading instead of mapping keeps unused slots out
 * of resident memory. */
static bool count_taken(int fd, const char *path, struct found *found,
                        struct error *error)
{
    for (uint32_t i = 0; i < found->slots; i++) {
        uint64_t state;
        off_t at = (off_t)slots_end(i, found->slot_size);

        if (pread(fd, &state, sizeof state, at) != sizeof state) {
            return fail(error, path, "cannot be read", errno);
        }
        if ((state & SLOT_STATE_MASK) != SLOT_FREE) {
            found->taken++;
        }
    }
    return true;
}

/* Makes room on the disk now, because a page that finds none later is a SIGBUS. */
static bool reserve(int fd, const char *path, size_t size, struct error *error)
{
    int number = posix_fallocate(fd, 0, (off_t)size);

    return number == 0 || fail(error, path, "cannot be allocated", number);
}

static bool map_file(struct journal *journal, uint32_t slots, struct error *error)
{
    const char *path = journal->path;

    journal->slots = slots;
    journal->map_size = journal_file_size(slots);
    if (!reserve(journal->fd, path, journal->map_size, error)) {
        return false;
    }
    journal->header = mmap(NULL, journal->map_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                           journal->fd, 0);
    if (journal->header == MAP_FAILED) {
        journal->header = NULL;
        return fail(error, path, "cannot be mapped", errno);
    }
    return true;
}

/* Nothing in the file is needed any more but its last id: it gets as many slots as are
 * wanted. A crash on the way leaves a journal of no slots. */
static bool make_file(struct journal *journal, struct error *error)
{
    const struct journal_header header = { .magic = JOURNAL_MAGIC,
                                           .version = JOURNAL_VERSION,
                                           .slot_size = sizeof(struct journal_slot),
                                           .last_id = journal->last_id };

    if (pwrite(journal->fd, &header, sizeof header, 0) != sizeof header ||
        ftruncate(journal->fd, JOURNAL_HEADER_SIZE) != 0) {
        return fail(error, journal->path, "cannot be emptied", errno);
    }
    if (!map_file(journal, journal->wanted, error)) {
        return false;
    }
    atomic_signal_fence(memory_order_seq_cst);
    journal->header->slots = journal->slots;
    return true;
}

/* Brings the file to this version and the wanted number of slots, keeping what
 * is in it. */
static bool open_file(struct journal *journal, struct error *error)
{
    const char *path = journal->path;
    struct found found = { 0 };

    if (!read_header(journal->fd, path, &found, error) ||
        !count_taken(journal->fd, path, &found, error)) {
        return false;
    }
    if (!is_ours(&found) && found.taken > 0) {
        return fail(error, path,
                    "holds exchanges of another version of assay; run that one to "
                    "settle them",
                    0);
    }
    journal->last_id = found.last_id;
    journal->leftovers = found.taken;
    atomic_init(&journal->taken, found.taken);
    if (found.taken == 0 && (!is_ours(&found) || found.slots != journal->wanted)) {
        return make_file(journal, error);
    }
    return map_file(journal, found.slots, error);
}

static bool lock_file(struct journal *journal, struct error *error)
{
    const char *path = journal->path;

    journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (journal->fd < 0) {
        return fail(error, path, "cannot be opened", errno);
    }
    if (flock(journal->fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(error, path,
                    errno == EWOULDBLOCK
                        ? "is in use by another process: does assay run on "
                          "this state folder already?"
                        : "cannot be locked",
                    errno == EWOULDBLOCK ? 0 : errno);
    }
    return true;
}

static bool make_lists(struct journal *journal)
{
    journal->idle = calloc(journal->wanted, sizeof *journal->idle);
    journal->peeked = calloc(journal->wanted, sizeof *journal->peeked);
    return journal->idle != NULL && journal->peeked != NULL &&
           number_ring_init(&journal->settled, journal->wanted) &&
           number_ring_init(&journal->freed, journal->wanted);
}

struct journal *journal_open(const char *directory, unsigned worker, uint32_t slots,
                             struct error *error)
{
    struct journal *journal = aligned_alloc(CACHE_LINE, sizeof *journal);

    CHECK(worker < WORKERS_MAX && slots > 0 && slots <= JOURNAL_SLOTS_MAX);
    CHECK(journal != NULL);
    *journal = (struct journal){ .fd = -1, .worker = worker, .wanted = slots };
    CHECK(asprintf(&journal->path, "%s/journal-%02u", directory, worker) > 0);
    if (!lock_file(journal, error) || !open_file(journal, error)) {
        return journal_close(journal);
    }
    CHECK(make_lists(journal));
    return journal;
}

struct journal *journal_close(struct journal *journal)
{
    if (journal == NULL) {
        return NULL;
    }
    if (journal->header != NULL) {
        munmap(journal->header, journal->map_size);
    }
    if (journal->fd >= 0) {
        close(journal->fd); /* gives the lock back */
    }
    free(journal->path);
    free(journal->idle);
    free(journal->peeked);
    ring_done(&journal->settled);
    ring_done(&journal->freed);
    free(journal);
    return NULL;
}

/* ---- recovery -------------------------------------------------------------------- */

struct leftover {
    uint32_t number;
    bool open;
    uint64_t sequence;
};

static int by_sequence(const void *a, const void *b)
{
    const struct leftover *one = a, *other = b;

    if (one->open != other->open) {
        return one->open ? 1 : -1;
    }
    if (one->sequence != other->sequence) {
        return one->sequence < other->sequence ? -1 : 1;
    }
    return one->number < other->number ? -1 : one->number > other->number;
}

static void recover_one(struct journal *journal, const struct leftover *leftover,
                        void (*each)(void *self, struct entry *), void *self)
{
    struct line lines[LINES_MAX];
    struct entry entry = slot_at(journal, leftover->number)->entry;

    memcpy(lines, lines_at(journal, leftover->number), sizeof lines);
    entry.lines = lines;
    if (entry.id == 0) {
        return; /* killed before the slot got its id, so before anything was sent */
    }
    entry_make_legal(&entry);
    if (leftover->open) {
        entry.outcome = OUTCOME_UNKNOWN;
        entry.usage = (struct usage){ .reported_nanousd = -1 }; /* it was not final */
        entry.cost_nanousd = 0;
        entry.priced = 0;
        entry.line_count = 0;
    }
    each(self, &entry);
}

static struct leftover *list_leftovers(struct journal *journal)
{
    struct leftover *list = calloc(journal->leftovers, sizeof *list);
    uint32_t count = 0;

    CHECK(list != NULL);
    for (uint32_t i = 0; i < journal->slots && count < journal->leftovers; i++) {
        struct journal_slot *slot = slot_at(journal, i);
        enum slot_state state = slot_state(slot);

        if (state != SLOT_FREE) {
            list[count].number = i;
            list[count].sequence = slot->state >> SLOT_STATE_BITS;
            list[count].open =
                state != SLOT_SETTLED ||
                slot->checksum != entry_checksum(&slot->entry, lines_at(journal, i));
            count++;
        }
    }
    qsort(list, count, sizeof *list, by_sequence);
    return list;
}

void journal_recover(struct journal *journal, void (*each)(void *self, struct entry *),
                     void *self)
{
    struct leftover *list;

    CHECK(journal->fresh == 0);
    if (journal->leftovers == 0) {
        return;
    }
    list = list_leftovers(journal);
    for (uint32_t i = 0; i < journal->leftovers; i++) {
        recover_one(journal, &list[i], each, self);
    }
    free(list);
}

bool journal_recovered(struct journal *journal, struct error *error)
{
    CHECK(journal->fresh == 0);
    if (journal->leftovers == 0) {
        return true;
    }
    for (uint32_t i = 0; i < journal->slots; i++) {
        struct journal_slot *slot = slot_at(journal, i);

        if (slot_state(slot) != SLOT_FREE) {
            atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release);
        }
    }
    atomic_store_explicit(&journal->released, journal->leftovers, memory_order_relaxed);
    journal->leftovers = 0;
    /* Mapped anew, because looking at every slot has made them all resident. */
    munmap(journal->header, journal->map_size);
    journal->header = NULL;
    return journal->slots == journal->wanted ? map_file(journal, journal->wanted, error)
                                             : make_file(journal, error);
}

/* ---- the worker ------------------------------------------------------------------ */

static uint64_t next_id(struct journal *journal, uint64_t now_unix_ns)
{
    uint64_t id = entry_id_next(journal->last_id, now_unix_ns, journal->worker);

    journal->last_id = id;
    atomic_store_explicit(&journal->header->last_id, id, memory_order_relaxed);
    return id;
}

/* The slot given back last, for it is the warmest; else one that was never used. */
static bool next_slot(struct journal *journal, uint32_t *number)
{
    if (journal->idle_count == 0) {
        while (ring_take(&journal->freed, number)) {
            journal->idle[journal->idle_count++] = *number;
        }
    }
    if (journal->idle_count > 0) {
        *number = journal->idle[--journal->idle_count];
        return true;
    }
    if (journal->fresh == journal->slots) {
        return false;
    }
    *number = journal->fresh++;
    return true;
}

static void count_one_taken(struct journal *journal)
{
    uint32_t taken = atomic_load_explicit(&journal->taken, memory_order_relaxed);

    atomic_store_explicit(&journal->taken, taken + 1, memory_order_relaxed);
}

struct entry *journal_take(struct journal *journal, uint64_t now_unix_ns)
{
    struct journal_slot *slot;
    uint32_t number;

    CHECK(journal->leftovers == 0);
    if (!next_slot(journal, &number)) {
        return NULL;
    }
    slot = slot_at(journal, number);
    slot->entry = (struct entry){ .id = next_id(journal, now_unix_ns),
                                  .lines = lines_at(journal, number) };
    slot->entry.usage.reported_nanousd = -1;
    atomic_store_explicit(&slot->state, SLOT_OPEN, memory_order_release);
    count_one_taken(journal);
    return &slot->entry;
}

void journal_settle(struct journal *journal, struct entry *entry)
{
    uint32_t number;
    struct journal_slot *slot = slot_of(journal, entry, &number);

    CHECK(slot_state(slot) == SLOT_OPEN);
    slot->checksum = entry_checksum(entry, entry->lines);
    atomic_store_explicit(&slot->state,
                          ++journal->settled_count << SLOT_STATE_BITS | SLOT_SETTLED,
                          memory_order_release);
    number_put(&journal->settled, number);
}

/* ---- the ledger ------------------------------------------------------------------ */

const struct entry *journal_peek(struct journal *journal)
{
    uint32_t number;

    if (!ring_take(&journal->settled, &number)) {
        return NULL;
    }
    journal->peeked[journal->peeked_count++] = number;
    return &slot_at(journal, number)->entry;
}

void journal_release(struct journal *journal)
{
    uint32_t released = atomic_load_explicit(&journal->released, memory_order_relaxed);

    for (uint32_t i = 0; i < journal->peeked_count; i++) {
        struct journal_slot *slot = slot_at(journal, journal->peeked[i]);

        atomic_store_explicit(&slot->state, SLOT_FREE, memory_order_release);
        number_put(&journal->freed, journal->peeked[i]);
    }
    atomic_store_explicit(&journal->released, released + journal->peeked_count,
                          memory_order_release);
    journal->peeked_count = 0;
}

uint32_t journal_in_use(const struct journal *journal)
{
    uint32_t released = atomic_load_explicit(&journal->released, memory_order_acquire);

    return atomic_load_explicit(&journal->taken, memory_order_relaxed) - released;
}

uint32_t journal_slots(const struct journal *journal)
{
    return journal->slots;
}

uint64_t journal_last_id(const struct journal *journal)
{
    return journal->last_id;
}

uint32_t journal_taken(const struct journal *journal)
{
    return atomic_load_explicit(&journal->taken, memory_order_relaxed);
}

uint32_t journal_released(const struct journal *journal)
{
    return atomic_load_explicit(&journal->released, memory_order_acquire);
}

#include "proxy/engine/adoption.h"

#include "proxy/engine/reserve.h"
#include "proxy/engine/worker.h"

#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;

    return *one < *other ? -1 : *one > *other;
}

struct adoption *adoption_make(struct worker *worker)
{
    struct adoption *adoption =
        malloc(sizeof *adoption + worker->exchange_count * sizeof(uint64_t));
    size_t count = 0;

    for (int state = 0; state < EXCHANGE_STATES; state++) {
        for (struct exchange *x = worker->states[state]; x != NULL; x = x->next) {
            if (x->entry == NULL) {
                continue;
            }
            reserve_join(x);
            if (adoption != NULL && count < worker->exchange_count) {
                adoption->ids[count++] = x->entry->id;
            }
        }
    }
    if (adoption != NULL) {
        adoption->snapshot = worker->view->snapshot;
        adoption->last_id = journal_last_id(worker->journal);
        adoption->released = journal_taken(worker->journal) - (uint32_t)count;
        adoption->count = count;
        qsort(adoption->ids, count, sizeof(uint64_t), by_id);
    }
    return adoption;
}

bool adoption_holds(const struct adoption *adoption, uint64_t id)
{
    return id > adoption->last_id || bsearch(&id, adoption->ids, adoption->count,
                                             sizeof(uint64_t), by_id) != NULL;
}

/* Pages of the program's and its libraries' files: a process has those resident that it
 * has touched, although the system keeps them in its cache anyway. */
#ifndef ASSAY_BASE_PAGES_H
#define ASSAY_BASE_PAGES_H

#include <stdint.h>

/* Gives back the resident code and constants of the program or library that this
 * address lies in. Whatever is used again is mapped from the cache anew, at the cost
 * of page faults. */
void pages_release(uintptr_t address);

#endif

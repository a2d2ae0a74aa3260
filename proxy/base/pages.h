/* Pages of program files: the system keeps them in its cache, and a process has those
 * resident that it used. */
#ifndef ASSAY_BASE_PAGES_H
#define ASSAY_BASE_PAGES_H

#include <stdint.h>

/* Code and constants of the program or library that holds this address are resident no
 * more. What is used again comes back from the cache, some microseconds for every 64 KB. */
void pages_release(uintptr_t address);

#endif

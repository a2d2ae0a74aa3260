/* Memory that is looked at here and there: in small pages, nearly every look would wait
 * for the page tables as well. In large ones it takes up two mebibytes as soon as a
 * byte of them is touched, so that is for what is in use. */
#ifndef ASSAY_FILTERS_DETECT_LARGE_PAGES_H
#define ASSAY_FILTERS_DETECT_LARGE_PAGES_H

#include <stddef.h>

enum { LARGE_PAGE = 2 << 20 };

/* Zeroed and in small pages, until it is used; begins at a large page. NULL without
 * memory. */
void *large_pages_new(size_t size);
/* Takes NULL. */
void large_pages_free(void *memory, size_t size);

/* From now on in large pages, if the system has any: also what was touched before. */
void large_pages_use(void *memory, size_t size);

#endif

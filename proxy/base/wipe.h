/* Memory that prompts or credentials went through: wiped before it is given back. */
#ifndef ASSAY_BASE_WIPE_H
#define ASSAY_BASE_WIPE_H

/* As free(): takes what malloc() and its kin gave, or NULL. */
void wipe_free(void *memory);

#endif

/* The reference of all keys, generated from the rows of schema.c. */
#ifndef ASSAY_CONFIG_DOCUMENT_H
#define ASSAY_CONFIG_DOCUMENT_H

#include <stdio.h>

/* config/README.md */
void config_write_markdown(FILE *out);

/* config/assay.yaml.5, in mdoc(7) */
void config_write_man(FILE *out);

#endif

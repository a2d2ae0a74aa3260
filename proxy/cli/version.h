/* What this build is made of. */
#ifndef ASSAY_CLI_VERSION_H
#define ASSAY_CLI_VERSION_H

#include <stdio.h>

/* assay's own version, then a line per library with the version that runs, not the one
 * that was compiled against. */
void version_print(FILE *out);

#endif

#include "filters/count/ranks_data.h"

/* CMake says where the files are, and builds this again when they change. */
#define EMBED(name, file)                                                              \
    __asm__(".pushsection .rodata\n"                                                   \
            ".global " #name "\n" #name ":\n"                                          \
            ".incbin \"" ASSAY_RANKS_FOLDER "/" file "\"\n"                            \
            ".global " #name "_end\n" #name "_end:\n"                                  \
            ".popsection\n")

EMBED(ranks_cl100k_data, "cl100k_base.ranks.zst");
EMBED(ranks_o200k_data, "o200k_base.ranks.zst");

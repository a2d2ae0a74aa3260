/* The packed rank files, as bytes of the program. */
#ifndef ASSAY_FILTERS_COUNT_RANKS_DATA_H
#define ASSAY_FILTERS_COUNT_RANKS_DATA_H

extern const char ranks_cl100k_data[], ranks_cl100k_data_end[];
extern const char ranks_o200k_data[], ranks_o200k_data_end[];

#endif

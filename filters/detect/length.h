/* Lengths of prompts, in octaves: those of a script hardly vary. */
#ifndef ASSAY_FILTERS_DETECT_LENGTH_H
#define ASSAY_FILTERS_DETECT_LENGTH_H

#include "filters/detect/identity_state.h"

/* The bin of a length in characters: floor(log2), at most 15. */
unsigned length_octave(uint32_t characters);

#endif

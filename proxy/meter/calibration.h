/* What a model's provider finds where assay counts a thousand tokens, learned from its
 * own reports as they pass: so that a stream it never reported on is estimated well,
 * though its tokenizer is not public. A guess, shared by all threads: updates of two at
 * once may be lost. */
#ifndef ASSAY_METER_CALIBRATION_H
#define ASSAY_METER_CALIBRATION_H

#include "proxy/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* After a restart the last calls that were compared count again. */
enum { CALIBRATION_CALLS = 20000 };

struct calibration;

struct calibration *calibration_new(void);
struct calibration *calibration_free(struct calibration *calibration);

/* A call: what was reported, and what was counted here. Small ones tell too little. */
void calibration_learn(struct calibration *calibration, const char *model,
                       uint64_t reported, uint64_t counted);

/* Per mille; 0 before enough calls were seen. *error is how far single calls were from
 * it lately, per mille. */
uint32_t calibration_of(const struct calibration *calibration, const char *model,
                        uint32_t *error);

/* Before any thread runs. false and an entry in *error if the ledger cannot be read. */
bool calibration_load(struct calibration *calibration, const char *directory,
                      struct error *error);

#endif

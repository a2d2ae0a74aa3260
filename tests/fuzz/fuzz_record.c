/* Turn records of arbitrary bytes: read or refused, and what is read can be observed. */
#include "filters/detect/detector.h"
#include "filters/turn/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void see(void *self, const struct finding *finding)
{
    (void)self;
    CHECK(finding->score >= 0);
    CHECK(finding->evidence.count <= EVIDENCE_ROWS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct record_reader *reader;
    struct detector *detector;
    struct span rest = span_of((const char *)bytes, size), line;
    struct record record;

    if (reader == NULL) {
        reader = record_reader_new(1);
    }
    detector = detector_new(&(struct detector_options){
        .threshold = SCORE_FLAG, .prompts_log2 = 4, .samples_log2 = 4 });
    while (span_next(&rest, '\n', &line)) {
        if (record_read(reader, line, &record) == NULL) {
            CHECK(record.turn.prompt.sample_count <= SKETCH_PROMPT);
            CHECK(detector_observe(detector, &record.turn, see, NULL));
        }
    }
    detector_free(detector);
    return 0;
}

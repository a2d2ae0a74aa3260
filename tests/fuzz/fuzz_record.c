/* Turn records of arbitrary bytes: read or refused, and what is read
 * can be observed. */
#include "filters/detect/detector.h"
#include "filters/turn/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void see(void *self, const struct finding *finding)
{
    (void)self;
    CHECK(finding->score >= 0);
    CHECK(finding->evidence.count <= EVIDENCE_ROWS);
}

/* What is written is read again as it was, but for what its kind does not show. */
static void check_round_trip(const struct record_reader *reader,
                             const struct record *record)
{
    char memory[RECORD_LINE_MAX];
    struct text line = text_over(memory, sizeof(memory));
    struct record again;

    record_write(&record->turn, record->at_ms, "m", "a", &line);
    CHECK(!line.full && record_read(reader, text_span(&line), &again) == NULL);
    CHECK(again.turn.identity == record->turn.identity &&
          again.turn.session == record->turn.session);
    CHECK(again.turn.begin_ms == record->turn.begin_ms && again.at_ms == record->at_ms);
    CHECK(memcmp(&again.turn.response, &record->turn.response,
                 sizeof(again.turn.response)) == 0);
    if (again.turn.has_prompt) {
        CHECK(memcmp(again.turn.prompt.bottom, record->turn.prompt.bottom,
                     sizeof(again.turn.prompt.bottom)) == 0);
        CHECK(memcmp(again.turn.prompt.words, record->turn.prompt.words,
                     sizeof(again.turn.prompt.words)) == 0);
    }
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
            check_round_trip(reader, &record);
            CHECK(detector_observe(detector, &record.turn, see, NULL));
        }
    }
    detector_free(detector);
    return 0;
}

#include "filters/turn/record.h"

#include "filters/json/scan.h"
#include "proxy/base/text.h"

#include <stdlib.h>
#include <xxhash.h>

enum tag {
    TAG_TS,
    TAG_END,
    TAG_LATE,
    TAG_IDENTITY,
    TAG_SESSION,
    TAG_KIND,
    TAG_INPUT_TOKENS,
    TAG_OUTPUT_TOKENS,
    TAG_RETRY,
    TAG_HARNESS,
    TAG_LOOP,
    TAG_TEXT,
    TAG_WHOLE,
    TAG_SHAPE,
    TAG_SIMILAR,
    TAG_CHARACTERS,
    TAG_BOTTOM,
    TAG_SAMPLES,
    TAG_WORDS,
    TAG_RESPONSE
};

static const struct scan_path paths[] = {
    { .path = "ts", .tag = TAG_TS },
    { .path = "end", .tag = TAG_END },
    { .path = "late", .tag = TAG_LATE },
    { .path = "identity", .tag = TAG_IDENTITY },
    { .path = "session", .tag = TAG_SESSION },
    { .path = "kind", .tag = TAG_KIND },
    { .path = "input_tokens", .tag = TAG_INPUT_TOKENS },
    { .path = "output_tokens", .tag = TAG_OUTPUT_TOKENS },
    { .path = "retry", .tag = TAG_RETRY },
    { .path = "harness", .tag = TAG_HARNESS },
    { .path = "loop", .tag = TAG_LOOP },
    { .path = "text", .tag = TAG_TEXT },
    { .path = "text.h", .tag = TAG_WHOLE },
    { .path = "text.tmpl", .tag = TAG_SHAPE },
    { .path = "text.sim", .tag = TAG_SIMILAR },
    { .path = "text.len", .tag = TAG_CHARACTERS },
    { .path = "text.bk[]", .tag = TAG_BOTTOM },
    { .path = "text.hs[]", .tag = TAG_SAMPLES },
    { .path = "text.bow[]", .tag = TAG_WORDS },
    { .path = "out_sk[]", .tag = TAG_RESPONSE },
};

struct record_reader {
    struct scan_plan *plan;
    uint64_t seed;
};

/* A line being read. */
struct reading {
    struct record *record;
    const char *wrong;
    unsigned words;
    bool seen[TAG_RESPONSE + 1];
};

struct record_reader *record_reader_new(uint64_t seed)
{
    struct record_reader *reader = calloc(1, sizeof(*reader));

    CHECK(reader != NULL);
    reader->plan = scan_plan_new(paths, sizeof(paths) / sizeof(*paths));
    reader->seed = seed;
    return reader;
}

struct record_reader *record_reader_free(struct record_reader *reader)
{
    if (reader != NULL) {
        scan_plan_free(reader->plan);
        free(reader);
    }
    return NULL;
}

/* ---- values ---------------------------------------------------------------------- */

/* Seconds with a fraction as whole milliseconds, rounded. */
static bool read_time(struct span number, int64_t *ms)
{
    size_t point = span_find(number, '.');
    uint64_t seconds, value = 0;
    unsigned digits = 0;

    if (!span_decimal(span_of(number.at, point), &seconds) ||
        seconds > UINT32_MAX * 2ULL) {
        return false;
    }
    for (size_t i = point + 1; i < number.len && digits < 4; i++, digits++) {
        if (number.at[i] < '0' || number.at[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(number.at[i] - '0');
    }
    for (; digits < 4; digits++) {
        value *= 10;
    }
    *ms = (int64_t)(seconds * 1000 + (value + 5) / 10);
    return true;
}

static bool read_hex(struct span digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;

        if (digit == 16) {
            return false;
        }
        *value = *value << 4 | digit;
    }
    return digits.len == 16;
}

static bool read_u32(struct span number, uint32_t *value)
{
    uint64_t wide;

    if (!span_decimal(number, &wide) || wide > UINT32_MAX) {
        return false;
    }
    *value = (uint32_t)wide;
    return true;
}

/* Puts a sample into a set that holds at most `most`. */
static bool read_sample(struct span number, uint32_t *set, uint8_t *count,
                        unsigned most)
{
    if (*count >= most || !read_u32(number, &set[*count])) {
        return false;
    }
    *count = (uint8_t)(*count + 1);
    return true;
}

static bool read_bottom(struct span number, struct prompt_sketch *prompt)
{
    unsigned n = prompt->bottom_count;

    if (n >= SKETCH_BOTTOM || !span_decimal(number, &prompt->bottom[n]) ||
        (n > 0 && prompt->bottom[n] <= prompt->bottom[n - 1])) {
        return false;
    }
    prompt->bottom_count++;
    return true;
}

static bool read_word(struct span number, struct reading *reading)
{
    struct prompt_sketch *prompt = &reading->record->turn.prompt;
    bool negative = number.len > 0 && number.at[0] == '-';
    uint64_t size;

    if (reading->words >= SKETCH_WORDS ||
        !span_decimal(span_after(number, negative ? 1 : 0), &size) || size > INT8_MAX) {
        return false;
    }
    prompt->words[reading->words++] = (int8_t)(negative ? -(int)size : (int)size);
    prompt->has_words = true;
    return true;
}

static bool read_kind(struct span name, enum turn_kind *kind)
{
    if (span_equal(name, SPAN("turn"))) {
        *kind = TURN_PROMPT;
    } else if (span_equal(name, SPAN("cont"))) {
        *kind = TURN_CONTINUATION;
    } else if (span_equal(name, SPAN("sub"))) {
        *kind = TURN_SUBAGENT;
    } else {
        return false;
    }
    return true;
}

static bool read_text(const struct scan_value *value, struct reading *reading)
{
    struct record *record = reading->record;
    struct prompt_sketch *prompt = &record->turn.prompt;

    switch (value->tag) {
    case TAG_IDENTITY:
        return !value->cut &&
               text_store(record->identity, RECORD_NAME_SIZE, value->text);
    case TAG_SESSION:
        return !value->cut &&
               text_store(record->session, RECORD_NAME_SIZE, value->text);
    case TAG_KIND:
        return read_kind(value->text, &record->turn.kind);
    case TAG_WHOLE:
        return read_hex(value->text, &prompt->whole);
    case TAG_SHAPE:
        return read_hex(value->text, &prompt->shape);
    case TAG_SIMILAR:
        return read_hex(value->text, &prompt->similar);
    default:
        return false;
    }
}

static bool read_number(const struct scan_value *value, struct reading *reading)
{
    struct turn *turn = &reading->record->turn;
    struct prompt_sketch *prompt = &turn->prompt;

    switch (value->tag) {
    case TAG_TS:
        return read_time(value->text, &turn->begin_ms);
    case TAG_END:
        return read_time(value->text, &turn->end_ms);
    case TAG_LATE:
        return read_time(value->text, &reading->record->at_ms);
    case TAG_INPUT_TOKENS:
        return span_decimal(value->text, &turn->input_tokens);
    case TAG_OUTPUT_TOKENS:
        return span_decimal(value->text, &turn->output_tokens);
    case TAG_RETRY:
        turn->retry = span_equal(value->text, SPAN("1"));
        return true;
    case TAG_HARNESS:
        turn->harness = span_equal(value->text, SPAN("1"));
        return true;
    case TAG_LOOP:
        return read_u32(value->text, &turn->loop);
    case TAG_CHARACTERS:
        return read_u32(value->text, &prompt->characters);
    case TAG_BOTTOM:
        return read_bottom(value->text, prompt);
    case TAG_SAMPLES:
        return read_sample(value->text, prompt->samples, &prompt->sample_count,
                           SKETCH_PROMPT);
    case TAG_WORDS:
        return read_word(value->text, reading);
    case TAG_RESPONSE:
        return read_sample(value->text, turn->response.samples, &turn->response.count,
                           SKETCH_RESPONSE);
    default:
        return false;
    }
}

/* What is wrong with a field's value, by tag. */
static const char *const complaints[] = {
    [TAG_TS] = "\"ts\" is no time",
    [TAG_END] = "\"end\" is no time",
    [TAG_LATE] = "\"late\" is no time",
    [TAG_IDENTITY] = "\"identity\" is no string of at most 160 bytes",
    [TAG_SESSION] = "\"session\" is no string of at most 160 bytes",
    [TAG_KIND] = "\"kind\" is none of turn, cont, sub",
    [TAG_INPUT_TOKENS] = "\"input_tokens\" is no count",
    [TAG_OUTPUT_TOKENS] = "\"output_tokens\" is no count",
    [TAG_RETRY] = "\"retry\" is no number",
    [TAG_HARNESS] = "\"harness\" is no number",
    [TAG_LOOP] = "\"loop\" is no number of 32 bits",
    [TAG_TEXT] = "\"text\" is no object",
    [TAG_WHOLE] = "\"h\" is no 16 hex digits",
    [TAG_SHAPE] = "\"tmpl\" is no 16 hex digits",
    [TAG_SIMILAR] = "\"sim\" is no 16 hex digits",
    [TAG_CHARACTERS] = "\"len\" is no 32-bit count",
    [TAG_BOTTOM] = "\"bk\" is no ascending list of at most 8 numbers of 64 bits",
    [TAG_SAMPLES] = "\"hs\" is no list of at most 32 numbers of 32 bits",
    [TAG_WORDS] = "\"bow\" is no list of 64 numbers from -127 to 127",
    [TAG_RESPONSE] = "\"out_sk\" is no list of at most 12 numbers of 32 bits",
};

static bool take_value(const struct scan_value *value, struct reading *reading)
{
    switch (value->type) {
    case SCAN_STRING:
        return read_text(value, reading);
    case SCAN_NUMBER:
        return !value->cut && read_number(value, reading);
    case SCAN_OBJECT:
        reading->record->turn.has_prompt = true;
        return value->tag == TAG_TEXT;
    case SCAN_END:
        return true;
    case SCAN_NULL:
        return value->tag == TAG_INPUT_TOKENS || value->tag == TAG_OUTPUT_TOKENS;
    case SCAN_FALSE:
    case SCAN_TRUE:
    case SCAN_PIECE:
    case SCAN_ARRAY:
        return false;
    }
    return false;
}

static void see(void *self, const struct scan_value *value)
{
    struct reading *reading = self;

    reading->seen[value->tag] = true;
    if (!take_value(value, reading) && reading->wrong == NULL) {
        reading->wrong = complaints[value->tag];
    }
}

/* ---- lines ----------------------------------------------------------------------- */

static const char *missing(const struct reading *reading)
{
    const struct turn *turn = &reading->record->turn;

    if (!reading->seen[TAG_TS] || !reading->seen[TAG_END] ||
        !reading->seen[TAG_IDENTITY] || !reading->seen[TAG_SESSION] ||
        !reading->seen[TAG_KIND]) {
        return "ts, end, identity, session and kind are needed";
    }
    if (turn->kind == TURN_PROMPT && !turn->has_prompt) {
        return "a turn needs a \"text\"";
    }
    if (reading->words != 0 && reading->words != SKETCH_WORDS) {
        return complaints[TAG_WORDS];
    }
    return NULL;
}

/* The name itself, where it is a hash. */
static uint64_t hash_of(const char *name, uint64_t seed)
{
    uint64_t hash;

    return read_hex(span_text(name), &hash)
               ? hash
               : XXH3_64bits_withSeed(name, strlen(name), seed);
}

const char *record_read(const struct record_reader *reader, struct span line,
                        struct record *record)
{
    struct reading reading = { .record = record };
    struct scan scan;

    *record = (struct record){ .identity = "" };
    scan_init(&scan, reader->plan, SCAN_TOLERANT);
    (void)scan_feed(&scan, line, see, &reading);
    if (scan_end(&scan, see, &reading) != SCAN_COMPLETE) {
        return "not JSON";
    }
    if (reading.wrong == NULL) {
        reading.wrong = missing(&reading);
    }
    if (record->turn.end_ms < record->turn.begin_ms) {
        record->turn.end_ms = record->turn.begin_ms;
    }
    if (record->at_ms < record->turn.begin_ms) {
        record->at_ms = record->turn.begin_ms;
    }
    record->turn.identity = hash_of(record->identity, reader->seed);
    record->turn.session = hash_of(record->session, reader->seed);
    return reading.wrong;
}

/* ---- writing --------------------------------------------------------------------- */

static void put_time(struct text *out, int64_t unix_ms)
{
    text_printf(out, "%lld.%03lld", (long long)(unix_ms / 1000),
                (long long)(unix_ms % 1000));
}

static void put_samples(struct text *out, const uint32_t *samples, unsigned count)
{
    text_put_char(out, '[');
    for (unsigned i = 0; i < count; i++) {
        text_put(out, i == 0 ? SPAN("") : SPAN(","));
        text_put_u64(out, samples[i]);
    }
    text_put_char(out, ']');
}

static void put_words(struct text *out, const struct prompt_sketch *prompt)
{
    if (!prompt->has_words) {
        text_put(out, SPAN("null"));
        return;
    }
    text_put_char(out, '[');
    for (unsigned i = 0; i < SKETCH_WORDS; i++) {
        text_put(out, i == 0 ? SPAN("") : SPAN(","));
        text_put_i64(out, prompt->words[i]);
    }
    text_put_char(out, ']');
}

static void put_prompt(struct text *out, const struct prompt_sketch *prompt)
{
    text_put(out, SPAN(",\"text\":{\"h\":\""));
    text_put_hex(out, prompt->whole, 16);
    text_put(out, SPAN("\",\"tmpl\":\""));
    text_put_hex(out, prompt->shape, 16);
    text_put(out, SPAN("\",\"sim\":\""));
    text_put_hex(out, prompt->similar, 16);
    text_printf(out, "\",\"len\":%u,\"bk\":[", prompt->characters);
    for (unsigned i = 0; i < prompt->bottom_count; i++) {
        text_put(out, i == 0 ? SPAN("") : SPAN(","));
        text_put_u64(out, prompt->bottom[i]);
    }
    text_put(out, SPAN("],\"hs\":"));
    put_samples(out, prompt->samples, prompt->sample_count);
    text_put(out, SPAN(",\"bow\":"));
    put_words(out, prompt);
    text_put_char(out, '}');
}

static void put_known(struct text *out, const char *name, const char *otherwise)
{
    if (name[0] != '\0') {
        text_put_json(out, span_text(name));
    } else {
        text_put(out, span_text(otherwise));
    }
}

void record_write(const struct turn *turn, int64_t at_ms, const char *model,
                  const char *agent, struct text *out)
{
    static const char *const kinds[] = {
        [TURN_PROMPT] = "turn", [TURN_CONTINUATION] = "cont", [TURN_SUBAGENT] = "sub"
    };

    text_put(out, SPAN("{\"ts\":"));
    put_time(out, turn->begin_ms);
    text_put(out, SPAN(",\"end\":"));
    put_time(out, turn->end_ms);
    if (at_ms > turn->begin_ms) {
        text_put(out, SPAN(",\"late\":"));
        put_time(out, at_ms);
    }
    text_put(out, SPAN(",\"identity\":\""));
    text_put_hex(out, turn->identity, 16);
    text_put(out, SPAN("\",\"session\":\""));
    text_put_hex(out, turn->session, 16);
    text_printf(out, "\",\"kind\":\"%s\",\"model\":", kinds[turn->kind]);
    put_known(out, model, "null");
    text_put(out, SPAN(",\"agent\":"));
    put_known(out, agent, "\"api\"");
    text_printf(out, ",\"input_tokens\":%llu,\"output_tokens\":%llu",
                (unsigned long long)turn->input_tokens,
                (unsigned long long)turn->output_tokens);
    if (turn->has_prompt && turn->kind != TURN_CONTINUATION) {
        put_prompt(out, &turn->prompt);
    }
    text_put(out, SPAN(",\"out_sk\":"));
    put_samples(out, turn->response.samples, turn->response.count);
    if (turn->loop != 0) {
        text_printf(out, ",\"loop\":%u", turn->loop);
    }
    text_put(out, turn->retry ? SPAN(",\"retry\":1") : SPAN(""));
    text_put(out, turn->harness ? SPAN(",\"harness\":1}") : SPAN("}"));
}

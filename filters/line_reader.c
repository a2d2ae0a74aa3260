#include "filters/line_reader.h"

#include "proxy/base/wipe.h"

#include <stdlib.h>

/* An attempt of the model: a part of the main usage, unless it was given up. */
enum { LINE_ATTEMPT = LINE_KINDS };

struct line_reader *line_reader_new(void)
{
    return calloc(1, sizeof(struct line_reader));
}

struct line_reader *line_reader_free(struct line_reader *reader)
{
    wipe_free(reader);
    return NULL;
}

/* ---- one line -------------------------------------------------------------------- */

static void begin_object(struct line_reader *reader, unsigned tag, bool quoted)
{
    if (!reader->now_any && tag != LINE_IS_PART) {
        reader->now_any = true;
        reader->now.count = 0;
        reader->now.fell_back = false;
    }
    reader->tag = tag;
    reader->type[0] = '\0';
    reader->model[0] = '\0';
    memset(&reader->tallier, 0, sizeof(reader->tallier));
    reader->tallier.quoted = quoted;
    reader->tallier.before = &reader->before;
}

static uint8_t iteration_kind(const char *type)
{
    static const struct {
        const char *type;
        uint8_t kind;
    } kinds[] = {
        { "message", LINE_ATTEMPT },
        { "compaction", LINE_COMPACTION },
        { "advisor_message", LINE_ADVISOR },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].type, type) == 0) {
            return kinds[i].kind;
        }
    }
    return UINT8_MAX;
}

static uint8_t kind_of(struct line_reader *reader)
{
    uint8_t kind;

    switch (reader->tag) {
    case LINE_IS_IMAGE_TOOL:
        return LINE_IMAGE_TOOL;
    case LINE_IS_SVG:
        return LINE_SVG;
    case LINE_IS_SUB_MODEL:
        return LINE_SUB_MODEL;
    default:
        break;
    }
    if (strcmp(reader->type, "fallback_message") == 0) {
        reader->now.fell_back = true; /* its tokens are the main usage */
        return UINT8_MAX;
    }
    kind = iteration_kind(reader->type);
    reader->odd |= kind == UINT8_MAX;
    return kind;
}

static void add_usage(struct usage *sum, const struct usage *usage)
{
    for (unsigned of = 0; of < TOKEN_CLASSES; of++) {
        sum->tokens[of] += usage->tokens[of];
    }
    for (unsigned of = 0; of < CACHE_LIFETIMES; of++) {
        sum->cache_write[of] += usage->cache_write[of];
    }
    for (unsigned of = 0; of < MODALITIES; of++) {
        sum->modality[of] += usage->modality[of];
    }
    sum->known_tokens |= usage->known_tokens;
    sum->known_lifetimes |= usage->known_lifetimes;
    sum->known_modalities |= usage->known_modalities;
    sum->flags |= usage->flags;
}

/* One line for each kind and model. What there is no room for joins the last one: its
 * tokens count, under a name that is not theirs. */
static struct usage *line_for(struct line_reader *reader, struct line_list *list,
                              uint8_t kind, const char *model)
{
    struct line *line;

    for (uint8_t i = 0; i < list->count; i++) {
        line = &list->lines[i];
        if (line->kind == kind && strcmp(line->model, model) == 0) {
            return &line->usage;
        }
    }
    if (list->count > LINES_MAX) {
        reader->odd = true;
        return &list->lines[LINES_MAX].usage;
    }
    line = &list->lines[list->count++];
    *line =
        (struct line){ .usage = { .source = USAGE_REPORTED, .reported_nanousd = -1 },
                       .kind = kind,
                       .within = kind == LINE_SUB_MODEL };
    text_store(line->model, sizeof(line->model), span_text(model));
    return &line->usage;
}

/* The images of a tool: output without details is image. */
static void know_image(struct usage *usage)
{
    if ((usage->known_modalities >> MODALITY_OUTPUT_IMAGE & 1) == 0) {
        usage->modality[MODALITY_OUTPUT_IMAGE] = usage_output(usage);
        usage->known_modalities |= 1U << MODALITY_OUTPUT_IMAGE;
    }
}

static void end_part(struct line_reader *reader, const struct usage *usage)
{
    reader->tag = 0;
    if (!reader->part_any) {
        reader->part_any = true;
        reader->part = (struct usage){ .reported_nanousd = -1 };
    }
    add_usage(&reader->part, usage);
}

static void end_line(struct line_reader *reader, const struct usage *of)
{
    uint8_t kind = kind_of(reader);
    struct usage usage = *of;

    reader->tag = 0;
    if (kind == UINT8_MAX) {
        return;
    }
    if (usage_total(&usage) == 0 ||
        (kind == LINE_ATTEMPT && usage_output(&usage) == 0)) {
        return;
    }
    if (kind == LINE_IMAGE_TOOL) {
        know_image(&usage);
    }
    add_usage(line_for(reader, &reader->now, kind, reader->model), &usage);
}

static void end_object(struct line_reader *reader, const struct dialect *dialect)
{
    struct usage usage = { .reported_nanousd = -1 };

    reader->tallier.tally.model = reader->model;
    dialect->balance(&reader->tallier.tally, &usage);
    if (reader->tag == LINE_IS_PART) {
        end_part(reader, &usage);
    } else {
        end_line(reader, &usage);
    }
}

/* ---- values ---------------------------------------------------------------------- */

static void store(char *array, size_t size, const struct scan_value *value)
{
    if (value->type == SCAN_STRING) {
        text_store(array, size, value->text);
    }
}

static void value_within(struct line_reader *reader, const struct scan_value *value)
{
    struct scan_value within = *value;

    within.tag -= LINE_VALUES;
    if (within.tag == SEEN_MODEL) {
        store(reader->model, sizeof(reader->model), value);
    } else if (within.tag == SEEN_TYPE) {
        store(reader->type, sizeof(reader->type), value);
    } else if (reader->tag != 0) {
        tallier_value(&reader->tallier, MERGE_REPLACE, &within);
    }
}

void line_reader_value(struct line_reader *reader, const struct dialect *dialect,
                       const struct scan_value *value)
{
    if (value->tag >= LINE_VALUES) {
        value_within(reader, value);
    } else if (value->tag == LINE_TOOL_MODEL) {
        store(reader->tool_model, sizeof(reader->tool_model), value);
    } else if (value->tag == LINES_ANEW) {
        reader->now_any &= value->type != SCAN_ARRAY;
    } else if (value->type == SCAN_OBJECT) {
        begin_object(reader, value->tag, dialect->quoted_counts);
    } else if (value->type == SCAN_END && reader->tag == value->tag) {
        end_object(reader, dialect);
    }
}

static void add_part(struct line_reader *reader, const char *model)
{
    if (!reader->any) {
        reader->any = true;
        reader->summed = true;
        reader->kept.count = 0;
        reader->kept.fell_back = false;
        reader->sum = (struct usage){ .reported_nanousd = -1 };
    }
    add_usage(&reader->sum, &reader->part);
    add_usage(line_for(reader, &reader->kept, LINE_SUB_MODEL, model), &reader->part);
}

void line_reader_event_end(struct line_reader *reader, const char *model)
{
    if (reader == NULL) {
        return;
    }
    if (reader->part_any) {
        reader->part_any = false;
        add_part(reader, model);
    }
    if (reader->now_any) {
        reader->now_any = false;
        reader->any = true;
        reader->kept = reader->now;
    }
    reader->tag = 0;
}

void line_reader_event_void(struct line_reader *reader)
{
    if (reader != NULL) {
        reader->now_any = false;
        reader->part_any = false;
        reader->tag = 0;
    }
}

/* ---- the whole ------------------------------------------------------------------- */

static void settle_line(const struct line_reader *reader, const struct line *line,
                        const char *model, struct entry *entry)
{
    struct line *out;

    if (entry->line_count == LINES_MAX) {
        add_usage(&entry->lines[LINES_MAX - 1].usage, &line->usage);
        entry->usage.flags |= USAGE_TRUNCATED;
        return;
    }
    out = &entry->lines[entry->line_count++];
    *out = *line;
    if (out->kind == LINE_ATTEMPT) {
        out->kind = LINE_FALLBACK;
    }
    if (out->kind == LINE_IMAGE_TOOL) {
        memcpy(out->model, reader->tool_model, sizeof(out->model));
    } else if (out->model[0] == '\0') {
        text_store(out->model, sizeof(out->model), span_text(model));
    }
}

void line_reader_settle(const struct line_reader *reader, const char *model,
                        struct entry *entry)
{
    entry->line_count = 0;
    if (reader == NULL) {
        return;
    }
    entry->usage.flags |= reader->odd ? USAGE_ANOMALY : 0;
    if (reader->summed && reader->kept.count == 1) {
        return; /* all parts are of the call's own model */
    }
    for (uint8_t i = 0; reader->any && entry->lines != NULL && i < reader->kept.count;
         i++) {
        const struct line *line = &reader->kept.lines[i];

        if (line->kind != LINE_ATTEMPT || reader->kept.fell_back) {
            settle_line(reader, line, model, entry);
        }
    }
}

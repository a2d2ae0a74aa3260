#include "proxy/meter/entry.h"

#include "proxy/base/check.h"
#include "proxy/base/clock.h"
#include "proxy/base/fault.h"

/* 2024-01-01T00:00:00Z */
static const uint64_t id_epoch_ms = 1704067200000;

enum { ID_LOW_BITS = ENTRY_ID_WORKER_BITS + ENTRY_ID_SEQUENCE_BITS };

/* In ASCII order, so that texts sort as their ids do; without i, l, o and u. */
static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

static const char id_prefix[] = "ax-";
enum { ID_PREFIX = sizeof id_prefix - 1, ID_DIGITS = ENTRY_ID_SIZE - 1 - ID_PREFIX };

uint64_t entry_id_at(uint64_t unix_ns)
{
    const uint64_t last = (UINT64_C(1) << ENTRY_ID_TIME_BITS) - 1;
    uint64_t ms = unix_ns / NS_PER_MS;

    if (ms < id_epoch_ms) {
        return 0;
    }
    ms -= id_epoch_ms;
    return (ms < last ? ms : last) << ID_LOW_BITS;
}

uint64_t entry_id_next(uint64_t last, uint64_t unix_ns, unsigned worker)
{
    const uint64_t low_mask = (UINT64_C(1) << ID_LOW_BITS) - 1;
    const uint64_t sequence_mask = (UINT64_C(1) << ENTRY_ID_SEQUENCE_BITS) - 1;
    uint64_t worker_bits = (uint64_t)worker << ENTRY_ID_SEQUENCE_BITS;
    uint64_t id = entry_id_at(unix_ns) | worker_bits;

    CHECK(worker < 1U << ENTRY_ID_WORKER_BITS);
    if (id <= last) {
        uint64_t sequence = last & sequence_mask;
        bool same_worker = ((last ^ worker_bits) & low_mask & ~sequence_mask) == 0;

        id = same_worker && sequence < sequence_mask
                 ? last + 1
                 : ((last >> ID_LOW_BITS) + 1) << ID_LOW_BITS | worker_bits;
    }
    CHECK(id > last && id >> 63 == 0);
    return id;
}

uint64_t entry_id_time(uint64_t id)
{
    return ((id >> ID_LOW_BITS) + id_epoch_ms) * NS_PER_MS;
}

void entry_id_text(uint64_t id, char text[ENTRY_ID_SIZE])
{
    memcpy(text, id_prefix, ID_PREFIX);
    for (int i = ENTRY_ID_SIZE - 2; i >= ID_PREFIX; i--) {
        text[i] = digits[id & 31];
        id >>= 5;
    }
    text[ENTRY_ID_SIZE - 1] = '\0';
}

bool entry_id_parse(struct span text, uint64_t *id)
{
    uint64_t value = 0;

    if (text.len != ENTRY_ID_SIZE - 1 || !span_starts(text, SPAN("ax-"))) {
        return false;
    }
    for (size_t i = ID_PREFIX; i < text.len; i++) {
        const char *digit = text.at[i] == '\0' ? NULL : strchr(digits, text.at[i]);

        if (digit == NULL || value >> (64 - 5) != 0) {
            return false;
        }
        value = value << 5 | (uint64_t)(digit - digits);
    }
    *id = value;
    return true;
}

/* ---- any bytes ------------------------------------------------------------------- */

static void end_strings(struct entry *entry)
{
#define END(array) entry->array[sizeof entry->array - 1] = '\0'
    END(team);
    END(caller);
    END(key);
    END(tool);
    END(tool_version);
    END(mode);
    END(session);
    END(agent);
    END(provider);
    END(dialect);
    END(operation);
    END(request_model);
    END(response_model);
    END(service_tier);
    END(tags);
#undef END
}

static void make_usage_legal(struct usage *usage)
{
    if (usage->source >= USAGE_SOURCES) {
        usage->source = USAGE_NONE;
    }
    usage->known_tokens &= (1U << TOKEN_CLASSES) - 1;
    usage->known_lifetimes &= (1U << CACHE_LIFETIMES) - 1;
    usage->flags &= (1U << USAGE_FLAGS) - 1;
}

static void make_line_legal(struct line *line)
{
    make_usage_legal(&line->usage);
    line->model[sizeof line->model - 1] = '\0';
    if (line->kind >= LINE_KINDS) {
        line->kind = LINE_SUB_MODEL;
    }
    line->priced = line->priced != 0;
    line->within = line->within != 0;
}

void entry_make_legal(struct entry *entry)
{
    end_strings(entry);
    entry->id &= INT64_MAX;
    if (entry->outcome >= OUTCOMES) {
        entry->outcome = OUTCOME_UNKNOWN;
    }
    if (entry->fault >= FAULT_COUNT) {
        entry->fault = FAULT_NONE;
    }
    if (entry->grade >= GRADES) {
        entry->grade = GRADE_UNRATED;
    }
    if (entry->turn >= TURN_CLASSES) {
        entry->turn = TURN_CLASS_NONE;
    }
    entry->stream = entry->stream != 0;
    entry->priced = entry->priced != 0;
    entry->free = entry->free != 0;
    entry->drained = entry->drained != 0;
    entry->service = entry->service != 0;
    make_usage_legal(&entry->usage);
    if (entry->line_count > LINES_MAX) {
        entry->line_count = LINES_MAX;
    }
    if (entry->lines == NULL) {
        entry->line_count = 0;
    }
    for (uint8_t i = 0; i < entry->line_count; i++) {
        make_line_legal(&entry->lines[i]);
    }
}

void entry_copy(struct entry *copy, const struct entry *entry)
{
    struct line *lines = copy->lines;

    *copy = *entry;
    copy->lines = lines;
    for (uint8_t i = 0; i < entry->line_count; i++) {
        lines[i] = entry->lines[i];
    }
}

/* ---- the whole call -------------------------------------------------------------- */

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t whole(const struct entry *entry,
                      uint64_t (*part)(const struct usage *usage))
{
    uint64_t sum = part(&entry->usage);

    for (uint8_t i = 0; i < entry->line_count; i++) {
        if (!entry->lines[i].within) {
            sum = add(sum, part(&entry->lines[i].usage));
        }
    }
    return sum;
}

uint64_t entry_input(const struct entry *entry)
{
    return whole(entry, usage_input);
}

uint64_t entry_output(const struct entry *entry)
{
    return whole(entry, usage_output);
}

int64_t entry_cost(const struct entry *entry)
{
    int64_t cost = entry->priced ? entry->cost_nanousd : 0;

    for (uint8_t i = 0; i < entry->line_count; i++) {
        const struct line *line = &entry->lines[i];

        if (line->priced && __builtin_add_overflow(cost, line->cost_nanousd, &cost)) {
            cost = INT64_MAX;
        }
    }
    return cost;
}

bool entry_priced(const struct entry *entry)
{
    bool priced = entry->priced;

    for (uint8_t i = 0; i < entry->line_count; i++) {
        priced &= entry->lines[i].priced != 0;
    }
    return priced;
}

static void take(uint64_t *from, uint64_t part)
{
    *from = *from > part ? *from - part : 0;
}

struct usage entry_own_usage(const struct entry *entry)
{
    struct usage own = entry->usage;

    for (uint8_t i = 0; i < entry->line_count; i++) {
        const struct line *line = &entry->lines[i];

        for (unsigned of = 0; line->within && of < TOKEN_CLASSES; of++) {
            take(&own.tokens[of], line->usage.tokens[of]);
        }
        for (unsigned of = 0; line->within && of < CACHE_LIFETIMES; of++) {
            take(&own.cache_write[of], line->usage.cache_write[of]);
        }
        for (unsigned of = 0; line->within && of < MODALITIES; of++) {
            take(&own.modality[of], line->usage.modality[of]);
        }
    }
    return own;
}

/* ---- words ----------------------------------------------------------------------- */

const char *line_kind_name(enum line_kind kind)
{
    static const char *const names[LINE_KINDS] = {
        [LINE_IMAGE_TOOL] = "image_tool", [LINE_SVG] = "svg",
        [LINE_COMPACTION] = "compaction", [LINE_ADVISOR] = "advisor",
        [LINE_FALLBACK] = "fallback",     [LINE_SUB_MODEL] = "sub_model",
    };

    CHECK((unsigned)kind < LINE_KINDS);
    return names[kind];
}

const char *turn_class_name(enum turn_class class)
{
    static const char *const names[TURN_CLASSES] = {
        [TURN_CLASS_NONE] = "none",
        [TURN_CLASS_HUMAN] = "human",
        [TURN_CLASS_TOOL] = "tool",
        [TURN_CLASS_SUBAGENT] = "subagent",
        [TURN_CLASS_RETRY] = "retry",
        [TURN_CLASS_HARNESS] = "harness",
        [TURN_CLASS_HOUSEKEEPING] = "housekeeping",
    };

    CHECK((unsigned)class < TURN_CLASSES);
    return names[class];
}

#include "proxy/cli/export_csv.h"

#include "proxy/base/clock.h"
#include "proxy/base/fault.h"
#include "proxy/cli/csv.h"
#include "proxy/cli/period.h"

enum { FLAGS_SIZE = 128 };

void export_csv_head(FILE *out)
{
    struct csv csv = { .out = out };

    csv_put(&csv, "id");
    csv_put(&csv, "time");
#define TEXT(name, value)          csv_put(&csv, #name);
#define FLAG(name, value)          csv_put(&csv, #name);
#define NUMBER(name, value, known) csv_put(&csv, #name);
#define MONEY(name, value, known)  csv_put(&csv, #name);
#define MS(name, us, known)        csv_put(&csv, #name);
#include "proxy/cli/export_column.def"
#undef TEXT
#undef FLAG
#undef NUMBER
#undef MONEY
#undef MS
    csv_end(&csv);
}

/* "anomaly inferred" */
static void list_flags(unsigned bits, char flags[FLAGS_SIZE])
{
    struct text text = text_over(flags, FLAGS_SIZE - 1);

    for (unsigned bit = 0; bit < USAGE_FLAGS; bit++) {
        if ((bits >> bit & 1) != 0) {
            text_put(&text, text.len == 0 ? SPAN("") : SPAN(" "));
            text_put(&text, span_text(usage_flag_name(bit)));
        }
    }
    flags[text.len] = '\0';
}

static void put_number(struct csv *csv, uint64_t value, bool known)
{
    if (known) {
        csv_put_u64(csv, value);
    } else {
        csv_put(csv, "");
    }
}

static void put_money(struct csv *csv, int64_t value, bool known)
{
    if (known) {
        csv_put_i64(csv, value);
    } else {
        csv_put(csv, "");
    }
}

static void put_ms(struct csv *csv, uint64_t us, bool known)
{
    char text[32];

    snprintf(text, sizeof text, "%llu.%03u", (unsigned long long)(us / 1000),
             (unsigned)(us % 1000));
    csv_put(csv, known ? text : "");
}

void export_csv_row(const struct entry *entry, FILE *out)
{
    const struct usage *usage = &entry->usage;
    struct csv csv = { .out = out };
    char id[ENTRY_ID_SIZE];
    char time[PERIOD_TEXT_SIZE];
    char flags[FLAGS_SIZE];

    entry_id_text(entry->id, id);
    period_print(entry->started_ns, time);
    list_flags(usage->flags, flags);
    csv_put(&csv, id);
    csv_put(&csv, time);
#define KNOWN(kind, bit)           ((usage->known_##kind >> (bit)&1) != 0)
#define TEXT(name, value)          csv_put(&csv, value);
#define FLAG(name, value)          csv_put(&csv, (value) != 0 ? "true" : "false");
#define NUMBER(name, value, known) put_number(&csv, value, known);
#define MONEY(name, value, known)  put_money(&csv, value, known);
#define MS(name, us, known)        put_ms(&csv, us, known);
#include "proxy/cli/export_column.def"
#undef KNOWN
#undef TEXT
#undef FLAG
#undef NUMBER
#undef MONEY
#undef MS
    csv_end(&csv);
}

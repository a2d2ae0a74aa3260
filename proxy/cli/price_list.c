#include "proxy/cli/price_list.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"
#include "proxy/cli/grid.h"
#include "proxy/cli/moment.h"
#include "proxy/meter/price_table.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>

enum { NAME_SIZE = 160, RATE_SIZE = 32, DAY_LEN = sizeof "2026-11-20" - 1 };

struct listing {
    const struct price_table *table;
    uint64_t at_unix_ns;
    struct price_name *names; /* of models in force, sorted */
    size_t count;
    struct grid *grid;
};

/* ---- which models ---------------------------------------------------------------- */

static bool is_match(const char *pattern, struct span model)
{
    char name[NAME_SIZE];

    text_store(name, sizeof name, model);
    if (strpbrk(pattern, "*?[") != NULL) {
        return fnmatch(pattern, name, FNM_CASEFOLD) == 0;
    }
    return strcasestr(name, pattern) != NULL;
}

static int compare_spans(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_names(const void *left, const void *right)
{
    const struct price_name *a = left;
    const struct price_name *b = right;
    int order = compare_spans(a->model, b->model);

    return order != 0 ? order : compare_spans(a->row->provider, b->row->provider);
}

static void choose(struct listing *listing, const char *pattern)
{
    const struct price_table *table = listing->table;

    listing->names = calloc(table->name_count + 1, sizeof *listing->names);
    CHECK(listing->names != NULL);
    for (size_t i = 0; i < table->places; i++) {
        const struct price_name *name = &table->names[i];

        if (name->row != NULL && name->row->from_ns <= listing->at_unix_ns &&
            listing->at_unix_ns < name->row->until_ns &&
            (pattern == NULL || is_match(pattern, name->model))) {
            listing->names[listing->count++] = *name;
        }
    }
    qsort(listing->names, listing->count, sizeof *listing->names, compare_names);
}

/* ---- cells ----------------------------------------------------------------------- */

/* Pico-dollars per token as dollars per million, with two decimals or as many as it
 * takes. */
static void put_rate(struct grid *grid, int64_t rate)
{
    int64_t fraction = rate % PICO_PER_MICRO;
    int places = PRICE_DECIMALS;
    char dollars[COUNT_TEXT_SIZE];

    while (places > 2 && fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    count_print((uint64_t)(rate / PICO_PER_MICRO), dollars);
    grid_printf(grid, "%s.%0*" PRIi64, dollars, places, fraction);
}

/* Nothing where a rate is what would be charged without it. */
static void put_further_rate(struct grid *grid, int64_t rate, int64_t otherwise)
{
    if (rate == PRICE_UNSET || rate == otherwise) {
        grid_put(grid, "");
    } else {
        put_rate(grid, rate);
    }
}

static void put_rates(struct grid *grid, const struct price_rates *rates)
{
    int64_t write =
        rates->cache_write == PRICE_UNSET ? rates->input : rates->cache_write;

    put_further_rate(grid, rates->input, PRICE_UNSET);
    put_further_rate(grid, rates->cache_read, rates->input);
    put_further_rate(grid, write, rates->input);
    put_further_rate(grid, rates->cache_write_30m, write);
    put_further_rate(grid, rates->cache_write_1h, write);
    put_further_rate(grid, rates->cache_write_12h, write);
    put_further_rate(grid, rates->output, PRICE_UNSET);
    put_further_rate(grid, rates->reasoning, rates->output);
    put_further_rate(grid, rates->input_audio, rates->input);
    put_further_rate(grid, rates->input_image, rates->input);
    put_further_rate(grid, rates->input_video, rates->input);
    put_further_rate(grid, rates->output_audio, rates->output);
    put_further_rate(grid, rates->output_image, rates->output);
    put_further_rate(grid, rates->audio_minute, PRICE_UNSET);
}

static void put_day(struct text *text, const char *before, uint64_t unix_ns)
{
    char day[MOMENT_TEXT_SIZE];

    moment_print(clock_seconds(unix_ns), day);
    text_printf(text, "%s%.*s", before, DAY_LEN, day);
}

static void put_validity(struct grid *grid, const struct price_row *row)
{
    char memory[64];
    struct text text = text_over(memory, sizeof memory);

    if (row->from_ns != 0) {
        put_day(&text, "from ", row->from_ns);
    }
    if (row->until_ns != UINT64_MAX) {
        put_day(&text, text.len > 0 ? " until " : "until ", row->until_ns);
    }
    grid_printf(grid, "%.*s", (int)text.len, text.at);
}

static void put_span(struct grid *grid, struct span words)
{
    grid_printf(grid, "%.*s", (int)words.len, words.at);
}

/* ---- rows ------------------------------------------------------------------------ */

static void put_row(const struct listing *listing, const struct price_name *name,
                    const struct price_rates *rates, const char *applies)
{
    put_span(listing->grid, name->model);
    put_span(listing->grid, name->row->provider);
    put_rates(listing->grid, rates);
    put_validity(listing->grid, name->row);
    grid_put(listing->grid, applies);
}

static void put_longs(const struct listing *listing, const struct price_name *name)
{
    char over[COUNT_TEXT_SIZE];
    char applies[NAME_SIZE];

    for (const struct price_long *longer = name->row->longs; longer != NULL;
         longer = longer->next) {
        count_print(longer->over, over);
        snprintf(applies, sizeof applies, "input over %s tokens", over);
        put_row(listing, name, &longer->rates, applies);
    }
}

static void put_tiers(const struct listing *listing, const struct price_name *name)
{
    char applies[NAME_SIZE];

    for (const struct price_tier *tier = name->row->tiers; tier != NULL;
         tier = tier->next) {
        struct price_key key = { .provider = name->row->provider,
                                 .model = name->model,
                                 .service_tier = tier->name,
                                 .at_unix_ns = listing->at_unix_ns };
        struct price_rates rates;

        snprintf(applies, sizeof applies, "service tier %.*s", (int)tier->name.len,
                 tier->name.at);
        if (price_find(listing->table, &key, &rates)) {
            put_row(listing, name, &rates, applies);
        }
    }
}

/* What else a model may cost, in a few words: "+ long input, service tiers". */
static const char *further(const struct price_row *row)
{
    if (row->longs != NULL) {
        return row->tiers != NULL ? "+ long input, service tiers" : "+ long input";
    }
    return row->tiers != NULL ? "+ service tiers" : "";
}

/* Columns that nothing fills are not shown. */
static struct grid *make_columns(void)
{
    static const char *const rates[] = { "INPUT",        "CACHE READ",  "CACHE WRITE",
                                         "WRITE 30M",    "WRITE 1H",    "WRITE 12H",
                                         "OUTPUT",       "REASONING",   "INPUT AUDIO",
                                         "INPUT IMAGE",  "INPUT VIDEO", "OUTPUT AUDIO",
                                         "OUTPUT IMAGE", "AUDIO MINUTE" };
    struct grid *grid = grid_new();

    grid_column(grid, "MODEL", GRID_LEFT);
    grid_column(grid, "ONLY AT", GRID_LEFT);
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        grid_column(grid, rates[i], GRID_RIGHT);
    }
    grid_column(grid, "VALID", GRID_LEFT);
    grid_column(grid, "", GRID_LEFT);
    return grid;
}

static void put_all(const struct listing *listing, bool detailed)
{
    for (size_t i = 0; i < listing->count; i++) {
        const struct price_name *name = &listing->names[i];

        put_row(listing, name, &name->row->rates, detailed ? "" : further(name->row));
        if (detailed) {
            put_longs(listing, name);
            put_tiers(listing, name);
        }
    }
}

/* A dated snapshot or a routed name is priced without being listed. */
static bool put_unlisted(const struct listing *listing, const char *model)
{
    struct price_key key = { .model = span_text(model),
                             .at_unix_ns = listing->at_unix_ns };
    struct price_row row = { .until_ns = UINT64_MAX };
    struct price_name name = { .model = key.model, .row = &row };

    if (!price_find(listing->table, &key, &row.rates)) {
        return false;
    }
    put_row(listing, &name, &row.rates, "by its name without date or route");
    return true;
}

size_t price_list_print(const struct price_table *table, const char *source,
                        const char *pattern, uint64_t at_unix_ns, FILE *out)
{
    struct listing listing = { .table = table, .at_unix_ns = at_unix_ns };

    choose(&listing, pattern);
    listing.grid = make_columns();
    put_all(&listing, pattern != NULL);
    if (listing.count == 0 && pattern != NULL && put_unlisted(&listing, pattern)) {
        listing.count = 1;
    }
    if (listing.count > 0) {
        fprintf(out,
                "US dollars per million tokens, audio's also per minute; an empty "
                "cell: no price"
                " of its own."
                "\nFrom %s\n\n",
                source);
        grid_print(listing.grid, out);
    }
    grid_free(listing.grid);
    free(listing.names);
    return listing.count;
}

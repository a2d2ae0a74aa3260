/* Reads a file in the format of config/prices.yaml into a price table. */
#include "proxy/meter/price_load.h"

#include "config/nearest.h"
#include "config/tree.h"
#include "proxy/base/clock.h"
#include "proxy/base/date.h"
#include "proxy/meter/price_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A file within tree.h's limits needs less. */
enum { TREE_MEMORY = 32 << 20 };

struct loading {
    struct price_table *table;
    struct error *error;
};

static bool refuse(struct loading *loading, struct error_place place, const char *what,
                   const char *word)
{
    if (word == NULL) {
        error_add(loading->error, place, "%s", what);
    } else {
        error_add(loading->error, place, "%s: '%.60s'", what, word);
    }
    return false;
}

static bool has_kind(struct loading *loading, const struct node *node,
                     enum node_kind kind, const char *what)
{
    return node->kind == kind || refuse(loading, node->place, what, NULL);
}

/* Are all keys of a map among `known`? Tells each that is not, and
 * the nearest known. */
static bool check_keys(struct loading *loading, const struct node *map,
                       const char *const *known)
{
    bool good = true;

    for (const struct node *member = map->first; member != NULL;
         member = member->next) {
        struct nearest nearest = nearest_to(member->key);
        bool found = false;

        for (const char *const *key = known; *key != NULL; key++) {
            found = found || strcmp(*key, member->key) == 0;
        }
        if (found) {
            continue;
        }
        nearest_offer_all(&nearest, known);
        if (nearest.word == NULL) {
            refuse(loading, member->key_place, "unknown key", member->key);
        } else {
            error_add(loading->error, member->key_place,
                      "unknown key '%.60s'; did you mean '%s'?", member->key,
                      nearest.word);
        }
        good = false;
    }
    return good;
}

/* ---- values ---------------------------------------------------------------------- */

static bool read_count(const char *text, uint64_t *count)
{
    return span_decimal(span_text(text), count);
}

/* Decimal dollars per million tokens as pico-dollars per token, exactly. */
static bool parse_rate(struct span text, int64_t *rate)
{
    size_t point = span_find(text, '.');
    struct span whole = span_of(text.at, point);
    struct span fraction = point == text.len ? SPAN("") : span_after(text, point + 1);
    uint64_t dollars, millionths = 0;

    if (!span_decimal(whole, &dollars) || fraction.len > PRICE_DECIMALS ||
        (point < text.len && !span_decimal(fraction, &millionths)) ||
        dollars > PRICE_RATE_MAX / PICO_PER_MICRO) {
        return false;
    }
    for (size_t i = fraction.len; i < PRICE_DECIMALS; i++) {
        millionths *= 10;
    }
    *rate = (int64_t)(dollars * PICO_PER_MICRO + millionths);
    return true;
}

static const char *const rate_names[] = {
#define RATE(name) #name,
    PRICE_TOKEN_RATES(RATE)
#undef RATE
        NULL,
};

static int64_t *rate_at(struct price_rates *rates, const char *name)
{
#define RATE(member)                                                                   \
    if (strcmp(name, #member) == 0) {                                                  \
        return &rates->member;                                                         \
    }
    PRICE_RATES(RATE)
#undef RATE
    return NULL;
}

static void unset_rates(struct price_rates *rates)
{
#define RATE(name) rates->name = PRICE_UNSET;
    PRICE_RATES(RATE)
#undef RATE
}

static bool read_rates(struct loading *loading, const struct node *map,
                       struct price_rates *rates)
{
    bool good = true;

    unset_rates(rates);
    if (!has_kind(loading, map, NODE_MAP, "prices are a map, as in {input: 2.50}") ||
        !check_keys(loading, map, rate_names)) {
        return false;
    }
    for (const struct node *rate = map->first; rate != NULL; rate = rate->next) {
        if (rate->kind != NODE_SCALAR ||
            !parse_rate(span_text(rate->text), rate_at(rates, rate->key))) {
            good = refuse(loading, rate->place,
                          "not a price in dollars, as 2.50, of at most 6 decimals",
                          rate->text);
        }
    }
    if (good && (rates->input == PRICE_UNSET || rates->output == PRICE_UNSET)) {
        good = refuse(loading, map->place, "the prices of input and output are needed",
                      NULL);
    }
    return good;
}

/* "2025-08-07", the beginning of that day in UTC. */
static bool parse_date(struct span text, uint64_t *unix_ns)
{
    struct span year, month, day;
    uint64_t y, m, d;
    struct date date;
    int64_t days;

    if (text.len != 10 || !span_next(&text, '-', &year) ||
        !span_next(&text, '-', &month) || !span_next(&text, '-', &day) ||
        text.at != NULL || !span_decimal(year, &y) || !span_decimal(month, &m) ||
        !span_decimal(day, &d) || y < 1970 || y > 2500 || m < 1 || m > 12) {
        return false;
    }
    date =
        (struct date){ .year = (int64_t)y, .month = (unsigned)m, .day = (unsigned)d };
    days = date_days(&date);
    *unix_ns = (uint64_t)days * DATE_DAY_S * NS_PER_S;
    return date_of_days(days).day == d; /* no 30th of February, no 0th */
}

static bool read_valid(struct loading *loading, const struct node *map,
                       struct price_row *row)
{
    static const char *const keys[] = { "from", "until", NULL };
    bool good = true;

    if (!has_kind(loading, map, NODE_MAP, "valid is a map of dates") ||
        !check_keys(loading, map, keys)) {
        return false;
    }
    for (const struct node *date = map->first; date != NULL; date = date->next) {
        uint64_t *at = strcmp(date->key, "from") == 0 ? &row->from_ns : &row->until_ns;

        if (date->kind != NODE_SCALAR || !parse_date(span_text(date->text), at)) {
            good =
                refuse(loading, date->place, "not a date, as 2025-08-07", date->text);
        }
    }
    if (good && row->from_ns >= row->until_ns) {
        good = refuse(loading, map->place, "ends before it begins", NULL);
    }
    return good;
}

static bool read_tier(struct loading *loading, const struct node *node,
                      struct price_row *row)
{
    struct price_tier *tier = arena_take(&loading->table->arena, sizeof *tier);
    struct span text;
    uint64_t percent;

    CHECK(tier != NULL);
    tier->name = arena_copy(&loading->table->arena, span_text(node->key));
    tier->next = row->tiers;
    row->tiers = tier;
    if (node->kind != NODE_SCALAR) {
        return read_rates(loading, node, &tier->rates);
    }
    text = span_text(node->text);
    if (!span_ends(text, SPAN("%")) ||
        !span_decimal(span_of(text.at, text.len - 1), &percent) || percent < 1 ||
        percent > 1000) {
        return refuse(loading, node->place,
                      "a service tier has prices of its own, or a part as 50%",
                      node->text);
    }
    tier->percent = (int64_t)percent;
    return true;
}

static bool read_tiers(struct loading *loading, const struct node *map,
                       struct price_row *row)
{
    bool good = has_kind(loading, map, NODE_MAP, "service_tiers is a map");

    for (const struct node *tier = good ? map->first : NULL; tier != NULL;
         tier = tier->next) {
        good = read_tier(loading, tier, row) && good;
    }
    return good;
}

/* Keeps the list descending, so that the first one exceeded is in force. */
static bool insert_long(struct price_row *row, struct price_long *item)
{
    struct price_long **at = &row->longs;

    while (*at != NULL && (*at)->over > item->over) {
        at = &(*at)->next;
    }
    if (*at != NULL && (*at)->over == item->over) {
        return false;
    }
    item->next = *at;
    *at = item;
    return true;
}

static bool read_long(struct loading *loading, const struct node *map,
                      struct price_row *row)
{
    static const char *const keys[] = { "over", "per_million", NULL };
    struct price_long *item = arena_take(&loading->table->arena, sizeof *item);
    const struct node *over, *rates;

    CHECK(item != NULL);
    if (!has_kind(loading, map, NODE_MAP, "as in {over: 200000, per_million: {...}}") ||
        !check_keys(loading, map, keys)) {
        return false;
    }
    over = node_member(map, "over");
    rates = node_member(map, "per_million");
    if (over == NULL || rates == NULL) {
        return refuse(loading, map->place, "over and per_million are needed", NULL);
    }
    if (over->kind != NODE_SCALAR || !read_count(over->text, &item->over)) {
        return refuse(loading, over->place, "not a number of tokens", over->text);
    }
    return read_rates(loading, rates, &item->rates) &&
           (insert_long(row, item) ||
            refuse(loading, over->place, "listed twice", over->text));
}

static bool read_longs(struct loading *loading, const struct node *list,
                       struct price_row *row)
{
    bool good = has_kind(loading, list, NODE_LIST, "long_context is a list");

    for (const struct node *item = good ? list->first : NULL; item != NULL;
         item = item->next) {
        good = read_long(loading, item, row) && good;
    }
    return good;
}

/* ---- rows ------------------------------------------------------------------------ */

static bool add_name(struct loading *loading, const struct node *name,
                     const struct price_row *row)
{
    struct price_table *table = loading->table;
    const struct price_row *other;

    if (name->kind != NODE_SCALAR || name->text[0] == '\0') {
        return refuse(loading, name->place, "not a model's name", NULL);
    }
    other =
        price_table_add(table, arena_copy(&table->arena, span_text(name->text)), row);
    if (other != NULL) {
        error_add(loading->error, name->place,
                  "'%.60s' has a price for the same time in line %u", name->text,
                  other->place.line);
        return false;
    }
    return true;
}

static bool add_names(struct loading *loading, const struct node *map,
                      const struct price_row *row)
{
    const struct node *model = node_member(map, "model");
    const struct node *aliases = node_member(map, "aliases");
    bool good = add_name(loading, model, row);

    if (aliases == NULL) {
        return good;
    }
    if (!has_kind(loading, aliases, NODE_LIST, "aliases is a list of names")) {
        return false;
    }
    for (const struct node *alias = aliases->first; alias != NULL;
         alias = alias->next) {
        good = add_name(loading, alias, row) && good;
    }
    return good;
}

/* {audio: 0.006}: dollars a minute. */
static bool read_minutes(struct loading *loading, const struct node *map,
                         struct price_rates *rates)
{
    static const char *const keys[] = { "audio", NULL };
    const struct node *audio;

    if (!has_kind(loading, map, NODE_MAP,
                  "per_minute is a map, as in {audio: 0.006}") ||
        !check_keys(loading, map, keys)) {
        return false;
    }
    audio = node_member(map, "audio");
    return audio != NULL && audio->kind == NODE_SCALAR &&
                   parse_rate(span_text(audio->text), &rates->audio_minute)
               ? true
               : refuse(loading, map->place,
                        "not a price in dollars, as {audio: 0.006}, of at most 6 "
                        "decimals",
                        NULL);
}

static bool read_details(struct loading *loading, const struct node *map,
                         struct price_row *row)
{
    const struct node *provider = node_member(map, "provider");
    const struct node *valid = node_member(map, "valid");
    const struct node *longs = node_member(map, "long_context");
    const struct node *tiers = node_member(map, "service_tiers");
    const struct node *tokens = node_member(map, "per_million");
    const struct node *minutes = node_member(map, "per_minute");

    unset_rates(&row->rates);
    if (provider != NULL) {
        if (!has_kind(loading, provider, NODE_SCALAR, "provider is a name")) {
            return false;
        }
        row->provider = arena_copy(&loading->table->arena, span_text(provider->text));
    }
    return (valid == NULL || read_valid(loading, valid, row)) &&
           (tokens == NULL || read_rates(loading, tokens, &row->rates)) &&
           (minutes == NULL || read_minutes(loading, minutes, &row->rates)) &&
           (longs == NULL || read_longs(loading, longs, row)) &&
           (tiers == NULL || read_tiers(loading, tiers, row));
}

static void read_row(struct loading *loading, const struct node *map)
{
    static const char *const keys[] = { "model",        "provider",      "aliases",
                                        "valid",        "per_million",   "per_minute",
                                        "long_context", "service_tiers", NULL };
    struct price_row *row = arena_take(&loading->table->arena, sizeof *row);

    CHECK(row != NULL);
    *row = (struct price_row){ .until_ns = UINT64_MAX, .place = map->place };
    if (!has_kind(loading, map, NODE_MAP,
                  "a price is a map of model and per_million") ||
        !check_keys(loading, map, keys)) {
        return;
    }
    if (node_member(map, "model") == NULL || (node_member(map, "per_million") == NULL &&
                                              node_member(map, "per_minute") == NULL)) {
        refuse(loading, map->place, "model and per_million are needed", NULL);
        return;
    }
    if (read_details(loading, map, row) && add_names(loading, map, row)) {
        loading->table->row_count++;
    }
}

static void read_prefixes(struct loading *loading, const struct node *list)
{
    struct price_table *table = loading->table;

    if (!has_kind(loading, list, NODE_LIST, "prefixes is a list of texts")) {
        return;
    }
    table->prefixes =
        arena_take(&table->arena, list->count * sizeof *table->prefixes + 1);
    CHECK(table->prefixes != NULL);
    for (const struct node *prefix = list->first; prefix != NULL;
         prefix = prefix->next) {
        if (!has_kind(loading, prefix, NODE_SCALAR, "a prefix is a text") ||
            prefix->text[0] == '\0') {
            continue;
        }
        table->prefixes[table->prefix_count++] =
            arena_copy(&table->arena, span_text(prefix->text));
    }
}

static void read_root(struct loading *loading, const struct node *root)
{
    static const char *const keys[] = { "models", "prefixes", NULL };
    const struct node *models, *prefixes;

    if (!has_kind(loading, root, NODE_MAP, "a price file is a map with models") ||
        !check_keys(loading, root, keys)) {
        return;
    }
    models = node_member(root, "models");
    prefixes = node_member(root, "prefixes");
    if (models == NULL) {
        refuse(loading, root->place, "models is needed", NULL);
        return;
    }
    if (prefixes != NULL) {
        read_prefixes(loading, prefixes);
    }
    if (has_kind(loading, models, NODE_LIST, "models is a list")) {
        for (const struct node *row = models->first; row != NULL; row = row->next) {
            read_row(loading, row);
        }
    }
}

struct price_table *price_table_parse(const char *name, struct span text,
                                      struct error *error)
{
    struct loading loading = { price_table_new(), error };
    size_t before = error->count;
    struct arena_pool pool;
    struct arena arena;
    struct tree tree;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, TREE_MEMORY);
    if (tree_read(name, text, &arena, &tree, error) && error->count == before) {
        read_root(&loading, tree.root);
    }
    arena_done(&arena);
    arena_pool_done(&pool);
    return error->count == before ? loading.table : price_table_free(loading.table);
}

char *price_file_read(const char *path, size_t limit, size_t *len, struct error *error)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(limit + 2);

    CHECK(text != NULL);
    *len = file == NULL ? 0 : fread(text, 1, limit + 1, file);
    if (file == NULL || ferror(file)) {
        error_add(error, (struct error_place){ .file = path }, "cannot be read: %s",
                  strerror(errno));
        free(text);
        text = NULL;
    } else if (*len > limit) {
        error_add(error, (struct error_place){ .file = path },
                  "is larger than %zu bytes", limit);
        free(text);
        text = NULL;
    } else {
        text[*len] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

struct price_table *price_table_load(const char *path, struct error *error)
{
    struct price_table *table = NULL;
    size_t len;
    char *text = price_file_read(path, TREE_SIZE_LIMIT, &len, error);

    if (text != NULL) {
        table = price_table_parse(path, span_of(text, len), error);
        free(text);
    }
    return table;
}

/* Reads the community's model_prices_and_context_window.json: an object with a member
 * per model, whose own members are costs in dollars per token. */
#include "proxy/meter/price_load.h"
#include "proxy/meter/price_table.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

enum { IMPORT_SIZE_LIMIT = 16 << 20, NAME_MAX_LEN = 128 };

/* The base of each rate's member names; a tier or a length may be appended. */
static const struct source {
    const char *rate, *member, *suffix;
} sources[] = {
    { "input", "input_cost_per_token", "" },
    { "cache_read", "cache_read_input_token_cost", "" },
    { "cache_write", "cache_creation_input_token_cost", "" },
    { "cache_write_1h", "cache_creation_input_token_cost", "_above_1hr" },
    { "output", "output_cost_per_token", "" },
    { "reasoning", "output_cost_per_reasoning_token", "" },
    { "input_audio", "input_cost_per_audio_token", "" },
    { "input_image", "input_cost_per_image_token", "" },
    { "output_audio", "output_cost_per_audio_token", "" },
    { "output_image", "output_cost_per_image_token", "" },
};
enum {
    SOURCES = sizeof sources / sizeof sources[0],
    SOURCE_INPUT = 0,
    SOURCE_OUTPUT = 4
};

static const struct {
    const char *suffix;
    const char *name;
} tiers[] = {
    { "_batches", "batch" },
    { "_flex", "flex" },
    { "_priority", "priority" },
};

static const struct {
    const char *suffix;
    unsigned over;
} lengths[] = {
    { "_above_128k_tokens", 128000 },
    { "_above_200k_tokens", 200000 },
    { "_above_272k_tokens", 272000 },
};

/* The rate in pico-dollars per token; PRICE_UNSET if the model does not have it. A JSON
 * number has 15 digits and a rate at most 12, so rounding gives what was written. */
static int64_t rate_of(const cJSON *model, const struct source *source,
                       const char *suffix)
{
    char name[96];
    const cJSON *cost;
    double pico;

    snprintf(name, sizeof name, "%s%s%s", source->member, source->suffix, suffix);
    cost = cJSON_GetObjectItemCaseSensitive(model, name);
    if (!cJSON_IsNumber(cost)) {
        return PRICE_UNSET;
    }
    pico = cost->valuedouble * 1e12;
    return pico >= 0 && pico <= (double)PRICE_RATE_MAX ? (int64_t)(pico + 0.5)
                                                       : PRICE_UNSET;
}

static void put_rate(FILE *out, int64_t rate)
{
    int64_t fraction = rate % PICO_PER_MICRO;
    int places = PRICE_DECIMALS;

    while (places > 2 && fraction % 10 == 0) {
        fraction /= 10;
        places--;
    }
    fprintf(out, "%lld.%0*lld", (long long)(rate / PICO_PER_MICRO), places,
            (long long)fraction);
}

/* Writes the rates of one suffix as a map, if they hold what a price needs. */
static bool put_rates(FILE *out, const char *before, const cJSON *model,
                      const char *suffix, bool output_free)
{
    const char *separator = "";

    if (rate_of(model, &sources[SOURCE_INPUT], suffix) == PRICE_UNSET ||
        (rate_of(model, &sources[SOURCE_OUTPUT], suffix) == PRICE_UNSET &&
         !output_free)) {
        return false;
    }
    fprintf(out, "%s{", before);
    for (size_t i = 0; i < SOURCES; i++) {
        int64_t rate = rate_of(model, &sources[i], suffix);

        if (rate == PRICE_UNSET && i == SOURCE_OUTPUT) {
            rate = 0;
        }
        if (rate != PRICE_UNSET) {
            fprintf(out, "%s%s: ", separator, sources[i].rate);
            put_rate(out, rate);
            separator = ", ";
        }
    }
    fputc('}', out);
    return true;
}

static void put_tiers(FILE *out, const cJSON *model, bool output_free)
{
    const char *end = "";
    char before[64];

    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
        snprintf(before, sizeof before,
                 "%s%s: ", *end == '\0' ? "\n    service_tiers: {" : ", ",
                 tiers[i].name);
        if (put_rates(out, before, model, tiers[i].suffix, output_free)) {
            end = "}";
        }
    }
    fputs(end, out);
}

static void put_lengths(FILE *out, const cJSON *model, bool output_free)
{
    const char *end = "";
    char before[96];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        snprintf(before, sizeof before, "%s{over: %u, per_million: ",
                 *end == '\0' ? "\n    long_context: [" : "}, ", lengths[i].over);
        if (put_rates(out, before, model, lengths[i].suffix, output_free)) {
            end = "}]";
        }
    }
    fputs(end, out);
}

/* Only printable ASCII that needs no escape, which is all that model names
 * are made of. */
static bool is_plain(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '"' || name[i] == '\\') {
            return false;
        }
    }
    return len > 0 && len <= NAME_MAX_LEN;
}

static bool put_model(FILE *out, const cJSON *root, const cJSON *model)
{
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(model, "mode");
    bool output_free =
        cJSON_IsString(mode) && strcmp(mode->valuestring, "embedding") == 0;
    char before[NAME_MAX_LEN + 64];

    if (!cJSON_IsObject(model) || !is_plain(model->string) ||
        strcmp(model->string, "sample_spec") == 0 ||
        cJSON_GetObjectItemCaseSensitive(root, model->string) != model) {
        return false;
    }
    snprintf(before, sizeof before,
             "  - model: \"%s\"\n    per_million: ", model->string);
    if (!put_rates(out, before, model, "", output_free)) {
        return false;
    }
    put_lengths(out, model, output_free);
    put_tiers(out, model, output_free);
    fputc('\n', out);
    return true;
}

bool price_table_import(const char *path, FILE *out, size_t *taken, size_t *left,
                        struct error *error)
{
    size_t len;
    char *text = price_file_read(path, IMPORT_SIZE_LIMIT, &len, error);
    cJSON *root = text == NULL ? NULL : cJSON_ParseWithLength(text, len);
    const cJSON *model;

    *taken = *left = 0;
    if (text != NULL && !cJSON_IsObject(root)) {
        error_add(error, (struct error_place){ .file = path },
                  "is not a JSON object of models");
    }
    free(text);
    if (!cJSON_IsObject(root)) {
        cJSON_Delete(root);
        return false;
    }
    fputs("# US dollars per million tokens, imported.\nmodels:\n", out);
    cJSON_ArrayForEach(model, root)
    {
        if (put_model(out, root, model)) {
            ++*taken;
        } else {
            ++*left;
        }
    }
    if (*taken == 0) {
        fputs("  []\n", out);
    }
    cJSON_Delete(root);
    if (ferror(out)) {
        error_add(error, (struct error_place){ 0 }, "the prices cannot be written");
        return false;
    }
    return true;
}

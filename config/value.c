#include "config/value.h"

#include "config/address.h"
#include "config/limit.h"
#include "config/nearest.h"
#include "config/network.h"
#include "config/quantity.h"
#include "proxy/base/zone.h"

#include <limits.h>

/* Of a value in a mistake: it may be a page pasted by accident. */
#define SHOWN "'%.60s'"

enum { NAME_LIMIT = 47, PATH_LIMIT = 4095 };

/* One value on its way into its member. */
struct setting {
    const struct value_reader *reader;
    const struct field *field;
    const char *text;
    struct error_place place;
    void *target; /* the struct that field->offset counts from */
};

static void *member_of(const struct setting *setting)
{
    return (char *)setting->target + setting->field->offset;
}

/* "'TEXT' WORDS" */
static void refuse(const struct setting *setting, const char *words)
{
    error_add(setting->reader->error, setting->place, SHOWN " %s", setting->text,
              words);
}

static void refuse_memory(const struct setting *setting)
{
    error_add(setting->reader->error, setting->place, "does not fit into memory");
}

static void set_string(const struct setting *setting, struct span value)
{
    const char *copy = arena_copy(setting->reader->arena, value).at;

    if (copy == NULL) {
        refuse_memory(setting);
        return;
    }
    *(const char **)member_of(setting) = copy;
}

static bool in_range(const struct setting *setting, uint64_t number)
{
    const struct field *field = setting->field;
    char memory[64];
    struct text range = text_over(memory, sizeof memory);

    if (number >= field->least && number <= field->most) {
        return true;
    }
    value_put(&range, field->type, field->least);
    text_put(&range, SPAN(" to "));
    value_put(&range, field->type, field->most);
    error_add(setting->reader->error, setting->place, SHOWN " is out of range: %.*s",
              setting->text, (int)range.len, range.at);
    return false;
}

static void set_text(const struct setting *setting)
{
    if (*setting->text == '\0') {
        error_add(setting->reader->error, setting->place, "an empty value");
        return;
    }
    set_string(setting, span_text(setting->text));
}

/* A path that is not absolute is relative to the folder of the configuration. */
static void put_path(const struct setting *setting, struct span path, struct text *out)
{
    if (!span_starts(path, SPAN("/"))) {
        text_put(out, setting->reader->folder);
    }
    text_put(out, path);
}

static void set_path(const struct setting *setting)
{
    struct span path = span_text(setting->text);
    char memory[PATH_LIMIT + 1];
    struct text joined = text_over(memory, sizeof memory);

    if (path.len == 0) {
        error_add(setting->reader->error, setting->place, "an empty path");
        return;
    }
    if (span_equal(path, SPAN("-"))) {
        text_put(&joined, path);
    } else {
        put_path(setting, path, &joined);
    }
    if (joined.full) {
        refuse(setting, "is longer than a path can be");
        return;
    }
    set_string(setting, text_span(&joined));
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool all_of(struct span text, const char *others)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alphanumeric(text.at[i]) && strchr(others, text.at[i]) == NULL) {
            return false;
        }
    }
    return text.len > 0;
}

static bool check_name(const struct setting *setting)
{
    struct span name = span_text(setting->text);

    if (!all_of(name, "._-@+")) {
        refuse(setting, "is not a name of letters, digits and . _ - @ +");
        return false;
    }
    if (name.len > NAME_LIMIT) {
        refuse(setting, "is longer than a name may be, 47 characters");
        return false;
    }
    return true;
}

static void set_name(const struct setting *setting)
{
    if (check_name(setting)) {
        set_string(setting, span_text(setting->text));
    }
}

/* RFC 9110 section 5.6.2: token. */
static void set_header(const struct setting *setting)
{
    char name[64];
    size_t len = strlen(setting->text);

    if (len >= sizeof name || !all_of(span_text(setting->text), "!#$%&'*+-.^_`|~")) {
        refuse(setting, "is not the name of a header field");
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = setting->text[i];

        name[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    set_string(setting, span_of(name, len));
}

static void set_word(const struct setting *setting)
{
    const char *const *words = setting->field->words;
    char memory[128];
    struct text known = text_over(memory, sizeof memory);

    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], setting->text) == 0) {
            memcpy(member_of(setting), &i, sizeof i);
            return;
        }
    }
    text_put_choice(&known, words);
    error_add(setting->reader->error, setting->place, SHOWN " is not %.*s",
              setting->text, (int)known.len, known.at);
}

/* Appends one word. */
static void set_words(const struct setting *setting)
{
    struct setting one = *setting;
    struct field field = *setting->field;
    struct config_words *words = member_of(setting);
    unsigned word = UINT_MAX;

    field.offset = 0;
    one.field = &field;
    one.target = &word;
    set_word(&one);
    if (word == UINT_MAX) {
        return;
    }
    if (memchr(words->at, (int)word, words->count) != NULL) {
        refuse(setting, "stands here twice");
        return;
    }
    CHECK(words->count < sizeof words->at);
    words->at[words->count++] = (uint8_t)word;
}

/* Appends one network. */
static void set_networks(const struct setting *setting)
{
    struct config_networks *networks = member_of(setting);
    struct config_network network;

    if (!network_parse(setting->text, &network)) {
        refuse(setting, "is not an address, a network such as 10.0.0.0/8, or unix");
        return;
    }
    CHECK(networks->count < NETWORKS_MAX);
    networks->at[networks->count++] = network;
}

static void set_switch(const struct setting *setting)
{
    static const struct {
        struct span word;
        bool on;
    } words[] = {
        { SPAN_INIT("on"), true },     { SPAN_INIT("true"), true },
        { SPAN_INIT("yes"), true },    { SPAN_INIT("off"), false },
        { SPAN_INIT("false"), false }, { SPAN_INIT("no"), false },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_equal_nocase(span_text(setting->text), words[i].word)) {
            *(bool *)member_of(setting) = words[i].on;
            return;
        }
    }
    refuse(setting, "is neither on nor off");
}

static void set_count(const struct setting *setting)
{
    uint64_t number;

    if (!span_decimal(span_text(setting->text), &number)) {
        refuse(setting, "is not a whole number");
    } else if (in_range(setting, number)) {
        *(uint32_t *)member_of(setting) = (uint32_t)number;
    }
}

static void set_size(const struct setting *setting)
{
    uint64_t bytes;

    if (!size_parse(span_text(setting->text), &bytes)) {
        refuse(setting, "is not a size, such as 512, 64 KiB, 32 MiB or 1 GiB");
    } else if (in_range(setting, bytes)) {
        *(uint64_t *)member_of(setting) = bytes;
    }
}

static void set_duration(const struct setting *setting)
{
    uint64_t milliseconds;

    if (!duration_parse(span_text(setting->text), &milliseconds)) {
        refuse(setting, "is not a duration, such as 500ms, 30s, 5m or 2h");
    } else if (in_range(setting, milliseconds)) {
        *(uint32_t *)member_of(setting) = (uint32_t)milliseconds;
    }
}

static void set_days(const struct setting *setting)
{
    const uint64_t day = UINT64_C(24) * 60 * 60 * 1000;
    uint64_t milliseconds;

    if (!duration_parse(span_text(setting->text), &milliseconds) ||
        milliseconds % day != 0) {
        refuse(setting, "is not a number of whole days, such as 28d");
    } else if (in_range(setting, milliseconds / day)) {
        *(uint32_t *)member_of(setting) = (uint32_t)(milliseconds / day);
    }
}

static void set_address(const struct setting *setting)
{
    struct config_address address = { 0 };
    const char *wrong = address_parse(setting->text, setting->reader->arena, &address);

    if (wrong != NULL) {
        refuse(setting, wrong);
        return;
    }
    *(struct config_address *)member_of(setting) = address;
}

/* The text is not shown: people write passwords into URLs. */
static bool read_url(const struct setting *setting, struct config_url *url)
{
    const char *wrong = url_parse(setting->text, setting->reader->arena, url);

    if (wrong != NULL) {
        error_add(setting->reader->error, setting->place, "the URL %s", wrong);
    }
    return wrong == NULL;
}

static void set_url(const struct setting *setting)
{
    struct config_provider *provider = setting->target;
    struct config_url url = { 0 };

    if (read_url(setting, &url)) {
        provider->url = url.text;
        provider->host = url.host;
        provider->base = url.base;
        provider->port = url.port;
        provider->tls = url.tls;
        provider->loopback = url.loopback;
    }
}

static void set_link(const struct setting *setting)
{
    struct config_url url = { 0 };

    if (read_url(setting, &url)) {
        *(struct config_url *)member_of(setting) = url;
    }
}

static struct secret *read_secret(const struct setting *setting)
{
    struct span source = span_text(setting->text);
    struct error *error = setting->reader->error;
    char memory[PATH_LIMIT + 1];
    struct text file = text_over(memory, sizeof memory);

    if (!span_starts(source, SPAN("file:"))) {
        return secret_read(source, setting->place, error);
    }
    text_put(&file, SPAN("file:"));
    put_path(setting, span_after(source, strlen("file:")), &file);
    if (file.full) {
        error_add(error, setting->place, "the path is longer than a path can be");
        return NULL;
    }
    return secret_read(text_span(&file), setting->place, error);
}

static void set_jwks(const struct setting *setting)
{
    struct span text = span_text(setting->text);
    struct config_jwks *jwks = member_of(setting);
    char memory[PATH_LIMIT + 1];
    struct text file = text_over(memory, sizeof memory);
    struct config_url url = { 0 };

    if (span_starts(text, SPAN("file:"))) {
        put_path(setting, span_after(text, strlen("file:")), &file);
        jwks->file = arena_copy(setting->reader->arena, text_span(&file)).at;
        jwks->text = jwks->file;
    } else if (read_url(setting, &url)) {
        *jwks = (struct config_jwks){ .text = url.text, .url = url };
    }
}

/* The text is not shown: people write the secret itself. */
/* It becomes part of a line of each request's head. */
static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~') {
            return false;
        }
    }
    return true;
}

static void read_credential(const struct setting *setting)
{
    struct config_provider *provider = setting->target;

    provider->secret = read_secret(setting);
    if (provider->secret != NULL && !is_visible(secret_reveal(provider->secret))) {
        error_add(setting->reader->error, setting->place,
                  "%s holds a space, a second line or another character that no "
                  "credential has",
                  setting->text);
    }
}

static void set_credential(const struct setting *setting)
{
    const struct value_reader *reader = setting->reader;
    struct config_provider *provider = setting->target;
    struct span text = span_text(setting->text);

    if (span_equal(text, SPAN("none"))) {
        provider->credential = CREDENTIAL_NONE;
    } else if (span_equal(text, SPAN("passthrough"))) {
        provider->credential = CREDENTIAL_PASSTHROUGH;
    } else if (span_equal(text, SPAN("aws"))) {
        provider->credential = CREDENTIAL_AWS;
    } else if (span_equal(text, SPAN("google"))) {
        provider->credential = CREDENTIAL_GOOGLE;
    } else if (span_starts(text, SPAN("env:")) || span_starts(text, SPAN("file:"))) {
        provider->credential = CREDENTIAL_SECRET;
        if (reader->secrets == CONFIG_WITH_SECRETS) {
            read_credential(setting);
        }
    } else {
        error_add(reader->error, setting->place,
                  "a credential is env:NAME, file:/path, aws, google, passthrough or "
                  "none, and never the secret itself");
    }
}

static void set_redis(const struct setting *setting)
{
    const char *wrong =
        redis_url_parse(setting->text, setting->reader->arena, member_of(setting));

    if (wrong != NULL) {
        error_add(setting->reader->error, setting->place, "the URL %s", wrong);
    }
}

/* The text is not shown: people write the secret itself. */
static void set_secret(const struct setting *setting)
{
    struct span text = span_text(setting->text);

    if (!span_starts(text, SPAN("env:")) && !span_starts(text, SPAN("file:"))) {
        error_add(setting->reader->error, setting->place,
                  "a secret is env:NAME or file:/path, and never the secret itself");
    } else if (setting->reader->secrets == CONFIG_WITH_SECRETS) {
        *(struct secret **)member_of(setting) = read_secret(setting);
    }
}

static const char *kept_text(const struct setting *setting)
{
    const char *copy = arena_copy(setting->reader->arena, span_text(setting->text)).at;

    if (copy == NULL) {
        refuse_memory(setting);
    }
    return copy;
}

static void set_limit(const struct setting *setting)
{
    struct config_limit limit = { .text = kept_text(setting) };

    if (!limit_parse(span_text(setting->text), &limit)) {
        refuse(setting,
               "is not a limit, such as 20M tokens, 5M output tokens, 5M input "
               "tokens, 20M weighted tokens, $500, 600 requests or 8 concurrent");
        return;
    }
    *(struct config_limit *)member_of(setting) = limit;
}

static void set_period(const struct setting *setting)
{
    struct config_period period = { .text = kept_text(setting) };

    if (!period_parse(span_text(setting->text), &period)) {
        refuse(setting, "is not minute, hour, day, week, month or rolling and a time "
                        "from 1m to 31d, such as rolling 5h");
        return;
    }
    *(struct config_period *)member_of(setting) = period;
}

static void set_share(const struct setting *setting)
{
    uint32_t percent;

    if (!share_parse(span_text(setting->text), &percent)) {
        refuse(setting, "is not a percentage from 1% to 100%");
        return;
    }
    set_string(setting, span_text(setting->text));
}

static void set_weight(const struct setting *setting)
{
    if (!weight_parse(span_text(setting->text), member_of(setting))) {
        refuse(setting, "is not a number from 0 to 1000 with at most two decimals");
    }
}

static void set_timezone(const struct setting *setting)
{
    struct zone *zone = zone_load(setting->text);

    if (zone == NULL) {
        refuse(setting, "is not a time zone that this machine knows (package tzdata), "
                        "such as UTC or Europe/Berlin");
        return;
    }
    zone_free(zone);
    set_string(setting, span_text(setting->text));
}

void value_set(const struct value_reader *reader, const struct field *field,
               const char *text, struct error_place place, void *target)
{
    static void (*const setters[])(const struct setting *) = {
        [FIELD_TEXT] = set_text,
        [FIELD_PATH] = set_path,
        [FIELD_NAME] = set_name,
        [FIELD_HEADER] = set_header,
        [FIELD_WORD] = set_word,
        [FIELD_SWITCH] = set_switch,
        [FIELD_COUNT] = set_count,
        [FIELD_SIZE] = set_size,
        [FIELD_DURATION] = set_duration,
        [FIELD_DAYS] = set_days,
        [FIELD_ADDRESS] = set_address,
        [FIELD_URL] = set_url,
        [FIELD_CREDENTIAL] = set_credential,
        [FIELD_LINK] = set_link,
        [FIELD_SECRET] = set_secret,
        [FIELD_REDIS] = set_redis,
        [FIELD_LIMIT] = set_limit,
        [FIELD_PERIOD] = set_period,
        [FIELD_SHARE] = set_share,
        [FIELD_WEIGHT] = set_weight,
        [FIELD_TIMEZONE] = set_timezone,
        [FIELD_JWKS] = set_jwks,
        [FIELD_WORDS] = set_words,
        [FIELD_NETWORKS] = set_networks,
    };
    struct setting setting = { reader, field, text, place, target };

    CHECK((size_t)field->type < sizeof setters / sizeof setters[0]);
    setters[field->type](&setting);
}

const char *value_element(const struct value_reader *reader, const struct field *field,
                          const char *text, struct error_place place)
{
    struct field element = { .type = field->element };
    const char *value = NULL;

    value_set(reader, &element, text, place, &value);
    return value;
}

void value_put(struct text *text, enum field_type type, uint64_t number)
{
    if (type == FIELD_SIZE) {
        size_put(text, number);
    } else if (type == FIELD_DURATION) {
        duration_put(text, number);
    } else if (type == FIELD_DAYS) {
        text_put_u64(text, number);
        text_put_char(text, 'd');
    } else {
        text_put_u64(text, number);
    }
}

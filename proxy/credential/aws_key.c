#include "proxy/credential/aws_key.h"

#include "proxy/base/date.h"

#include <cjson/cJSON.h>

/* ---- credentials files ----------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span s)
{
    while (s.len > 0 && is_space(s.at[0])) {
        s = span_after(s, 1);
    }
    while (s.len > 0 && is_space(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* Is this line the head of the profile's section? */
static bool heads(struct span line, struct span profile)
{
    struct span name = trimmed(span_of(line.at + 1, line.len - 2));
    struct span word = SPAN("profile");

    if (span_starts(name, word) && name.len > word.len && is_space(name.at[word.len])) {
        name = trimmed(span_after(name, word.len));
    }
    return span_equal(name, profile);
}

struct credential *aws_key_of_profile(struct span file, const char *profile)
{
    struct span id = { NULL, 0 }, secret = { NULL, 0 }, session = { NULL, 0 }, line;
    bool inside = false;

    while (span_next(&file, '\n', &line)) {
        struct span name, value;
        size_t equals;

        line = trimmed(line);
        if (line.len > 1 && line.at[0] == '[' && line.at[line.len - 1] == ']') {
            inside = heads(line, span_text(profile));
            continue;
        }
        equals = span_find(line, '=');
        if (!inside || equals == line.len || line.at[0] == '#' || line.at[0] == ';') {
            continue;
        }
        name = trimmed(span_of(line.at, equals));
        value = trimmed(span_after(line, equals + 1));
        if (span_equal_nocase(name, SPAN("aws_access_key_id"))) {
            id = value;
        } else if (span_equal_nocase(name, SPAN("aws_secret_access_key"))) {
            secret = value;
        } else if (span_equal_nocase(name, SPAN("aws_session_token"))) {
            session = value;
        }
    }
    return id.len == 0 || secret.len == 0 ? NULL
                                          : credential_new(id, secret, session, 0);
}

/* ---- metadata services ----------------------------------------------------------- */

static struct span member(const cJSON *object, const char *name)
{
    return span_text(
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)));
}

/* The digits at `at`; -1 for anything else. */
static int64_t digits(struct span text, size_t at, size_t count)
{
    uint64_t value;

    return at + count <= text.len && span_decimal(span_of(text.at + at, count), &value)
               ? (int64_t)value
               : -1;
}

/* "2026-11-21T20:00:00Z" (a fraction may follow the seconds); 0 for anything else. */
static uint64_t unix_of(struct span text)
{
    struct date date = { .year = digits(text, 0, 4) };
    int64_t month = digits(text, 5, 2), day = digits(text, 8, 2);
    int64_t hour = digits(text, 11, 2), minute = digits(text, 14, 2);
    int64_t second = digits(text, 17, 2);

    if (date.year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
        hour < 0 || minute < 0 || second < 0 || !span_ends(text, SPAN("Z"))) {
        return 0;
    }
    date.month = (unsigned)month;
    date.day = (unsigned)day;
    return (uint64_t)(date_days(&date) * DATE_DAY_S + hour * 3600 + minute * 60 +
                      second);
}

struct credential *aws_key_of_json(struct span json)
{
    cJSON *object = cJSON_ParseWithLength(json.at, json.len);
    struct span id = member(object, "AccessKeyId");
    struct span secret = member(object, "SecretAccessKey");
    struct credential *credential = NULL;

    if (id.len > 0 && secret.len > 0) {
        credential = credential_new(id, secret, member(object, "Token"),
                                    unix_of(member(object, "Expiration")));
    }
    cJSON_Delete(object);
    return credential;
}

#include "proxy/http/media.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_content_types(void **state)
{
    static const struct {
        const char *type;
        enum media media;
    } rows[] = {
        { "application/json", MEDIA_JSON },
        { "Application/JSON; charset=utf-8", MEDIA_JSON },
        { " application/json ;charset=utf-8", MEDIA_JSON },
        { "application/problem+json", MEDIA_JSON },
        { "application/vnd.api+JSON; v=1", MEDIA_JSON },
        { "text/event-stream", MEDIA_EVENTS },
        { "text/event-stream;charset=UTF-8", MEDIA_EVENTS },
        { "application/x-ndjson", MEDIA_JSON_LINES },
        { "application/jsonl", MEDIA_JSON_LINES },
        { "application/stream+json", MEDIA_JSON_LINES },
        { "application/vnd.amazon.eventstream", MEDIA_EVENTSTREAM },
        { "multipart/form-data; boundary=x", MEDIA_MULTIPART },
        { "audio/mpeg", MEDIA_OPAQUE },
        { "image/png", MEDIA_OPAQUE },
        { "VIDEO/mp4", MEDIA_OPAQUE },
        { "application/octet-stream", MEDIA_UNKNOWN },
        { "text/plain", MEDIA_UNKNOWN },
        { "text/html", MEDIA_UNKNOWN },
        { "application/jsonx", MEDIA_UNKNOWN },
        { "+json", MEDIA_UNKNOWN },
        { "", MEDIA_UNKNOWN },
        { ";", MEDIA_UNKNOWN },
    };

    (void)state;
    assert_int_equal(media_of(span_of(NULL, 0)), MEDIA_UNKNOWN);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(media_of(span_text(rows[i].type)), rows[i].media);
    }
}

static void test_first_bytes(void **state)
{
    static const struct {
        enum media claimed;
        const char *bytes;
        enum media media;
    } rows[] = {
        { MEDIA_JSON, "{\"a\":1}", MEDIA_JSON },
        { MEDIA_JSON, "data: {}", MEDIA_EVENTS },
        { MEDIA_JSON, "event: x", MEDIA_EVENTS },
        { MEDIA_JSON, "id", MEDIA_EVENTS },
        { MEDIA_JSON, "retry:1", MEDIA_EVENTS },
        { MEDIA_JSON, ": ping", MEDIA_EVENTS },
        { MEDIA_JSON,
          "\xef\xbb\xbf"
          "data:1",
          MEDIA_EVENTS },
        { MEDIA_JSON, "dat", MEDIA_EVENTS },
        { MEDIA_JSON, "database", MEDIA_JSON },
        { MEDIA_JSON, "identity", MEDIA_JSON },
        { MEDIA_JSON, "", MEDIA_JSON },
        { MEDIA_JSON, " \r\n\t", MEDIA_JSON },
        { MEDIA_EVENTS, "data: {}", MEDIA_EVENTS },
        { MEDIA_EVENTS, "{\"error\":1}", MEDIA_JSON },
        { MEDIA_EVENTS, "\xef\xbb\xbf \r\n\t[1]", MEDIA_JSON },
        { MEDIA_EVENTS, "\n\ndata:", MEDIA_EVENTS },
        { MEDIA_UNKNOWN, "{}", MEDIA_JSON },
        { MEDIA_UNKNOWN, "event:x", MEDIA_EVENTS },
        { MEDIA_UNKNOWN, "<html>", MEDIA_UNKNOWN },
        { MEDIA_JSON_LINES, "{}", MEDIA_JSON_LINES },
        { MEDIA_JSON_LINES, "data: {}", MEDIA_EVENTS },
        { MEDIA_EVENTSTREAM, "{\"message\":1}", MEDIA_JSON },
        { MEDIA_EVENTSTREAM, "data:", MEDIA_EVENTSTREAM },
        { MEDIA_OPAQUE, "{}", MEDIA_OPAQUE },
        { MEDIA_MULTIPART, "data:", MEDIA_MULTIPART },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(media_sniff(rows[i].claimed, span_text(rows[i].bytes)),
                         rows[i].media);
    }
    assert_int_equal(media_sniff(MEDIA_EVENTSTREAM, span_of("\0\0\0\x6f", 4)),
                     MEDIA_EVENTSTREAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_first_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "filters/turn/characters.h"
#include "filters/turn/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct gathered {
    char text[2048];
    size_t len;
};

static void gather(void *self, struct span piece)
{
    struct gathered *gathered = self;

    assert_true(gathered->len + piece.len < sizeof(gathered->text));
    memcpy(gathered->text + gathered->len, piece.at, piece.len);
    gathered->len += piece.len;
    gathered->text[gathered->len] = '\0';
}

static void put(void *self, uint32_t code)
{
    template_put(self, code);
}

static void expect(const char *normalised, const char *wanted)
{
    struct gathered gathered = { "", 0 };
    struct template template;
    struct utf8 utf8 = { .left = 0 };

    template_init(&template, gather, &gathered);
    utf8_feed(&utf8, span_text(normalised), put, &template);
    template_end(&template);
    assert_string_equal(gathered.text, wanted);
}

static void slots_are_masked(void **unused)
{
    (void)unused;
    expect("fix the test in src/http/parser.c line 42: \"bad length\", see "
           "https://example.org/i/7",
           "fix the test in <p> line #: <q>, see <u>");
    expect("", "");
    expect("a1b22c", "a#b#c");
    expect("ticket 7/8", "ticket <p>");
    expect("c:\\temp\\x and \\\\host", "c:<p> and <p>");
    expect("either/ or", "either/ or");
}

static void quotes_match_within_reach(void **unused)
{
    char text[600], wanted[600];

    (void)unused;
    expect("say 'it''s' `x` \"y\"", "say <q><q> <q> <q>");
    expect("don't 5", "don't #");
    (void)snprintf(text, sizeof(text), "\"%0200d\" z", 0);
    expect(text, "<q> z");
    (void)snprintf(text, sizeof(text), "\"%0201d\" z", 0);
    (void)snprintf(wanted, sizeof(wanted), "\"#\" z");
    expect(text, wanted);
}

static void long_texts_are_decided_in_windows(void **unused)
{
    char text[2000] = "", wanted[2000] = "";

    (void)unused;
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                       "see src/a%u/b.c at %u, ", i, i);
        (void)snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted),
                       "see <p> at #, ");
    }
    expect(text, wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_masked),
        cmocka_unit_test(quotes_match_within_reach),
        cmocka_unit_test(long_texts_are_decided_in_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "config/aws_host.h"

/* Letters, then words, then a number: "us-east-1", "us-gov-west-1". */
static bool is_region(struct span label)
{
    struct span rest = label, word = { NULL, 0 };
    size_t words = 0;

    while (span_next(&rest, '-', &word)) {
        uint64_t number;

        if (span_decimal(word, &number)) {
            return words >= 2 && rest.len == 0;
        }
        if (word.len < 2 || strspn(word.at, "abcdefghijklmnopqrstuvwxyz") < word.len) {
            return false;
        }
        words++;
    }
    return false;
}

struct span aws_host_region(const char *host)
{
    struct span rest = span_text(host), label;

    while (span_next(&rest, '.', &label)) {
        if (is_region(label)) {
            return label;
        }
    }
    return span_of(NULL, 0);
}

struct span aws_host_service(const char *host)
{
    struct span rest = span_text(host), label;

    while (span_next(&rest, '.', &label)) {
        if (span_equal(label, SPAN("bedrock-mantle"))) {
            return label;
        }
    }
    return SPAN("bedrock");
}

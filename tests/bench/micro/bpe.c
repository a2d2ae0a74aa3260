/* What counting tokens costs: MB/s of CPU time over documents of about 20 KB (1 MB in
 * all), the first pass and the best of five; and what unpacking the tables takes.
 * Nothing of a text is kept between documents or passes.
 *
 *   micro_bpe [FOLDER]    english.txt, code.txt and chinese.txt of FOLDER, as
 *                         ../shared/rig/bpe/make_corpus.py makes them; else of build/bpe */
#include "filters/count/bpe.h"

#include "proxy/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, TOTAL = 1000 * 1000, DOCUMENT = 20 * 1000 };

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct span read_text(const char *folder, const char *name)
{
    static char bytes[TOTAL];
    char path[4096];
    FILE *file;
    size_t len;

    snprintf(path, sizeof(path), "%s/%s.txt", folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        return span_of(bytes, 0);
    }
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    return span_of(bytes, len);
}

/* The next document, in whole characters. */
static struct span next_document(struct span *text)
{
    size_t len = text->len < DOCUMENT ? text->len : DOCUMENT;
    struct span document;

    while (len < text->len && ((unsigned char)text->at[len] & 0xc0) == 0x80) {
        len--;
    }
    document = span_of(text->at, len);
    *text = span_after(*text, len);
    return document;
}

static uint64_t count_documents(enum encoding encoding, struct span text)
{
    uint64_t count = 0;

    while (text.len > 0) {
        count += bpe_count(encoding, next_document(&text));
    }
    return count;
}

static void measure(enum encoding encoding, const char *folder, const char *name)
{
    struct span text = read_text(folder, name);
    double first = 0, best = 0;
    uint64_t count = 0;

    if (text.len == 0) {
        printf("%s: no %s/%s.txt\n", name, folder, name);
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin = cpu_seconds(), speed;

        count = count_documents(encoding, text);
        speed = (double)text.len / (cpu_seconds() - begin) / 1e6;
        first = round == 0 ? speed : first;
        best = speed > best ? speed : best;
    }
    printf("assay %-12s %-8s %7.2f MB/s (cold %.2f) %llu tokens of %zu B\n",
           bpe_encoding_name(encoding), name, best, first, (unsigned long long)count,
           text.len);
}

static void measure_encoding(enum encoding encoding, const char *folder)
{
    double begin = cpu_seconds();

    CHECK(bpe_count(encoding, SPAN("hello world")) == 2);
    printf("assay %-12s load %.1f ms\n", bpe_encoding_name(encoding),
           (cpu_seconds() - begin) * 1e3);
    measure(encoding, folder, "english");
    measure(encoding, folder, "code");
    measure(encoding, folder, "chinese");
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "build/bpe";

    measure_encoding(ENCODING_O200K_BASE, folder);
    measure_encoding(ENCODING_CL100K_BASE, folder);
    return 0;
}

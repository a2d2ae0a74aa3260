/* assay count: how many tokens a file is. */
#include "filters/count/bpe.h"
#include "proxy/cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

/* The encoding that the options name; ENCODING_UNKNOWN after telling a mistake. */
static enum encoding chosen_encoding(const struct command_line *line)
{
    const char *name = command_option(line, "encoding");
    const char *model = command_option(line, "model");
    enum encoding encoding = ENCODING_O200K_BASE;

    if (name != NULL && model != NULL) {
        (void)command_misused(line, "--encoding or --model, not both");
        return ENCODING_UNKNOWN;
    }
    if (name != NULL) {
        encoding = bpe_encoding_named(span_text(name));
        if (encoding == ENCODING_UNKNOWN) {
            (void)
                command_misused(line,
                                "'%s' is not o200k_base, cl100k_base or o200k_harmony",
                                name);
        }
    } else if (model != NULL) {
        encoding = bpe_encoding_for_model(span_text(model));
        if (encoding == ENCODING_UNKNOWN) {
            (void)
                command_misused(line,
                                "'%s' has no published tokenizer here; see --encoding",
                                model);
        }
    }
    return encoding;
}

/* False after telling why the file cannot be read. */
static bool count_file(const char *path, enum encoding encoding, uint64_t *count)
{
    static char bytes[CHUNK];
    bool is_stdin = strcmp(path, "-") == 0;
    int file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct bpe_stream stream;
    ssize_t got = file < 0 ? -1 : 1;

    bpe_stream_init(&stream, encoding);
    while (got > 0) {
        got = read(file, bytes, sizeof(bytes));
        if (got > 0) {
            bpe_stream_feed(&stream, span_of(bytes, (size_t)got));
        }
    }
    if (got < 0) {
        fprintf(stderr, "assay count: %s: %s\n", path, strerror(errno));
    }
    *count = bpe_stream_end(&stream);
    if (file >= 0 && !is_stdin) {
        close(file);
    }
    return got == 0;
}

int command_count(const struct command_line *line)
{
    enum encoding encoding;
    uint64_t count;

    if (line->argument_count != 1) {
        return command_misused(line, "one file at a time, or - for standard input");
    }
    encoding = chosen_encoding(line);
    if (encoding == ENCODING_UNKNOWN) {
        return COMMAND_MISUSED;
    }
    if (!count_file(line->arguments[0], encoding, &count)) {
        return COMMAND_FAILED;
    }
    printf("%llu\n", (unsigned long long)count);
    return COMMAND_OK;
}

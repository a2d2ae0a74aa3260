/* Any bytes as a journal's file: it is refused with a reason, or every entry recovered
 * from it can be printed, and the journal works on. */
#include "proxy/meter/journal.h"
#include "proxy/meter/journal_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 8 };

static void require(bool condition)
{
    if (!condition) {
        __builtin_trap();
    }
}

static void print_entry(void *self, struct entry *entry)
{
    static char memory[ENTRY_JSON_MAX];
    struct text text = text_over(memory, sizeof memory);

    entry_json(entry, &text);
    require(!text.full);
    ++*(unsigned *)self;
}

/* The input overwrites a good header and slots, so that most of it is looked at: its
 * first byte says how much of the header is kept. */
static void write_file(const char *path, const uint8_t *data, size_t size)
{
    struct journal_header header = { .magic = JOURNAL_MAGIC,
                                     .version = JOURNAL_VERSION,
                                     .slot_size = sizeof(struct journal_slot),
                                     .slots = SLOTS };
    size_t kept = size == 0 ? 0 : data[0] % (sizeof header + 1);
    const size_t whole = journal_file_size(SLOTS);
    size_t front;
    uint8_t *file = calloc(1, whole);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    require(file != NULL && fd >= 0);
    if (size > 0) {
        front = size - 1 < sizeof header ? size - 1 : sizeof header;
        memcpy(file, data + 1, front);
        memcpy(file, &header, kept);
        for (size_t i = 1 + front, at = JOURNAL_HEADER_SIZE; i < size && at < whole;
             i++) {
            file[at++] = data[i];
        }
    }
    require(write(fd, file, whole) == (ssize_t)whole);
    close(fd);
    free(file);
}

static char folder[] = "/tmp/fuzz_journal.XXXXXX";

static void remove_folder(void)
{
    rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    struct error error;
    struct journal *journal;
    unsigned count = 0;

    if (path[0] == '\0') {
        require(mkdtemp(folder) != NULL && atexit(remove_folder) == 0);
        snprintf(path, sizeof path, "%s/journal-00", folder);
    }
    write_file(path, data, size);
    error_init(&error);
    journal = journal_open(folder, 0, SLOTS, &error);
    require((journal == NULL) == error_any(&error));
    if (journal != NULL) {
        struct entry *entry;

        journal_recover(journal, print_entry, &count);
        require(count <= journal_in_use(journal));
        require(journal_recovered(journal, &error));
        require(journal_in_use(journal) == 0);
        entry = journal_take(journal, 0);
        require(entry != NULL);
        journal_settle(journal, entry);
        journal_close(journal);
    }
    error_done(&error);
    unlink(path);
    return 0;
}

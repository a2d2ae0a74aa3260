#include "proxy/analyst/company_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

enum { PATH_SIZE = 4096 };

static const char magic[8] = { 'a', 's', 's', 'a', 'y', 'c', 'o', 'm' };

struct file_head {
    char magic[8];
    uint64_t layout;
    struct company_mark mark;
    uint64_t length; /* of what follows */
    uint64_t checksum;
};

struct writer {
    FILE *file;
    XXH3_state_t *hash;
    uint64_t length;
};

static bool make_path(char path[PATH_SIZE], const char *state, const char *name)
{
    return snprintf(path, PATH_SIZE, "%s/%s", state, name) < PATH_SIZE;
}

static void put(void *self, const void *bytes, size_t len)
{
    struct writer *writer = self;

    (void)XXH3_64bits_update(writer->hash, bytes, len);
    writer->length += len;
    (void)!fwrite(bytes, 1, len, writer->file);
}

static bool write_all(struct writer *writer, const struct company_table *table,
                      const struct company_mark *mark)
{
    struct file_head head = { .layout = COMPANY_LAYOUT, .mark = *mark };

    memcpy(head.magic, magic, sizeof magic);
    (void)XXH3_64bits_reset(writer->hash);
    (void)!fwrite(&head, 1, sizeof head, writer->file);
    company_save(table, put, writer);
    head.length = writer->length;
    head.checksum = XXH3_64bits_digest(writer->hash);
    return fseek(writer->file, 0, SEEK_SET) == 0 &&
           fwrite(&head, 1, sizeof head, writer->file) == sizeof head &&
           fflush(writer->file) == 0 && !ferror(writer->file) &&
           fsync(fileno(writer->file)) == 0;
}

static FILE *open_draft(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    return fd < 0 ? NULL : fdopen(fd, "wb");
}

bool company_file_draft(const char *state, const struct company_table *table,
                        const struct company_mark *mark)
{
    struct writer writer = { .hash = XXH3_createState() };
    char path[PATH_SIZE];
    bool good = false;

    if (writer.hash != NULL && make_path(path, state, "company.new")) {
        writer.file = open_draft(path);
        good = writer.file != NULL && write_all(&writer, table, mark);
        good = (writer.file == NULL || fclose(writer.file) == 0) && good;
    }
    (void)XXH3_freeState(writer.hash);
    return good;
}

bool company_file_publish(const char *state)
{
    char draft[PATH_SIZE], path[PATH_SIZE];

    return make_path(draft, state, "company.new") &&
           make_path(path, state, "company") && rename(draft, path) == 0;
}

static bool restore(struct company_table *table, struct company_mark *mark,
                    struct span bytes)
{
    struct file_head head;

    if (bytes.len < sizeof head) {
        return false;
    }
    memcpy(&head, bytes.at, sizeof head);
    bytes = span_after(bytes, sizeof head);
    *mark = head.mark;
    return memcmp(head.magic, magic, sizeof magic) == 0 &&
           head.layout == COMPANY_LAYOUT && head.length == bytes.len &&
           XXH3_64bits(bytes.at, bytes.len) == head.checksum &&
           company_restore(table, bytes);
}

bool company_file_read(const char *state, struct company_table *table,
                       struct company_mark *mark)
{
    char path[PATH_SIZE];
    int fd = make_path(path, state, "company") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat info;
    void *map = MAP_FAILED;
    bool good = false;

    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    if (map != MAP_FAILED) {
        good = restore(table, mark, span_of(map, (size_t)info.st_size));
        (void)munmap(map, (size_t)info.st_size);
    }
    return good;
}

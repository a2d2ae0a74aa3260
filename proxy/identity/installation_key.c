#include "proxy/identity/installation_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

struct key_file {
    char path[PATH_SIZE];
    char draft[PATH_SIZE];
    unsigned char bytes[INSTALLATION_KEY_SIZE];
};

static bool fail(struct error *error, const char *path, const char *why)
{
    error_add(error, (struct error_place){ 0 }, "%s: %s", path, why);
    return false;
}

static bool write_draft(struct key_file *file)
{
    int fd =
        open(file->draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good;

    if (fd < 0) {
        return false;
    }
    good = getrandom(file->bytes, INSTALLATION_KEY_SIZE, 0) == INSTALLATION_KEY_SIZE &&
           write(fd, file->bytes, INSTALLATION_KEY_SIZE) == INSTALLATION_KEY_SIZE &&
           fsync(fd) == 0;
    (void)close(fd);
    return good;
}

/* Whole or not at all: a crash between leaves a draft, which the next
 * start writes anew. */
static bool make(struct key_file *file, struct error *error)
{
    if (!write_draft(file) || rename(file->draft, file->path) != 0) {
        return fail(error, file->path, strerror(errno));
    }
    return true;
}

static bool read_key(int fd, struct key_file *file, struct error *error)
{
    struct stat info;

    if (fstat(fd, &info) != 0 || (info.st_mode & 077) != 0) {
        return fail(error, file->path, "others than its owner can read it");
    }
    if (read(fd, file->bytes, INSTALLATION_KEY_SIZE) != INSTALLATION_KEY_SIZE) {
        return fail(error, file->path, "is not 32 bytes long");
    }
    return true;
}

static bool load(struct key_file *file, struct error *error)
{
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good;

    if (fd < 0) {
        return errno == ENOENT ? make(file, error)
                               : fail(error, file->path, strerror(errno));
    }
    good = read_key(fd, file, error);
    (void)close(fd);
    return good;
}

bool installation_key_load(const char *state, const char *name,
                           struct installation_key *key, struct error *error)
{
    struct key_file file = { 0 };
    int length = snprintf(file.path, PATH_SIZE, "%s/%s.key", state, name);
    bool good;

    if (length >= PATH_SIZE ||
        snprintf(file.draft, PATH_SIZE, "%s/%s.key.new", state, name) >= PATH_SIZE) {
        return fail(error, state, "has too long a path");
    }
    good = load(&file, error);
    if (good) {
        memcpy(key->bytes, file.bytes, sizeof key->bytes);
    }
    explicit_bzero(&file, sizeof file);
    return good;
}

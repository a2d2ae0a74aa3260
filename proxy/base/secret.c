#include "proxy/base/secret.h"

#include "proxy/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_LIMIT = 64 * 1024 }; /* no credential is longer */

/* Alone on its pages: locked memory and core dumps are controlled page by page. */
struct secret {
    size_t mapped;
    size_t len;
    char bytes[];
};

static struct secret *secret_map(size_t len)
{
    size_t size = sizeof(struct secret) + len;
    struct secret *secret;

    secret =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (secret == MAP_FAILED) {
        return NULL;
    }
    /* Best effort: RLIMIT_MEMLOCK may be small, and an unlocked secret still works. */
    (void)mlock(secret, size);
    (void)madvise(secret, size, MADV_DONTDUMP);
    secret->mapped = size;
    secret->len = len;
    return secret;
}

struct secret *secret_new(struct span value)
{
    struct secret *secret = secret_map(value.len);

    if (secret != NULL && value.len > 0) {
        memcpy(secret->bytes, value.at, value.len);
    }
    return secret;
}

struct secret *secret_free(struct secret *secret)
{
    if (secret != NULL) {
        size_t mapped = secret->mapped;

        explicit_bzero(secret, mapped);
        CHECK(munmap(secret, mapped) == 0);
    }
    return NULL;
}

struct span secret_reveal(const struct secret *secret)
{
    return span_of(secret->bytes, secret->len);
}

bool secret_equal(const struct secret *secret, struct span value)
{
    unsigned difference = 0;

    if (secret->len != value.len) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        difference |= (unsigned)(unsigned char)(secret->bytes[i] ^ value.at[i]);
    }
    return difference == 0;
}

static struct secret *secret_of_env(const char *name, struct error_place place,
                                    struct error *error)
{
    const char *value = getenv(name);
    struct secret *secret;

    if (value == NULL || value[0] == '\0') {
        error_add(error, place, "the environment variable %s is %s", name,
                  value == NULL ? "not set" : "empty");
        return NULL;
    }
    secret = secret_new(span_text(value));
    if (secret == NULL) {
        error_add(error, place, "no memory for the value of %s", name);
    }
    return secret;
}

/* Does systemd hand this file over (LoadCredential=)? It may let the service's user
 * read it by an access list, whose mask shows as the group's permission. */
static bool is_handed_over(const char *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    size_t len = folder == NULL ? 0 : strlen(folder);

    return len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Why this file may not hold a secret; NULL if it may. */
static const char *file_objection(const char *path, const struct stat *status)
{
    mode_t exposed =
        is_handed_over(path) ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;

    if (!S_ISREG(status->st_mode)) {
        return "is not a regular file";
    }
    if ((status->st_mode & exposed) != 0) {
        return "is open to group or others (chmod 600 it)";
    }
    if (status->st_size > SECRET_LIMIT) {
        return "is too long for a secret";
    }
    return NULL;
}

/* Fills secret->bytes from the file and sets secret->len to what it held. */
static bool fill(struct secret *secret, int file)
{
    size_t room = secret->len;

    secret->len = 0;
    while (secret->len < room) {
        ssize_t n = read(file, secret->bytes + secret->len, room - secret->len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        secret->len += (size_t)n;
    }
    return true;
}

static void drop_newline(struct secret *secret)
{
    if (secret->len > 0 && secret->bytes[secret->len - 1] == '\n') {
        secret->len--;
    }
    if (secret->len > 0 && secret->bytes[secret->len - 1] == '\r') {
        secret->len--;
    }
}

static struct secret *secret_of_open_file(int file, const char *path,
                                          struct error_place place, struct error *error)
{
    struct stat status;
    const char *objection;
    struct secret *secret;

    if (fstat(file, &status) != 0) {
        error_add(error, place, "cannot read %s: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    objection = file_objection(path, &status);
    if (objection != NULL) {
        error_add(error, place, "%s %s", path, objection);
        return NULL;
    }
    secret = secret_map((size_t)status.st_size);
    if (secret == NULL || !fill(secret, file)) {
        error_add(error, place, "cannot read %s: %s", path, strerrordesc_np(errno));
        return secret_free(secret);
    }
    drop_newline(secret);
    if (secret->len == 0) {
        error_add(error, place, "%s is empty", path);
        return secret_free(secret);
    }
    return secret;
}

static struct secret *secret_of_file(const char *path, struct error_place place,
                                     struct error *error)
{
    /* O_NONBLOCK: a FIFO must not hold up the start before it is refused. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct secret *secret;

    if (file < 0) {
        error_add(error, place, "cannot open %s: %s", path, strerrordesc_np(errno));
        return NULL;
    }
    secret = secret_of_open_file(file, path, place, error);
    (void)close(file);
    return secret;
}

struct secret *secret_read(struct span source, struct error_place place,
                           struct error *error)
{
    bool from_env = span_starts(source, SPAN("env:"));
    bool from_file = span_starts(source, SPAN("file:"));
    struct secret *secret;
    char *name;

    if (!from_env && !from_file) {
        /* The value is not repeated: it may be the secret itself. */
        error_add(error, place,
                  "a secret is given as env:NAME or file:/path, never as itself");
        return NULL;
    }
    source = span_after(source, from_env ? strlen("env:") : strlen("file:"));
    name = strndup(source.at, source.len);
    if (name == NULL) {
        error_add(error, place, "no memory for a secret's name");
        return NULL;
    }
    secret = from_env ? secret_of_env(name, place, error)
                      : secret_of_file(name, place, error);
    free(name);
    return secret;
}

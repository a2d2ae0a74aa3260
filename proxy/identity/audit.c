#include "proxy/identity/audit.h"

#include "proxy/base/clock.h"
#include "proxy/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct error_place nowhere = { 0 };

static bool log_failed(const char *path, struct error *error)
{
    error_add(error, nowhere, "%s: cannot be written, so that nothing is done: %s",
              path, strerror(errno));
    return false;
}

/* The folder's owner owns the log as well, or the service could not append to what an
 * administrator's command began. */
static int log_open_for(const char *path, const char *state)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat folder, file;

    if (fd >= 0 && geteuid() == 0 && stat(state, &folder) == 0 &&
        fstat(fd, &file) == 0 && file.st_uid != folder.st_uid) {
        (void)!fchown(fd, folder.st_uid, folder.st_gid);
    }
    return fd;
}

static void put_time(struct text *line)
{
    uint64_t now = clock_unix_ns();
    time_t seconds = (time_t)(now / NS_PER_S);
    struct tm parts;
    char moment[32];

    gmtime_r(&seconds, &parts);
    strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S", &parts);
    text_printf(line, "{\"time\":\"%s.%03uZ\"", moment,
                (unsigned)(now % NS_PER_S / NS_PER_MS));
}

static void put_member(struct text *line, const char *name, const char *value)
{
    text_printf(line, ",\"%s\":", name);
    text_put_json(line, span_text(value));
}

bool audit_write(const char *state, const struct audit_event *event,
                 struct error *error)
{
    char path[PATH_MAX], memory[4096];
    struct text line = text_over(memory, sizeof memory);
    bool written;
    int fd;

    put_time(&line);
    put_member(&line, "actor", event->actor);
    put_member(&line, "role", event->role);
    put_member(&line, "action", event->action);
    put_member(&line, "what", event->what);
    put_member(&line, "detail", event->detail);
    text_put(&line, SPAN("}\n"));
    snprintf(path, sizeof path, "%s/audit.log", state);
    (void)mkdir(state, 0700);
    if (line.full) {
        errno = EMSGSIZE;
        return log_failed(path, error);
    }
    fd = log_open_for(path, state);
    if (fd < 0) {
        return log_failed(path, error);
    }
    written = write(fd, line.at, line.len) == (ssize_t)line.len;
    written = close(fd) == 0 && written;
    return written || log_failed(path, error);
}

const char *audit_own_actor(void)
{
    static char actor[64];
    const struct passwd *user = getpwuid(getuid());

    snprintf(actor, sizeof actor, "uid %u (%s)", (unsigned)getuid(),
             user == NULL ? "?" : user->pw_name);
    return actor;
}

#include "proxy/meter/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool database_make(const char *path, const char *folder)
{
    struct stat status;
    int fd;
    bool made;

    if (stat(path, &status) == 0) {
        return true;
    }
    if (stat(folder, &status) != 0) {
        return false;
    }
    /* Only a file that did not exist is opened and closed here: closing one that SQLite
     * has open elsewhere in this process would drop SQLite's locks on it. */
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno == EEXIST;
    }
    made = geteuid() != 0 || fchown(fd, status.st_uid, status.st_gid) == 0;
    return close(fd) == 0 && made;
}

bool database_run(sqlite3 *sqlite, const char *sql, int64_t *number)
{
    sqlite3_stmt *statement;
    int result;

    if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) != SQLITE_OK) {
        return false;
    }
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        if (number != NULL) {
            *number = sqlite3_column_int64(statement, 0);
            number = NULL;
        }
    }
    return sqlite3_finalize(statement) == SQLITE_OK && result == SQLITE_DONE;
}

bool database_run_all(sqlite3 *sqlite, const char *const *statements)
{
    for (; *statements != NULL; statements++) {
        if (!database_run(sqlite, *statements, NULL)) {
            return false;
        }
    }
    return true;
}

bool database_step(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    sqlite3_reset(statement);
    return result == SQLITE_DONE;
}

void database_bind(sqlite3_stmt *statement, int at, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        sqlite3_bind_null(statement, at);
    } else {
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    }
}

const char *database_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);

    return text == NULL ? "" : (const char *)text;
}

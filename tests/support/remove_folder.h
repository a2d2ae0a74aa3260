/* Takes away a folder that a test made, with all that is in it. */
#ifndef ASSAY_TESTS_SUPPORT_REMOVE_FOLDER_H
#define ASSAY_TESTS_SUPPORT_REMOVE_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_one(const char *name, const struct stat *status, int type,
                             struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(name);
}

/* 0, or -1 with errno. */
static inline int remove_folder(const char *path)
{
    enum { OPEN_AT_ONCE = 8 };

    return nftw(path, remove_one, OPEN_AT_ONCE, FTW_DEPTH | FTW_PHYS);
}

#endif

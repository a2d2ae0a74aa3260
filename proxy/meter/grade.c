#include "proxy/meter/grade.h"

#include "proxy/base/check.h"

const char *grade_name(enum grade grade)
{
    static const char *const names[GRADES] = {
        [GRADE_UNRATED] = "unrated",   [GRADE_CLEAR] = "clear",
        [GRADE_WATCH] = "watch",       [GRADE_FLAGGED] = "flagged",
        [GRADE_DECLARED] = "declared",
    };

    CHECK((unsigned)grade < GRADES);
    return names[grade];
}

/* How far a caller's traffic looks automated, in one word. */
#ifndef ASSAY_METER_GRADE_H
#define ASSAY_METER_GRADE_H

enum grade {
    GRADE_UNRATED, /* too little was seen to say */
    GRADE_CLEAR,
    GRADE_WATCH,   /* undecided */
    GRADE_FLAGGED, /* automated-looking */
    GRADE_DECLARED /* automation that says so: a service identity */
};
enum { GRADES = GRADE_DECLARED + 1 };

const char *grade_name(enum grade grade);

#endif

#include "proxy/base/date.h"

/* Years are counted from March, so that a leap day is the last of its year. */
enum {
    DAYS_TO_1970 = 719468, /* from 0000-03-01 */
    ERA_DAYS = 146097,     /* of 400 years */
    ERA_YEARS = 400
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

int64_t date_days(const struct date *date)
{
    int64_t year = date->year - (date->month <= 2 ? 1 : 0);
    int64_t era = floor_div(year, ERA_YEARS);
    int64_t of_era = year - era * ERA_YEARS;
    int64_t month = (date->month + 9) % 12; /* from March */
    int64_t of_year = (153 * month + 2) / 5 + date->day - 1;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year -
           DAYS_TO_1970;
}

struct date date_of_days(int64_t days)
{
    int64_t shifted = days + DAYS_TO_1970;
    int64_t era = floor_div(shifted, ERA_DAYS);
    int64_t day = shifted - era * ERA_DAYS;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */

    return (struct date){
        .year = year + era * ERA_YEARS + (month >= 10 ? 1 : 0),
        .month = (unsigned)(month >= 10 ? month - 9 : month + 3),
        .day = (unsigned)(of_year - (153 * month + 2) / 5 + 1),
    };
}

unsigned date_weekday(int64_t days)
{
    return (unsigned)(days + 4 - 7 * floor_div(days + 4, 7)); /* 1970-01-01: Thursday */
}

void date_put(struct text *text, int64_t unix_s, int64_t local)
{
    int64_t days = floor_div(local, DATE_DAY_S);
    int64_t of_day = local - days * DATE_DAY_S;
    int64_t offset = (local - unix_s) / 60;
    struct date date = date_of_days(days);

    text_printf(text, "%04lld-%02u-%02uT%02lld:%02lld:%02lld", (long long)date.year,
                date.month, date.day, (long long)(of_day / 3600),
                (long long)(of_day / 60 % 60), (long long)(of_day % 60));
    if (offset == 0) {
        text_put_char(text, 'Z');
    } else {
        int64_t ahead = offset < 0 ? -offset : offset;

        text_printf(text, "%c%02lld:%02lld", offset < 0 ? '-' : '+',
                    (long long)(ahead / 60), (long long)(ahead % 60));
    }
}

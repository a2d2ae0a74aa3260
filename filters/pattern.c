#include "filters/pattern.h"

static bool take_last(struct span *s, char c)
{
    if (s->len == 0 || s->at[s->len - 1] != c) {
        return false;
    }
    s->len--;
    return true;
}

/* Everything back to the slash before it. */
static bool take_segment(struct span *path)
{
    size_t len = path->len;

    while (path->len > 0 && path->at[path->len - 1] != '/') {
        path->len--;
    }
    return path->len < len;
}

/* Compares from the end, where paths differ. */
bool pattern_matches(struct span pattern, struct span path, struct span *model)
{
    struct span rest = path;
    size_t model_end = 0;

    *model = span_of(path.at, 0);
    while (pattern.len > 0 && !span_equal(pattern, SPAN("**"))) {
        if (take_last(&pattern, '}')) {
            model_end = rest.len;
        } else if (take_last(&pattern, '{')) {
            *model = span_of(path.at + rest.len, model_end - rest.len);
        } else if (take_last(&pattern, '*')) {
            if (!take_segment(&rest)) {
                return false;
            }
        } else if (rest.len == 0 || !take_last(&rest, pattern.at[pattern.len - 1])) {
            return false;
        } else {
            pattern.len--;
        }
    }
    return pattern.len > 0 || rest.len == 0;
}

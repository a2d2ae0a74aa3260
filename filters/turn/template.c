#include "filters/turn/template.h"

#include "filters/turn/characters.h"

enum within {
    WITHIN_TEXT,
    WITHIN_URL,
    WITHIN_QUOTES,
    WITHIN_PATH,
    WITHIN_RUN,   /* of a path's characters, but it is no path */
    WITHIN_NUMBER /* in such a run */
};

void template_init(struct template *template, template_seen *seen, void *self)
{
    template->seen = seen;
    template->self = self;
    template->len = 0;
    template->piece_len = 0;
    template->quote_left = 0;
    template->within = WITHIN_TEXT;
}

static bool is_digit(uint32_t code)
{
    return code >= '0' && code <= '9';
}

static bool is_slash(uint32_t code)
{
    return code == '/' || code == '\\';
}

static bool is_of_path(uint32_t code)
{
    return (code >= 'a' && code <= 'z') || is_digit(code) || is_slash(code) ||
           code == '_' || code == '.' || code == '-' ||
           (code >= 0x80 && !character_is_space(code));
}

static bool begins(const uint32_t *at, unsigned len, const char *word)
{
    unsigned i = 0;

    while (word[i] != '\0' && i < len && at[i] == (unsigned char)word[i]) {
        i++;
    }
    return word[i] == '\0' && i < len && at[i] != ' ';
}

static bool is_url(const uint32_t *at, unsigned len)
{
    return at[0] == 'h' && (begins(at, len, "http://") || begins(at, len, "https://"));
}

/* Characters from the opening quote to the closing one, both counted; 0: it is not
 * closed soon enough. */
static unsigned quoted(const uint32_t *at, unsigned len)
{
    if (at[0] != '"' && at[0] != '\'' && at[0] != '`') {
        return 0;
    }
    for (unsigned i = 1; i < len && i <= TEMPLATE_QUOTED + 1; i++) {
        if (at[i] == at[0]) {
            return i + 1;
        }
    }
    return 0;
}

/* Does a path begin here: a run that holds a slash and goes on behind it? */
static bool is_path(const uint32_t *at, unsigned len)
{
    for (unsigned i = 0; i + 1 < len && i < TEMPLATE_AHEAD - 1 && is_of_path(at[i]);
         i++) {
        if (is_slash(at[i]) && is_of_path(at[i + 1])) {
            return true;
        }
    }
    return false;
}

static void flush(struct template *template)
{
    template->seen(template->self, span_of(template->piece, template->piece_len));
    template->piece_len = 0;
}

static inline void put(struct template *template, uint32_t code)
{
    if (template->piece_len > TEMPLATE_PIECE - UTF8_MAX) {
        flush(template);
    }
    template->piece_len =
        (uint16_t)(template->piece_len +
                   utf8_put(template->piece + template->piece_len, code));
}

static void say(struct template *template, const char *mask)
{
    for (; *mask != '\0'; mask++) {
        put(template, (unsigned char)*mask);
    }
}

/* A character that belongs to nothing that is masked, but for numbers. */
static void plain(struct template *template, uint32_t code)
{
    bool digit = is_digit(code);

    if (!digit) {
        put(template, code);
    } else if (template->within != WITHIN_NUMBER) {
        say(template, "#");
    }
    template->within = digit              ? WITHIN_NUMBER
                       : is_of_path(code) ? WITHIN_RUN
                                          : WITHIN_TEXT;
}

/* Is this character left out with what it belongs to? */
static bool left_out(struct template *template, uint32_t code)
{
    bool goes_on = false;

    if (template->within == WITHIN_QUOTES) {
        goes_on = template->quote_left-- > 0;
    } else if (template->within == WITHIN_URL) {
        goes_on = code != ' ';
    } else if (template->within == WITHIN_PATH) {
        goes_on = is_of_path(code);
    } else {
        return false;
    }
    if (!goes_on) {
        template->within = WITHIN_TEXT;
    }
    return goes_on;
}

/* Decides the character at `at`; `len` characters are known from there. */
static void decide(struct template *template, const uint32_t *at, unsigned len)
{
    unsigned quote;

    if (left_out(template, at[0])) {
        return;
    }
    quote = quoted(at, len);
    if (is_url(at, len)) {
        say(template, "<u>");
        template->within = WITHIN_URL;
    } else if (quote > 0) {
        say(template, "<q>");
        template->within = WITHIN_QUOTES;
        template->quote_left = (uint16_t)(quote - 1);
    } else if (template->within == WITHIN_TEXT && is_path(at, len)) {
        say(template, "<p>");
        template->within = WITHIN_PATH;
    } else {
        plain(template, at[0]);
    }
}

/* A word of letters and the space behind it, which most of a text are: nothing in it is
 * masked. How many characters it has; 0: there is none, or it is within what is
 * masked. */
static unsigned plain_word(struct template *template, const uint32_t *at, unsigned len)
{
    unsigned done = 0;
    char *to;

    if (template->within == WITHIN_URL || template->within == WITHIN_QUOTES ||
        template->within == WITHIN_PATH) {
        return 0;
    }
    len = len < TEMPLATE_PIECE ? len : TEMPLATE_PIECE;
    while (done < len && at[done] - 'a' < 26) {
        done++;
    }
    if (done == len || at[done] != ' ') {
        return 0;
    }
    if (template->piece_len + done >= TEMPLATE_PIECE) {
        flush(template);
    }
    to = template->piece + template->piece_len;
    for (unsigned i = 0; i <= done; i++) {
        to[i] = (char)at[i];
    }
    template->piece_len = (uint16_t)(template->piece_len + done + 1);
    template->within = WITHIN_TEXT;
    return done + 1;
}

static void decide_all(struct template *template, unsigned ahead)
{
    unsigned done = 0;

    while (template->len - done > ahead) {
        unsigned word =
            plain_word(template, template->window + done, template->len - done);

        if (word == 0) {
            decide(template, template->window + done, template->len - done);
            word = 1;
        }
        done += word;
    }
    template->len = (uint16_t)(template->len - done);
    memmove(template->window, template->window + done,
            template->len * sizeof(*template->window));
}

void template_decide(struct template *template)
{
    decide_all(template, TEMPLATE_AHEAD);
}

void template_end(struct template *template)
{
    decide_all(template, 0);
    flush(template);
}

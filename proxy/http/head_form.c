#include "proxy/http/head_form.h"

#include "proxy/http/head_check.h"

#include <stdlib.h>

enum { TEXT_MAX = 4 * 1024 };

/* Where a field stands in the text, in which a blank takes no room. */
struct line {
    uint16_t name, value;
    bool blank;
};

struct head_form {
    struct head head; /* as it was read last */
    struct line lines[HEAD_FIELDS_MAX];
    uint16_t start; /* of the target or reason */
    uint16_t text_len;
    char text[];
};

/* ---- its text -------------------------------------------------------------------- */

static bool is_sized(const struct head *head)
{
    return head->framing == FRAMING_LENGTH && head->length > 0;
}

static bool is_blank(const struct head *head, const struct field *field,
                     enum field_name credential)
{
    if (field->value.len == 0) {
        return false;
    }
    if (field->id == FIELD_CONTENT_LENGTH) {
        return is_sized(head);
    }
    return head->status == 0
               ? field->id == credential
               : field->id == FIELD_OTHER || field->id == FIELD_SET_COOKIE;
}

/* Copies raw bytes up to `end` to the text. */
static void copy_text(struct head_form *form, const char **from, const char *end)
{
    size_t len = (size_t)(end - *from);

    memcpy(form->text + form->text_len, *from, len);
    form->text_len = (uint16_t)(form->text_len + len);
    *from = end;
}

static const struct span *start_part(const struct head *head)
{
    return head->status == 0 ? &head->target : &head->reason;
}

static void make_text(struct head_form *form, struct span raw, const struct head *head,
                      enum field_name credential)
{
    const char *from = raw.at;

    form->text_len = 0;
    form->start = (uint16_t)(start_part(head)->at - raw.at);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        struct line *line = &form->lines[i];

        copy_text(form, &from, field->name.at);
        line->name = form->text_len;
        copy_text(form, &from, field->value.at);
        line->value = form->text_len;
        line->blank = is_blank(head, field, credential);
        if (line->blank) {
            from += field->value.len;
        }
    }
    copy_text(form, &from, raw.at + raw.len);
}

/* ---- reading by it --------------------------------------------------------------- */

/* The bytes of a head and how far they fit the form. */
struct fitting {
    struct span bytes;
    size_t at;     /* all bytes before it fit */
    size_t filled; /* of them stand in blanks */
};

/* Do the bytes go on like the text, up to this offset of it? */
static bool fits_text(struct fitting *fitting, const struct head_form *form, size_t end)
{
    size_t from = fitting->at - fitting->filled;
    size_t len = end - from;

    if (fitting->bytes.len - fitting->at < len ||
        memcmp(fitting->bytes.at + fitting->at, form->text + from, len) != 0) {
        return false;
    }
    fitting->at += len;
    return true;
}

/* Reads what fills the blank of a field, up to the end of its line. */
static bool fits_blank(struct fitting *fitting, struct head *head, struct field *field)
{
    struct span value = span_after(fitting->bytes, fitting->at);

    value.len = head_find_control(value);
    if (value.len == 0 || value.at[0] == ' ' || value.at[value.len - 1] == ' ') {
        return false;
    }
    fitting->at += value.len;
    fitting->filled += value.len;
    field->value.len = value.len;
    return field->id != FIELD_CONTENT_LENGTH ||
           (head_content_length(value, &head->length) && head->length > 0);
}

/* Lets all spans point to where the bytes that fit stand. */
static void place(struct head_form *form, const char *at)
{
    struct head *head = &form->head;

    if (head->status == 0) {
        head->target.at = at + form->start;
    } else {
        head->reason.at = at + form->start;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct line *line = &form->lines[i];
        struct field *field = &head->fields[i];

        field->name.at = at + line->name;
        field->value.at = at + line->value;
        at += line->blank ? field->value.len : 0;
    }
}

const struct head *head_form_read(struct head_form *form, struct span bytes,
                                  size_t *size)
{
    struct head *head = &form->head;
    struct fitting fitting = {
        .bytes =
            span_of(bytes.at, bytes.len < HEAD_SIZE_MAX ? bytes.len : HEAD_SIZE_MAX),
    };

    for (size_t i = 0; i < head->field_count; i++) {
        const struct line *line = &form->lines[i];

        if (line->blank && (!fits_text(&fitting, form, line->value) ||
                            !fits_blank(&fitting, head, &head->fields[i]))) {
            return NULL;
        }
    }
    if (!fits_text(&fitting, form, form->text_len)) {
        return NULL;
    }
    place(form, bytes.at);
    *size = fitting.at;
    return head;
}

/* ---- life ------------------------------------------------------------------------ */

struct head_form *head_form_new(struct span raw, const struct head *head,
                                enum field_name credential)
{
    struct head_form *form = raw.len > TEXT_MAX ? NULL : malloc(sizeof *form + raw.len);
    size_t size;

    if (form == NULL) {
        return NULL;
    }
    memcpy(&form->head, head,
           offsetof(struct head, fields) + head->field_count * sizeof head->fields[0]);
    make_text(form, raw, head, credential);
    return head_form_read(form, raw, &size) == NULL ? head_form_free(form) : form;
}

struct head_form *head_form_free(struct head_form *form)
{
    free(form);
    return NULL;
}

/* ---- several --------------------------------------------------------------------- */

void head_forms_done(struct head_forms *forms)
{
    for (size_t i = 0; i < HEAD_FORMS; i++) {
        forms->forms[i] = head_form_free(forms->forms[i]);
    }
}

/* Puts a form first, behind which those before place `i` follow. */
static void put_first(struct head_forms *forms, struct head_form *form, size_t i)
{
    memmove(&forms->forms[1], &forms->forms[0], i * sizeof forms->forms[0]);
    forms->forms[0] = form;
}

const struct head *head_forms_read(struct head_forms *forms, struct span bytes,
                                   enum method method, size_t *size)
{
    for (size_t i = 0; i < HEAD_FORMS && forms->forms[i] != NULL; i++) {
        struct head_form *form = forms->forms[i];

        if (form->head.method == method && head_form_read(form, bytes, size) != NULL) {
            put_first(forms, form, i);
            return &form->head;
        }
    }
    return NULL;
}

void head_forms_add(struct head_forms *forms, struct span raw, const struct head *head)
{
    struct head_form *form = head_form_new(raw, head, FIELD_OTHER);

    if (form != NULL) {
        head_form_free(forms->forms[HEAD_FORMS - 1]);
        put_first(forms, form, HEAD_FORMS - 1);
    }
}

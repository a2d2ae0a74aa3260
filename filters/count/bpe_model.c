#include "filters/count/bpe.h"

static const struct {
    const char *name;
    enum encoding encoding;
} encodings[] = {
    { "cl100k_base", ENCODING_CL100K_BASE },
    { "o200k_base", ENCODING_O200K_BASE },
    { "o200k_harmony", ENCODING_O200K_HARMONY },
};

/* As tiktoken/model.py maps them. The first prefix that fits holds, so longer ones stand
 * first. Beyond gpt-5 no mapping is published; o200k_base is assumed. */
static const struct {
    const char *prefix;
    enum encoding encoding;
} models[] = {
    { "gpt-oss", ENCODING_O200K_HARMONY },
    { "gpt-4o", ENCODING_O200K_BASE },
    { "gpt-4.1", ENCODING_O200K_BASE },
    { "gpt-4.5", ENCODING_O200K_BASE },
    { "chatgpt-4o", ENCODING_O200K_BASE },
    { "gpt-4", ENCODING_CL100K_BASE },
    { "gpt-3.5", ENCODING_CL100K_BASE },
    { "gpt-35", ENCODING_CL100K_BASE },
    { "gpt-5", ENCODING_O200K_BASE },
    { "gpt-6", ENCODING_O200K_BASE },
    { "codex-", ENCODING_O200K_BASE },
    { "o1", ENCODING_O200K_BASE },
    { "o3", ENCODING_O200K_BASE },
    { "o4", ENCODING_O200K_BASE },
    { "text-embedding-3-", ENCODING_CL100K_BASE },
    { "text-embedding-ada-002", ENCODING_CL100K_BASE },
    { "davinci-002", ENCODING_CL100K_BASE },
    { "babbage-002", ENCODING_CL100K_BASE },
};

/* "openai/ft:gpt-4o:acme" without what stands before "gpt". */
static struct span bare_model(struct span model)
{
    size_t slash;

    for (slash = span_find(model, '/'); slash < model.len;
         slash = span_find(model, '/')) {
        model = span_after(model, slash + 1);
    }
    return span_starts(model, SPAN("ft:")) ? span_after(model, 3) : model;
}

enum encoding bpe_encoding_for_model(struct span model)
{
    model = bare_model(model);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (span_begins_nocase(model, models[i].prefix)) {
            return models[i].encoding;
        }
    }
    return ENCODING_UNKNOWN;
}

enum encoding bpe_encoding_named(struct span name)
{
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        if (span_equal(name, span_text(encodings[i].name))) {
            return encodings[i].encoding;
        }
    }
    return ENCODING_UNKNOWN;
}

const char *bpe_encoding_name(enum encoding encoding)
{
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        if (encoding == encodings[i].encoding) {
            return encodings[i].name;
        }
    }
    return NULL;
}

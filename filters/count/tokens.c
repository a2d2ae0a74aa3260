#include "filters/count/tokens.h"

/* Of recorded answers: bytes of UTF-8 text in a hundred tokens; tokens in a thousand of
 * o200k_base; tokens around an answer, around a tool call in it, and around several of them.
 * The first prefix that fits holds. */
static const struct family {
    const char *prefix;
    unsigned bytes, per_mille, answer, tool, tools;
} families[] = {
    /* the tokenizer from here on makes a third more */
    { "claude-opus-4-7", 250, 1490, 2, 25, 0 },
    { "claude-opus-4-8", 250, 1490, 2, 25, 0 },
    { "claude-opus-5", 250, 1490, 2, 25, 0 },
    { "claude-sonnet-5", 250, 1490, 2, 25, 0 },
    { "claude-fable-5", 250, 1490, 2, 25, 0 },
    { "claude-3", 330, 1190, 3, 41, 0 },
    { "claude", 330, 1145, 3, 43, 0 },
    { "gpt-5", 420, 1000, 7, 7, 14 },
    { "gpt-", 460, 1000, 0, 7, 14 },
    { "chatgpt-", 460, 1000, 0, 7, 14 },
    { "o1", 440, 1000, 7, 7, 14 },
    { "o3", 440, 1000, 7, 7, 14 },
    { "o4", 440, 1000, 7, 7, 14 },
    { "gemini", 400, 1040, 0, 15, 0 },
    { "deepseek", 400, 960, 0, 29, 0 },
    { "grok", 400, 1050, 0, 22, 0 },
    { "mi", 400, 1020, 1, 3, 0 }, /* mistral, ministral, mixtral */
    { "", 400, 1020, 1, 12, 0 },
};

/* "openai/gpt-4o" is gpt-4o. */
static struct span without_vendor(struct span model)
{
    size_t at = model.len;

    while (at > 0 && model.at[at - 1] != '/') {
        at--;
    }
    return span_after(model, at);
}

/* The part that names the family: "us.anthropic.claude-x" is a claude. */
static struct span without_region(struct span model)
{
    size_t at = model.len;

    while (at >= 6 && !span_equal(span_of(model.at + at - 6, 6), SPAN("claude"))) {
        at--;
    }
    return at >= 6 ? span_after(model, at - 6) : model;
}

static const struct family *family_of(struct span model)
{
    const struct family *family = families;

    model = without_region(without_vendor(model));
    while (!span_starts(model, span_text(family->prefix))) {
        family++;
    }
    return family;
}

uint64_t tokens_estimate(struct span model, uint64_t bytes)
{
    const struct family *family = family_of(model);

    return bytes / family->bytes * 100 +
           (bytes % family->bytes * 100 + family->bytes - 1) / family->bytes;
}

uint64_t tokens_count(struct span model, const struct sample *text, uint64_t tools)
{
    const struct family *family = family_of(model);
    enum encoding encoding = bpe_encoding_for_model(model);
    uint64_t tokens =
        sample_tokens(text,
                      encoding == ENCODING_UNKNOWN ? ENCODING_O200K_BASE : encoding);

    if (tokens == 0) {
        return 0;
    }
    tokens = (tokens * family->per_mille + 500) / 1000;
    return tokens + family->answer + tools * family->tool +
           (tools > 1 ? family->tools : 0);
}

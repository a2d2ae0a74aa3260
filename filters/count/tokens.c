#include "filters/count/tokens.h"

/* Of recorded answers: bytes of UTF-8 text in a hundred tokens; tokens in a thousand of
 * o200k_base; tokens around an answer, around a tool call in it, around several of
 * them, and around thoughts that are shown. The first prefix that fits holds. */
static const struct family {
    const char *prefix;
    unsigned bytes, per_mille, answer, tool, tools, thought;
} families[] = {
    /* the tokenizer from here on makes a third more */
    { "claude-opus-4-7", 250, 1490, 2, 25, 0, 0 },
    { "claude-opus-4-8", 250, 1490, 2, 25, 0, 0 },
    { "claude-opus-5", 250, 1490, 2, 25, 0, 0 },
    { "claude-sonnet-5", 250, 1490, 2, 25, 0, 0 },
    { "claude-fable-5", 250, 1490, 2, 25, 0, 0 },
    { "claude-haiku-4", 330, 1080, 3, 27, 0, 0 },
    { "claude-sonnet-4", 330, 1080, 4, 40, 0, 0 },
    { "claude-opus-4", 330, 1100, 4, 40, 0, 0 },
    { "claude-3-5", 330, 1140, 3, 43, 0, 0 },
    { "claude-3-7", 330, 1150, 5, 40, 0, 0 },
    { "claude-3", 330, 1220, 4, 30, 0, 0 },
    { "claude", 330, 1130, 3, 42, 0, 0 },
    { "gpt-5.", 420, 1000, 3, 7, 17, 0 },
    { "gpt-5", 420, 1000, 4, 12, 14, 0 },
    { "gpt-oss", 420, 1000, 3, 10, 14, 7 },
    { "gpt-", 460, 1000, 0, 7, 14, 0 },
    { "chatgpt-", 460, 1000, 0, 7, 14, 0 },
    { "o1", 440, 1000, 7, 7, 14, 0 },
    { "o3", 440, 1000, 7, 7, 14, 0 },
    { "o4", 440, 1000, 7, 7, 14, 0 },
    { "gemini", 400, 1040, 0, 14, 0, 0 },
    { "gemma", 400, 1000, 1, 7, 0, 0 },
    { "deepseek", 400, 1000, 0, 28, 0, 2 },
    { "grok", 400, 1050, 0, 22, 0, 0 },
    { "mistral-tiny", 360, 1210, 0, 3, 0, 0 },
    { "mistral", 400, 1020, 1, 3, 0, 0 },
    { "ministral", 400, 1000, 1, 5, 0, 0 },
    { "voxtral", 400, 1000, 1, 11, 0, 0 },
    { "qwen", 400, 1010, 1, 12, 0, 6 },
    { "kimi", 400, 1000, 1, 10, 0, 0 },
    { "llama", 400, 1030, 1, 16, 0, 0 },
    { "mimo", 400, 1000, 1, 14, 0, 5 },
    { "nova", 400, 980, 2, 9, 14, 0 },
    { "", 400, 1020, 1, 12, 0, 2 },
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

static bool is_word(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < 'a' || s.at[i] > 'z') {
            return false;
        }
    }
    return s.len > 0;
}

/* "us.anthropic.claude-x" is claude-x, but "gpt-5.1" itself. */
static struct span without_region(struct span model)
{
    size_t dot = span_find(model, '.');

    while (dot < model.len && is_word(span_of(model.at, dot))) {
        model = span_after(model, dot + 1);
        dot = span_find(model, '.');
    }
    return model;
}

static const struct family *family_of(struct span model)
{
    const struct family *family = families;

    model = without_region(without_vendor(model));
    while (!span_begins_nocase(model, family->prefix)) {
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

uint64_t tokens_count(struct span model, const struct sample *text, uint64_t tools,
                      bool thought)
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
           (tools > 1 ? family->tools : 0) + (thought ? family->thought : 0);
}

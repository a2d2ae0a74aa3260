#include "filters/paid_tool.h"

/* Sources: OpenAI, "Tools" of the Responses API; Anthropic, "Tool reference". */
static const struct {
    struct span type;
    bool front; /* versions follow: bash_20250124 */
} unpaid[] = {
    { SPAN_INIT("function"), false },    { SPAN_INIT("custom"), false },
    { SPAN_INIT("namespace"), false },   { SPAN_INIT("local_shell"), false },
    { SPAN_INIT("apply_patch"), false }, { SPAN_INIT("mcp"), true },
    { SPAN_INIT("tool_search"), true },  { SPAN_INIT("bash_"), true },
    { SPAN_INIT("text_editor_"), true }, { SPAN_INIT("memory_"), true },
    { SPAN_INIT("computer_2"), true },
};

bool paid_tool(struct span type)
{
    for (size_t i = 0; i < sizeof unpaid / sizeof unpaid[0]; i++) {
        if (unpaid[i].front ? span_starts(type, unpaid[i].type)
                            : span_equal(type, unpaid[i].type)) {
            return false;
        }
    }
    return type.len > 0;
}

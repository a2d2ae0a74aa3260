#include "filters/paid_tool.h"

/* Sources: OpenAI, "Tools" of the Responses API; Anthropic, "Tool reference". */
static const struct {
    struct span type;
    bool front; /* versions follow: bash_20250124 */
} unpaid[] = {
    { { "function", 8 }, false },     { { "custom", 6 }, false },
    { { "namespace", 9 }, false },    { { "local_shell", 11 }, false },
    { { "apply_patch", 11 }, false }, { { "mcp", 3 }, true },
    { { "tool_search", 11 }, true },  { { "bash_", 5 }, true },
    { { "text_editor_", 12 }, true }, { { "memory_", 7 }, true },
    { { "computer_2", 10 }, true },
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

/* What the Anthropic dialects have in common. */
#ifndef ASSAY_FILTERS_DIALECT_ANTHROPIC_SHAPE_H
#define ASSAY_FILTERS_DIALECT_ANTHROPIC_SHAPE_H

#include "filters/dialect.h"

/* The rows of a usage object at `at`, all but output_tokens. */
/* clang-format off */
#define ANTHROPIC_USAGE(at)                                                            \
    { at, COUNT_USAGE, SCAN_WHOLE },                                                        \
    { at ".input_tokens", COUNT_INPUT, SCAN_WHOLE },                                        \
    { at ".cache_read_input_tokens", COUNT_CACHED, SCAN_WHOLE },                            \
    { at ".cache_creation_input_tokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                   \
    { at ".cache_creation.ephemeral_5m_input_tokens", COUNT_WRITE_5M, SCAN_WHOLE },         \
    { at ".cache_creation.ephemeral_1h_input_tokens", COUNT_WRITE_1H, SCAN_WHOLE },         \
    { at ".output_tokens_details.thinking_tokens", COUNT_REASONING, SCAN_WHOLE },           \
    { at ".output_tokens_details.reasoning_tokens", COUNT_REASONING, SCAN_WHOLE },          \
    { at ".server_tool_use.web_search_requests", COUNT_WEB_SEARCHES, SCAN_WHOLE },          \
    { at ".service_tier", SEEN_TIER, SCAN_WHOLE },                                          \
    { at ".iterations", LINES_ANEW, SCAN_WHOLE },                                           \
    ANTHROPIC_ITERATION(at ".iterations[]")

/* What a response says, as a stream or whole, all but its type. */
#define ANTHROPIC_RESPONSE                                                             \
    /* message_start */                                                                \
    ANTHROPIC_USAGE("message.usage"),                                                  \
    { "message.usage.output_tokens", COUNT_OUTPUT_START, SCAN_WHOLE },                 \
    { "message.model", SEEN_MODEL, SCAN_WHOLE },                                       \
    /* message_delta, and a whole message */                                           \
    ANTHROPIC_USAGE("usage"),                                                          \
    { "usage.output_tokens", COUNT_OUTPUT, SCAN_WHOLE },                               \
    { "delta.stop_reason", SEEN_FINISH, SCAN_WHOLE },                                  \
    /* content_block_delta, and a whole message */                                     \
    { "delta.text", SEEN_SAID, SCAN_PIECES },                                          \
    { "delta.thinking", SEEN_TEXT, SCAN_PIECES },                                      \
    { "delta.partial_json", SEEN_ARGUMENTS, SCAN_PIECES },                             \
    { "content[].text", SEEN_SAID, SCAN_PIECES },                                      \
    { "content[].thinking", SEEN_TEXT, SCAN_PIECES },                                  \
    { "content_block.name", SEEN_TOOL, SCAN_WHOLE },                                   \
    { "content[].name", SEEN_TOOL, SCAN_WHOLE },                                       \
    { "content[].input.**", SEEN_ARGUMENT, SCAN_PIECES }

/* What one sampling of several used. */
#define ANTHROPIC_ITERATION(at)                                                        \
    { at, LINE_IS_ITERATION, SCAN_WHOLE },                                                  \
    { at ".type", IN_LINE(SEEN_TYPE), SCAN_WHOLE },                                         \
    { at ".model", IN_LINE(SEEN_MODEL), SCAN_WHOLE },                                       \
    ANTHROPIC_LINE_USAGE(at)

#define ANTHROPIC_LINE_USAGE(at)                                                       \
    { at ".input_tokens", IN_LINE(COUNT_INPUT), SCAN_WHOLE },                               \
    { at ".output_tokens", IN_LINE(COUNT_OUTPUT), SCAN_WHOLE },                             \
    { at ".cache_read_input_tokens", IN_LINE(COUNT_CACHED), SCAN_WHOLE },                   \
    { at ".cache_creation_input_tokens", IN_LINE(COUNT_CACHE_WRITE), SCAN_WHOLE },          \
    { at ".cache_creation.ephemeral_5m_input_tokens", IN_LINE(COUNT_WRITE_5M),         \
      SCAN_WHOLE },                                                                    \
    { at ".cache_creation.ephemeral_1h_input_tokens", IN_LINE(COUNT_WRITE_1H),         \
      SCAN_WHOLE },                                                                    \
    { at ".output_tokens_details.thinking_tokens", IN_LINE(COUNT_REASONING), SCAN_WHOLE }
/* clang-format on */

/* The tables of messages, for the same shape at other paths; path NULL at the end. */
extern const struct scan_path anthropic_messages_request[],
    anthropic_messages_response[];

/* Is this event the regular end of a stream? */
bool anthropic_terminal(struct span type);

/* Cache reads and writes stand beside input_tokens; thinking
 * is inside output_tokens. */
void anthropic_balance(const struct tally *tally, struct usage *usage);

/* {"type":"error","error":{"type","message"},"request_id"} and a request-id line. */
void anthropic_refuse(const struct refusal *refusal, struct text *lines,
                      struct text *body);

/* The error as an event of that name. */
void anthropic_cut(const struct refusal *refusal, uint64_t events, struct text *out);

#endif

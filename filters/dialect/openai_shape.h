/* What the OpenAI dialects, and the many vendors that speak them, have in common: where
 * counts stand in a usage object, the arithmetic that makes them disjoint, the error
 * body. */
#ifndef ASSAY_FILTERS_DIALECT_OPENAI_SHAPE_H
#define ASSAY_FILTERS_DIALECT_OPENAI_SHAPE_H

#include "filters/dialect.h"

/* The rows of a usage object at `at`. Every spelling that a vendor of this shape uses, the
 * Responses API's included: gateways mix them.
 *   cached:  OpenAI; Mistral (three spellings); Moonshot; DeepSeek; Anthropic converters
 *   written: OpenAI, OpenRouter; LiteLLM-like converters; Qwen, which is told what to cache
 *   beside:  xAI puts reasoning outside, Perplexity at the top level (see openai_balance) */
/* clang-format off */
#define OPENAI_USAGE(at)                                                               \
    { at, COUNT_USAGE, SCAN_WHOLE },                                                        \
    { at ".prompt_tokens", COUNT_INPUT, SCAN_WHOLE },                                       \
    { at ".input_tokens", COUNT_INPUT, SCAN_WHOLE },                                        \
    { at ".completion_tokens", COUNT_OUTPUT, SCAN_WHOLE },                                  \
    { at ".output_tokens", COUNT_OUTPUT, SCAN_WHOLE },                                      \
    { at ".total_tokens", COUNT_TOTAL, SCAN_WHOLE },                                        \
    OPENAI_INPUT_DETAILS(at ".prompt_tokens_details"),                                 \
    OPENAI_INPUT_DETAILS(at ".prompt_token_details"),                                  \
    OPENAI_INPUT_DETAILS(at ".input_tokens_details"),                                  \
    OPENAI_INPUT_DETAILS(at ".input_token_details"),                                   \
    { at ".prompt_cache_hit_tokens", COUNT_CACHED, SCAN_WHOLE },                            \
    { at ".cached_tokens", COUNT_CACHED, SCAN_WHOLE },                                      \
    { at ".num_cached_tokens", COUNT_CACHED, SCAN_WHOLE },                                  \
    { at ".cache_read_input_tokens", COUNT_CACHED, SCAN_WHOLE },                            \
    { at ".cache_creation_input_tokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                   \
    OPENAI_OUTPUT_DETAILS(at ".completion_tokens_details"),                            \
    OPENAI_OUTPUT_DETAILS(at ".completion_token_details"),                             \
    OPENAI_OUTPUT_DETAILS(at ".output_tokens_details"),                                \
    { at ".reasoning_tokens", COUNT_REASONING, SCAN_WHOLE },                                \
    { at ".prompt_audio_seconds", COUNT_AUDIO_SECONDS, SCAN_WHOLE },                        \
    { at ".seconds", COUNT_AUDIO_SECONDS, SCAN_WHOLE },                                     \
    { at ".server_tool_use_details.web_search_requests", COUNT_WEB_SEARCHES, SCAN_WHOLE },  \
    { at ".num_search_queries", COUNT_WEB_SEARCHES, SCAN_WHOLE },                           \
    { at ".cost", COUNT_COST, SCAN_WHOLE },                                                 \
    { at ".cost.total_cost", COUNT_COST, SCAN_WHOLE },                                      \
    { at ".cost_in_usd_ticks", COUNT_COST_TICKS, SCAN_WHOLE }

#define OPENAI_INPUT_DETAILS(at)                                                       \
    { at ".cached_tokens", COUNT_CACHED, SCAN_WHOLE },                                      \
    { at ".cache_write_tokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                            \
    { at ".cache_creation_tokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                         \
    { at ".cache_creation_input_tokens", COUNT_CACHE_WRITE, SCAN_WHOLE },                   \
    { at ".cache_read_input_tokens", COUNT_CACHED, SCAN_WHOLE },                            \
    OPENAI_LIFETIMES(at ".cache_creation"),                                            \
    OPENAI_LIFETIMES(at ".cache_creation_token_details"),                              \
    { at ".cache_write_tokens_details.ttl_30m_tokens", COUNT_WRITE_30M, SCAN_WHOLE },       \
    { at ".cache_write_tokens_details.ttl_12h_tokens", COUNT_WRITE_12H, SCAN_WHOLE },       \
    { at ".text_tokens", COUNT_INPUT_TEXT, SCAN_WHOLE },                                    \
    { at ".audio_tokens", COUNT_INPUT_AUDIO, SCAN_WHOLE },                                  \
    { at ".image_tokens", COUNT_INPUT_IMAGE, SCAN_WHOLE },                                  \
    { at ".video_tokens", COUNT_INPUT_VIDEO, SCAN_WHOLE }

#define OPENAI_LIFETIMES(at)                                                           \
    { at ".ephemeral_5m_input_tokens", COUNT_WRITE_5M, SCAN_WHOLE },                        \
    { at ".ephemeral_1h_input_tokens", COUNT_WRITE_1H, SCAN_WHOLE }

#define OPENAI_OUTPUT_DETAILS(at)                                                      \
    { at ".reasoning_tokens", COUNT_REASONING, SCAN_WHOLE },                                \
    { at ".audio_tokens", COUNT_OUTPUT_AUDIO, SCAN_WHOLE },                                 \
    { at ".image_tokens", COUNT_OUTPUT_IMAGE, SCAN_WHOLE },                                 \
    { at ".rejected_prediction_tokens", COUNT_OUTPUT_REJECTED, SCAN_WHOLE }
/* clang-format on */

/* The usage object of a line. */
/* clang-format off */
#define OPENAI_LINE_USAGE(at)                                                          \
    { at ".prompt_tokens", IN_LINE(COUNT_INPUT), SCAN_WHOLE },                              \
    { at ".input_tokens", IN_LINE(COUNT_INPUT), SCAN_WHOLE },                               \
    { at ".completion_tokens", IN_LINE(COUNT_OUTPUT), SCAN_WHOLE },                         \
    { at ".output_tokens", IN_LINE(COUNT_OUTPUT), SCAN_WHOLE },                             \
    { at ".total_tokens", IN_LINE(COUNT_TOTAL), SCAN_WHOLE },                               \
    { at ".cached_tokens", IN_LINE(COUNT_CACHED), SCAN_WHOLE },                             \
    { at ".prompt_tokens_details.cached_tokens", IN_LINE(COUNT_CACHED), SCAN_WHOLE },       \
    { at ".input_tokens_details.cached_tokens", IN_LINE(COUNT_CACHED), SCAN_WHOLE },        \
    { at ".prompt_tokens_details.cache_write_tokens", IN_LINE(COUNT_CACHE_WRITE),      \
      SCAN_WHOLE },                                                                    \
    { at ".input_tokens_details.cache_write_tokens", IN_LINE(COUNT_CACHE_WRITE),       \
      SCAN_WHOLE },                                                                    \
    { at ".input_tokens_details.text_tokens", IN_LINE(COUNT_INPUT_TEXT), SCAN_WHOLE },      \
    { at ".input_tokens_details.image_tokens", IN_LINE(COUNT_INPUT_IMAGE), SCAN_WHOLE },    \
    { at ".output_tokens_details.image_tokens", IN_LINE(COUNT_OUTPUT_IMAGE), SCAN_WHOLE },  \
    { at ".output_tokens_details.reasoning_tokens", IN_LINE(COUNT_REASONING), SCAN_WHOLE }, \
    { at ".completion_tokens_details.reasoning_tokens", IN_LINE(COUNT_REASONING),      \
      SCAN_WHOLE },                                                                    \
    { at ".reasoning_tokens", IN_LINE(COUNT_REASONING), SCAN_WHOLE }

/* Models that a compound system called. */
#define OPENAI_SUB_MODELS(at)                                                          \
    { at, LINES_ANEW, SCAN_WHOLE },                                                         \
    { at "[]", LINE_IS_SUB_MODEL, SCAN_WHOLE },                                             \
    { at "[].model", IN_LINE(SEEN_MODEL), SCAN_WHOLE },                                     \
    OPENAI_LINE_USAGE(at "[].usage")

/* Pictures drawn as text by a model of their own. */
#define OPENAI_SVG(at)                                                                 \
    { at, LINE_IS_SVG, SCAN_WHOLE },                                                        \
    { at ".model", IN_LINE(SEEN_MODEL), SCAN_WHOLE },                                       \
    OPENAI_LINE_USAGE(at)
/* clang-format on */

/* What steers metering in a request of the older APIs. */
/* clang-format off */
#define OPENAI_REQUEST                                                                 \
    { "model", FACT_MODEL, SCAN_WHOLE },                                                    \
    { "stream", FACT_STREAM, SCAN_WHOLE },                                                  \
    { "stream_options", FACT_STREAM_OPTIONS, SCAN_WHOLE },                                  \
    { "stream_options.include_usage", FACT_INCLUDE_USAGE, SCAN_WHOLE },                     \
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },                                          \
    { "max_completion_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },                               \
    { "n", FACT_CHOICES, SCAN_WHOLE },                                                      \
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },                                      \
    { "models[]", FACT_MORE_MODELS, SCAN_WHOLE },                                           \
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },                                              \
    { "plugins[].id", FACT_TOOL, SCAN_WHOLE },                                              \
    { "web_search_options", FACT_WEB_SEARCH, SCAN_WHOLE },                                  \
    { "search_parameters", FACT_WEB_SEARCH, SCAN_WHOLE },                                   \
    { "prompt_cache_key", FACT_SESSION, SCAN_PIECES }
/* clang-format on */

/* Text that a choice of a chat answers with, whole or as deltas. */
/* clang-format off */
#define OPENAI_CHAT_TEXT(at)                                                           \
    { at ".content", SEEN_SAID, SCAN_PIECES },                                                \
    { at ".content[].text", SEEN_SAID, SCAN_PIECES },                                         \
    { at ".refusal", SEEN_SAID, SCAN_PIECES },                                                \
    { at ".reasoning_content", SEEN_TEXT, SCAN_PIECES },                                      \
    { at ".reasoning", SEEN_TEXT, SCAN_PIECES },                                              \
    { at ".function_call.name", SEEN_TOOL, SCAN_WHOLE },                                     \
    { at ".function_call.arguments", SEEN_ARGUMENTS, SCAN_PIECES },                                \
    { at ".tool_calls[].function.name", SEEN_TOOL, SCAN_WHOLE },                             \
    { at ".tool_calls[].function.arguments", SEEN_ARGUMENTS, SCAN_PIECES }
/* clang-format on */

/* The tables of the chat, for the same shape at other paths; path NULL at the end. */
extern const struct scan_path openai_chat_request[], openai_chat_response[];

/* Objects that a provider keeps: asking for them again costs nothing. */
#define OPENAI_STORED (ROUTE_FREE | ROUTE_NO_BODY | ROUTE_NO_USAGE)

/* ... and where their usage shows, which is counted once. */
#define OPENAI_ONCE (ROUTE_FREE | ROUTE_NO_BODY | ROUTE_ONCE)

/* What an event over a WebSocket is by the names that OpenAI's APIs share; that one
 * ends a response is for the API to say. */
enum socket_event openai_event(struct span type);

/* Disjoint classes of this shape. P is the stated input, C the stated output, T the
 * stated total, R reasoning, K cache reads and writes; d = T - P - C. First the input
 * side, then the output side; on each the first line that fits holds:
 *
 *   d = K > 0 and d is not R   the cache stands outside P (Anthropic converters)
 *   K > P, and T = P + C       the cache is inside P after all: reads and writes overlap
 *   K > P                      the cache stands outside P
 *   else                       the cache is inside P
 *
 *   d = 0                      reasoning is inside C
 *   d = R > 0                  reasoning stands outside C (xAI, Gemini converters)
 *   d > 0, R = 0               hidden: input audio where the report has audio (Mistral),
 *                              else reasoning (Gemini's compatible endpoints)
 *   else                       the output is what T leaves, at least C
 *
 * So the classes add up to the provider's own total wherever it states
 * a possible one. */
void openai_balance(const struct tally *tally, struct usage *usage);

/* The same, with what llama.cpp's timings say where there is no usage. */
void openai_balance_backed(const struct tally *tally, struct usage *usage);

/* Input without output; Voyage and Jina state only the total. */
void openai_balance_input(const struct tally *tally, struct usage *usage);

/* The error as the last event but [DONE]. */
void openai_cut(const struct refusal *refusal, uint64_t events, struct text *out);

/* {"error":{"message","type","param","code"}} and an x-request-id line. */
void openai_refuse(const struct refusal *refusal, struct text *lines,
                   struct text *body);

#endif

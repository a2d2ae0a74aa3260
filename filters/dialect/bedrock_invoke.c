/* POST /model/M/invoke and invoke-with-response-stream: bodies as the model's vendor
 * made them, in a stream wrapped in base64. What a body leaves out, the response's head
 * or the last chunk of a stream (invocation metrics) says. */
#include "filters/dialect/anthropic_shape.h"
#include "filters/dialect/balance.h"
#include "filters/dialect/bedrock_shape.h"
#include "filters/dialect/openai_shape.h"

static const struct dialect_route routes[] = {
    { METHOD_POST, "**/model/{*}/invoke", "chat", 0 },
    { METHOD_POST, "**/model/{*}/invoke-with-response-stream", "chat", ROUTE_STREAM },
    { .path = NULL },
};

static const struct count_field fields[] = {
    { "x-amzn-bedrock-input-token-count", COUNT_BACKUP_INPUT },
    { "x-amzn-bedrock-output-token-count", COUNT_BACKUP_OUTPUT },
    { "x-amzn-bedrock-cache-read-input-token-count", COUNT_BACKUP_CACHED },
    { "x-amzn-bedrock-cache-write-input-token-count", COUNT_BACKUP_CACHE_WRITE },
    { .name = NULL },
};

static const struct scan_path request[] = {
    { "max_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "max_tokens_to_sample", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "max_gen_len", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "inferenceConfig.maxTokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "inferenceConfig.max_new_tokens", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "textGenerationConfig.maxTokenCount", FACT_MAX_OUTPUT, SCAN_WHOLE },
    { "service_tier", FACT_SERVICE_TIER, SCAN_WHOLE },
    { "metadata.user_id", FACT_USER, SCAN_PIECES },
    { "prompt", FACT_PROMPT, SCAN_RAW },
    { "inputText", FACT_PROMPT, SCAN_RAW },
    { "message", FACT_PROMPT, SCAN_RAW },
    { "texts[]", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "system", FACT_SYSTEM, SCAN_RAW },
    { "system[].text", FACT_SYSTEM, SCAN_RAW },
    { "messages[]", FACT_MESSAGE, SCAN_WHOLE },
    { "messages[].role", FACT_ROLE, SCAN_WHOLE },
    { "messages[].content[].type", FACT_TYPE, SCAN_WHOLE },
    { "messages[].content[].toolResult", FACT_RESULT, SCAN_WHOLE },
    { "messages[].content[].image", FACT_IMAGE, SCAN_WHOLE },
    { "messages[].content", FACT_SAID, SCAN_RAW },
    { "messages[].content[].text", FACT_SAID, SCAN_RAW },
    { "messages[].content[].thinking", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].content[].input", FACT_INPUT_JSON, SCAN_WHOLE },
    { "messages[].content[].content", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "messages[].content[].content[].text", FACT_INPUT_TEXT, SCAN_MEASURED },
    { "tools", FACT_INPUT_JSON, SCAN_WHOLE },
    { "tools[].type", FACT_TOOL, SCAN_WHOLE },
    { .path = NULL },
};

static const struct scan_path response[] = {
    { "bytes", SEEN_BYTES, SCAN_PIECES },
    /* Claude */
    { "type", SEEN_TYPE, SCAN_WHOLE },
    ANTHROPIC_RESPONSE,
    { "completion", SEEN_SAID, SCAN_PIECES },
    /* OpenAI, DeepSeek, Qwen, Mistral */
    { "usage.prompt_tokens", COUNT_ALL_INPUT, SCAN_WHOLE },
    { "usage.prompt_tokens_details.cached_tokens", COUNT_CACHED, SCAN_WHOLE },
    { "usage.completion_tokens", COUNT_OUTPUT, SCAN_WHOLE },
    { "usage.completion_tokens_details.reasoning_tokens", COUNT_REASONING, SCAN_WHOLE },
    { "usage.total_tokens", COUNT_TOTAL, SCAN_WHOLE },
    { "choices[].finish_reason", SEEN_FINISH, SCAN_WHOLE },
    OPENAI_CHAT_TEXT("choices[].delta"),
    OPENAI_CHAT_TEXT("choices[].message"),
    { "outputs[].text", SEEN_SAID, SCAN_PIECES },
    { "outputs[].stop_reason", SEEN_FINISH, SCAN_WHOLE },
    /* Nova */
    BEDROCK_USAGE("usage"),
    BEDROCK_USAGE("metadata.usage"),
    { "messageStop.stopReason", SEEN_FINISH, SCAN_WHOLE },
    { "contentBlockDelta.delta.text", SEEN_SAID, SCAN_PIECES },
    { "output.message.content[].text", SEEN_SAID, SCAN_PIECES },
    /* Llama */
    { "prompt_token_count", COUNT_INPUT, SCAN_WHOLE },
    { "generation_token_count", COUNT_OUTPUT, SCAN_WHOLE },
    { "generation", SEEN_SAID, SCAN_PIECES },
    { "stop_reason", SEEN_FINISH, SCAN_WHOLE },
    /* Titan */
    { "inputTextTokenCount", COUNT_INPUT, SCAN_WHOLE },
    { "results[].tokenCount", SUM_OUTPUT, SCAN_WHOLE },
    { "totalOutputTextTokenCount", COUNT_OUTPUT, SCAN_WHOLE },
    { "results[].outputText", SEEN_SAID, SCAN_PIECES },
    { "outputText", SEEN_SAID, SCAN_PIECES },
    { "completionReason", SEEN_FINISH, SCAN_WHOLE },
    /* Cohere, AI21 */
    { "text", SEEN_SAID, SCAN_PIECES },
    { "generations[].text", SEEN_SAID, SCAN_PIECES },
    { "completions[].data.text", SEEN_SAID, SCAN_PIECES },
    /* of all vendors */
    { "model", SEEN_MODEL, SCAN_WHOLE },
    { "error", SEEN_ERROR, SCAN_WHOLE },
    { "amazon-bedrock-guardrailAction", SEEN_BLOCKED, SCAN_WHOLE },
    { "embedding", SEEN_VECTOR, SCAN_WHOLE },
    { "embeddings", SEEN_VECTOR, SCAN_WHOLE },
    { "embeddingsByType", SEEN_VECTOR, SCAN_WHOLE },
    { "amazon-bedrock-invocationMetrics.inputTokenCount", COUNT_BACKUP_INPUT,
      SCAN_WHOLE },
    { "amazon-bedrock-invocationMetrics.outputTokenCount", COUNT_BACKUP_OUTPUT,
      SCAN_WHOLE },
    { "amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", COUNT_BACKUP_CACHED,
      SCAN_WHOLE },
    { "amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount",
      COUNT_BACKUP_CACHE_WRITE, SCAN_WHOLE },
    { .path = NULL },
};

static void back_up_missing(struct tally *tally, enum count count, enum count backup)
{
    if (!tally_has(tally, count) && tally_has(tally, backup)) {
        tally->value[count] = tally->value[backup];
        tally->seen |= UINT32_C(1) << count;
    }
}

/* The cache stands inside the input in OpenAI's shape and in backups,
 * else beside it. */
static void balance(const struct tally *tally, struct usage *usage)
{
    struct tally backed = *tally;

    if (tally_has(tally, COUNT_ALL_INPUT)) {
        backed.value[COUNT_INPUT] = tally->value[COUNT_ALL_INPUT];
        backed.seen |= UINT32_C(1) << COUNT_INPUT;
    }
    backed = balance_backup(&backed);
    if (tally_has(tally, COUNT_INPUT) && !tally_has(tally, COUNT_ALL_INPUT)) {
        back_up_missing(&backed, COUNT_CACHED, COUNT_BACKUP_CACHED);
        back_up_missing(&backed, COUNT_CACHE_WRITE, COUNT_BACKUP_CACHE_WRITE);
        anthropic_balance(&backed, usage);
    } else {
        openai_balance(&backed, usage);
    }
}

const struct dialect dialect_bedrock_invoke = {
    .name = "bedrock.invoke",
    .family = "bedrock",
    .routes = routes,
    .request = request,
    .response = response,
    .fields = fields,
    .merge = MERGE_FIELDS,
    .credential_field = "authorization",
    .credential_prefix = "Bearer ",
    .terminal = anthropic_terminal,
    .balance = balance,
    .refusal_status = bedrock_refusal_status,
    .refuse = bedrock_refuse,
};

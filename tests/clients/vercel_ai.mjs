// Vercel's ai with its providers for OpenAI, Anthropic and Google: a base URL and a virtual key
// is all that they are told.
import { check, expect, rejection, watchFetch } from './call.mjs'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { APICallError, embed, generateText, streamText } from 'ai'

watchFetch()
const apiKey = process.env.ASSAY_KEY
const url = process.env.ASSAY_URL
const openai = createOpenAI({ baseURL: url + '/openai/v1', apiKey })
const anthropic = createAnthropic({ baseURL: url + '/anthropic/v1', apiKey })
const google = createGoogleGenerativeAI({ baseURL: url + '/gemini/v1beta', apiKey })
const said = 'five words are said here'
const prompt = 'say exactly: ' + said

async function both(model, output) {
  const answer = await generateText({ model, prompt, maxRetries: 0 })
  expect(answer.text === said && answer.usage.outputTokens === output, answer.text, answer.usage)
  const stream = streamText({ model, prompt, maxRetries: 0, onError: () => {} })
  let text = ''
  for await (const part of stream.textStream) {
    text += part
  }
  const usage = await stream.usage
  expect(text === said && usage.outputTokens === output, text, usage)
}

await check('OpenAI responses', () => both(openai('gpt-5'), 69))
await check('OpenAI chat', () => both(openai.chat('gpt-4o'), 5))
await check('Anthropic', () => both(anthropic('claude-sonnet-4-5'), 5))
await check('Google', () => both(google('gemini-2.5-flash'), 69))

await check('embeddings', async () => {
  const { embedding } = await embed({
    model: openai.embedding('text-embedding-3-small'), value: 'one text',
  })
  expect(embedding.length === 256, embedding.length)
})

await check('refusal of a bad key', async () => {
  const stranger = createOpenAI({ baseURL: url + '/openai/v1', apiKey: 'sk-nobody' })
  const error = await rejection(
    generateText({ model: stranger('gpt-5'), prompt }), APICallError)
  expect(error.statusCode === 401 && error.message.includes('credential'), error.message)
})

// @google/genai against assay: a base URL and a virtual key as API key; also as for Vertex AI.
import { check, expect, rejection, watchFetch } from './call.mjs'
import { ApiError, GoogleGenAI } from '@google/genai'

watchFetch()
const key = process.env.GEMINI_API_KEY
const client = new GoogleGenAI({ apiKey: key })
const contents = 'say exactly: five words are said here'
const said = 'five words are said here'
const model = 'gemini-2.5-flash'

async function streamed(from, request) {
  let text = ''
  let last
  for await (const chunk of await from.models.generateContentStream(request)) {
    text += chunk.text ?? ''
    last = chunk
  }
  return { text, usage: last.usageMetadata }
}

await check('generateContent', async () => {
  const answer = await client.models.generateContent({ model, contents })
  expect(answer.text === said && answer.usageMetadata.thoughtsTokenCount === 64, answer)
})

await check('generateContentStream', async () => {
  const { text, usage } = await streamed(client, { model, contents })
  expect(text === said && usage.candidatesTokenCount === 5, text, usage)
})

await check('a chat with a function call', async () => {
  const chat = client.chats.create({
    model: 'gemini-2.5-pro',
    config: { tools: [{ functionDeclarations: [{ name: 'weather' }] }] },
  })
  const first = await chat.sendMessage({ message: 'call the tool weather with {"city":"Paris"}' })
  expect(first.functionCalls[0].args.city === 'Paris', first)
  const second = await chat.sendMessage({
    message: [{ functionResponse: { name: 'weather', response: { sky: 'clear' } } }],
  })
  expect(second.text.length > 0, second)
})

await check('countTokens', async () => {
  const { totalTokens } = await client.models.countTokens({ model, contents })
  expect(totalTokens > 0, totalTokens)
})

await check('embedContent', async () => {
  const { embeddings } = await client.models
    .embedContent({ model: 'gemini-embedding-001', contents: ['one text', 'another'] })
  expect(embeddings.length === 2, embeddings)
})

await check('Vertex AI', async () => {
  const vertex = new GoogleGenAI({
    vertexai: true, apiKey: key, httpOptions: { baseUrl: process.env.VERTEX_URL },
  })
  const answer = await vertex.models.generateContent({ model, contents })
  const { text } = await streamed(vertex, { model, contents })
  expect(answer.text === said && text === said, answer.text, text)
})

await check('error of the provider', async () => {
  const error = await rejection(client.models.generateContent({
    model, contents, config: { httpOptions: { headers: { 'x-demo': 'status=429' } } },
  }), ApiError)
  expect(error.status === 429 && error.message.includes('rate limit reached'), error.message)
})

await check('refusal of a bad key', async () => {
  const other = new GoogleGenAI({ apiKey: 'AIza-nobody' })
  for (const attempt of [() => other.models.generateContent({ model, contents }),
    () => streamed(other, { model, contents })]) {
    const error = await rejection(attempt(), ApiError)
    expect(error.status === 401 && error.message.includes('UNAUTHENTICATED'), error.message)
  }
})

await check('refusal by a quota', async () => {
  const error = await rejection(
    client.models.generateContent({ model: 'gemini-spent', contents }), ApiError)
  expect(error.status === 429 && error.message.includes('RESOURCE_EXHAUSTED') &&
         error.message.includes("quota 'spent'"), error.message)
})

// cohere-ai against assay: an environment URL and a virtual key as token.
import { check, expect, rejection, watchFetch } from './call.mjs'
import { CohereClientV2, CohereError, CohereTimeoutError, Cohere } from 'cohere-ai'

watchFetch()
const environment = process.env.COHERE_URL
const client = new CohereClientV2({ token: process.env.ASSAY_KEY, environment })
const model = 'command-a-03-2025'
const said = 'five words are said here'
const messages = [{ role: 'user', content: 'say exactly: ' + said }]

await check('chat', async () => {
  const answer = await client.chat({ model, messages })
  expect(answer.message.content[0].text === said, answer)
  expect(answer.usage.tokens.outputTokens === 5, answer.usage)
})

await check('chatStream', async () => {
  let text = ''
  let usage
  for await (const event of await client.chatStream({ model, messages })) {
    text += event.type === 'content-delta' ? event.delta.message.content.text : ''
    usage = event.type === 'message-end' ? event.delta.usage : usage
  }
  expect(text === said && usage.tokens.outputTokens === 5, text, usage)
})

await check('embed', async () => {
  const { embeddings } = await client.embed({
    model: 'embed-v4.0', texts: ['one text', 'another'], inputType: 'search_query',
    embeddingTypes: ['float'],
  })
  expect(embeddings.float.length === 2, embeddings)
})

await check('refusal of a bad key', async () => {
  const other = new CohereClientV2({ token: 'nobody', environment })
  const error = await rejection(other.chat({ model, messages }), Cohere.UnauthorizedError)
  expect(error.statusCode === 401, error)
})

await check('refusal by a quota', async () => {
  const error = await rejection(client.chat({ model: 'command-spent', messages }), CohereError)
  expect(error.statusCode === 402 && !(error instanceof CohereTimeoutError), error)
  expect(error.message.includes("quota 'spent'"), error.message)
})

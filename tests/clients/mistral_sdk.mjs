// @mistralai/mistralai against assay: a server URL and a virtual key as API key.
import { check, expect, rejection, watchFetch } from './call.mjs'
import { Mistral } from '@mistralai/mistralai'
import { MistralError } from '@mistralai/mistralai/models/errors'

watchFetch()
const serverURL = process.env.MISTRAL_URL
const client = new Mistral({ apiKey: process.env.ASSAY_KEY, serverURL })
const model = 'mistral-large-latest'
const said = 'five words are said here'
const messages = [{ role: 'user', content: 'say exactly: ' + said }]

await check('chat', async () => {
  const answer = await client.chat.complete({ model, messages })
  expect(answer.choices[0].message.content === said, answer)
  expect(answer.usage.completionTokens === 5, answer.usage)
})

await check('chat stream', async () => {
  let text = ''
  let usage
  for await (const { data } of await client.chat.stream({ model, messages })) {
    text += data.choices[0].delta.content ?? ''
    usage = data.usage ?? usage
  }
  expect(text === said && usage.completionTokens === 5, text, usage)
})

await check('embeddings', async () => {
  const answer = await client.embeddings
    .create({ model: 'mistral-embed', inputs: ['one text', 'another'] })
  expect(answer.data.length === 2, answer)
})

await check('refusal of a bad key', async () => {
  const other = new Mistral({ apiKey: 'nobody', serverURL })
  const error = await rejection(other.chat.complete({ model, messages }), MistralError)
  expect(error.statusCode === 401 && error.body.includes('bad_credential'), error.body)
})

await check('refusal by a quota', async () => {
  const error = await rejection(
    client.chat.complete({ model: 'mistral-spent', messages }), MistralError)
  expect(error.statusCode === 429 && error.body.includes("quota 'spent'"), error.body)
})

// groq-sdk against assay: a base URL and a virtual key as API key.
import { check, expect, rejection, watchFetch } from './call.mjs'
import Groq from 'groq-sdk'

watchFetch()
const client = new Groq()
const model = 'llama-3.3-70b-versatile'
const said = 'five words are said here'
const messages = [{ role: 'user', content: 'say exactly: ' + said }]

await check('chat', async () => {
  const answer = await client.chat.completions.create({ model, messages })
  expect(answer.choices[0].message.content === said, answer)
  expect(answer.usage.completion_tokens === 5, answer.usage)
})

await check('chat stream', async () => {
  let text = ''
  let usage
  for await (const chunk of await client.chat.completions
    .create({ model, messages, stream: true })) {
    expect(chunk.choices.length === 1, 'a chunk without choices', chunk)
    text += chunk.choices[0].delta.content ?? ''
    usage = chunk.x_groq?.usage ?? usage
  }
  expect(text === said && usage.completion_tokens === 5, text, usage)
})

await check('refusal of a bad key', async () => {
  const other = new Groq({ apiKey: 'nobody' })
  await rejection(other.chat.completions.create({ model, messages }), Groq.AuthenticationError)
})

await check('refusal by a quota', async () => {
  const error = await rejection(
    client.chat.completions.create({ model: 'llama-spent', messages }), Groq.RateLimitError)
  expect(error.message.includes("quota 'spent'"), error.message)
})

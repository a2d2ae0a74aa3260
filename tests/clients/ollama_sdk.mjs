// ollama against assay: a host with a path, and a virtual key as bearer.
import { check, expect, watchFetch } from './call.mjs'
import { Ollama } from 'ollama'

watchFetch()
const clientOf = (key) => new Ollama({
  host: process.env.OLLAMA_URL, headers: { authorization: 'Bearer ' + key },
})
const client = clientOf(process.env.ASSAY_KEY)
const model = 'llama3.2'
const said = 'five words are said here'
const messages = [{ role: 'user', content: 'say exactly: ' + said }]

async function complaint(promise) {
  try {
    await promise
  } catch (error) {
    expect(error.constructor.name === 'ResponseError', error)
    return error
  }
  throw new Error('expected a ResponseError')
}

await check('chat', async () => {
  const answer = await client.chat({ model, messages })
  expect(answer.message.content === said && answer.eval_count === 5, answer)
})

await check('chat stream', async () => {
  let text = ''
  let last
  for await (const part of await client.chat({ model, messages, stream: true })) {
    text += part.message.content
    last = part
  }
  expect(text === said && last.done && last.eval_count === 5, text, last)
})

await check('generate', async () => {
  const answer = await client.generate({ model, prompt: messages[0].content })
  expect(answer.response === said, answer)
})

await check('embed', async () => {
  const answer = await client.embed({ model: 'nomic-embed-text', input: ['one', 'two'] })
  expect(answer.embeddings.length === 2, answer)
})

await check('list', async () => {
  expect((await client.list()).models.length === 1)
})

await check('error of the provider', async () => {
  const error = await complaint(client.chat({ model: 'demo;status=500', messages }))
  expect(error.status_code === 500 && error.message.startsWith('demo provider'), error)
})

await check('refusal of a bad key', async () => {
  const error = await complaint(clientOf('nobody').chat({ model, messages }))
  expect(error.status_code === 401 && error.message.startsWith('the credential'), error)
})

await check('refusal by a quota', async () => {
  const error = await complaint(client.chat({ model: 'llama-spent', messages, stream: true }))
  expect(error.status_code === 429 && error.message.includes("quota 'spent'"), error)
})

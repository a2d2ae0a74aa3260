// The Anthropic SDK against assay: its base URL and a virtual key is all that it is told.
import Anthropic from '@anthropic-ai/sdk'
import { check, expect, rejection } from './call.mjs'

const client = new Anthropic({ maxRetries: 0 })
const messages = [{ role: 'user', content: 'say exactly: five words are said here' }]
const said = 'five words are said here'
const base = { model: 'claude-sonnet-4-5', max_tokens: 200, messages }
const tools = [{
  name: 'weather',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}]

await check('messages', async (call) => {
  const { data, response } = await client.messages.create(base).withResponse()
  call(response, data.id)
  expect(data.content[0].text === said && data.usage.output_tokens === 5, data)
})

await check('messages with a cached system', async (call) => {
  const system = [{ type: 'text', text: 'be brief '.repeat(500),
    cache_control: { type: 'ephemeral' } }]
  const { data, response } = await client.messages.create({ ...base, system }).withResponse()
  call(response, data.id)
  expect(data.usage.cache_creation_input_tokens > 1000, data.usage)
})

await check('messages stream', async (call) => {
  const stream = client.messages.stream(base)
  const { response } = await stream.withResponse()
  const final = await stream.finalMessage()
  call(response, final.id)
  expect(final.content[0].text === said && final.stop_reason === 'end_turn', final)
  expect(final.usage.output_tokens === 5, final.usage)
})

await check('messages stream, gzip, cut at random bytes', async (call) => {
  const stream = client.messages.stream({ ...base, model: 'claude;encoding=gzip;split=5' })
  const { response } = await stream.withResponse()
  const final = await stream.finalMessage()
  call(response, final.id)
  expect(final.content[0].text === said, final)
})

await check('messages tools', async (call) => {
  const first = await client.messages
    .create({ ...base, tools, tool_choice: { type: 'any' } }).withResponse()
  call(first.response, first.data.id)
  const use = first.data.content[0]
  expect(use.type === 'tool_use' && use.input.city === 'Paris', first.data)
  const second = await client.messages.create({
    ...base,
    tools,
    messages: [...messages, { role: 'assistant', content: first.data.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'sun' }] }],
  }).withResponse()
  call(second.response, second.data.id)
  expect(second.data.stop_reason === 'end_turn', second.data)
})

await check('messages tools in a stream', async (call) => {
  const stream = client.messages.stream({ ...base, tools, tool_choice: { type: 'any' } })
  const { response } = await stream.withResponse()
  const final = await stream.finalMessage()
  call(response, final.id)
  expect(final.content[0].input.city === 'Paris', final)
})

await check('count_tokens', async () => {
  const count = await client.messages.countTokens({ model: base.model, messages })
  expect(count.input_tokens > 0, count)
})

await check('models', async () => {
  const models = await client.models.list()
  expect(models.data.some((model) => model.id === 'claude-sonnet-4-5'), models)
})

await check('error of the provider', async () => {
  const error = await rejection(
    client.messages.create({ ...base, model: 'demo;status=429' }), Anthropic.RateLimitError)
  expect(error.error.error.type === 'rate_limit_error', error)
})

await check('refusal by a quota', async () => {
  const patient = new Anthropic({ maxRetries: 5 })
  const error = await rejection(
    patient.messages.create({ ...base, model: 'claude-spent' }), Anthropic.RateLimitError)
  expect(error.message.includes("quota 'spent'"), error)
})

await check('refusal of a bad key', async () => {
  const other = new Anthropic({ apiKey: 'sk-nobody' })
  const error = await rejection(other.messages.create(base), Anthropic.AuthenticationError)
  expect(error.error.error.type === 'authentication_error', error.error)
})

await check('a retry that succeeds', async (call) => {
  const patient = new Anthropic({ maxRetries: 2 })
  const { data, response } = await patient.messages
    .create({ ...base, model: 'demo;flaky=1;status=529' }).withResponse()
  call(response, data.id)
  expect(data.content[0].text === said, data)
})

await check('an abort in mid-stream', async (call) => {
  const stream = client.messages.stream({ ...base, model: 'demo;words=60;delay_ms=50' })
  const { response } = await stream.withResponse()
  let id
  stream.on('streamEvent', (event) => { id = event.message?.id ?? id })
  await rejection((async () => {
    let seen = 0
    for await (const _ of stream) {
      if (++seen === 6) {
        stream.abort()
      }
    }
  })(), Anthropic.APIUserAbortError)
  call(response, id)
})

await check('an error in mid-stream', async () => {
  const stream = client.messages.stream({ ...base, model: 'demo;words=20;error_after=6' })
  const error = await rejection(stream.finalMessage(), Anthropic.APIError)
  expect(error.message.includes('overloaded'), error.message)
})

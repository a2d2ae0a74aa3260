// The openai SDK against assay: its base URL and a virtual key is all that it is told.
import OpenAI from 'openai'
import { check, expect, rejection } from './call.mjs'

const client = new OpenAI({ maxRetries: 0 })
const messages = [{ role: 'user', content: 'say exactly: five words are said here' }]
const said = 'five words are said here'
const tools = [{
  type: 'function',
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}]

await check('chat', async (call) => {
  const { data, response } = await client.chat.completions
    .create({ model: 'gpt-4o', messages }).withResponse()
  call(response, data.id)
  expect(data.choices[0].message.content === said, data)
  expect(data.usage.completion_tokens === 5, data.usage)
})

await check('chat stream without usage', async (call) => {
  const { data, response } = await client.chat.completions
    .create({ model: 'gpt-4o', messages, stream: true }).withResponse()
  let text = ''
  let id
  for await (const chunk of data) {
    id = chunk.id
    expect(chunk.choices.length === 1, 'a chunk without choices', chunk)
    text += chunk.choices[0].delta.content ?? ''
  }
  call(response, id)
  expect(text === said, text)
})

await check('chat stream with usage', async (call) => {
  const { data, response } = await client.chat.completions.create({
    model: 'gpt-5', messages, stream: true, stream_options: { include_usage: true },
  }).withResponse()
  let last
  for await (const chunk of data) {
    last = chunk
  }
  call(response, last.id)
  expect(last.choices.length === 0 && last.usage.completion_tokens === 69, last)
  expect(last.usage.completion_tokens_details.reasoning_tokens === 64, last)
})

await check('chat with several choices, gzip', async (call) => {
  const { data, response } = await client.chat.completions
    .create({ model: 'gpt-4o;encoding=gzip;split=7', messages, n: 3 }).withResponse()
  call(response, data.id)
  expect(data.choices.length === 3 && data.usage.completion_tokens === 15, data)
})

await check('chat tools', async (call) => {
  const first = await client.chat.completions
    .create({ model: 'gpt-4o', messages, tools, tool_choice: 'required' }).withResponse()
  call(first.response, first.data.id)
  const message = first.data.choices[0].message
  expect(message.tool_calls[0].function.name === 'weather', message)
  const second = await client.chat.completions.create({
    model: 'gpt-4o',
    tools,
    messages: [...messages, message,
      { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny' }],
  }).withResponse()
  call(second.response, second.data.id)
  expect(second.data.choices[0].finish_reason === 'stop', second.data)
})

await check('chat tools in a stream', async (call) => {
  const stream = client.chat.completions
    .stream({ model: 'gpt-4o', messages, tools, tool_choice: 'required' })
  const response = (await stream.withResponse?.())?.response
  const final = await stream.finalChatCompletion()
  if (response) {
    call(response, final.id)
  }
  expect(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments).city, final)
})

await check('completions', async (call) => {
  const { data, response } = await client.completions
    .create({ model: 'gpt-3.5-turbo-instruct', prompt: 'say exactly: two words' }).withResponse()
  call(response, data.id)
  expect(data.choices[0].text === 'two words', data)
})

await check('responses', async (call) => {
  const { data, response } = await client.responses
    .create({ model: 'gpt-5', input: messages[0].content }).withResponse()
  call(response, data.id)
  expect(data.output_text === said && data.usage.output_tokens === 69, data)
})

await check('responses stream', async (call) => {
  const { data, response } = await client.responses
    .create({ model: 'gpt-5', input: messages, stream: true }).withResponse()
  let text = ''
  let last
  for await (const event of data) {
    last = event
    text += event.type === 'response.output_text.delta' ? event.delta : ''
  }
  call(response, last.response.id)
  expect(last.type === 'response.completed' && text === said, last)
})

await check('responses stream, incomplete', async (call) => {
  const { data, response } = await client.responses.create({
    model: 'gpt-4o', input: messages[0].content, stream: true, max_output_tokens: 3,
  }).withResponse()
  let last
  for await (const event of data) {
    last = event
  }
  call(response, last.response.id)
  expect(last.type === 'response.incomplete', last)
})

await check('responses tools', async (call) => {
  const { data, response } = await client.responses.create({
    model: 'gpt-4o',
    input: messages,
    tool_choice: 'required',
    tools: [{ type: 'function', strict: false, ...tools[0].function }],
  }).withResponse()
  call(response, data.id)
  expect(data.output[0].type === 'function_call', data)
})

await check('embeddings', async () => {
  const { data } = await client.embeddings
    .create({ model: 'text-embedding-3-small', input: ['one text', 'another'] }).withResponse()
  expect(data.data.length === 2 && data.data[1].embedding.length === 256, data.usage)
})

await check('models', async () => {
  const models = await client.models.list()
  expect(models.data.some((model) => model.id === 'gpt-5'), models)
})

await check('error of the provider', async () => {
  const error = await rejection(
    client.chat.completions.create({ model: 'demo;status=429;retry_after=7', messages }),
    OpenAI.RateLimitError)
  expect(error.headers.get('retry-after') === '7', error.message)
  expect(error.message.includes('rate limit reached'), error.message)
})

await check('refusal by a quota', async () => {
  const patient = new OpenAI({ maxRetries: 5 })
  const error = await rejection(
    patient.chat.completions.create({ model: 'gpt-spent', messages }), OpenAI.RateLimitError)
  expect(error.code === 'insufficient_quota' && error.message.includes("quota 'spent'"), error)
})

await check('refusal of a bad key', async () => {
  const other = new OpenAI({ apiKey: 'sk-nobody' })
  const error = await rejection(
    other.chat.completions.create({ model: 'gpt-4o', messages }), OpenAI.AuthenticationError)
  expect(error.code === 'invalid_api_key', error)
})

await check('refusal of an unknown path', async () => {
  await rejection(client.fineTuning.jobs.list(), OpenAI.NotFoundError)
})

await check('a retry that succeeds', async (call) => {
  const patient = new OpenAI({ maxRetries: 2 })
  const { data, response } = await patient.chat.completions
    .create({ model: 'demo;flaky=1', messages }).withResponse()
  call(response, data.id)
  expect(data.choices[0].message.content === said, data)
})

await check('an abort in mid-stream', async (call) => {
  const { data, response } = await client.chat.completions
    .create({ model: 'demo;words=60;delay_ms=50', messages, stream: true }).withResponse()
  let seen = 0
  let id
  for await (const chunk of data) {
    id = chunk.id
    if (++seen === 5) {
      break
    }
  }
  call(response, id)
})

await check('a stream that the provider cuts', async () => {
  const stream = await client.chat.completions
    .create({ model: 'demo;words=20;abort_after=5', messages, stream: true })
  await rejection((async () => { for await (const _ of stream) { /* until it breaks */ } })(), Error)
})

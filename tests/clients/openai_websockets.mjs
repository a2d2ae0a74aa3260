// The openai SDK's WebSockets against assay: Responses with several lanes, and Realtime.
import OpenAI from 'openai'
import { OpenAIRealtimeWS } from 'openai/realtime/ws'
import { OpenAIRealtimeWebSocket } from 'openai/realtime/websocket'
import { ResponsesWS } from 'openai/resources/responses/ws'
import { WebSocket } from 'ws'
import { check, expect } from './call.mjs'

globalThis.WebSocket ??= WebSocket // older runtimes have none of their own

const client = new OpenAI({ maxRetries: 0 })
const secure = new OpenAI({ maxRetries: 0, baseURL: process.env.SECURE_BASE_URL })
const said = 'five words are said here'
const input = 'say exactly: ' + said

// The events of a connection up to the `count`th of these types.
function until(socket, types, count = 1) {
  return new Promise((resolve, reject) => {
    const seen = []
    socket.on('error', (error) => {
      if (!types.includes('error')) {
        reject(error)
      }
    })
    socket.on('event', (event) => {
      seen.push(event)
      count -= types.includes(event.type) ? 1 : 0
      if (count === 0) {
        resolve(seen)
      }
    })
  })
}

function opened(socket) {
  return new Promise((resolve) => socket.socket.addEventListener('open', resolve))
}

for (const perMessageDeflate of [false, true]) {
  const name = 'responses, several lanes' + (perMessageDeflate ? ', compressed' : '')
  await check(name, async () => {
    const socket = new ResponsesWS(client, { perMessageDeflate })
    const done = until(socket, ['response.completed'], 3)
    for (const stream_id of ['a', 'b', 'c']) {
      socket.send({ type: 'response.create', model: 'gpt-5;delay_ms=2', input, stream_id })
    }
    const events = await done
    socket.close()
    for (const lane of ['a', 'b', 'c']) {
      const text = events
        .filter((event) => event.stream_id === lane && event.type === 'response.output_text.delta')
        .map((event) => event.delta).join('')
      expect(text === said, lane, text)
    }
  })
}

await check('responses, one after the other', async () => {
  const socket = new ResponsesWS(client)
  for (let i = 0; i < 3; i++) {
    const done = until(socket, ['response.completed'])
    socket.send({ type: 'response.create', model: 'gpt-4o', input })
    const events = await done
    expect(events.at(-1).response.usage.output_tokens === 5, events.at(-1))
  }
  socket.close()
})

await check('a quota that is used up', async () => {
  const socket = new ResponsesWS(client)
  const failed = until(socket, ['error'])
  socket.send({ type: 'response.create', model: 'gpt-5-spent', input, stream_id: 'x' })
  const error = (await failed).at(-1)
  expect(error.status === 429 && error.stream_id === 'x' &&
    error.error.code === 'insufficient_quota', error)
  const done = until(socket, ['response.completed'])
  socket.send({ type: 'response.create', model: 'gpt-4o', input })
  await done
  socket.close()
})

await check('an error of the provider', async () => {
  const socket = new ResponsesWS(client)
  const failed = until(socket, ['error'])
  socket.send({ type: 'response.create', model: 'gpt-4o;status=429', input })
  expect((await failed).at(-1).status === 429)
  socket.close()
})

for (const [name, Realtime] of [['realtime', OpenAIRealtimeWS],
  ['realtime, as in a browser', OpenAIRealtimeWebSocket]]) {
  await check(name, async () => {
    const socket = new Realtime({ model: 'gpt-realtime', dangerouslyAllowBrowser: true }, secure)
    const done = until(socket, ['response.done'], 3)
    await opened(socket)
    socket.send({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: input }] },
    })
    socket.send({ type: 'response.create' })
    socket.send({ type: 'input_audio_buffer.append', audio: 'AAAA'.repeat(1000) })
    socket.send({ type: 'input_audio_buffer.commit' })
    socket.send({ type: 'response.create', response: { output_modalities: ['audio'] } })
    const events = await done
    socket.close()
    const types = events.map((event) => event.type)
    expect(types[0] === 'session.created' && types.includes(
      'conversation.item.input_audio_transcription.completed'), types)
  })
}

// @aws-sdk/client-bedrock-runtime against assay, over HTTP/1.1: with the virtual key as bearer
// token, as access key id, or in a field of its own beside the SDK's signature.
import { check, expect, note, rejection } from './call.mjs'
import {
  AccessDeniedException, BedrockRuntimeClient, BedrockRuntimeServiceException, ConverseCommand,
  ConverseStreamCommand, InvokeModelCommand, InvokeModelWithResponseStreamCommand,
  ServiceQuotaExceededException, ThrottlingException,
} from '@aws-sdk/client-bedrock-runtime'
import { NodeHttpHandler } from '@smithy/node-http-handler'

const key = process.env.ASSAY_KEY
const signing = { authSchemePreference: ['sigv4'] }
const said = 'five words are said here'
const modelId = 'anthropic.claude-sonnet-4-5-20250929-v1:0'
const arn = 'arn:aws:bedrock:us-east-1:1:inference-profile/us.' + modelId
const prompt = 'say exactly: ' + said
const messages = [{ role: 'user', content: [{ text: prompt }] }]

// A client that sends these fields besides, and notes what came back where nothing went wrong.
function clientWith(settings, fields = {}) {
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    requestHandler: new NodeHttpHandler(),
    ...settings,
  })
  client.middlewareStack.add((next) => async (args) => {
    Object.assign(args.request.headers, fields)
    const result = await next(args)
    fields['x-demo'] ?? note((name) => result.response.headers[name])
    return result
  }, { step: 'build' })
  return client
}

// Told by its environment where and who.
const client = clientWith({})
const claude = {
  anthropic_version: 'bedrock-2023-05-31', max_tokens: 100,
  messages: [{ role: 'user', content: prompt }],
}

async function converse(from, id = modelId) {
  const answer = await from.send(new ConverseCommand({ modelId: id, messages }))
  expect(answer.output.message.content[0].text === said, answer)
  expect(answer.usage.outputTokens === 5, answer.usage)
}

async function converseStream(from, id = modelId) {
  const { stream } = await from.send(new ConverseStreamCommand({ modelId: id, messages }))
  let text = ''
  let usage
  for await (const event of stream) {
    text += event.contentBlockDelta?.delta.text ?? ''
    usage = event.metadata?.usage ?? usage
  }
  expect(text === said && usage.outputTokens === 5, text, usage)
}

await check('Converse', () => converse(client))
await check('ConverseStream', () => converseStream(client))
await check('a profile by its ARN', async () => {
  await converse(client, arn)
  await converseStream(client, arn)
})

await check('InvokeModel', async () => {
  const answer = await client.send(new InvokeModelCommand({
    modelId, contentType: 'application/json', body: JSON.stringify(claude),
  }))
  const body = JSON.parse(new TextDecoder().decode(answer.body))
  expect(body.content[0].text === said, body)
})

await check('InvokeModelWithResponseStream', async () => {
  const { body } = await client.send(new InvokeModelWithResponseStreamCommand({
    modelId, contentType: 'application/json', body: JSON.stringify(claude),
  }))
  let text = ''
  for await (const event of body) {
    text += JSON.parse(new TextDecoder().decode(event.chunk.bytes)).delta?.text ?? ''
  }
  expect(text === said, text)
})

await check('the key as access key id', async () => {
  const signer = clientWith({
    ...signing, credentials: { accessKeyId: key, secretAccessKey: 'anything' },
  })
  await converse(signer)
  await converseStream(signer)
})

await check('the key beside a signature', () => converse(clientWith({
  ...signing,
  credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x', sessionToken: 'private' },
}, { 'x-assay-key': key })))

await check('error of the provider', async () => {
  const impatient = clientWith({
    token: { token: key }, authSchemePreference: ['httpBearerAuth'], maxAttempts: 1,
  }, { 'x-demo': 'status=429' })
  const error = await rejection(converse(impatient), ThrottlingException)
  expect(error.message.includes('rate limit reached'), error.message)
})

await check('an error within a stream', async () => {
  const failing = clientWith({
    token: { token: key }, authSchemePreference: ['httpBearerAuth'],
  }, { 'x-demo': 'error_after=3' })
  await rejection(converseStream(failing), BedrockRuntimeServiceException)
})

await check('refusal of a bad key', async () => {
  const stranger = clientWith({
    ...signing, credentials: { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' },
  })
  const error = await rejection(converse(stranger), BedrockRuntimeServiceException)
  expect(error.name === 'UnrecognizedClientException' && error.$metadata.attempts === 1 &&
         error.$metadata.httpStatusCode === 403, error)
  expect(!(error instanceof AccessDeniedException), error.name)
})

await check('refusal by a quota', async () => {
  const error = await rejection(converse(client, 'anthropic.spent'),
    ServiceQuotaExceededException)
  expect(error.$metadata.attempts === 1 && error.message.includes("quota 'spent'"), error)
})

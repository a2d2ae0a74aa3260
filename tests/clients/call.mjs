// Shared by the SDK scripts: each check prints one line of JSON for run.py to judge.

// What came back to the running check, for SDKs that let nobody see it. The demo provider
// names its answer in x-demo-id.
let seen = []

// From now on all that comes back to fetch is noted.
export function watchFetch() {
  const { fetch } = globalThis
  globalThis.fetch = async (...request) => {
    const response = await fetch(...request)
    note((name) => response.headers.get(name))
    return response
  }
}

export function note(field) {
  if (field('x-demo-id')) {
    seen.push({ exchange: field('assay-exchange-id'), id: field('x-demo-id') })
  }
}

// A check's function gets `call`, to name the calls it made: (response, provider's id). One that
// names none means all that were noted.
export async function check(name, fn) {
  const named = []
  const call = (response, id) =>
    named.push({ exchange: response.headers.get('assay-exchange-id'), id })
  seen = []
  let failure = null
  try {
    await fn(call)
  } catch (error) {
    failure = String(error?.stack ?? error)
  }
  const calls = named.length > 0 ? named : seen
  console.log(JSON.stringify({ check: name, failure, calls }))
}

export function expect(condition, ...words) {
  if (!condition) {
    throw new Error('expected otherwise: ' + words.map((word) => JSON.stringify(word)).join(' '))
  }
}

// The error that a promise rejects with; it has to be of this class.
export async function rejection(promise, type) {
  try {
    await promise
  } catch (error) {
    expect(error instanceof type, 'error', error?.constructor?.name, error?.message)
    return error
  }
  throw new Error('expected a rejection with ' + type.name)
}

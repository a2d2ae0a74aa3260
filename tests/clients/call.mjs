// Shared by the SDK scripts: each check prints one line of JSON for run.py to judge.

// A check's function gets `call`, to name the calls it made: (response, provider's id).
export async function check(name, fn) {
  const calls = []
  const call = (response, id) =>
    calls.push({ exchange: response.headers.get('assay-exchange-id'), id })
  let failure = null
  try {
    await fn(call)
  } catch (error) {
    failure = String(error?.stack ?? error)
  }
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

// The HTTP side of the Kubo RPC (https://docs.ipfs.tech/reference/kubo/rpc/): who may call, which
// command, and how errors are said.
import http from 'node:http'
import { pipeline } from 'node:stream/promises'

import { commands } from './commands.mjs'
import { Refusal } from './refusal.mjs'

const ROOT = '/api/v0/'
const HOSTS = new Set(['127.0.0.1', 'localhost', '[::1]'])
const DRAIN_MS = 5000

/** Serve `node` on 127.0.0.1:`port`; resolves to the listening server. */
export async function serve (node, { port, maxRequestBytes, onShutdown }) {
  const server = http.createServer((request, response) => {
    answer(node, request, response, { maxRequestBytes, onShutdown }).catch(error => {
      fail(request, response, error)
    })
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return server
}

async function answer (node, request, response, limits) {
  refuseBrowsers(request)
  if (request.method !== 'POST') throw new Refusal('405 - Method Not Allowed', 405)
  const url = new URL(request.url, 'http://127.0.0.1')
  const name = url.pathname.startsWith(ROOT) ? url.pathname.slice(ROOT.length) : ''
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new Refusal('404 page not found', 404)
  if (Number(request.headers['content-length'] ?? 0) > limits.maxRequestBytes) throw tooLarge(limits)

  const gone = new AbortController()
  response.once('close', () => gone.abort(new Error('the client went away')))
  const timeout = duration(url.searchParams.get('timeout'))
  const signal = timeout === undefined
    ? gone.signal
    : AbortSignal.any([gone.signal, AbortSignal.timeout(timeout)])
  const body = await command(node, {
    query: url.searchParams,
    request,
    signal,
    onShutdown: limits.onShutdown,
    maxRequestBytes: limits.maxRequestBytes,
    tooLarge: () => tooLarge(limits)
  })
  await send(response, body)
}

/** A page in a browser must not reach the node: not by CORS, not by rebinding a name to loopback. */
function refuseBrowsers ({ headers }) {
  const host = (headers.host ?? '').replace(/:\d+$/, '')
  const browser = /^mozilla\//i.test(headers['user-agent'] ?? '')
  if (headers.origin !== undefined || headers.referer !== undefined || browser || !HOSTS.has(host)) {
    throw new Refusal('403 - Forbidden', 403)
  }
}

/** Go's duration, as Kubo takes it ("30s", "1m30s", "500ms"), in milliseconds. */
function duration (text) {
  if (text === null) return undefined
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new Refusal(`invalid timeout: ${text}`, 400)
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(amount) * units[unit]
  }
  return Math.ceil(total)
}

function tooLarge ({ maxRequestBytes }) {
  return new Refusal(`request larger than ${maxRequestBytes} bytes`, 413)
}

/** `body`: objects (one line of JSON each) or an async iterable of bytes. */
async function send (response, body) {
  if (Array.isArray(body)) {
    response.setHeader('Content-Type', 'application/json')
    response.end(body.map(line => JSON.stringify(line) + '\n').join(''))
    return
  }
  const parts = body[Symbol.asyncIterator]()
  // The first bytes decide between an error and an answer.
  const first = await parts.next()
  response.setHeader('Content-Type', 'text/plain')
  response.setHeader('X-Stream-Output', '1')
  await pipeline(async function * () {
    for (let next = first; next.done !== true; next = await parts.next()) yield next.value
  }, response)
}

function fail (request, response, error) {
  if (response.destroyed) return
  if (response.headersSent) {
    response.destroy() // the client must not take what it has for the whole
    return
  }
  const message = error.name === 'BlockNotFoundWhileOfflineError'
    ? 'block was not found locally (offline)' // Helia 7.1 says that it was present
    : error.message
  response.statusCode = error.status ?? 500
  response.setHeader('Content-Type', 'application/json')
  response.setHeader('Connection', 'close')
  response.end(JSON.stringify({ Message: message, Code: 0, Type: 'error' }) + '\n')
  // Closing on unread bytes would reset the connection and lose the answer.
  request.resume()
  setTimeout(() => request.destroy(), DRAIN_MS).unref()
}

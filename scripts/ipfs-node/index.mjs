#!/usr/bin/env node
// node index.mjs --repo FOLDER [--port 5001] [--swarm-port 0] [--max-request-bytes N]
//                [--until-stdin-closes]
// Prints one line of JSON when it is ready: {"rpc": url, "peerId": id, "addrs": [multiaddress]}.
// SIGTERM, SIGINT or the RPC's shutdown end it cleanly.
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import path from 'node:path'
import { parseArgs } from 'node:util'

const STOP_MS = 5000

const { values: flags } = parseArgs({
  options: {
    'repo': { type: 'string' },
    'port': { type: 'string', default: '5001' },
    'swarm-port': { type: 'string', default: '0' },
    'max-request-bytes': { type: 'string', default: String(256 * 1024 * 1024) },
    // A parent that dies, however it dies, takes the node with it.
    'until-stdin-closes': { type: 'boolean', default: false }
  }
})

function number (name, max) {
  const text = flags[name]
  if (!/^\d+$/.test(text) || Number(text) > max) refuse(`--${name}: expected 0 to ${max}, not ${text}`)
  return Number(text)
}

function refuse (reason) {
  console.error(`ipfs-node: ${reason}`)
  process.exit(2)
}

/** One node a folder: a file with the process id, left behind only by a killed node. */
async function lock (repo) {
  const file = path.join(repo, 'node.lock')
  const holder = Number(await readFile(file, 'utf8').catch(() => '0'))
  if (holder > 0) {
    try {
      process.kill(holder, 0)
      refuse(`${repo} is in use by process ${holder}`)
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
    await rm(file)
  }
  const handle = await open(file, 'wx')
  await handle.writeFile(String(process.pid))
  await handle.close()
  return () => rm(file, { force: true })
}

if (flags.repo === undefined) refuse('--repo FOLDER is missing')
const repo = path.resolve(flags.repo)
const port = number('port', 65535)
const swarmPort = number('swarm-port', 65535)
const maxRequestBytes = number('max-request-bytes', Number.MAX_SAFE_INTEGER)

await mkdir(repo, { recursive: true })
const unlock = await lock(repo)
let node
let server
let stopping = false

async function stop (code = 0) {
  if (stopping) return
  stopping = true
  setTimeout(() => process.exit(1), STOP_MS).unref()
  server?.close()
  server?.closeAllConnections()
  await node?.stop()
  await unlock()
  process.exit(code)
}

// A fetch that is given up leaves rejected promises behind in the libraries; none of them is ours.
process.on('unhandledRejection', reason => console.error(`ipfs-node: ${reason?.message ?? reason}`))
process.once('SIGTERM', () => stop())
process.once('SIGINT', () => stop())
if (flags['until-stdin-closes']) {
  process.stdin.resume()
  process.stdin.once('end', () => stop())
}

try {
  // Loaded only now, as Helia takes seconds: a wrong flag or a folder in use is said at once.
  enableCompileCache(path.join(import.meta.dirname, 'node_modules', '.cache'))
  const { startNode } = await import('./node.mjs')
  const { serve } = await import('./rpc.mjs')
  node = await startNode(repo, swarmPort)
  server = await serve(node, { port, maxRequestBytes, onShutdown: stop })
} catch (error) {
  console.error(`ipfs-node: ${error.message}`)
  await stop(1)
}
console.log(JSON.stringify({
  rpc: `http://127.0.0.1:${server.address().port}`,
  peerId: node.helia.libp2p.peerId.toString(),
  addrs: node.helia.libp2p.getMultiaddrs().map(String)
}))

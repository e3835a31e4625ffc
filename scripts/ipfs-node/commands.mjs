// The commands of the Kubo RPC that this node knows. Each takes the node and a call, and returns
// the lines of JSON or the bytes to answer with.
import { multiaddr } from '@multiformats/multiaddr'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { CID } from 'multiformats/cid'

import { isLoopback } from './node.mjs'
import { Refusal } from './refusal.mjs'
import { eachFile } from './upload.mjs'

const CHUNK_BYTES = 262_144 // Kubo's default, and the only form in which fedpact's CIDs are computed
const MAX_CHUNK_BYTES = 1_048_576 // larger blocks cannot be exchanged over bitswap
const LINKS = 174 // Kubo's default width of a tree

export const commands = {
  'version': async ({ helia }) => [{
    Version: helia.info.version, Commit: '', Repo: '', System: helia.info.name, Golang: ''
  }],

  'id': async ({ helia }) => [{
    ID: helia.libp2p.peerId.toString(),
    PublicKey: '',
    Addresses: helia.libp2p.getMultiaddrs().map(String),
    AgentVersion: `${helia.info.name}/${helia.info.version}`,
    Protocols: helia.libp2p.getProtocols()
  }],

  'add': async ({ files, pins }, call) => pins.keeping(async () => {
    refuseOptions(call.query, ['only-hash', 'nocopy', 'trickle', 'wrap-with-directory', 'inline'])
    const importing = importOptions(call.query)
    const limits = { maxBytes: call.maxRequestBytes, tooLarge: call.tooLarge }
    return eachFile(call.request, limits, async ({ name, bytes }) => {
      const cid = await files.addByteStream(bytes, { ...importing, signal: call.signal })
      if (flag(call.query, 'pin', true)) await pins.add(cid, { offline: true })
      const { size } = await pins.extent(cid, { offline: true })
      return { Name: name, Hash: cid.toString(), Size: String(size) }
    })
  }),

  'cat': async ({ files }, { query, signal }) => files.cat(cidOf(query), {
    offset: whole(query, 'offset'), length: whole(query, 'length'), ...reading(query, signal)
  }),

  'block/get': async ({ pins }, { query, signal }) => {
    const cid = cidOf(query)
    return (async function * () { yield await pins.block(cid, reading(query, signal)) })()
  },

  'block/stat': async ({ pins }, { query, signal }) => {
    const cid = cidOf(query)
    const block = await pins.block(cid, reading(query, signal))
    return [{ Key: cid.toString(), Size: block.length }]
  },

  'dag/stat': async ({ pins }, { query, signal }) => {
    const cid = cidOf(query)
    const { size, count } = await pins.extent(cid, reading(query, signal))
    return [{
      UniqueBlocks: count,
      TotalSize: size,
      DagStats: [{ Cid: { '/': cid.toString() }, Size: size, NumBlocks: count }]
    }]
  },

  'files/stat': async ({ files, pins }, { query, signal }) => {
    const cid = cidOf(query)
    const stat = await files.stat(cid, reading(query, signal))
    const answer = {
      Hash: cid.toString(),
      Size: Number(stat.unixfs?.fileSize() ?? stat.size),
      Blocks: stat.unixfs?.blockSizes.length ?? 0,
      Type: stat.type === 'directory' ? 'directory' : 'file'
    }
    if (!flag(query, 'with-local', false)) return [answer]
    const local = await pins.extent(cid, { offline: true, signal }).catch(() => undefined)
    return [{
      ...answer, WithLocality: true, Local: local !== undefined, SizeLocal: local?.size ?? 0
    }]
  },

  'pin/add': async ({ pins }, { query, signal }) => pins.keeping(async () => {
    const cid = cidOf(query)
    await pins.add(cid, reading(query, signal))
    return [{ Pins: [cid.toString()] }]
  }),

  'pin/rm': async ({ pins }, { query }) => {
    const cid = cidOf(query)
    if (!await pins.remove(cid)) throw new Refusal('not pinned or pinned indirectly')
    return [{ Pins: [cid.toString()] }]
  },

  'pin/ls': async ({ pins }, { query }) => {
    const asked = query.has('arg') ? cidOf(query) : undefined
    if (asked !== undefined && !await pins.has(asked)) throw new Refusal(`path '${asked}' is not pinned`)
    const keys = {}
    for await (const cid of asked === undefined ? pins.list() : [asked]) {
      keys[cid.toString()] = { Type: 'recursive' }
    }
    return [{ Keys: keys }]
  },

  'swarm/connect': async ({ helia }, { query, signal }) => {
    const address = parse(query, multiaddr, 'multiaddress')
    // Also keeps names from being looked up.
    if (!isLoopback(address)) throw new Refusal(`only loopback addresses are dialled: ${address}`)
    const connection = await helia.libp2p.dial(address, { signal })
    return [{ Strings: [`connect ${connection.remotePeer} success`] }]
  },

  'swarm/peers': async ({ helia }) => [{
    Peers: helia.libp2p.getConnections().map(connection => ({
      Addr: connection.remoteAddr.toString(), Peer: connection.remotePeer.toString()
    }))
  }],

  'repo/stat': async ({ pins, repo }) => {
    const { size, count } = await pins.usage()
    return [{ RepoSize: size, NumObjects: count, RepoPath: repo, Version: '' }]
  },

  'repo/gc': async ({ pins }) => (await pins.collect()).map(cid => ({ Key: { '/': cid.toString() } })),

  'shutdown': async (_, { onShutdown }) => {
    setImmediate(onShutdown)
    return []
  }
}

function importOptions (query) {
  const version = query.get('cid-version') ?? '0'
  if (version !== '0' && version !== '1') throw new Refusal(`unknown CID version: ${version}`, 400)
  const [, digits] = /^size-(\d{1,7})$/.exec(query.get('chunker') ?? `size-${CHUNK_BYTES}`) ?? []
  const chunkSize = Number(digits)
  if (!(chunkSize >= 1 && chunkSize <= MAX_CHUNK_BYTES)) {
    throw new Refusal(`chunker: expected size-1 to size-${MAX_CHUNK_BYTES}`, 400)
  }
  return {
    cidVersion: Number(version),
    rawLeaves: flag(query, 'raw-leaves', version === '1'),
    chunker: fixedSize({ chunkSize }),
    layout: balanced({ maxChildrenPerNode: LINKS })
  }
}

function reading (query, signal) {
  return { signal, offline: flag(query, 'offline', false) }
}

function refuseOptions (query, names) {
  for (const name of names) {
    if (flag(query, name, false)) throw new Refusal(`this node does not know the option ${name}`)
  }
}

function flag (query, name, otherwise) {
  const text = query.get(name)
  return text === null ? otherwise : text.toLowerCase() === 'true'
}

function whole (query, name) {
  const text = query.get(name)
  if (text === null) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new Refusal(`${name}: expected a number, not ${text}`, 400)
  return Number(text)
}

function cidOf (query) {
  return parse(query, text => CID.parse(text.replace(/^\/ipfs\//, '')), 'CID')
}

function parse (query, parser, what) {
  const text = query.get('arg')
  if (text === null) throw new Refusal('argument "arg" is required', 400)
  try {
    return parser(text)
  } catch (error) {
    throw new Refusal(`not a ${what}: ${text}: ${error.message}`, 400)
  }
}

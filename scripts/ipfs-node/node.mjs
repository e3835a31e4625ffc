// A Helia node that speaks bitswap over TCP on loopback, and to nobody else: no bootstrap peers,
// no DHT, no mDNS, no gateways. Peers are connected by hand (swarm/connect).
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { FsBlockstore } from 'blockstore-fs'
import { FsDatastore } from 'datastore-fs'
import { createHeliaLight } from 'helia'
import path from 'node:path'

import { Pins } from './pins.mjs'

export function isLoopback (address) {
  const [first] = address.getComponents()
  return (first?.name === 'ip4' && first.value.startsWith('127.')) ||
    (first?.name === 'ip6' && first.value === '::1')
}

/** Start a node over `repo`; its key, blocks and pins persist there. */
export async function startNode (repo, swarmPort) {
  const blocks = new FsBlockstore(path.join(repo, 'blocks'))
  const datastore = new FsDatastore(path.join(repo, 'datastore'))
  await blocks.open()
  await datastore.open()
  const helia = withBitswap(withLibp2pLight(createHeliaLight({ blockstore: blocks, datastore }), {
    addresses: { listen: [`/ip4/127.0.0.1/tcp/${swarmPort}`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: address => !isLoopback(address) },
    services: { identify: identify(), ping: ping() }
  }))
  await helia.start()
  return {
    helia,
    files: unixfs(helia),
    pins: new Pins(helia.blockstore, blocks, datastore),
    blocks,
    repo,
    async stop () {
      await helia.stop()
      await datastore.close()
      await blocks.close()
    }
  }
}

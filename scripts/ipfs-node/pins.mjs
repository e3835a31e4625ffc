// Recursive pins and mark-and-sweep collection.
// Helia's own pins count references per block, and in 7.1 lose count of a block that two pinned
// trees share once one of them is unpinned; walking the pinned trees cannot.
import * as dagPb from '@ipld/dag-pb'
import { Key } from 'interface-datastore'
import { base36 } from 'multiformats/bases/base36'
import { CID } from 'multiformats/cid'
import { promises as fs } from 'node:fs'

const PREFIX = '/fedpact-pin/'

export class Pins {
  #keepers = new Set()
  #collection = null

  /** `network` fetches what is missing, `blocks` and `datastore` are the folders on disk. */
  constructor (network, blocks, datastore) {
    this.network = network
    this.blocks = blocks
    this.datastore = datastore
  }

  /** Run `work`, which stores blocks and pins them, with no collection in between. */
  async keeping (work) {
    while (this.#collection != null) await this.#collection
    const run = work()
    this.#keepers.add(run)
    try {
      return await run
    } finally {
      this.#keepers.delete(run)
    }
  }

  async add (cid, options) {
    for await (const _ of this.walk(cid, options)); // fetches what is not here
    await this.datastore.put(key(cid), new Uint8Array(0))
  }

  /** Whether there was such a pin. */
  async remove (cid) {
    const held = await this.has(cid)
    if (held) await this.datastore.delete(key(cid))
    return held
  }

  async has (cid) {
    return this.datastore.has(key(cid))
  }

  async * list () {
    for await (const entry of this.datastore.queryKeys({ prefix: PREFIX })) {
      yield CID.parse(entry.toString().slice(PREFIX.length), base36)
    }
  }

  /** Delete the blocks that no pinned tree holds, and yield their CIDs. */
  async collect () {
    while (this.#collection != null) await this.#collection
    const run = this.#sweep()
    this.#collection = run.catch(() => {}).finally(() => { this.#collection = null })
    return run
  }

  async #sweep () {
    await Promise.allSettled([...this.#keepers])
    const live = new Set()
    for await (const root of this.list()) {
      for await (const { cid } of this.walk(root, { offline: true })) live.add(multihash(cid))
    }
    const deleted = []
    for await (const { cid } of this.blocks.getAll()) {
      if (live.has(multihash(cid))) continue
      await this.blocks.delete(cid)
      deleted.push(cid)
    }
    return deleted
  }

  /** Each distinct block of the tree under `root`, as { cid, size }. */
  async * walk (root, options) {
    const seen = new Set()
    const rest = [root]
    while (rest.length > 0) {
      const cid = rest.pop()
      if (seen.has(String(cid))) continue
      seen.add(String(cid))
      const block = await this.block(cid, options)
      yield { cid, size: block.length }
      if (cid.code === dagPb.code) rest.push(...dagPb.decode(block).Links.map(link => link.Hash))
    }
  }

  /** Bytes and number of the distinct blocks of the tree under `root`. */
  async extent (root, options) {
    let size = 0
    let count = 0
    for await (const block of this.walk(root, options)) {
      size += block.size
      count += 1
    }
    return { size, count }
  }

  async block (cid, options) {
    const parts = []
    for await (const part of this.network.get(cid, options)) parts.push(part)
    return Buffer.concat(parts)
  }

  /** Bytes and number of the blocks on disk. */
  async usage () {
    let size = 0
    let count = 0
    for (const entry of await fs.readdir(this.blocks.path, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      size += (await fs.stat(`${entry.parentPath}/${entry.name}`)).size
      count += 1
    }
    return { size, count }
  }
}

function key (cid) {
  return new Key(PREFIX + cid.toV1().toString(base36))
}

function multihash (cid) {
  return base36.encode(cid.multihash.bytes)
}

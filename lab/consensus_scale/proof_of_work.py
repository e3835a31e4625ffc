"""Proof of work as in Lu et al. 2020 (§III-C, step 7), to compare PoQ with.

A block's header is hashed with double SHA-256, as in Bitcoin, for one nonce after the other until
the hash is below a target. The hash rate is measured on one core of this machine with `hashlib`.
"""

import math
import time
from dataclasses import dataclass
from hashlib import sha256

HEADER_BYTES = 80
"""As in Bitcoin; the nonce is the last four."""
NONCE_BYTES = 4
HASH_BITS = 256
_BATCH = 20_000


@dataclass(frozen=True)
class Mined:
    nonce: int
    attempts: int


def mine(prefix: bytes, bits: float) -> Mined:
    """The first nonce from 0 for which the header's hash is below 2^(256 - bits).

    `prefix` is the header without its nonce (76 bytes). The number of attempts is geometric with
    mean 2^bits.
    """
    target = int(2.0 ** (HASH_BITS - bits))
    nonce = 0
    while _hash(prefix, nonce) >= target:
        nonce += 1
    return Mined(nonce, nonce + 1)


def hash_rate(seconds: float = 1.0) -> float:
    """Hashes per processor second on one core, over at least `seconds` of processor time."""
    prefix = bytes(HEADER_BYTES - NONCE_BYTES)
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for nonce in range(done, done + _BATCH):
            _hash(prefix, nonce)
        done += _BATCH
    return done / spent


def attempts_check(blocks: int, bits: int) -> float:
    """Mean attempts of `blocks` mined blocks, divided by the expected 2^bits."""
    headers = (sha256(number.to_bytes(4, "big")).digest() for number in range(blocks))
    prefixes = (digest * 2 + digest[:12] for digest in headers)
    attempts = sum(mine(prefix, bits).attempts for prefix in prefixes)
    return attempts / (blocks * 2.0**bits)


def confirmations(share: float, risk: float) -> int:
    """Blocks on top of a record before an attacker with `share` of the hash rate replaces it with
    a probability below `risk` (Nakamoto 2008, section 11)."""
    depth = 0
    while _catches_up(share, depth) >= risk:
        depth += 1
    return depth


def stale_share(delay: float, interval: float) -> float:
    """Share of the blocks found while another of the same height is still propagating."""
    return 1 - math.exp(-delay / interval)


def _catches_up(share: float, depth: int) -> float:
    ratio = share / (1 - share)
    mean, behind = depth * ratio, 1.0
    for found in range(depth + 1):
        poisson = math.exp(-mean) * mean**found / math.factorial(found)
        behind -= poisson * (1 - ratio ** (depth - found))
    return behind


def _hash(prefix: bytes, nonce: int) -> int:
    header = prefix + (nonce & 0xFFFFFFFF).to_bytes(NONCE_BYTES, "little")
    return int.from_bytes(sha256(sha256(header).digest()).digest(), "little")

"""Ids of nodes, and the two distances of Lu et al. 2020, section III-B.

An id has 64 bits: the path of the published signature in the codebook, then bits of a hash of the
node's address. The longer the common prefix of two ids, the more similar the two nodes' data.
"""

from hashlib import sha256
from math import e, log

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import RetrievalError
from fedpact.retrieval.codebook import Codebook
from fedpact.retrieval.messages import Record
from fedpact.retrieval.signature import Signature, support_weighted_jaccard

ID_BITS = 64


def node_id(record: Record, codebook: Codebook) -> int:
    """The id of a node, computed from its record."""
    path = np.array([codebook.path(record.signature)], dtype=np.uint64)
    return int(node_ids(path, address_hashes([record.node]), codebook.depth)[0])


def node_ids(
    paths: NDArray[np.uint64], hashes: NDArray[np.uint64], depth: int
) -> NDArray[np.uint64]:
    """Ids of paths (n,) of `depth` bits and hashes (n,) of addresses."""
    return np.asarray(
        (paths << np.uint64(ID_BITS - depth)) | (hashes >> np.uint64(depth)), dtype=np.uint64
    )


def address_hashes(nodes: list[bytes]) -> NDArray[np.uint64]:
    """The first 64 bits of SHA-256 of each address: (n,)."""
    return np.array([int.from_bytes(sha256(node).digest()[:8], "big") for node in nodes], np.uint64)


def xor_distance(a: int, b: int) -> int:
    """Equation 2: relevance distance of two ids; less than 2^(64 - k) if they share k bits."""
    return a ^ b


def logical_distance(a: Signature, b: Signature, physical: float) -> float:
    """Equation 1: the share of weights that only one of the two has, times ln(physical distance).

    physical: not negative; milliseconds of latency, or kilometres. For d >= e this is exactly the
    paper's formula. Below e the logarithm falls to 0 at d = 1, where all nodes would be equally
    near, and is negative below 1, where the least similar would be nearest. So ln(max(d, e)) is
    used: below e the distance is the Jaccard distance alone. Raises RetrievalError for a physical
    distance that is negative or not finite.
    """
    if not 0 <= physical < float("inf"):
        raise RetrievalError(f"physical distance {physical}: it must be finite and 0 or more")
    return (1.0 - support_weighted_jaccard(a, b)) * log(max(physical, e))

"""One request among n participants, by PoQ and by proof of work: messages, bytes, gas, time, work.

A message is one request or one reply. Measured: the cost of a lookup (`lookups`), bytes and
processor seconds of the request's parts (`parts`), gas (docs/gas.json) and the hash rate
(`proof_of_work`). The rest is computed from these, as each function describes. The conditions are
assumed, and the same for both modes.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fedpact.errors import InvalidInput
from lab.consensus_scale.lookups import Lookups
from lab.consensus_scale.mode import Mode
from lab.consensus_scale.parts import RequestParts
from lab.consensus_scale.proof_of_work import HEADER_BYTES, confirmations, stale_share

CID_BYTES = 36
"""Size of a request for content: a CIDv1."""
RECEIPT_BYTES = 66
"""Size of a node's answer to a transaction: the hash in hex."""
FAN_OUT = 8
"""Peers to which a node forwards a block (gossip)."""


@dataclass(frozen=True)
class Conditions:
    """Assumed conditions, the same for both modes."""

    block_seconds: float = 12.0
    """Seconds between two blocks (Ethereum's slot)."""
    latency: float = 0.05
    """Seconds per message between two nodes."""
    bandwidth: float = 1.25e7
    """Bytes per second of one node (100 Mbit/s)."""
    attacker: float = 0.1
    """Share of the hash rate that a record must withstand."""
    risk: float = 1e-3
    """Accepted probability that the record is replaced."""


@dataclass(frozen=True)
class MeasuredParts:
    parts: RequestParts
    lookups: dict[int, Lookups]
    """Lookups by number of nodes."""
    gas: dict[str, Any]
    """docs/gas.json."""
    hash_rate: float
    """Hashes per second of one participant."""


@dataclass(frozen=True)
class Cost:
    """The cost of one request with one round; messages and bytes by purpose."""

    mode: Mode
    members: int
    chain_nodes: int
    committee: int
    messages: dict[str, float]
    bytes: dict[str, float]
    gas: int
    seconds: dict[str, float]
    work: dict[str, float]
    """Processor seconds: `useful` (training), `consensus` (scores and aggregates of the committee,
    or hashes of all miners); `hashes`; `difficulty_bits`; `stale_share` of the blocks."""

    def to_json(self) -> dict[str, Any]:
        """JSON values, with four significant digits."""

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: plain(one) for name, one in value.items()}
            return float(f"{value:.4g}") if isinstance(value, float) else value

        totals = {"messages_total": sum(self.messages.values())}
        totals |= {"bytes_total": sum(self.bytes.values())}
        totals |= {"seconds_total": sum(self.seconds.values())}
        return {name: plain(value) for name, value in (asdict(self) | totals).items()}


def cost(
    measured: MeasuredParts,
    conditions: Conditions,
    mode: Mode,
    members: int,
    chain_nodes: int | None = None,
) -> Cost:
    """The cost of one request among `members` participants, with a committee found by a lookup.

    `chain_nodes`: number of participants that keep the chain; all if None, as miners must. Raises
    InvalidInput if there are no more members than the committee has, or for miners that do not keep
    the chain. Lookups among `members` nodes must have been measured.
    """
    parts = measured.parts
    if members <= parts.committee:
        raise InvalidInput(f"{members} members: give more than the committee's {parts.committee}")
    if mode is Mode.POW and chain_nodes not in (None, members):
        raise InvalidInput(
            "--chain-nodes with mode pow: miners keep the chain, use it with --mode poq only"
        )
    keepers = members if chain_nodes is None else chain_nodes
    lookup = measured.lookups[members]
    sent = _transactions(mode, parts.committee)
    blocks = _blocks(mode, conditions)
    fetched, loaded = _content(mode, parts)
    raw = sum(parts.transactions[name] * number for name, number in sent.items())
    number = sum(sent.values())
    return Cost(
        mode,
        members,
        keepers,
        parts.committee,
        messages={
            "retrieval": lookup.messages,
            "content": 2.0 * fetched,
            "transactions": 2.0 * number,
            # Each keeper of the chain gets each transaction and each block once.
            "chain": float((number + blocks["stages"]) * (keepers - 1)),
        },
        bytes={
            "retrieval": lookup.bytes,
            "content": loaded,
            "transactions": float(raw + RECEIPT_BYTES * number),
            # A block is a header and the hashes of transactions that the receiver already has.
            "chain": float((raw + 32 * number + HEADER_BYTES * blocks["stages"]) * (keepers - 1)),
        },
        gas=_gas(mode, measured.gas, parts.committee),
        seconds=_seconds(mode, parts, lookup, conditions, blocks),
        work=_work(mode, measured, conditions, members),
    )


def _transactions(mode: Mode, committee: int) -> dict[str, int]:
    """Number of transactions of a one-round request, by function; each member calls for itself.

    By proof of work, the paper records only models and the result: no slice, votes or
    attestations. The miner writes the block.
    """
    both = {"createRequest": 1, "recordRetrieval": 1, "enrol": committee, "start": 1}
    both |= {"submit": committee, "deliver": 1, "settle": 1}
    if mode is Mode.POW:
        return both
    voted = {"openSlice": 1, "commitVotes": committee, "revealVotes": committee}
    return both | voted | {"attest": committee, "finalise": 1}


def _blocks(mode: Mode, conditions: Conditions) -> dict[str, int]:
    """Number of blocks in sequence; each stage waits until the one before is in a block.

    Both modes: create, enrol, start, submit, deliver, settle. PoQ: slice, commits, reveals
    (the last one tallies), attestations, final. Proof of work: the block with the models, and its
    confirmations.
    """
    if mode is Mode.POQ:
        return {"stages": 6 + 5, "election": 5}
    depth = confirmations(conditions.attacker, conditions.risk)
    return {"stages": 6 + 1 + depth, "election": 1 + depth}


def _content(mode: Mode, parts: RequestParts) -> tuple[int, float]:
    """Number of files fetched, and their bytes.

    Each member fetches the specification, the first model, the manifest, the other local models and
    (PoQ) the slice, whose key is on chain; the requester fetches the final model.
    """
    k = parts.committee
    each = [parts.specification, parts.initial_model, parts.manifest]
    each += [parts.local_model] * (k - 1)
    if mode is Mode.POQ:
        each += [parts.slice]
    pieces, loaded = k * len(each) + 1, k * sum(each) + parts.global_model
    return pieces, float(loaded + CID_BYTES * pieces)


def _gas(mode: Mode, gas: dict[str, Any], committee: int) -> int:
    """PoQ: a measured task, interpolated between committee sizes, and the retrieval record.
    Proof of work: the sum of the operations that remain, as measured."""
    one = gas["operations"]
    tasks = {int(size): spent for size, spent in gas["task"]["onchain"].items()}
    sizes = sorted(tasks)
    if not sizes[0] <= committee <= sizes[-1]:
        raise InvalidInput(f"committee of {committee}: gas was measured for {sizes}")
    if mode is Mode.POQ:
        task = float(np.interp(committee, sizes, [tasks[size] for size in sizes]))
        return round(task) + int(one["recordRetrieval"])
    settled = [one[f"settle and pay, N = {size}"] for size in sizes]
    joins = one["enrol, first"] + (committee - 1) * one["enrol"]
    single = ("createRequest", "recordRetrieval", "start", "deliver")
    rest = joins + committee * one["submit"] + sum(one[name] for name in single)
    return int(rest) + round(float(np.interp(committee, sizes, settled)))


def _seconds(
    mode: Mode, parts: RequestParts, lookup: Lookups, conditions: Conditions, blocks: dict[str, int]
) -> dict[str, float]:
    """Retrieval: a request and a reply per wave. Learning: training, and fetching the other models.
    Election: the blocks until the record is final, and (PoQ) scoring and aggregation. Chain: the
    remaining blocks."""
    wait = conditions.block_seconds
    models = (parts.committee - 1) * parts.local_model / conditions.bandwidth
    own = parts.scoring + parts.aggregation if mode is Mode.POQ else 0.0
    return {
        "retrieval": 2 * conditions.latency * lookup.waves,
        "learning": parts.training + models + 2 * conditions.latency,
        "election": blocks["election"] * wait + own,
        "chain": (blocks["stages"] - blocks["election"]) * wait,
    }


def _work(
    mode: Mode, measured: MeasuredParts, conditions: Conditions, members: int
) -> dict[str, float]:
    """PoQ: the committee scores and aggregates.

    Proof of work: all participants mine, since an attacker needs to match only the hash rate of
    those that do. One block per request, as in the paper, takes members * rate * interval hashes;
    its confirmations are the blocks of other requests.
    """
    parts = measured.parts
    useful = parts.committee * parts.training
    if mode is Mode.POQ:
        own = parts.committee * (parts.scoring + parts.aggregation)
        return {"useful": useful, "consensus": own, "hashes": 0.0}
    hashes = members * measured.hash_rate * conditions.block_seconds
    spread = conditions.latency * math.ceil(math.log(members) / math.log(FAN_OUT))
    return {
        "useful": useful,
        "consensus": members * conditions.block_seconds,
        "hashes": hashes,
        "difficulty_bits": math.log2(hashes),
        "stale_share": stale_share(spread, conditions.block_seconds),
    }

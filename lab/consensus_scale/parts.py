"""Measures the parts of one request: bytes of messages and processor seconds of computations.

The request is softmax regression on digits in privacy mode `none`, one round, scored by the models'
own errors. Artefacts are made and sealed with the daemons' functions; transactions are encoded with
the contracts' ABIs and signed as the client signs them. Nothing is sent.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from eth_account import Account

from fedpact.chain.abi import MARKET, POOL, RESALE, ROUNDS, SECOND, contract_abi
from fedpact.chain.bindings.structs import terms_struct
from fedpact.consensus.aggregate import global_model
from fedpact.consensus.artefacts import RoundRef, seal_global, seal_local, slice_aad
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.round_inputs import RoundInputs
from fedpact.consensus.scoring import score_round
from fedpact.content.bn254 import public_key
from fedpact.content.envelope import seal_model
from fedpact.content.keys import Manifest
from fedpact.data import partition, sources
from fedpact.data.dataset import Dataset
from fedpact.data.slices import cut_stratified, encode_slice
from fedpact.demo.drafts import draft, split
from fedpact.learning.artefact import Model, encode
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.strategies import Globals
from fedpact.learning.training_inputs import LocalTraining
from fedpact.requester.draft import Draft
from fedpact.requester.terms import MarketTerms
from fedpact.types.cid import Cid
from fedpact.types.scores import pack_scores
from fedpact.types.specification import Specification

T = TypeVar("T")
ADDRESS = "0x" + 40 * "1"
REPEATS = 5


@dataclass(frozen=True)
class RequestParts:
    """Bytes and processor seconds of one request with `committee` members; medians of REPEATS."""

    committee: int
    local_model: int
    """Bytes of the sealed model; the following sizes are in bytes too."""
    global_model: int
    slice: int
    specification: int
    initial_model: int
    manifest: int
    """Bytes of a manifest with the key sealed to each member."""
    transactions: dict[str, int]
    """Bytes of one signed transaction by function."""
    training: float
    """Seconds of one member's local training."""
    scoring: float
    """Seconds of one member for all models of the round."""
    aggregation: float
    """Seconds of one member, including sealing."""


def measure(committee: int, seed: int = 0) -> RequestParts:
    """Measure bytes and times of a request with this many members."""
    spec, parts, evaluation = _request(committee, seed)
    round_ref, key = RoundRef(bytes(32), 1, 1), os.urandom(32)
    start = family_of(spec).initial(spec, seed)
    training, models = _timed_models(spec, start, parts)
    samples = {seat: len(part) for seat, part in enumerate(parts)}
    scoring, _ = _timed(
        lambda: score_round(
            RoundInputs(spec, 1, start, models, samples, evaluation), ContributionRecord()
        )
    )

    def aggregate() -> bytes:
        made = global_model(spec, 1, Globals(start, start), models, samples, sorted(models))
        return seal_global(made, key, round_ref)

    aggregation, sealed = _timed(aggregate)
    accounts = [Account.create().address for _ in range(committee)]
    public = bytes(range(1, 33))
    manifest = Manifest.sealing(
        key, dict.fromkeys(accounts, public), bytes(32), 1, "request-key", 0, os.urandom(32)
    )
    return RequestParts(
        committee,
        local_model=len(seal_local(encode(models[0]), key, round_ref, ADDRESS)),
        global_model=len(sealed),
        slice=len(seal_model(key, encode_slice(evaluation), slice_aad(1))),
        specification=len(spec.encode()),
        initial_model=len(encode(start)),
        manifest=len(manifest.encode()),
        transactions=_transactions(spec, committee),
        training=training,
        scoring=scoring,
        aggregation=aggregation,
    )


def _request(committee: int, seed: int) -> tuple[Specification, list[Dataset], Dataset]:
    source = sources.digits(seed)
    fields = draft(source, committee, rounds=1, epsilon=None)
    spec = Draft({**fields, "score": "model", "max_error": 9_000}, on_chain=False).specification
    private, chosen = split(source, 1, seed)
    x = (source.x_train / source.scale).astype(np.float32)
    rows_of = partition.iid(source.y_train[private], committee, seed)
    parts = [Dataset(x[private[p]], source.y_train[private[p]], ()) for p in rows_of]
    [cut] = cut_stratified(source.y_train[chosen], 1, np.random.default_rng(seed))
    rows = chosen[cut]
    return spec, parts, Dataset(x[rows], source.y_train[rows], ())


def _timed_models(
    spec: Specification, start: Model, parts: list[Dataset]
) -> tuple[float, dict[int, Model]]:
    timed = [
        _timed(partial(train_local, LocalTraining(spec, start, part, noise=None)), 1)
        for part in parts
    ]
    seconds = float(np.median([spent for spent, _ in timed]))
    return seconds, {seat: model for seat, (_, model) in enumerate(timed)}


def _timed(compute: Callable[[], T], repeats: int = REPEATS) -> tuple[float, T]:
    """Median processor seconds and the result."""
    spent, found = [], []
    for _ in range(repeats):
        before = time.process_time()
        found.append(compute())
        spent.append(time.process_time() - before)
    return float(np.median(spent)), found[-1]


def _transactions(spec: Specification, committee: int) -> dict[str, int]:
    """Bytes of each kind of signed transaction, each by a member for itself; digests and salts are
    random bytes."""
    digest = bytes(range(32, 64))
    anchored = {"log": digest, "seats": 1 << 64, "values": [bytes(range(32))] * committee}
    word = pack_scores(dict.fromkeys(range(1, committee), 4_321))
    spec = spec.model_copy(update={"initial_model": str(Cid.of(digest))})
    terms = terms_struct(MarketTerms().complete(spec, public_key(1), 10**18))
    board = dict.fromkeys(("medians", "points"), word)
    board |= dict.fromkeys(("included", "eligible", "faults"), 2**committee - 1)
    ephemeral = {"x": 2**255, "y": 2**255}
    delivery = {"ephemeral": ephemeral, "cipher": digest, "keyDigest": digest, "proof": [digest]}
    calls: dict[tuple[str, str], list[Any]] = {
        (MARKET, "createRequest"): [terms],
        (RESALE, "recordRetrieval"): [1, digest],
        (POOL, "enrol"): [1, [(ADDRESS, 1_234, digest)], b""],
        (ROUNDS, "start"): [1, 0, (digest,) * 4],
        (ROUNDS, "submit"): [1, 1, [digest], b""],
        (ROUNDS, "openSlice"): [1, [], ADDRESS, bytes(80), b""],
        (ROUNDS, "commitVotes"): [1, 1, [digest], b""],
        (ROUNDS, "revealVotes"): [1, anchored, 1, [word], [digest]],
        (ROUNDS, "attest"): [1, 1, digest, 4_321, b""],
        (ROUNDS, "finalise"): [
            *(1, {"log": digest, "board": board}),
            *([(seat, digest, 4_321) for seat in range(committee)], 0, bytes(32), 0, b""),
        ],
        (MARKET, "deliver"): [1, terms, delivery],
        (MARKET, "settle"): [1, terms, [(word, word, 0, digest)], b""],
    }
    signer = Account.create()
    sizes = {}
    for (contract, name), values in calls.items():
        transaction = {
            **{"type": 2, "chainId": 31_337, "nonce": 100, "gas": 150_000, "to": ADDRESS},
            **{"maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 10**9},
            "value": 10**18 if name == "createRequest" else 0,
            "data": contract_abi(contract, SECOND).functions[name].encode(values),
        }
        sizes[name] = len(signer.sign_transaction(transaction).raw_transaction)
    return sizes

"""A committee in one process: the members' part of a request, step by step, on a real chain."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from fedpact.chain import deployment as deployments
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.registrar import sign_voucher
from fedpact.consensus.artefacts import RoundRef, open_slice, seal_global, seal_local
from fedpact.consensus.history import InMemoryHistory
from fedpact.consensus.replay import Replay
from fedpact.consensus.votes import Ballot, attestation, pack_scores, vote_commitment
from fedpact.content.embedded import EmbeddedStore
from fedpact.content.keys import Manifest, delivery_key, key_hash, seal
from fedpact.content.store import ContentStore
from fedpact.data.dataset import Dataset
from fedpact.data.sources import digits
from fedpact.learning.artefact import Model, decode, encode
from fedpact.learning.families import family_of
from fedpact.learning.local import train_local
from fedpact.learning.training import LocalTraining
from fedpact.privacy.noise import NoiseSource, SystemNoise
from fedpact.requester import Requester
from fedpact.requester.draft import Draft
from fedpact.types.cid import Cid
from fedpact.types.privacy import PrivacyMode
from fedpact.types.rounds import RoundState, Stage, seats_of
from fedpact.types.specification import Specification
from tests.support.waiting import PATIENCE, wait_until

REQUESTER, AUDITOR = 0, 1
PAYMENT = 10**18 + 7
"""Wei; a number that divides into no equal shares, so that rounding shows."""

Vote = Callable[[dict[int, int]], Mapping[int, int]]


@dataclass
class Market:
    """A fresh deployment with registered accounts, a store, and digits split across providers."""

    client: ChainClient
    store: EmbeddedStore
    requester_keys: AccountKeys
    auditor: AccountKeys
    providers: list[AccountKeys]
    parts: list[Dataset]
    evaluation: Dataset
    folder: Path

    @cached_property
    def requester(self) -> Requester:
        return Requester(self.client, self.store, self.requester_keys, self.folder / "state")

    def draft(self, **changes: object) -> Draft:
        """Two rounds of softmax regression on digits without privacy."""
        fields = {
            "title": "Handwritten digits",
            "category": "images/digits",
            "labels": [str(label) for label in range(10)],
            "features": {"shape": [64], "scale": 16.0},
            "family": {"name": "softmax-regression"},
            "local": {"steps": 3, "learning_rate": 2.0},
            "rounds": 2,
            "min_providers": len(self.providers),
            "max_providers": len(self.providers),
            "score": "model",
            "max_error": 9500,
            "privacy": {"mode": "none"},
            "auditors": [self.auditor.address],
            "windows": {"join": 60, "submit": 60, "commit": 60, "reveal": 60, "propose": 60},
            **changes,
        }
        return Draft(fields)


def open_market(devnet: Devnet, folder: Path, providers: int = 3) -> Market:
    """Deploy, register a requester, an auditor and `providers` providers, split the digits."""
    registrar = devnet.new_account()
    plain = ChainClient.connect(devnet.url, None)
    deployment = deployments.deploy(plain, registrar)
    client = ChainClient.connect(devnet.url, deployment)
    accounts = [devnet.new_account() for _ in range(2 + providers)]
    expiry = client.frame().timestamp + 3600
    for organisation, keys in enumerate(accounts, start=1):
        voucher = sign_voucher(
            registrar, deployment, keys.address, organisation, organisation, expiry
        )
        public = bytes(keys.encryption_key().public_key)
        client.registry.register(keys, voucher, public, bytes(32), bytes(32))
    source = digits(seed=0)
    x = (source.x_train.reshape(-1, 64) / source.scale).astype(np.float32)
    evaluation = np.arange(400)
    dealt = np.array_split(np.arange(400, len(x)), providers)
    return Market(
        client,
        EmbeddedStore(folder / "content"),
        accounts[REQUESTER],
        accounts[AUDITOR],
        accounts[2:],
        [Dataset(x[rows], source.y_train[rows], ()) for rows in dealt],
        Dataset(x[evaluation], source.y_train[evaluation], ()),
        folder,
    )


def history_of(
    spec: Specification, store: ContentStore, parts: Sequence[Dataset]
) -> InMemoryHistory:
    """The beginning of a request's history, its members' data by seat."""
    template = family_of(spec).template(spec)
    initial = store.get(Cid.parse(spec.initial_model), template.bytes)
    samples = {seat: len(part) for seat, part in enumerate(parts)}
    return InMemoryHistory(spec, decode(initial, template), samples)


@dataclass
class Committee:
    """All members of one request; seat i is provider i's."""

    market: Market
    request_id: int
    key: bytes = field(default_factory=lambda: os.urandom(32))

    @cached_property
    def spec(self) -> Specification:
        return self.market.requester.specification(self.request_id)

    @cached_property
    def history(self) -> InMemoryHistory:
        return history_of(self.spec, self.market.store, self.market.parts)

    @cached_property
    def replay(self) -> Replay:
        return Replay(self.history)

    def state(self) -> RoundState:
        return self.market.client.rounds.round_state(self.request_id)

    def join_and_start(self) -> None:
        market, client = self.market, self.market.client
        for keys, part in zip(market.providers, market.parts, strict=True):
            client.market.join(keys, self.request_id, len(part), bytes(32))
        readers = [*(keys.address for keys in market.providers), *self.spec.auditors]
        seals = {
            account: seal(
                client.registry.participant(account).encryption_key, self.key, os.urandom(32)
            )
            for account in readers
        }
        fingerprint = client.deployment.fingerprint
        manifest = Manifest(fingerprint, self.request_id, "request-key", 0, seals)
        digest = market.store.put(manifest.encode()).digest
        accounts = client.rounds.committee(self.request_id)
        keys = market.providers[0]
        client.market.start(keys, self.request_id, 0, digest, key_hash(self.key), accounts)

    def play_round(
        self,
        *,
        train: Mapping[int, Callable[[Model], Model]] | None = None,
        votes: Mapping[int, Vote] | None = None,
        publish: Callable[[int], bool] = lambda _: True,
        follow: bool = True,
    ) -> None:
        """One round from the submissions to the proposal; `train` and `votes` replace a seat's.

        `follow`: whether a requester opens the slice.
        """
        number = self.state().round
        models = self._submit(number, train or {})
        self.history.models[number] = {
            seat: model if publish(seat) else None for seat, model in models.items()
        }
        self.history.slices[number] = self._slice(number) if follow else None
        self._vote(number, self.replay.scores(number), votes or {})
        self.market.client.rounds.tally(
            self.market.providers[0],
            self.request_id,
            self.market.client.rounds.committee(self.request_id),
        )
        counted = self.tallied()
        self.history.masks[number] = counted["valid"], counted["included"]
        if self.state().stage is Stage.ATTEST:
            self._finalise(number)

    def deliver(self, key: bytes | None = None) -> None:
        client, state = self.market.client, self.state()
        assert state.last_leader is not None
        fingerprint = client.deployment.fingerprint
        secret = key or delivery_key(self.key, fingerprint, self.request_id, state.final_rounds)
        public = client.registry.participant(self.market.requester_keys.address).encryption_key
        leader = self.market.providers[state.last_leader]
        accounts = client.rounds.committee(self.request_id)
        sealed = seal(public, secret, os.urandom(32))
        client.market.deliver(leader, self.request_id, state.last_leader, sealed, accounts)

    def claim_all(self) -> None:
        market = self.market.client.market
        for seat, keys in enumerate(self.market.providers):
            if market.claimable(self.request_id, seat):
                market.claim(keys, self.request_id, seat)

    def round_ref(self, number: int) -> RoundRef:
        return RoundRef(self.market.client.deployment.fingerprint, self.request_id, number)

    def _noise(self) -> NoiseSource | None:
        return None if self.spec.privacy.mode is PrivacyMode.NONE else SystemNoise()

    def _submit(
        self, number: int, train: Mapping[int, Callable[[Model], Model]]
    ) -> dict[int, Model]:
        client, models, sealed = self.market.client, {}, {}
        for seat, (keys, part) in enumerate(
            zip(self.market.providers, self.market.parts, strict=True)
        ):
            task = self.replay.local_task(seat, number)
            honest = train_local(
                LocalTraining(
                    self.spec,
                    task.start,
                    part,
                    noise=self._noise(),
                    round_and_seat=(number, seat),
                    correction=task.correction,
                )
            )
            models[seat] = train[seat](honest) if seat in train else honest
            owner = keys.address
            sealed[seat] = seal_local(encode(models[seat]), self.key, self.round_ref(number), owner)
            client.rounds.submit(keys, self.request_id, seat, Cid.of(sealed[seat]).digest)
        for one in sealed.values():
            self.market.store.put(one)
        return models

    def _slice(self, number: int) -> Dataset:
        wait_until(lambda: self.state().slice_opened, "nobody opened the slice")
        rounds = self.market.client.rounds
        topics = [None, f"0x{self.request_id:064x}"]
        opened = [
            event.args["digest"] for event in rounds.history(topics) if event.name == "SliceOpened"
        ]
        keys, store = self.market.providers[0], self.market.store
        manifest = Manifest.decode(store.get(Cid.of_digest(opened[-1], 1), 2**18))
        key = manifest.open(keys.address, keys.encryption_key())
        sealed = store.get(Cid.parse(self.spec.evaluation[number - 1].cid), 2**26)
        return open_slice(self.spec, number, key, sealed)

    def _ballot(self, seat: int, number: int) -> Ballot:
        deployment = self.market.client.deployment
        account = self.market.providers[seat].address
        return Ballot(deployment.chain_id, deployment.rounds, self.request_id, number, account)

    def _vote(self, number: int, scores: dict[int, int], votes: Mapping[int, Vote]) -> None:
        rounds, cast = self.market.client.rounds, {}
        salt = bytes(31) + bytes([number])
        for seat, keys in enumerate(self.market.providers):
            own = {s: score for s, score in scores.items() if s != seat}
            cast[seat] = pack_scores(votes[seat](own) if seat in votes else own)
            commitment = vote_commitment(self._ballot(seat, number), cast[seat], salt)
            rounds.commit_vote(keys, self.request_id, seat, commitment)
        for seat, keys in enumerate(self.market.providers):
            rounds.reveal_vote(keys, self.request_id, seat, cast[seat], salt)

    def tallied(self) -> dict[str, Any]:
        """The arguments of the last RoundTallied event."""
        topics = [None, f"0x{self.request_id:064x}"]
        events = self.market.client.rounds.history(topics)
        return [event.args for event in events if event.name == "RoundTallied"][-1]

    def _finalise(self, number: int) -> None:
        rounds, state = self.market.client.rounds, self.state()
        model = self.replay.global_model(number)
        sealed = seal_global(model, self.key, self.round_ref(number))
        digest = self.market.store.put(sealed).digest
        mae = self.replay.error_of(number, model)
        for seat in seats_of(state.revealed):
            word = attestation(self._ballot(seat, number), digest, mae)
            rounds.attest(self.market.providers[seat], self.request_id, seat, word, mae)
        leader = rounds.leader_order(self.request_id)[0]
        committee = rounds.committee(self.request_id)
        keys = self.market.providers[leader]
        rounds.propose(keys, self.request_id, leader, digest, mae, committee)


class _Beside:
    """Work in a thread; the `with` block waits for its end."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def work(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), f"{type(self).__name__} does not come to an end"
        if self._error is not None:
            raise self._error

    def _guarded(self) -> None:
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - raised again by the test's own thread
            self._error = error


class Following(_Beside):
    """A requester that follows its request."""

    def __init__(self, market: Market, request_id: int) -> None:
        super().__init__()
        self._market, self._id = market, request_id

    def work(self) -> None:
        self._market.requester.follow(self._id, poll_interval=0.02)


class Serving(_Beside):
    """Providers that play all rounds of a request as soon as it is there, and deliver."""

    def __init__(self, market: Market, request_id: int) -> None:
        super().__init__()
        self._market, self._id = market, request_id

    def work(self) -> None:
        count = self._market.client.market.request_count
        wait_until(lambda: count() >= self._id, "the request did not come")
        committee = Committee(self._market, self._id)
        committee.join_and_start()
        for _ in range(committee.spec.rounds):
            committee.play_round()
        committee.deliver()

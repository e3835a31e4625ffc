"""A committee in one process, with models that are trained and scored.

Member i of the pool is provider i. Rounds are played by batches, in which some sign and others call
for themselves, or posted as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fedpact.chain.bindings.events import Credited, RoundTallied, SliceOpened
from fedpact.chain.client import ChainClient
from fedpact.chain.devnet import Devnet
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Call
from fedpact.chain.signed_messages import Anchored, RoundRecord
from fedpact.consensus.artefacts import RoundRef, open_slice, seal_global, seal_local
from fedpact.consensus.history import InMemoryHistory
from fedpact.consensus.proof_of_quality import judge
from fedpact.consensus.replay import Replay
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries, withheld
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import Manifest, committee_key, key_hash, seal
from fedpact.content.store import ContentStore
from fedpact.data.dataset import Dataset
from fedpact.data.sources import digits
from fedpact.learning.artefact import Model, decode, encode
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SystemNoise
from fedpact.requester.draft import Draft
from fedpact.requester.requester import Requester
from fedpact.requester.slices import slice_key
from fedpact.types.cid import Cid
from fedpact.types.privacy import PrivacyMode
from fedpact.types.requests import Join, Start, Terms
from fedpact.types.scores import MAX_SCORE, lane, pack_scores
from fedpact.types.specification import Specification
from tests.support.chain_request import People, admit, deployed_contracts, signed

PAYMENT = 10**18 + 7
"""Wei; a number that divides into no equal shares, so that rounding shows."""
WINDOWS = ("join", "start", "submit", "commit", "reveal", "propose", "deliver")


@dataclass
class DigitsMarket:
    """A fresh deployment with registered accounts, a store, and digits split across providers."""

    client: ChainClient
    store: EmbeddedStore
    people: People
    auditor: AccountKeys
    parts: list[Dataset]
    evaluation: Dataset
    folder: Path

    @property
    def providers(self) -> list[AccountKeys]:
        return self.people.members

    @property
    def requester_keys(self) -> AccountKeys:
        return self.people.requester

    @cached_property
    def requester(self) -> Requester:
        return Requester(self.client, self.store, self.people.requester, self.folder / "state")

    def draft(self, **changes: object) -> Draft:
        """Two rounds of softmax regression on digits, with privacy."""
        count = len(self.people.members)
        fields: dict[str, Any] = {
            "title": "Handwritten digits",
            "category": "images/digits",
            "labels": [str(label) for label in range(10)],
            "features": {"shape": [64], "scale": 16.0},
            "family": {"name": "softmax-regression"},
            "local": {"steps": 3, "learning_rate": 0.5},
            "rounds": 2,
            "min_providers": count,
            "max_providers": count,
            "score": "model",
            "max_error": 9500,
            "privacy": {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": 1.0},
            "auditors": [self.auditor.address],
            "windows": dict.fromkeys(WINDOWS, 600),
            **changes,
        }
        return Draft(fields)


def open_digits_market(devnet: Devnet, folder: Path, providers: int = 3) -> DigitsMarket:
    """Deploy, register a requester, an auditor and `providers` providers, split the digits."""
    registrar = devnet.new_account()
    client = ChainClient.connect(devnet.url, deployed_contracts(devnet, registrar, salt=17))
    people = People.admitted(devnet, client, registrar, providers)
    auditor = devnet.new_account()
    admit(client, registrar, auditor, 50)
    source = digits(seed=0)
    x = (source.x_train.reshape(-1, 64) / source.scale).astype(np.float32)
    dealt = np.array_split(np.arange(400, len(x)), providers)
    return DigitsMarket(
        client,
        EmbeddedStore(folder / "content"),
        people,
        auditor,
        [Dataset(x[rows], source.y_train[rows], ()) for rows in dealt],
        Dataset(x[:400], source.y_train[:400], ()),
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
    """All members of one request, which they play together."""

    market: DigitsMarket
    id: int
    key: bytes = field(default_factory=lambda: os.urandom(32))

    @cached_property
    def terms(self) -> Terms:
        return self.market.client.market.terms(self.id)

    @cached_property
    def spec(self) -> Specification:
        return self.market.requester.specification(self.id)

    @cached_property
    def history(self) -> InMemoryHistory:
        return history_of(self.spec, self.market.store, self.market.parts)

    @cached_property
    def replay(self) -> Replay:
        return Replay(self.history)

    @property
    def members(self) -> list[AccountKeys]:
        return self.market.people.members

    def enrol_and_start(self) -> None:
        client, members, here = self.market.client, self.members, self._fingerprint
        pool, terms_hash = client.pool, client.market.terms_hash(self.terms)
        record = self.market.store.put(b"{}").digest
        joins = [
            Join(keys.address, len(part), record)
            for keys, part in zip(members, self.market.parts, strict=True)
        ]
        said = [
            signed(keys, pool.domain.join(self.id, join.samples, record, terms_hash))
            for keys, join in zip(members, joins, strict=True)
        ]
        self._send(members[0], pool.enrol(self.id, joins, said[1:]))
        requester = Point(self.terms.delivery_key_x, self.terms.delivery_key_y)
        rounds = self.terms.max_rounds
        self.deliveries = Deliveries.seal(self.key, requester, here, self.id, rounds)
        manifest = self._sealing(self.key, [keys.address for keys in members])
        later = withheld(self.key, self.deliveries.ephemeral, here, self.id)
        manifest = manifest.with_seals_of(self._sealing(later, self.spec.auditors))
        start = Start(
            self.market.store.put(manifest.encode()).digest,
            key_hash(self.key),
            bytes(committee_key(self.key, here, self.id).public_key),
            self.deliveries.root,
        )
        self._send(members[0], client.rounds.start(self.id, 0, start))

    # ------------------------------------------------------------------ rounds

    def play_in_batches(self) -> None:
        """Some sign, and the first posts it; the last calls for itself."""
        rounds, members, number = self.market.client.rounds, self.members, self._round
        domain, last = rounds.domain, len(self.members) - 1
        digests = self._train(number)
        signatures = [
            signed(members[seat], domain.model(self.id, number, digests[seat]))
            for seat in range(1, last)
        ]
        mask = (1 << last) - 1
        self._send(members[0], rounds.submit(self.id, mask, digests[:last], signatures))
        self._send(members[last], rounds.submit(self.id, 1 << last, digests[last:], []))
        self._publish(number)
        sealed, keys = self._sealed_slice(number), self.market.people.requester
        opening = signed(keys, domain.slice(self.id, number, sealed))
        call = rounds.open_slice(self.id, self.terms.openers, keys.address, sealed, opening)
        self._send(members[0], call)
        votes = self._votes(number)
        salts = [bytes([number, seat]) * 16 for seat in range(len(members))]
        committed = [
            domain.commitment(self.id, number, one.address, vote, salt)
            for one, vote, salt in zip(members, votes, salts, strict=True)
        ]
        signatures = [
            signed(members[seat], domain.vote(self.id, number, committed[seat]))
            for seat in range(1, last)
        ]
        self._send(members[0], rounds.commit_votes(self.id, mask, committed[:last], signatures))
        self._send(members[last], rounds.commit_votes(self.id, 1 << last, committed[last:], []))
        opened = self._events(SliceOpened)[-1]
        anchored = Anchored(opened.log, tuple(enumerate(committed)))
        full = (1 << len(members)) - 1
        self._send(members[1], rounds.reveal_votes(self.id, anchored, full, votes, salts))
        self._attest(number, votes)

    def post_round(self, *, worse: int = 0, better: int = 0, made_up: Model | None = None) -> None:
        """A whole round in one transaction, on which all agree, whatever it says.

        `worse`: what all votes add to seat 0's error; `better`: what all take from the error of the
        aggregate; `made_up`: the global model.
        """
        rounds, members, number = self.market.client.rounds, self.members, self._round
        digests = self._train(number)
        self._publish(number)
        sealed = self._sealed_slice(number)
        votes = [vote + (worse if seat else 0) for seat, vote in enumerate(self._votes(number))]
        self._judge(number, votes)
        digest, error = self._aggregate(number, made_up)
        error -= better
        errors = sum(error << 14 * seat for seat in range(len(members)))
        record = RoundRecord(tuple(digests), tuple(votes), sealed, digest, errors)
        facts = rounds.round_facts(self.id)
        message = rounds.domain.round(self.id, number, facts.history, record)
        signatures = [signed(one, message) for one in members[1:]]
        self._send(members[0], rounds.post_round(self.id, record, signatures))

    def deliver_and_settle(self) -> None:
        """The requester settles at once, which accepts the delivery."""
        client = self.market.client
        final = client.rounds.outcome(self.id).final_rounds
        delivery = self.deliveries.after(final).fields
        self._send(self.members[-1], client.market.deliver(self.id, self.terms, delivery))
        events = client.request_events(self.id)
        entries = [one.entry for one in events if isinstance(one, Credited)]
        call = client.market.settle(self.id, self.terms, entries)
        self._send(self.market.people.requester, call)

    # ------------------------------------------------------------------ parts

    @property
    def _fingerprint(self) -> bytes:
        return self.market.client.deployment.fingerprint

    @property
    def _round(self) -> int:
        return self.market.client.rounds.round_facts(self.id).round

    def _send(self, keys: AccountKeys, call: Call) -> None:
        self.market.client.send(keys, call)

    def _sealing(self, content: bytes, accounts: Any) -> Manifest:
        registry = self.market.client.registry
        public = {one: registry.participant(one).encryption_key for one in accounts}
        here = self._fingerprint
        return Manifest.sealing(content, public, here, self.id, "request-key", 0, self.key)

    def _reference(self, number: int) -> RoundRef:
        return RoundRef(self._fingerprint, self.id, number)

    def _train(self, number: int) -> list[bytes]:
        self._sealed, self.history.models[number] = [], {}
        private = self.spec.privacy.mode is not PrivacyMode.NONE
        for seat, (keys, part) in enumerate(zip(self.members, self.market.parts, strict=True)):
            task = self.replay.local_task(seat, number)
            model = train_local(
                LocalTraining(
                    self.spec,
                    task.start,
                    part,
                    noise=SystemNoise() if private else None,
                    round_and_seat=(number, seat),
                    correction=task.correction,
                )
            )
            self.history.models[number][seat] = model
            reference = self._reference(number)
            self._sealed.append(seal_local(encode(model), self.key, reference, keys.address))
        return [Cid.of(one).digest for one in self._sealed]

    def _publish(self, number: int) -> None:
        for one in self._sealed:
            self.market.store.put(one)
        part = self.spec.evaluation[number - 1]
        key = slice_key(self.market.people.requester, bytes.fromhex(part.sha256))
        content = self.market.store.get(Cid.parse(part.cid), 2**26)
        self.history.slices[number] = open_slice(self.spec, number, key, content)

    def _sealed_slice(self, number: int) -> bytes:
        keys = self.market.people.requester
        part = self.spec.evaluation[number - 1]
        key = slice_key(keys, bytes.fromhex(part.sha256))
        committee = committee_key(self.key, self._fingerprint, self.id)
        return seal(bytes(committee.public_key), key, keys.seal_entropy)

    def _votes(self, number: int) -> list[int]:
        scores = self.replay.scores(number)
        return [
            pack_scores({other: own for other, own in scores.items() if other != seat})
            for seat in range(len(self.members))
        ]

    def _judge(self, number: int, votes: list[int]) -> None:
        full = (1 << len(self.members)) - 1
        board, _ = judge(dict(enumerate(votes)), full, self.terms.max_error, self.terms.vote_band)
        seats = range(len(self.members))
        valid = sum(1 << seat for seat in seats if lane(board.medians, seat) <= MAX_SCORE)
        self.history.masks[number] = valid, board.included

    def _aggregate(self, number: int, made_up: Model | None = None) -> tuple[bytes, int]:
        model = made_up or self.replay.global_model(number)
        count = self.market.client.rounds.outcome(self.id).final_rounds + 1
        sealed = seal_global(model, self.key, self._reference(count))
        return self.market.store.put(sealed).digest, self.replay.error_of(number, model)

    def _attest(self, number: int, votes: list[int]) -> None:
        rounds, members, last = self.market.client.rounds, self.members, len(self.members) - 1
        self._judge(number, votes)
        digest, error = self._aggregate(number)
        said = rounds.domain.attest(self.id, number, digest, error)
        signatures = [signed(members[seat], said) for seat in range(1, last)]
        errors = sum(error << 14 * seat for seat in range(last))
        mask = (1 << last) - 1
        self._send(members[0], rounds.attest(self.id, mask, digest, errors, signatures))
        tallied = self._events(RoundTallied)[-1]
        listed = [(seat, digest, error) for seat in range(last)]
        own = (1 << last, digest, error << 14 * last, [])
        call = rounds.finalise(self.id, tallied.log, tallied.board, listed, *own)
        self._send(members[last], call)

    def _events(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.market.client.request_events(self.id) if isinstance(one, kind)]


def new_request(market: DigitsMarket, **draft: object) -> Committee:
    """A request that its members have started."""
    number = market.requester.create(market.draft(**draft), market.evaluation, PAYMENT)
    committee = Committee(market, number)
    committee.enrol_and_start()
    return committee

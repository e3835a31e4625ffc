"""Simulator, daemon and auditor replay one request to the same bytes.

A simulated request is put on a chain of events and into a content store; the other two read it
from there. One provider submits rubbish in the second round, so that memories have a gap.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from eth_account import Account

from fedpact.audit.first_protocol.evidence import Evidence, Final, RoundEvidence, Tally
from fedpact.audit.first_protocol.seats import SeatHistory, learning_checks, terms_of
from fedpact.chain.bindings.first_protocol.structs import Terms
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import Board
from fedpact.consensus.artefacts import RoundRef, seal_global, seal_local
from fedpact.consensus.replay import Replay
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.keys import Manifest, key_hash
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentMissing
from fedpact.learning.artefact import Model, encode
from fedpact.learning.families import family_of
from fedpact.learning.strategies import LocalTask
from fedpact.privacy.noise import SeededNoise
from fedpact.provider.context import Cache, Cohort
from fedpact.provider.request import history
from fedpact.provider.request.history import replay_of
from fedpact.provider.state.checkpoint import CastVote
from fedpact.requester.draft import Draft
from fedpact.requester.preparing import PreparedRequest, prepare
from fedpact.requester.slices import cut, slice_key
from fedpact.simulation.adversaries import NotANumber, RoundTask, SimulatedProvider
from fedpact.simulation.request import Seat, SimulatedRequest, simulate
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.requests import seats_of
from fedpact.types.scores import lane, pack_scores
from fedpact.types.specification import Specification
from tests.support.drifting import Drifting, drifting_known

ROUNDS, SEATS, REQUEST = 5, 3, 1
KEY = bytes(range(32))
KEYS = [AccountKeys(Account.from_key(bytes([1 + seat]) * 32)) for seat in range(SEATS)]
DEPLOYMENT = Deployment(1, "0x00", "0x1", "0x2", "0x3", 1, {})
CENTRES = np.tile(np.array([[0, 3], [3, 0], [-3, -3]], np.float32), 12)
"""24 values an example: models of 75 values, enough for a span of public updates."""


class Recorded(SimulatedProvider):
    """Records each task and its result; submits an invalid model in the given rounds."""

    def __init__(self, rubbish_in: tuple[int, ...] = ()) -> None:
        self.rubbish_in = rubbish_in
        self.tasks: list[RoundTask] = []
        self.artefacts: list[bytes] = []

    def submit(self, task: RoundTask) -> bytes:
        self.tasks.append(task)
        rubbish = len(self.tasks) in self.rubbish_in
        self.artefacts.append((NotANumber() if rubbish else SimulatedProvider()).submit(task))
        return self.artefacts[-1]


def dataset(seed: int, n: int = 60) -> Dataset:
    generator = np.random.default_rng(seed)
    y = generator.permutation(np.arange(n) % 3)
    return Dataset((CENTRES[y] + generator.normal(size=(n, 24))).astype(np.float32), y, ())


def draft(strategy: str) -> Draft:
    return Draft(
        {
            "title": "replayed",
            "category": "test",
            "labels": ["a", "b", "c"],
            "features": {"shape": [24]},
            "family": {"name": "softmax-regression"},
            "local": {"steps": 2, "learning_rate": 1.0},
            "strategy": {"name": strategy},
            "rounds": ROUNDS,
            "min_providers": SEATS,
            "max_providers": SEATS,
            "score": "contribution",
            "max_error": 10_000,
            "privacy": {
                "mode": "sound",
                "epsilon": 20.0,
                "delta": 1e-5,
                "clipping_norm": 1.0,
                "noise_multiplier": 2.0,
            },
        }
    )


@dataclass
class Played:
    """A simulated request, with its facts on chain and in the store."""

    prepared: PreparedRequest
    providers: list[Recorded]
    result: SimulatedRequest
    store: EmbeddedStore
    rounds: list[RoundEvidence] = field(default_factory=list)
    manifest: bytes = b""

    @property
    def spec(self) -> Specification:
        return self.prepared.specification

    def task(self, number: int, seat: int) -> RoundTask:
        return self.providers[seat].tasks[number - 1]

    def final_model(self, number: int) -> Model:
        return self.result.model if number == ROUNDS else self.task(number + 1, 0).start

    def publish(self) -> None:
        for content in self.prepared.contents:
            self.store.put(content)
        self.manifest = self._sealed(KEY, "request-key", 0)
        accounts = {seat: keys.address for seat, keys in enumerate(KEYS)}
        for number in range(1, ROUNDS + 1):
            round_ref = RoundRef(DEPLOYMENT.fingerprint, REQUEST, number)
            one = RoundEvidence(number, (1 << SEATS) - 1, 0, accounts, owners=accounts)
            for seat, provider in enumerate(self.providers):
                artefact = provider.artefacts[number - 1]
                sealed = seal_local(artefact, KEY, round_ref, accounts[seat])
                one.digests[seat] = self.store.put(sealed).digest
            part = self.spec.evaluation[number - 1]
            opened = slice_key(KEYS[0], bytes.fromhex(part.sha256))
            one.slice_manifest = self._sealed(opened, "slice-key", number)
            counted, model = self.result.rounds[number - 1], self.final_model(number)
            medians = pack_scores(dict(enumerate(counted.medians)))
            one.tally = Tally(medians, counted.included, counted.valid, 0, 0, number)
            digest = self.store.put(seal_global(model, KEY, round_ref)).digest
            slice_ = cut(self.spec, dataset(99), KEYS[0])[number - 1]
            mae = family_of(self.spec).error(self.spec, model, slice_.x, slice_.y)
            one.final = Final(0, digest, mae, 0, 0, number)
            self.rounds.append(one)

    def _sealed(self, secret: bytes, kind: Any, number: int) -> bytes:
        public = {keys.address: bytes(keys.encryption_key().public_key) for keys in KEYS}
        manifest = Manifest.sealing(
            secret, public, DEPLOYMENT.fingerprint, REQUEST, kind, number, bytes(32)
        )
        return self.store.put(manifest.encode()).digest

    # ------------------------------------------------------------------ the auditor's

    @property
    def terms(self) -> Terms:
        return terms_of(self.spec, Cid.of(self.spec.encode()).digest)

    @property
    def audited(self) -> tuple[Any, Any, EmbeddedStore, AccountKeys]:
        seats = {seat: (keys.address, 60) for seat, keys in enumerate(KEYS)}
        evidence = Evidence(
            REQUEST, KEYS[0].address, 1, self.terms, seats, self.manifest, key_hash(KEY)
        )
        evidence.rounds = self.rounds
        facts = SimpleNamespace(deployment=DEPLOYMENT, key_version=lambda _: 1)
        return evidence, facts, self.store, KEYS[1]

    # ------------------------------------------------------------------ a daemon's

    def view(self, number: int, votes: dict[int, CastVote], cache: Cache) -> Any:
        """The request as a daemon sees it once the models of a round are available. `votes`: those
        that it cast itself, by round."""
        events: dict[tuple[str, int], dict[str, Any]] = {}
        for one in self.rounds:
            assert one.tally is not None
            assert one.final is not None
            board = Board(one.tally.medians, one.tally.included, 0, 0, 0)
            events["RoundTallied", one.number] = {"board": asdict(board), "blind": False}
            events["RoundFinalised", one.number] = {"digest": one.final.digest.hex()}
        cache.models[REQUEST, number] = {
            seat: audit_replay(self).history.model(number, seat) for seat in range(SEATS)
        }
        state = SimpleNamespace(vote=lambda _, round_: votes.get(round_))
        fetching = SimpleNamespace(take=lambda _, *what: self.store.get(*what))

        def found(name: str, round_: int | None = None) -> list[dict[str, Any]]:
            return [
                {"round": at, **args}
                for (kind, at), args in events.items()
                if kind == name and round_ in (None, at)
            ]

        pool = tuple(SimpleNamespace(account=keys.address, samples=60) for keys in KEYS)
        cohort: Any = Cohort(tuple(range(SEATS)), pool)  # type: ignore[arg-type]
        return SimpleNamespace(
            ctx=SimpleNamespace(cache=cache, state=state, fetching=fetching, deployment=DEPLOYMENT),
            id=REQUEST,
            round=number,
            pool=pool,
            cohort_in=lambda _: cohort,
            events=found,
            played=self,
        )


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a daemon reads of chain and store is the played request's; `provider.reading` and its
    keys are tested with whole daemons."""

    def digests(view: Any, number: int) -> dict[int, bytes]:
        return view.played.rounds[number - 1].digests

    def model(view: Any, number: int, seat: int, digest: bytes) -> Model | None:
        return audit_replay(view.played).history.model(number, seat)

    def slice_of(view: Any, number: int) -> Dataset:
        return cut(view.played.spec, dataset(99), KEYS[0])[number - 1]

    for name, found in (
        ("specification_of", lambda view: view.played.spec),
        ("counted_digests", digests),
        ("member_model", model),
        ("look_for", lambda *_: None),
        ("evaluation_slice", slice_of),
        ("request_key", lambda view: KEY),
    ):
        monkeypatch.setattr(history, name, found)


def audit_replay(played: Played) -> Replay:
    return Replay(SeatHistory(*played.audited))


@pytest.fixture(scope="module", params=["drifting", "dlmu", "fedavgm"])
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("replay")
    with drifting_known():
        prepared = prepare(draft(request.param), dataset(99), KEYS[0])
        spec = prepared.specification
        providers = [Recorded(), Recorded(), Recorded(rubbish_in=(2,))]
        seats = [Seat(seat, dataset(seat), one) for seat, one in enumerate(providers)]
        result = simulate(
            spec,
            seats,
            cut(spec, dataset(99), KEYS[0]),
            lambda who, when: SeededNoise(1000 * when + who),
        )
        assert len(result.rounds) == ROUNDS
        made = Played(prepared, providers, result, EmbeddedStore(folder))
        made.publish()
        yield made


def task_bytes(task: LocalTask) -> list[bytes]:
    correction = task.correction
    anchor = correction.anchor if correction is not None else None
    return [encode(task.start), encode(anchor) if anchor is not None else b""]


def test_the_rubbish_alone_is_left_out(played: Played) -> None:
    valid = [seats_of(one.valid) for one in played.result.rounds]
    assert valid == [[0, 1, 2], [0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2]]


def test_an_auditor_finds_the_same_starts_scores_and_models(played: Played) -> None:
    replay = audit_replay(played)
    for number in range(1, ROUNDS + 1):
        for seat in range(SEATS):
            found = replay.local_task(seat, number)
            assert task_bytes(found) == task_bytes(played.task(number, seat).local)
        assert encode(replay.global_model(number)) == encode(played.final_model(number))
        medians = played.rounds[number - 1].tally
        assert medians is not None
        assert replay.scores(number) == {s: lane(medians.medians, s) for s in range(SEATS)}


def test_an_audit_of_the_honest_request_holds(played: Played) -> None:
    evidence, _, store, _ = played.audited
    checks = learning_checks(evidence, SeatHistory(*played.audited), store)
    assert checks.models() == "14 models; 1 counted as invalid"
    assert checks.scores() == f"{ROUNDS} rounds"
    checks.aggregates()
    checks.global_errors()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_daemon_finds_the_same_starts_scores_and_models(played: Played, restarted: bool) -> None:
    votes, cache = dict[int, CastVote](), Cache()
    for number in range(1, ROUNDS + 1):
        if restarted:
            cache = Cache()
        replay = replay_of(played.view(number, votes, cache))
        for seat in range(SEATS):
            found = replay.local_task(seat, number)
            assert task_bytes(found) == task_bytes(played.task(number, seat).local)
        scoring = replay.scoring(number)
        assert len(scoring.rounds[-1].public.vectors) == [0, 4, 7, 11, 15][number - 1]
        scores, record = scoring.result()
        tally = played.rounds[number - 1].tally
        assert tally is not None
        assert scores == {seat: lane(tally.medians, seat) for seat in range(SEATS)}
        assert encode(replay.aggregate(number)) == encode(played.final_model(number))
        if not restarted:
            votes[number] = CastVote(scores, record.to_json())
            assert len(replay.scoring(number).rounds) == 1
            cache.forget(REQUEST, number - 1)


def test_a_daemon_trusts_its_own_aggregate_and_record(played: Played) -> None:
    cache = Cache()
    own = {name: values + 1 for name, values in played.final_model(1).items()}
    final = played.rounds[0].final
    assert final is not None
    cache.globals[REQUEST, 1], cache.global_digests[REQUEST, 1] = own, final.digest
    votes = {1: CastVote({0: 0}, {"0": [-0.5, 1.0, 0.0]})}
    replay = replay_of(played.view(2, votes, cache))
    assert replay.global_model(1) is own
    scoring = replay.scoring(2)
    assert (len(scoring.rounds), scoring.record.standings[0].deficit) == (1, -0.5)


def test_a_daemon_that_has_not_read_a_tally_waits(played: Played) -> None:
    view = played.view(3, {}, Cache())
    view.events = lambda *_: []
    with pytest.raises(ContentMissing, match="tally of round 2"):
        replay_of(view).history.valid(2)


def test_the_strategy_under_test_reads_start_initial_and_before() -> None:
    names = set(Drifting.remember.__code__.co_names) & set(Drifting.server.__code__.co_names)
    assert {"start", "initial", "before"} <= names

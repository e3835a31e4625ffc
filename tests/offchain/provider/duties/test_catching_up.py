"""How a member that is drawn for the first time catches up with the rounds before.

A pool of six of which three are drawn: three rounds are over, and in the fourth the account is
drawn for the first time. What the others know is a replay in memory of the same rounds.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedpact.background import Background
from fedpact.chain.records import Frame
from fedpact.consensus.artefacts import RoundRef, seal_local
from fedpact.consensus.history import InMemoryHistory
from fedpact.consensus.replay import Replay
from fedpact.content import fetching
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.keys import key_hash
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.data.dataset import Dataset
from fedpact.errors import ContentMissing, ContentSought
from fedpact.learning.aggregation.base import flatten, restore
from fedpact.learning.artefact import Model, Template, encode
from fedpact.learning.families import family_of
from fedpact.provider.context import Cache, Cohort
from fedpact.provider.duties import catching_up
from fedpact.provider.duties.catching_up import caught_up
from fedpact.provider.duties.voting import commit_vote, own_vote, round_models
from fedpact.provider.request.history import DaemonHistory, replay_of
from fedpact.provider.request.view import RequestView
from fedpact.provider.state.checkpoint import CastVote, ProviderState
from fedpact.provider.training.work import LocalWork
from fedpact.types.cid import Cid
from fedpact.types.deployment import Deployment
from fedpact.types.requests import Phase, PoolMember
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification
from tests.support.specifications import SOUND, specification
from tests.support.waiting import PATIENCE, wait_until

REQUEST, KEY, SAMPLES, VALUES = 1, bytes(range(32)), 100, 24
HERE = Deployment(31337, "0xaa", "0x1", "0x2", "0x3", 0, {})
ACCOUNTS = [f"0x{index:040x}" for index in range(1, 7)]
DRAWN = {1: (0, 1, 2), 2: (1, 2, 3), 3: (0, 2, 3), 4: (2, 3, 5)}
"""By round: pool indices in seat order. The account is the last of them."""
NEWCOMER, LAST = 5, 4


class CountingStore:
    """Counts what is read; what is withheld `hangs` until it is let go, and is then nowhere if it
    still is."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store
        self.read: Counter[Cid] = Counter()
        self.withheld: set[Cid] = set()
        self.instead: dict[Cid, bytes] = {}
        self.hangs: threading.Event | None = None

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.read[cid] += 1
        if cid in self.withheld:
            if self.hangs is not None:
                self.hangs.wait(PATIENCE)
            if cid in self.withheld:
                raise ContentMissing(f"{cid} is nowhere")
        return self.instead.get(cid) or self._store.get(cid, max_bytes)

    def another(self) -> "CountingStore":
        return self

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Played:
    """Rounds with models of noise, as they are on chain, in the store and in the others' memory."""

    spec: Specification
    store: CountingStore
    state: ProviderState
    memory: Replay
    blind: tuple[int, ...]
    cids: dict[tuple[int, int], Cid] = field(default_factory=dict)
    """Of the models, by round and pool index."""
    cache: Cache = field(default_factory=Cache)
    work: Background = field(default_factory=lambda: Background(5.0))
    fetching: Fetching | None = None

    def view(self, phase: Phase = Phase.COMMIT, passed: float = 0.1) -> RequestView:
        """As of the fourth round, for the account that is new in it."""
        self.fetching = self.fetching or Fetching(self.store, 0.5)  # type: ignore[arg-type]
        ctx: Any = SimpleNamespace(
            cache=self.cache,
            state=self.state,
            store=self.store,
            deployment=HERE,
            keys=SimpleNamespace(address=ACCOUNTS[NEWCOMER]),
            public_work=self.work,
            fetching=self.fetching,
            trainer=SimpleNamespace(work=LocalWork()),
        )
        facts: Any = SimpleNamespace(
            round=LAST,
            phase=phase,
            seed=seed(LAST),
            drawn=True,
            submitted=0b111,
            voided=0,
            reopened=False,
            slice_opened=True,
            deadline=1_000,
        )
        record: Any = SimpleNamespace(requester="0xr")
        view = RequestView(ctx, Frame(9, "0xb9", 900 + int(100 * passed)), REQUEST, record, facts)
        window = dict.fromkeys(("submit_window", "commit_window", "attest_window"), 100)
        view.__dict__["terms"] = SimpleNamespace(cohort=3, **window)
        return view

    def vote(self, **at: Any) -> CastVote | None:
        """What it votes in the end; None where it still waits after seconds."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = own_vote(self.view(**at))
            if found is not None:
                return found
        return None


def seed(number: int) -> bytes:
    return bytes([number]) * 32


def model_of(spec: Specification, number: int, index: int, start: Model) -> Model:
    """Training that is mostly noise, as under `sound`."""
    drawn = np.random.default_rng([number, index]).normal(size=flatten(start).size)
    return restore(flatten(start) + drawn * 2.0 / SAMPLES, Template.of(start))


def part(number: int) -> Dataset:
    drawn = np.random.default_rng(100 + number)
    y = np.arange(30) % 3
    x = drawn.normal(size=(30, VALUES)) + 2.0 * np.eye(3, VALUES)[y]
    return Dataset(x.astype(np.float32), y, ())


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    opened: list[Played] = []

    def played(blind: tuple[int, ...] = (), **changes: Any) -> Played:
        shape = {"features": {"shape": [VALUES]}, "rounds": LAST, "privacy": SOUND}
        store = CountingStore(EmbeddedStore(tmp_path / "content"))
        state = ProviderState(tmp_path / "state.sqlite", HERE, ACCOUNTS[NEWCOMER])
        spec = specification(**{**shape, **changes})
        initial = family_of(spec).initial(spec, 0)
        first = str(store._store.put(encode(initial)))
        spec = specification(**{**shape, **changes}, initial_model=first)
        history = InMemoryHistory(spec, initial, dict.fromkeys(range(6), SAMPLES))
        found = Played(spec, store, state, Replay(history), blind)
        opened.append(found)
        _play(found, history)
        return found

    yield played
    for one in opened:
        one.work.close()
        one.state.close()
        assert one.fetching is None or one.fetching.close() is None


def _play(played: Played, history: InMemoryHistory) -> None:
    """Rounds one to three, and the submissions of the fourth."""
    spec, cache, replay = played.spec, played.cache, played.memory
    reference = {"keyHash": key_hash(KEY), "manifest": bytes(32)}
    events: list[tuple[str, dict[str, Any]]] = [
        ("RequestCreated", {"request": REQUEST}),
        ("Started", {"request": REQUEST, "start": reference}),
    ]
    for number, indices in DRAWN.items():
        start = replay.global_model(number - 1)
        models = {index: model_of(spec, number, index, start) for index in indices}
        digests = []
        for index, model in models.items():
            place = RoundRef(HERE.fingerprint, REQUEST, number)
            sealed = seal_local(encode(model), KEY, place, ACCOUNTS[index])
            played.cids[number, index] = played.store._store.put(sealed)
            digests.append(played.cids[number, index].digest)
        history.models[number], history.slices[number] = dict(models), part(number)
        cache.slices[REQUEST, number] = part(number)
        cache.cohorts.setdefault(REQUEST, {})[seed(number)] = Cohort(
            indices, tuple(PoolMember(ACCOUNTS[one], one, SAMPLES, 0, 0) for one in indices)
        )
        of = {"request": REQUEST, "round": number}
        events.append(("RoundOpened", {**of, "seed": seed(number)}))
        events.append(("ModelsSubmitted", {**of, "mask": 0b111, "digests": digests}))
        if number == LAST:
            continue
        full = sum(1 << index for index in indices)
        history.masks[number] = full, full
        scores = replay.scores(number)
        if number in played.blind:  # the record goes on as if the round had not been
            replay._scored[number] = {}, replay.record(number - 1)  # type: ignore[assignment]
        assert INVALID not in scores.values()
        board = {"medians": 0, "included": 0b111, "eligible": 0b111, "points": 0, "faults": 0}
        events.append(("RoundTallied", {**of, "board": board, "blind": number in played.blind}))
        events.append(("RoundFinalised", {**of, "digest": seed(90 + number)}))
        cache.globals[REQUEST, number] = replay.global_model(number)
        cache.global_digests[REQUEST, number] = seed(90 + number)
    cache.globals[REQUEST, 0] = history.initial
    cache.specifications[REQUEST] = spec
    cache.request_keys[REQUEST] = KEY
    cache.pools[REQUEST] = tuple(
        PoolMember(one, at, SAMPLES, 0, at + 1) for at, one in enumerate(ACCOUNTS)
    )
    played.state.ingest(
        [(at, 0, name, args) for at, (name, args) in enumerate(events)], len(events), "0xb0"
    )


def seats(scores: dict[int, int]) -> dict[int, int]:
    """Scores by pool index, as a vote of the newcomer has them."""
    return {DRAWN[LAST].index(index): one for index, one in scores.items() if index != NEWCOMER}


def test_a_newcomer_votes_as_those_who_were_there(play: Play) -> None:
    played = play()
    vote = played.vote()
    assert vote is not None
    assert vote.scores == seats(played.memory.scores(LAST))
    assert vote.record == played.memory.record(LAST).to_json()  # type: ignore[union-attr]


def test_each_model_of_earlier_rounds_is_read_once(play: Play) -> None:
    played = play()
    assert played.vote() is not None
    assert {played.store.read[cid] for cid in played.cids.values()} == {1}


def test_a_garbage_model_is_read_once(play: Play) -> None:
    """It was read again in each cycle: any member of a round could have all that are drawn later
    load its largest files for as long as they wait for something else."""
    played = play()
    garbage, missing = played.cids[1, 0], played.cids[1, 1]
    played.store.instead[garbage] = b"garbage"
    played.store.withheld.add(missing)

    def again() -> bool:
        assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
        return played.store.read[missing] > 2

    wait_until(again, "what is missing was not looked for again")
    assert played.store.read[garbage] == 1


def test_a_withheld_model_of_an_earlier_round_stops_no_vote(play: Play) -> None:
    played = play()
    played.store.withheld.add(played.cids[1, 0])
    vote = played.vote()
    assert vote is not None
    assert set(vote.scores) == {0, 1}


def test_a_model_that_a_blind_round_left_behind_stops_no_vote(play: Play) -> None:
    played = play(blind=(2,))
    honest = seats(played.memory.scores(LAST))
    played.store.withheld.add(played.cids[2, 1])
    vote = played.vote()
    assert vote is not None
    assert set(vote.scores) == set(honest)


def test_a_member_whose_starts_follow_from_a_withheld_model_harms_itself_alone(play: Play) -> None:
    played = play(strategy={"name": "dlmu"})
    played.store.withheld.add(played.cids[1, 2])
    assert played.vote() is not None


def test_a_withheld_model_is_looked_for_beside_the_training(play: Play) -> None:
    """And given up after a part of it, so that the other rounds are scored in time."""
    played = play()
    played.store.withheld.add(played.cids[1, 0])
    assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
    assert not played.cache.records
    while not caught_up(played.view(Phase.SUBMIT, 0.5), voting=False):
        pass
    assert set(played.cache.records) == {(REQUEST, number) for number in (1, 2, 3)}


def test_a_model_that_came_meanwhile_is_not_given_up_with_one_that_did_not(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    """Both were missing at the first look; the answer for the second was kept, and taken later."""
    played = play()
    missing, late = played.cids[1, 0], played.cids[1, 1]
    played.store.withheld.update({missing, late})
    assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
    played.store.withheld.remove(late)
    while not caught_up(played.view(Phase.SUBMIT, 0.5), voting=False):
        pass
    assert "round 1 without the model of member 0" in caplog.text
    assert "member 1" not in caplog.text


def test_a_model_that_was_nowhere_before_it_was_needed_is_looked_for_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure of a search that began rounds ahead was kept, and the vote left the model out
    for good, unlike the votes of all others."""
    monkeypatch.setattr(fetching, "FRESH_SECONDS", 0.0)
    played = play()
    first, ahead = played.cids[1, 0], played.cids[3, 0]
    played.store.withheld.update({first, ahead})

    def failed() -> bool:
        assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
        assert played.fetching is not None
        return played.fetching._searches[REQUEST, ahead].failed is not None

    wait_until(failed, "it is not looked for ahead")
    played.store.withheld.clear()
    vote = played.vote()
    assert vote is not None
    assert vote.scores == seats(played.memory.scores(LAST))
    assert vote.record == played.memory.record(LAST).to_json()  # type: ignore[union-attr]


def test_no_cycle_waits_for_an_earlier_model(play: Play) -> None:
    """An IPFS node says nothing for half a minute before it gives up."""
    played = play()
    played.store.withheld.update({played.cids[1, 0], played.cids[1, 1]})
    played.store.hangs = threading.Event()
    began = time.monotonic()
    assert own_vote(played.view()) is None
    assert time.monotonic() - began < PATIENCE
    played.store.hangs.set()
    assert played.vote() is not None


def test_models_that_have_come_are_kept_while_another_is_looked_for(play: Play) -> None:
    """Those that had come were dropped with the first one that had not, and read again."""
    played = play()
    late = played.cids[1, 1]
    played.store.withheld.add(late)
    played.store.hangs = threading.Event()
    history = DaemonHistory(played.view())
    first = [played.cids[1, index] for index in (0, 1, 2)]
    for _ in range(2):
        with pytest.raises(ContentSought):
            history.published(1)
        wait_until(lambda: [played.store.read[one] for one in first] == [1, 1, 1])
    played.store.withheld.clear()
    played.store.hangs.set()

    def come() -> bool:
        with suppress(ContentSought):
            return set(history.published(1)) == {0, 1, 2}
        return False

    wait_until(come, "it is not looked for again")
    assert [played.store.read[played.cids[1, index]] for index in (0, 2)] == [1, 1]


def test_a_model_that_is_being_looked_for_is_not_given_up(play: Play) -> None:
    """A daemon that was started anew late in the window left out every earlier model that did not
    come within a tenth of a second, and voted otherwise than all others."""
    played = play()
    held = {played.cids[1, 0], played.cids[2, 1]}
    played.store.withheld.update(held)
    played.store.hangs = threading.Event()
    for _ in range(3):
        assert own_vote(played.view(passed=0.8)) is None
    played.store.withheld.clear()
    played.store.hangs.set()
    vote = played.vote(passed=0.85)
    assert vote is not None
    assert vote.scores == seats(played.memory.scores(LAST))


def test_models_are_read_before_the_slice_opens(play: Play) -> None:
    """They were looked for only then, which took a part of the window of those who vote."""
    played = play()
    view = played.view()
    view.facts.slice_opened = False
    view.__dict__["own_seat"] = DRAWN[LAST].index(NEWCOMER)
    view.facts.acted = 0
    spec, here = played.spec, str(played.cids[1, 0])
    parts = tuple(one.model_copy(update={"cid": here}) for one in spec.evaluation)
    played.cache.specifications[REQUEST] = spec.model_copy(update={"evaluation": parts})
    del played.cache.slices[REQUEST, LAST]

    def read() -> bool:
        assert not commit_vote(view).acted
        return set(played.cache.models[REQUEST, LAST]) == set(DRAWN[LAST])

    wait_until(read, "they are not read")


def test_who_signs_late_in_the_window_may_still_publish(play: Play) -> None:
    """Once three quarters of the submit window were over, a model counted as missing in the moment
    in which the last member signed."""
    played = play()
    late = played.cids[LAST, 2]
    played.store.withheld.add(late)
    digests = {seat: played.cids[LAST, index].digest for seat, index in enumerate(DRAWN[LAST])}
    played.cache.offered[REQUEST, LAST] = digests

    def others_read() -> bool:
        assert round_models(played.view(Phase.SUBMIT, 0.8)) is None
        return set(played.cache.models[REQUEST, LAST]) == {3, NEWCOMER}

    wait_until(others_read, "the others are not read")
    assert round_models(played.view(Phase.SUBMIT, 0.85)) is None
    models = round_models(played.view(Phase.SUBMIT, 0.92))
    assert models is not None
    assert [index for index, one in models.items() if one is None] == [2]


def test_a_model_that_came_after_the_vote_is_in_the_aggregate(play: Play) -> None:
    """Whoever had voted without it, and nobody else, could not attest."""
    played = play()
    late = played.cids[LAST, 2]
    played.store.withheld.add(late)
    vote = played.vote(passed=0.8)
    assert vote is not None
    assert vote.scores[DRAWN[LAST].index(2)] == INVALID
    played.store.withheld.clear()

    def come() -> bool:
        models = round_models(played.view(Phase.ATTEST, 0.1))
        assert models is not None  # one that is nowhere holds up no aggregate without it
        return models[2] is not None

    wait_until(come, "it is not looked for again")


def test_later_rounds_are_looked_for_while_an_earlier_one_holds_up(play: Play) -> None:
    """They were looked for one after the other, and each took as long as the store."""
    played = play()
    played.store.withheld.add(played.cids[1, 0])
    played.store.hangs = threading.Event()
    assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
    expected = {cid: 1 for (number, _), cid in played.cids.items() if number < LAST}
    wait_until(lambda: played.store.read == expected, "they are not looked for")
    played.store.withheld.clear()
    played.store.hangs.set()
    assert played.vote() is not None
    assert played.store.read == dict.fromkeys(played.cids.values(), 1)


def test_a_slice_that_was_never_opened_is_not_looked_for(play: Play) -> None:
    """It was, for each blind round: up to 64 MiB that nobody can open."""
    played = play(blind=(2,))
    cids = {number: played.store._store.put(b"slice %d" % number) for number in DRAWN}
    parts = [
        one.model_copy(update={"cid": str(cids[number])})
        for number, one in enumerate(played.spec.evaluation, start=1)
    ]
    changed = played.spec.model_copy(update={"evaluation": tuple(parts)})
    played.cache.specifications[REQUEST] = changed
    for number in (2, 3):
        del played.cache.slices[REQUEST, number]
    played.cache.sealed[REQUEST, 3] = b"sealed key"
    played.store.withheld.add(played.cids[1, 0])
    played.store.hangs = threading.Event()
    assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
    wait_until(lambda: played.store.read[cids[3]] == 1, "the opened slice is not looked for")
    assert cids[2] not in played.store.read
    played.store.hangs.set()


@pytest.mark.parametrize(("spare", "ahead"), [(0, {2, 3}), (-1, {2})])
def test_no_round_is_looked_for_ahead_beyond_the_limit_of_bytes(
    play: Play, monkeypatch: pytest.MonkeyPatch, spare: int, ahead: set[int]
) -> None:
    """The limit was looked at once the round had been begun."""
    played = play()
    history = DaemonHistory(played.view())
    most = sum(history.bytes_to_read(number) for number in (2, 3)) + spare
    monkeypatch.setattr(catching_up, "AHEAD_BYTES", most)
    begun: list[int] = []
    monkeypatch.setattr(DaemonHistory, "look_for", lambda _, number: begun.append(number))
    played.store.withheld.add(played.cids[1, 0])
    assert not caught_up(played.view(Phase.SUBMIT, 0.1), voting=False)
    assert set(begun) == {1, *ahead}


def test_where_a_score_is_of_its_round_alone_nothing_is_caught_up_with(play: Play) -> None:
    played = play(score="model")
    assert replay_of(played.view()).first_unscored(LAST) == LAST
    vote = played.vote()
    assert vote is not None
    assert vote.scores == seats(played.memory.scores(LAST))


def test_those_who_judge_a_model_keep_it_for_those_who_are_drawn_later(
    play: Play, tmp_path: Path
) -> None:
    played = play()
    below, register = played.store._store, PinRegister(tmp_path / "pins.sqlite")
    kept = KeptStore(below, register, EmbeddedStore(tmp_path / "copies"), HERE.fingerprint)
    played.fetching = Fetching(kept, 0.5)
    with keeping_for(REQUEST):
        assert played.vote() is not None
    for cid in played.cids.values():
        below.unpin(cid)
    below.collect_garbage()
    present = {at for at, cid in played.cids.items() if kept_by(kept, cid)}
    assert present == {(LAST, index) for index in DRAWN[LAST]}
    kept.give_again(kept.next_owed(0))
    assert all(below.has(played.cids[at]) for at in present)
    register.close()


def kept_by(store: KeptStore, cid: Cid) -> bool:
    try:
        return bool(store.get(cid, 2**20))
    except ContentMissing:
        return False


def test_a_late_model_of_this_round_holds_up_no_cycle(play: Play) -> None:
    """It was read in the cycle itself once the window was nearly over, one after the other."""
    played = play()
    played.store.withheld.update({played.cids[LAST, 2], played.cids[LAST, 3]})
    played.store.hangs = threading.Event()
    began = time.monotonic()
    assert own_vote(played.view(passed=0.8)) is None
    assert time.monotonic() - began < PATIENCE
    late = [played.cids[LAST, index] for index in (2, 3)]
    wait_until(lambda: [played.store.read[one] for one in late] == [1, 1])  # beside each other
    vote = played.vote(passed=0.95)
    assert vote is not None
    assert vote.scores == {0: INVALID, 1: INVALID}
    played.store.hangs.set()

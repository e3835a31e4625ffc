"""What daemons do before they join."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import MOST, Fetching
from fedpact.data.dataset import Dataset
from fedpact.errors import (
    BudgetExceeded,
    ContentMismatch,
    ContentMissing,
    PolicyRefusal,
    SpecificationError,
    TrainingFailed,
)
from fedpact.provider.context import Cache
from fedpact.provider.data_sets import OwnData
from fedpact.provider.duties import deciding, opting_in
from fedpact.provider.duties.deciding import DEVICE_TRIES, ready_to_join
from fedpact.provider.duties.declining import public_reason
from fedpact.provider.policy import Policy
from fedpact.provider.training.work import LocalWork
from fedpact.provider.training.worker_pool import WorkerPool
from fedpact.provider.trials import Trials
from fedpact.types.cid import Cid
from fedpact.types.decline_reason import Reason
from fedpact.types.requests import ETHER
from fedpact.types.schema import DataSchema
from tests.offchain.provider.test_policy import specification
from tests.support.waiting import PATIENCE, wait_until

NOWHERE = Cid.of(b"nowhere")


class Patient(EmbeddedStore):
    """Like an IPFS node: it looks for what it lacks for as long as `looks` is not set."""

    looks = Event()

    def another(self) -> "Patient":
        return Patient(self._folder)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        try:
            return super().get(cid, max_bytes)
        except ContentMissing:
            self.looks.wait(PATIENCE)
            raise


@pytest.fixture
def fetching(tmp_path: Path) -> Iterator[Fetching]:
    Patient.looks.clear()
    found = Fetching(Patient(tmp_path))
    yield found
    Patient.looks.set()
    found.close()


def test_what_nobody_has_delays_nothing_that_is_there(fetching: Fetching, tmp_path: Path) -> None:
    """Anybody can name such content in a request: each cycle waited half a minute for it."""
    cid = Patient(tmp_path).put(b"here")
    assert fetching.take(1, NOWHERE, 10) is None
    assert fetching.take(2, cid, 10) == b"here"
    assert fetching.take(1, NOWHERE, 10) is None
    Patient.looks.set()

    def missing() -> bool:
        try:
            return fetching.take(1, NOWHERE, 10) is not None
        except ContentMissing:
            return True

    wait_until(missing, "it was not told that the content is missing")
    Patient(tmp_path).put(b"nowhere")
    wait_until(lambda: fetching.take(1, NOWHERE, 10) == b"nowhere", "what came later was not found")


def test_others_that_are_looked_for_delay_no_more_than_each_other(fetching: Fetching) -> None:
    for number in range(2 * MOST):
        assert fetching.take(number, Cid.of(b"%d" % number), 10) is None
    fetching.close()  # does not wait for them


def test_what_a_family_builds_on_is_fetched_and_tried_beside_the_cycle(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying a network takes minutes; no other request may wait for that."""
    obtained: list[Any] = []
    may_go_on = Event()

    def obtain(spec: Any, store: Any) -> None:
        may_go_on.wait(PATIENCE)
        obtained.append((spec, type(store)))

    monkeypatch.setattr(deciding, "family_of", lambda _: SimpleNamespace(obtain=obtain))
    monkeypatch.setattr(deciding, "match_to_join", lambda *given: 7)
    ctx: Any = SimpleNamespace(
        fetching=fetching,
        deployment=SimpleNamespace(fingerprint=b"\1"),
        trainer=SimpleNamespace(work=LocalWork()),
        cache=Cache(),
    )
    spec: Any = "specification"
    assert ready_to_join(ctx, spec, 1, "0x01", 3) is None
    may_go_on.set()
    wait_until(lambda: ready_to_join(ctx, spec, 1, "0x01", 3) == 7, "it was not obtained")
    assert obtained == [(spec, Patient)]


NETWORK = {
    "features": {"shape": [8, 8]},
    "family": {
        "name": "cnn",
        "parameters": {"form": "mnist", "channels": [2], "hidden": [4]},
    },
}


def joining_with(fetching: Fetching, trainer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A daemon's parts where nothing but the device stands in the way of joining."""
    monkeypatch.setattr(deciding, "match_to_join", lambda *given: 7)
    return SimpleNamespace(
        fetching=fetching,
        deployment=SimpleNamespace(fingerprint=b"\1"),
        trainer=trainer,
        trials=Trials(0.1, 3, str),
        policy=Policy(),
        cache=Cache(),
    )


def test_a_sound_request_is_declined_where_the_device_does_not_keep_its_privacy(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device `meta`, which computes nothing, stands in for a GPU: torch has no other here."""
    pool = WorkerPool(LocalWork("meta"), Policy())
    ctx = joining_with(fetching, pool, monkeypatch)
    refused: list[PolicyRefusal] = []

    def is_refused() -> bool:
        try:
            assert ready_to_join(ctx, specification(**NETWORK), 1, "0x01", 3) is None
        except PolicyRefusal as refusal:
            refused.append(refusal)
        return bool(refused)

    try:
        wait_until(is_refused, "it was not refused")
        said = "device meta: privacy mode sound is not served there with family cnn: it could not"
        assert str(refused[0]).startswith(said)
        assert public_reason(refused[0]) is Reason.PRIVACY
        openly = specification(**NETWORK, privacy={"mode": "none"})
        wait_until(lambda: ready_to_join(ctx, openly, 1, "0x01", 4) == 7, "it was not joined")
        softmax = specification()
        wait_until(lambda: ready_to_join(ctx, softmax, 1, "0x01", 5) == 7, "it was not joined")
    finally:
        ctx.trials.close()
        pool.close()


def test_many_requests_try_the_device_no_more_at_once_than_trials_may_run(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asked for a process of its own at once: forty of them filled the machine's memory."""
    go, under_way, at_once = Event(), list[object](), list[int]()

    def try_device(spec: Any) -> None:
        under_way.append(spec)
        at_once.append(len(under_way))
        go.wait(PATIENCE)
        under_way.remove(spec)

    device = SimpleNamespace(try_device=try_device)
    trainer = SimpleNamespace(work=LocalWork("a GPU"), training=lambda *given: nullcontext(device))
    ctx = joining_with(fetching, trainer, monkeypatch)
    joined = set[int]()

    def join() -> bool:
        for request in set(range(8)) - joined:
            if ready_to_join(ctx, specification(**NETWORK), 1, "0x01", request) == 7:
                joined.add(request)
        return len(joined) == 8

    assert not join()
    go.set()
    wait_until(join, "a request was not joined")
    assert (len(at_once), max(at_once)) == (8, 2)  # once for each request
    ctx.trials.close()


def test_a_device_that_could_not_be_tried_in_time_is_tried_again(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good requests were declined for good, and in public as bad for privacy."""
    pool = WorkerPool(LocalWork("cpu:0"), Policy())
    ctx = joining_with(fetching, pool, monkeypatch)
    recurrent = {"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 3}}
    spec = specification(features={"shape": [8]}, family=recurrent)
    late: list[TrainingFailed] = []

    def joins() -> bool:
        try:
            return ready_to_join(ctx, spec, 1, "0x01", 3) == 7
        except TrainingFailed as failure:
            late.append(failure)
            monkeypatch.setattr(deciding, "DEVICE_SECONDS", PATIENCE)
        return False

    try:
        monkeypatch.setattr(deciding, "DEVICE_SECONDS", 0.05)
        monkeypatch.setattr(deciding, "DEVICE_PAUSE", 0.0)
        wait_until(joins, "it was not joined")
        assert "its limit" in str(late[0])
    finally:
        ctx.trials.close()
        pool.close()


def test_a_device_that_cannot_be_tried_is_tried_some_times_with_pauses(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried at each look until it was too late to join, and kept others' long trials
    waiting."""
    tries, told = list[int](), list[str]()

    def dies(_: Any) -> None:
        tries.append(1)
        raise TrainingFailed("its process was killed")

    device = SimpleNamespace(try_device=dies)
    trainer = SimpleNamespace(work=LocalWork("a GPU"), training=lambda *given: nullcontext(device))
    ctx = joining_with(fetching, trainer, monkeypatch)

    def look() -> None:
        try:
            assert ready_to_join(ctx, specification(**NETWORK), 1, "0x01", 3) is None
        except TrainingFailed as failure:
            told.append(str(failure))
        except PolicyRefusal as refusal:
            told.append(f"{public_reason(refusal)}: {refusal}")

    def told_of(number: int) -> bool:
        look()
        return len(told) == number

    said = "device a GPU could not be tried: its process was killed (attempt"
    wait_until(lambda: told_of(1))
    for _ in range(5):
        look()
    assert (told, len(tries)) == ([f"{said} 1 of 3); it is tried again"], 1)
    monkeypatch.setattr(deciding, "DEVICE_PAUSE", 0.0)
    wait_until(lambda: told_of(3))
    assert told[1:] == [f"{said} 2 of 3); it is tried again", f"policy: size: {said} 3 of 3)"]
    look()  # declining failed, as where the ledger is locked
    assert (told[3], len(tries)) == (told[2], DEVICE_TRIES)
    ctx.trials.close()


def test_what_is_said_of_a_refusal_never_follows_from_records() -> None:
    """A mode without privacy is served once the records are read; what they decide is not said."""
    spec = specification(privacy={"mode": "none"})

    def asked(least: int, declared: int, records: int) -> Reason | None:
        policy = Policy(accept_without_privacy=True, min_samples=least)
        x = np.zeros((records, 4), np.float32)
        data = Dataset(x, np.zeros(records, np.int64), ())
        schema = SimpleNamespace(check=lambda _: None, units=declared)
        kept = SimpleNamespace(schema=schema, dataset=lambda *_: data, drop=lambda _: None)
        own: Any = SimpleNamespace(data=(OwnData("", cast("Any", kept), policy),))
        with pytest.raises(deciding.REFUSALS) as refused:
            deciding.match_to_join(own, spec, 10**18, "0x01", (b"\1", 1))
        return public_reason(refused.value)

    assert asked(200, 100, 300) is Reason.SAMPLES  # by what is declared, the records unread
    assert asked(200, 300, 100) is None
    assert asked(200, 300, 0) is None
    assert public_reason(BudgetExceeded("the data set's")) is Reason.BUDGET
    assert public_reason(SpecificationError("family unknown")) is Reason.REQUEST


def test_a_request_for_other_data_is_declined_by_the_schema() -> None:
    schema = DataSchema(data_id="0" * 32, category="x", units=5, kind="text", labels=("0",))
    kept: Any = SimpleNamespace(schema=schema, drop=lambda _: None)
    own: Any = SimpleNamespace(data=(OwnData("", kept, Policy()),))
    with pytest.raises(PolicyRefusal, match="the data are text") as refused:
        deciding.match_to_join(own, specification(), 10**18, "0x01", (b"\1", 1))
    assert public_reason(refused.value) is Reason.SCHEMA


def test_each_data_set_that_fits_asks_for_its_requesters_reputation() -> None:
    """One that does not fit declined in public for the requester, and told of the one that does."""
    text = DataSchema(data_id="0" * 32, category="x", units=5, kind="text", labels=("0",))
    fits = SimpleNamespace(check=lambda _: None, units=100)
    policies = (
        Policy(min_requester_reputation=5_000),
        Policy(min_requester_reputation=5_000),
        Policy(min_requester_reputation=4_000, min_samples=101),
    )

    def own(*schemas: object) -> Any:
        kept = [SimpleNamespace(schema=one, drop=lambda _: None) for one in schemas]
        given = zip("abc", kept, policies, strict=False)
        return SimpleNamespace(data=tuple(OwnData(name, cast("Any", k), p) for name, k, p in given))

    asked = (specification(), 10**18, "0x01", (b"\1", 1), ETHER, 4_500)
    said = r"a: the data are text.*; b: the requester's reputation of 4500 is .*; c: .* under 101"
    with pytest.raises(PolicyRefusal, match=said):
        deciding.match_to_join(own(text, fits, fits), *asked)
    with pytest.raises(PolicyRefusal, match="the data are text") as refused:
        deciding.match_to_join(own(text), *asked)
    assert public_reason(refused.value) is Reason.SCHEMA


def test_a_store_that_gives_other_bytes_makes_nobody_decline() -> None:
    """A damaged file or a bad gateway is no fault of the request's: it was declined for good."""

    def damaged(*_: object) -> bytes:
        raise ContentMismatch("7 bytes served as CID hash to another")

    terms = SimpleNamespace(max_pool=3, specification=bytes(32))
    ctx = SimpleNamespace(
        cache=Cache(), fetching=SimpleNamespace(take=damaged), keys=SimpleNamespace(address="0x01")
    )
    view: Any = SimpleNamespace(
        id=1,
        ctx=ctx,
        record=None,
        pool_facts=SimpleNamespace(members=0, left=0),
        terms=terms,
    )
    with pytest.raises(ContentMismatch):
        opting_in.opt_in(view)


class Together(EmbeddedStore):
    """Gives nothing before all of it is asked for."""

    asked = Barrier(3)

    def another(self) -> "Together":
        return Together(self._folder)

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.asked.wait(PATIENCE)
        return super().get(cid, max_bytes)


def test_a_slice_that_is_nowhere_keeps_no_other_in_memory(
    fetching: Fetching, tmp_path: Path
) -> None:
    """Those after the first that was missing were read, and read again when they were dropped."""
    store, cache = Patient(tmp_path), Cache()
    slices = [store.put(b"slice %d" % number) for number in range(3)]
    slices[0] = NOWHERE
    part = {"sha256": "", "examples": 1}
    cache.specifications[1] = specification(
        rounds=3, evaluation=[{"cid": str(cid), **part} for cid in slices]
    )
    view: Any = SimpleNamespace(
        ctx=SimpleNamespace(cache=cache, fetching=fetching, store=store), id=1
    )

    def kept() -> bool:
        assert opting_in._pin_slices(view) == 1
        return cache.pinned == {(1, 2), (1, 3)}

    wait_until(kept, "they are not kept")
    assert set(fetching._searches) == {(1, ("pin", NOWHERE))}


def test_slices_are_looked_for_beside_each_other_and_kept_over_several_cycles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other, each in a cycle of its own, they outlasted the window for deciding."""
    store, cache = Together(tmp_path), Cache()
    slices = [str(store.put(b"slice %d" % number)) for number in range(3)]
    part = {"sha256": "", "examples": 1}
    cache.specifications[1] = specification(
        rounds=3, evaluation=[{"cid": cid, **part} for cid in slices]
    )
    fetching = Fetching(store, 20.0)
    ctx = SimpleNamespace(cache=cache, fetching=fetching, store=store)
    view: Any = SimpleNamespace(ctx=ctx, id=1)
    assert opting_in._pin_slices(view) is None
    assert cache.pinned == {(1, 1), (1, 2), (1, 3)}
    cache.pinned.clear()
    monkeypatch.setattr(opting_in, "LONGEST_PINNING", 0.0)
    assert opting_in._pin_slices(view) == 1
    fetching.close()

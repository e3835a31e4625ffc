"""What a daemon does from time to time."""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedpact.background import Background
from fedpact.chain.records import Frame
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.content.fetching import Fetching
from fedpact.content.pin_register import PinRegister
from fedpact.content.pinning import KeptStore, keeping_for
from fedpact.content.upkeep import NO_ANSWER
from fedpact.monitor import health
from fedpact.monitor.health import Pulse
from fedpact.monitor.resources import MEASURED_FOR
from fedpact.provider import housekeeping
from fedpact.provider.files import pins_file
from fedpact.provider.housekeeping import RETRIED_AFTER, Housekeeping
from fedpact.provider.state.checkpoint import Participation
from fedpact.types.cid import Cid
from tests.support.waiting import PATIENCE, wait_until


@pytest.mark.parametrize("overdue", ["public_work", "private_work"])
def test_what_is_overdue_delays_nothing_else(overdue: str, tmp_path: Path) -> None:
    """Trainings of rounds that were over were still made, before those of the present round."""
    go, made = threading.Event(), list[str]()
    workers = {name: Background(0.0) for name in ("public_work", "private_work", "trials")}
    busy = workers[overdue]
    busy.start(lambda: go.wait(PATIENCE), due=0.0)
    busy.result("of a round that is over", lambda: lambda: made.append("late"), due=10)

    house = Housekeeping(tmp_path, 0.0, None)
    house._measured_until = house._sized_until = math.inf
    house._content_until = house._events_until = math.inf
    ctx: Any = SimpleNamespace(**workers, fetching=SimpleNamespace(tidy=lambda: None))
    house.keep(ctx, Frame(7, "0xb7", 50))

    go.set()
    busy.patience = 10.0
    busy.result("of this round", lambda: lambda: made.append("in time"), due=100)
    assert made == ["in time"]
    for one in workers.values():
        one.close()


def test_what_could_not_be_measured_is_measured_again_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failure, and the daemon was not ready for five minutes."""
    now, pulse = [1_000.0], Pulse()
    answers = dict.fromkeys(("watch_holdings", "watch_store"), "")
    asked = Counter[str]()

    def answer(name: str) -> Callable[..., str]:
        def said(*_: object) -> str:
            asked[name] += 1
            return answers[name]

        return said

    for module in (health, housekeeping):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(housekeeping, "forget_ended", lambda *_: "")
    for name in answers:
        monkeypatch.setattr(housekeeping, name, answer(name))
    house = Housekeeping(tmp_path, 0.0, None)
    house._content_until = math.inf
    worker = SimpleNamespace(forget=lambda _: None)
    ctx: Any = SimpleNamespace(
        public_work=worker,
        private_work=worker,
        trials=worker,
        fetching=SimpleNamespace(tidy=lambda: None),
        metrics=SimpleNamespace(pulse=pulse),
    )

    def pass_by(seconds: float) -> None:
        now[0] += seconds
        house.keep(ctx, Frame(9, "0xb9", 1_000))

    pass_by(0)
    answers.update(dict.fromkeys(answers, "the node does not answer"))
    pass_by(MEASURED_FOR + 1)
    answers.update(dict.fromkeys(answers, ""))
    pass_by(RETRIED_AFTER - 1)
    assert asked == dict.fromkeys(answers, 2)
    assert pulse.troubles["measuring"] == (59.0, "the node does not answer")
    pass_by(2)
    assert asked == dict.fromkeys(answers, 3)
    assert pulse.troubles["measuring"] == pulse.troubles["size"] == (0.0, "")
    pass_by(MEASURED_FOR - 1)
    assert asked == dict.fromkeys(answers, 3)


class Deaf(EmbeddedStore):
    """Says nothing to whoever asks it beside reading."""

    over = threading.Event()

    def size(self) -> int:
        self.over.wait(PATIENCE)
        return super().size()

    def has(self, cid: Cid) -> bool:
        self.over.wait(PATIENCE)
        return super().has(cid)

    def unpin(self, cid: Cid) -> None:
        self.over.wait(PATIENCE)
        super().unpin(cid)

    def another(self) -> "Deaf":
        return Deaf(self._folder)


def test_a_store_that_hangs_holds_up_no_cycle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of fifty items was asked for in the cycle, half a minute each, once a minute."""
    state, folder = tmp_path / "state", Deaf(tmp_path / "content")
    Deaf.over.clear()
    register = PinRegister(pins_file(state, "0xaa"))
    copies = EmbeddedStore(tmp_path / "copies")
    store = KeptStore(folder, register, copies, bytes(32))
    for request, data in ((1, b"of an ended request"), (2, b"owed")):
        with keeping_for(request):
            store.put(data)
    (tmp_path / "content/content" / str(Cid.of(b"owed"))).unlink()
    monkeypatch.setattr(housekeeping, "forget_ended", lambda *_: "")
    standings = [(1, Participation.FINISHED, ""), (2, Participation.JOINED, "")]
    told = list[int]()
    worker = SimpleNamespace(forget=lambda _: None)
    ctx: Any = SimpleNamespace(
        public_work=worker,
        private_work=worker,
        trials=worker,
        store=store,
        fetching=Fetching(store),
        metrics=SimpleNamespace(store_holds=told.append, pulse=Pulse()),
        state=SimpleNamespace(all_requests=lambda: standings, events=lambda *_: []),
    )
    house = Housekeeping(tmp_path, 0.0, state)
    house._measured_until = math.inf
    began = time.monotonic()
    for _ in range(5):
        house.keep(ctx, Frame(9, "0xb9", 1_000))
    assert time.monotonic() - began < PATIENCE
    assert not told
    troubles = ctx.metrics.pulse.troubles
    assert {part for part, (_, said) in troubles.items() if said == NO_ANSWER} == {
        "content",
        "size",
    }
    Deaf.over.set()

    def kept() -> bool:
        house.keep(ctx, Frame(9, "0xb9", 1_000))
        ended, owed = (folder.has(Cid.of(data)) for data in (b"of an ended request", b"owed"))
        return bool(told) and owed and not ended

    wait_until(kept, "the content is not looked after")
    wait_until(lambda: kept() and not any(said for _, said in ctx.metrics.pulse.troubles.values()))
    ctx.fetching.close()
    store.close()


def test_a_store_whose_size_cannot_be_told_is_looked_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its size raised, in each cycle, nothing that it had lost was put again."""

    class Sizeless(EmbeddedStore):
        def size(self) -> int:
            raise ValueError("no size")

        def another(self) -> "Sizeless":
            return Sizeless(self._folder)

    state, failed = tmp_path / "state", list[int]()
    content = Sizeless(tmp_path / "content")
    register = PinRegister(pins_file(state, "0xaa"))
    store = KeptStore(content, register, EmbeddedStore(tmp_path / "copies"), bytes(32))
    with keeping_for(1):
        owed = store.put(b"owed")
    content.unpin(owed)
    content.collect_garbage()
    monkeypatch.setattr(housekeeping, "forget_ended", lambda *_: "")
    worker = SimpleNamespace(forget=lambda _: None)
    ctx: Any = SimpleNamespace(
        public_work=worker,
        private_work=worker,
        trials=worker,
        store=store,
        fetching=Fetching(store),
        metrics=SimpleNamespace(
            unexpected=SimpleNamespace(inc=lambda: failed.append(1)), pulse=Pulse()
        ),
        state=SimpleNamespace(
            all_requests=lambda: [(1, Participation.JOINED, "")], events=lambda *_: []
        ),
    )
    house = Housekeeping(tmp_path, 0.0, None)
    house._measured_until = math.inf

    def given_again() -> bool:
        house.keep(ctx, Frame(9, "0xb9", 1_000))
        return content.has(owed)

    wait_until(given_again, "what was lost is not put again")
    assert failed
    wait_until(lambda: given_again() and "content" in ctx.metrics.pulse.troubles)
    troubles = ctx.metrics.pulse.troubles
    assert troubles["content"] == (0.0, "")
    assert troubles["size"][1] == "ValueError"
    ctx.fetching.close()
    store.close()

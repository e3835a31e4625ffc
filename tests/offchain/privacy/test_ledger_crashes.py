"""The ledger in processes that die at any line, and in two processes at once.

A child process does what a provider's daemon does between noise and upload (train under `sound`
with the system's noise, seal, charge, put into the store) and is ended by os._exit just before a
chosen line of that code runs; nothing is flushed or rolled back by Python. What it had published
until then is in names of files and in the store.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from fedpact.consensus import artefacts
from fedpact.consensus.artefacts import RoundRef, seal_local
from fedpact.content import embedded_store, envelope
from fedpact.content.embedded_store import EmbeddedStore
from fedpact.data.dataset import Dataset
from fedpact.learning import artefact, local_training, units
from fedpact.learning.artefact import encode
from fedpact.learning.families import family_of
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy import noise as noise_module
from fedpact.privacy.accounting import cost
from fedpact.privacy.ledger import file as ledger_file
from fedpact.privacy.ledger import ledger as ledger_module
from fedpact.privacy.ledger import report as ledger_report
from fedpact.privacy.ledger.ledger import Ledger, Payers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.privacy.noise import SystemNoise
from fedpact.privacy.releases import GaussianRelease
from fedpact.types.cid import Cid
from tests.support.specifications import SOUND, specification

KEY = b"k" * 32
UNITS = tuple(bytes([number]) * 32 for number in range(5))
SPEC = specification(privacy={**SOUND, "noise_multiplier": 6.0}, rounds=2)
EVENT = GaussianRelease.of_round(SPEC, 1)
DATA = Dataset(
    np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32), np.zeros(5, np.int64), UNITS
)
DELTA = 1e-5
PAYERS = Payers("data", "0xA", PrivacyLimit(1000.0, DELTA), PrivacyLimit(1000.0, DELTA))
ROUNDS = 2
LEDGER = (ledger_module, ledger_report, ledger_file)
MODULES = (*LEDGER, noise_module, local_training, units, artefact, artefacts, envelope)
TRACED = {__file__, embedded_store.__file__, *(module.__file__ for module in MODULES)}
ATTEMPTS = 4
"""With one ledger, one after the other."""


def release_id(round_: int) -> ReleaseId:
    return ReleaseId(sha256(b"deployment").digest(), 1, round_)


def epsilon_of(releases: int) -> float:
    return cost(EVENT.times(releases), DELTA).epsilon


def drawn(round_: int) -> bytes:
    """A sealed local model, its noise from the system."""
    start = family_of(SPEC).initial(SPEC, seed=0)
    model = train_local(
        LocalTraining(SPEC, start, DATA, noise=SystemNoise(), round_and_seat=(round_, 0))
    )
    round_ref = RoundRef(sha256(b"deployment").digest(), 1, round_)
    return seal_local(encode(model), b"r" * 32, round_ref, "0x" + "1" * 40)


def serve(folder: Path, draw: Callable[[int], bytes] = drawn) -> None:
    """What a daemon does with its ledger: train, release, submit what it got back, publish it."""
    with Ledger(folder / "privacy.sqlite", KEY) as ledger:
        store = EmbeddedStore(folder / "store")
        for round_ in range(1, ROUNDS + 1):
            noised = ledger.stored(release_id(round_))
            if noised is None:
                ledger.begin(release_id(round_), UNITS, EVENT, PAYERS)
                noised = ledger.keep(release_id(round_), draw(round_), at=round_)
            ledger.publishing(release_id(round_))
            (folder / f"published-{round_}-{os.getpid()}-{sha256(noised).hexdigest()}").touch()
            store.put(noised)


def start(action: Callable[[], None]) -> int:
    """Run in a forked process; its process id. Exit status 70 says that it raised."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return child


def status_of(child: int) -> int:
    """Wait for a child; its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_before_line(number: int, action: Callable[[], None]) -> Callable[[], None]:
    """Run `action` in a process that ends before traced line `number`, with exit code 71."""
    seen = 0

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in TRACED:
            return None
        if kind == "line":
            seen += 1
            if seen == number:
                os._exit(71)
        return trace

    def run() -> None:
        sys.settrace(trace)
        action()
        sys.settrace(None)

    return run


def published(folder: Path) -> dict[int, list[str]]:
    """By round, the digest of what each process published.

    Read from the names of empty files: a kill between two pages cuts a write short, but not a name.
    """
    found: dict[int, list[str]] = {}
    for path in sorted(folder.glob("published-*")):
        _, round_, _, digest = path.name.split("-")
        found.setdefault(int(round_), []).append(digest)
    return found


def check(folder: Path, at: str) -> None:
    """No release has two draws, and no less is charged than was published."""
    seen = published(folder)
    with Ledger(folder / "privacy.sqlite", KEY) as ledger:
        for round_, draws in seen.items():
            assert len(set(draws)) <= 1, f"{at}: two draws of round {round_}"
            kept = ledger.stored(release_id(round_))
            assert kept is not None, f"{at}: round {round_} was published and is unknown"
            assert sha256(kept).hexdigest() == draws[0], at
        charged = ledger.spent(DELTA, UNITS).epsilon
        made = len(ledger.entries())
        kept = {entry.digest for entry in ledger.entries()}
    stored = [path.read_bytes() for path in sorted((folder / "store").glob("content/*"))]
    assert {Cid.of(sealed).digest for sealed in stored} <= kept, f"{at}: stored, not charged"
    assert made >= len(seen), at
    assert charged == pytest.approx(epsilon_of(made) if made else 0.0), at


def lines_of_a_run(folder: Path) -> int:
    """How many traced lines a run without a crash takes."""
    count = 0

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        nonlocal count
        count += kind == "line"
        return trace if frame.f_code.co_filename in TRACED else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        serve(folder)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "crashes", [25, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_a_crash_at_any_line_never_draws_twice_or_undercharges(
    tmp_path: Path, crashes: int
) -> None:
    lines = lines_of_a_run(tmp_path)
    generator = random.Random(os.environ.get("FEDPACT_CRASH_SEED", "7"))
    died, trial = 0, 0
    while died < crashes:
        trial += 1
        folder = tmp_path / str(trial)
        folder.mkdir()
        for attempt in range(ATTEMPTS):
            number = generator.randrange(1, lines)
            status = status_of(start(die_before_line(number, partial(serve, folder))))
            assert status in (0, 71)
            died += status == 71
            check(folder, f"trial {trial}, attempt {attempt}, line event {number}")
        serve(folder)
        check(folder, f"trial {trial}, at the end")
        assert len(published(folder)) == ROUNDS
        shutil.rmtree(folder)
    assert died > trial * ATTEMPTS * 0.4, "the crash points were hardly reached"


def test_a_kill_at_any_time_never_draws_twice_or_undercharges(tmp_path: Path) -> None:
    generator = random.Random(11)
    for trial in range(12):
        child = start(partial(serve, tmp_path))
        time.sleep(generator.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        assert status_of(child) in (0, -signal.SIGKILL)
        check(tmp_path, f"kill {trial}")


def test_two_processes_at_once_publish_one_draw_and_charge_it_once(tmp_path: Path) -> None:
    def draw(_: int) -> bytes:
        """Returns once both processes are drawing: both found nothing stored."""
        (tmp_path / f"drawing-{os.getpid()}").touch()
        while len(list(tmp_path.glob("drawing-*"))) < 2:
            time.sleep(0.001)
        return os.urandom(40)

    children = [start(partial(serve, tmp_path, draw)) for _ in range(2)]
    assert [status_of(child) for child in children] == [0, 0]
    check(tmp_path, "at the end")
    assert [len(draws) for draws in published(tmp_path).values()] == [2] * ROUNDS


def test_two_concurrent_processes_are_both_charged_for_their_releases(tmp_path: Path) -> None:
    def serve_request(request: int) -> None:
        with Ledger(tmp_path / "privacy.sqlite", KEY) as ledger:
            for round_ in range(10):
                release_id = ReleaseId(sha256(b"deployment").digest(), request, round_)
                ledger.release(release_id, UNITS[request:], EVENT, b"noised")

    children = [start(partial(serve_request, request)) for request in (0, 1)]
    assert [status_of(child) for child in children] == [0, 0]
    with Ledger(tmp_path / "privacy.sqlite", KEY) as ledger:
        assert ledger.spent(DELTA, UNITS[1:]).epsilon == pytest.approx(epsilon_of(20))
        assert ledger.spent(DELTA, UNITS[:1]).epsilon >= epsilon_of(10) * (1 - 1e-9)

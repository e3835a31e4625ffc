"""Training in a process of its own: limits, failures, and what becomes of the release then."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedpact.errors import NotReady, TrainingFailed
from fedpact.learning.artefact import decode
from fedpact.learning.families import family_of
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.duties.training import PlannedRelease
from fedpact.provider.policy import Policy
from fedpact.provider.training.worker_pool import WorkerPool
from tests.offchain.provider.duties.test_training import RELEASE, own_side, planned, released
from tests.support.held_provider import GREEDY, HANGS, HELD, KILLED, PRIVATE, RAISES, HeldWork
from tests.support.waiting import PATIENCE, wait_until


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    found = WorkerPool(HeldWork(tmp_path), Policy(max_training_memory_mb=512))
    yield found
    found.close()


def titled(title: str, release: ReleaseId = RELEASE) -> PlannedRelease:
    made = planned()
    spec = made.task.spec.model_copy(update={"title": title})
    return replace(made, id=release, task=replace(made.task, spec=spec, round=release.round))


def trainings(folder: Path) -> set[str]:
    """One file for each process that has held a training."""
    return {one.name for one in folder.glob("started-*")}


@pytest.mark.parametrize(
    ("title", "said"),
    [(GREEDY, "more memory"), (KILLED, "SIGKILL"), (RAISES, "ValueError")],
)
def test_a_training_that_fails_ends_in_one_charged_release_of_noise(
    tmp_path: Path, pool: WorkerPool, caplog: pytest.LogCaptureFixture, title: str, said: str
) -> None:
    own = own_side(tmp_path, pool)
    release = titled(title)
    sealed = released(own, release)
    model = decode(sealed, family_of(release.task.spec).template(release.task.spec))
    assert all(values.any() for values in model.values())
    (entry,) = own.ledger.entries()
    assert (entry.id, entry.units, entry.kept) == (RELEASE, 9, True)
    assert own.ledger.stored(RELEASE) == sealed
    assert caplog.text.count("submitting noise alone") == 1
    assert said in caplog.text
    assert PRIVATE not in caplog.text


def test_a_training_that_hangs_is_killed(tmp_path: Path, pool: WorkerPool) -> None:
    release, source = titled(HANGS), own_side(tmp_path, pool).data[0].records.source("1")
    with pool.training("1", math.inf) as training:
        loaded = training.load(source, release.task.spec, former=False)
    with pool.training("1", time.monotonic() + 0.5) as training:
        with pytest.raises(TrainingFailed, match="its limit"):
            training.train(release.task, loaded.units, release.samples)
        with pytest.raises(TrainingFailed, match="no time left"):
            training.noise_alone(release.task, release.samples)


def test_no_training_waits_for_another_and_none_outlives_the_daemon(
    tmp_path: Path, pool: WorkerPool
) -> None:
    own = own_side(tmp_path, pool)
    stopped: list[str] = []

    def train() -> None:
        try:
            released(own, titled(HELD))
        except NotReady as error:
            stopped.append(str(error))

    held = threading.Thread(target=train)
    held.start()
    wait_until(lambda: trainings(tmp_path), "no training began")
    other = RELEASE._replace(request=2)
    released(own, titled("light", other))
    assert held.is_alive()
    pool.close()
    held.join(PATIENCE)
    assert stopped == ["the daemon is stopping"]
    # Charged, and without bytes: nothing was published in its place. It is made after a restart.
    assert own.ledger.stored(RELEASE) is None
    (tmp_path / "open").touch()
    again = WorkerPool(HeldWork(tmp_path), Policy())
    released(own_side(tmp_path, again), titled(HELD))
    again.close()
    assert [(one.units, one.kept) for one in own.ledger.entries()] == [(9, True)] * 2


def test_a_process_serves_the_rounds_of_one_request(tmp_path: Path, pool: WorkerPool) -> None:
    (tmp_path / "open").touch()
    own = own_side(tmp_path, pool)
    for number in (1, 2):
        released(own, titled(HELD, RELEASE._replace(round=number)))
    assert len(trainings(tmp_path)) == 1
    released(own, titled(HELD, RELEASE._replace(request=2)))
    assert len(trainings(tmp_path)) == 2


def test_records_that_cannot_be_loaded_end_in_noise(
    tmp_path: Path, pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    own = own_side(tmp_path, pool)
    release = titled("damaged")
    own.data[0].records.source(f"{bytes(8).hex()}-1").snapshot.write_bytes(b"no archive")
    released(own, release)
    assert [entry.units for entry in own.ledger.entries()] == [0]
    assert "the records cannot be used (DataError): submitting noise alone" in caplog.text


def test_trainings_that_begin_later_have_a_new_policys_limits(
    tmp_path: Path, pool: WorkerPool
) -> None:
    """Those of the start held until the next one, whatever the policy said."""
    release, source = titled(GREEDY), own_side(tmp_path, pool).data[0].records.source("1")

    def loaded(request: str) -> None:
        with pool.training(request, math.inf) as training:
            training.load(source, release.task.spec, former=False)

    loaded("1")
    kept = pool._waiting["1"]
    pool.go_on_with(Policy(max_training_memory_mb=640))
    loaded("1")
    assert kept.ended
    assert pool._waiting["1"].memory_mb == 640
    pool.go_on_with(Policy(max_training_memory_mb=640, max_training_seconds=1e-9))
    with pytest.raises(TrainingFailed, match=r"its limit|no time left"):
        loaded("1")

"""A round's release: always made, once, and submitted at a time that tells nothing of records."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from eth_account import Account

from fedpact.chain.keystore import AccountKeys
from fedpact.data.declared import no_examples
from fedpact.data.schema_draft import as_toml
from fedpact.errors import TrainingFailed
from fedpact.learning.artefact import decode
from fedpact.learning.families import family_of
from fedpact.learning.strategies import LocalTask
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.provider.context import Background
from fedpact.provider.data_sets import OwnData
from fedpact.provider.duties import training
from fedpact.provider.duties.training import PlannedRelease, make_release, submission_time
from fedpact.provider.own import Own
from fedpact.provider.policy import Policy
from fedpact.provider.snapshots import OwnRecords
from fedpact.provider.training.trainer import InProcess, Trainer
from fedpact.provider.training.work import LocalWork, TrainingTask
from fedpact.types.columns import ColumnSchema
from fedpact.types.schema import DataSchema, schema_file
from tests.support.specifications import SOUND, specification
from tests.support.waiting import PATIENCE, wait_until

SPEC = specification(
    labels=["a", "b"], features={"shape": [2], "columns": ["x", "y"]}, privacy=SOUND
)
SCHEMA = DataSchema(
    data_id="00" * 16,
    category="test",
    units=20,
    unit="record",
    labels=("a", "b"),
    columns=tuple(ColumnSchema(name=name, range=(0.0, 9.0)) for name in ("x", "y")),
)
RELEASE = ReleaseId(bytes(32), 1, 1)
SECRET = "9.125"


OnStep = Callable[[int, int], None] | None


class Counting(LocalWork):
    """Tells on how many examples it has trained."""

    def __init__(self) -> None:
        self.trained_on: list[int] = []

    def train(self, task: TrainingTask, on_step: OnStep = None) -> bytes:
        self.trained_on.append(len(task.dataset))
        return super().train(task, on_step)


class Failing(Counting):
    """Fails on records, as if one of them had made it fail, with a private value in the text."""

    def train(self, task: TrainingTask, on_step: OnStep = None) -> bytes:
        found = super().train(task, on_step)
        if len(task.dataset):
            raise RuntimeError(f"cannot train on {SECRET}")
        return found


def own_side(folder: Path, trainer: Trainer) -> Own:
    data = folder / "data.csv"
    data.write_text("x,y,label\n" + "".join(f"{n % 9},{SECRET},a\n" for n in range(9)))
    schema_file(data).write_text(as_toml(SCHEMA))

    def open_ledger() -> Ledger:
        return Ledger(folder / "ledger.sqlite", b"k" * 32)

    keys = AccountKeys(Account.from_key(b"\x01" * 32))
    records = OwnRecords(data, SCHEMA, folder / "features", folder / "snapshots")
    served = OwnData("", records, Policy())
    return Own(keys, Policy(), (served,), trainer, open_ledger(), open_ledger)


def planned(seal: Callable[[bytes], bytes] = lambda artefact: artefact) -> PlannedRelease:
    start = family_of(SPEC).initial(SPEC, 0)
    task = TrainingTask(SPEC, 1, start, LocalTask(start, None), no_examples(SPEC), 0, {}, 0)
    nothing: Any = None  # `release` says which data
    return PlannedRelease(RELEASE, task, nothing, "0xA", SCHEMA.units, seal, 1000)


def released(own: Own, planned: PlannedRelease) -> bytes:
    return make_release(own, replace(planned, data=own.data[0]))


def test_a_device_is_tried_before_it_trains_on_a_record_whenever_it_was_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried before joining alone: not one that was set later, while requests ran."""
    gradients, calls = torch.autograd.grad, [0]

    def changed(*given: Any, **named: Any) -> tuple[Any, ...]:
        calls[0] += 1
        return tuple(one * (1 + calls[0] * 2**-50) for one in gradients(*given, **named))

    monkeypatch.setattr(torch.autograd, "grad", changed)
    recurrent = {"name": "char-lstm", "parameters": {"embedding": 2, "hidden": 3}}
    spec = specification(**{**SPEC.model_dump(mode="json"), "family": recurrent})
    start = family_of(spec).initial(spec, 0)
    made = planned()
    task = replace(made.task, spec=spec, start=start, local=LocalTask(start, None))
    own = own_side(tmp_path, InProcess(LocalWork("cpu:0")))
    released(own, replace(made, task=task))
    assert [(one.units, one.kept) for one in own.ledger.entries()] == [(0, True)]
    said = "device cpu:0: privacy mode sound is not served there with family char-lstm: an example"
    assert said in caplog.text
    assert caplog.text.count("submitting noise alone") == 1


def test_a_training_that_raises_ends_in_one_charged_release_of_noise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = own_side(tmp_path, InProcess(Failing()))
    sealed = released(own, planned())
    model = decode(sealed, family_of(SPEC).template(SPEC))
    assert all(values.any() for values in model.values())
    assert own.trainer.work.trained_on == [9, 0]
    (entry,) = own.ledger.entries()
    assert (entry.id, entry.units, entry.kept) == (RELEASE, 9, True)
    # Whoever asks again gets the same bytes: no second draw, nothing more is charged.
    assert released(own, planned()) == sealed
    assert own.ledger.stored(RELEASE) == sealed
    assert len(own.ledger.entries()) == 1
    assert "submitting noise alone" in caplog.text
    assert SECRET not in caplog.text


def test_records_that_cannot_be_read_end_in_noise_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_side(tmp_path, InProcess(LocalWork()))
    monkeypatch.setattr(OwnRecords, "source", lambda *_: 1 / 0)
    decode(released(own, planned()), family_of(SPEC).template(SPEC))
    assert [entry.units for entry in own.ledger.entries()] == [0]


def test_whether_a_training_is_begun_and_when_it_is_ready_follows_from_its_longest_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An app's longest time is fixed. Before, one with too little left was begun and cut off, or
    not, as the records had it."""
    monkeypatch.setattr(training, "fixed_time", lambda _: 400.0)
    for number, (left, trained_on) in enumerate(((390.0, [0]), (500.0, [9]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = Counting()
        own = own_side(folder, InProcess(work))
        released(own, replace(planned(), train_by=time.monotonic() + left))
        assert work.trained_on == trained_on
        assert [entry.units for entry in own.ledger.entries()] == trained_on
        assert own.ledger.kept_at(RELEASE) == 1000 + 400
        assert caplog.text.count("no time is left for a training of up to 400 s") == 1


def test_a_training_of_no_fixed_time_that_comes_too_late_is_told_without_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log spoke of a training of up to 0 s."""
    own = own_side(tmp_path, InProcess(LocalWork()))
    released(own, replace(planned(), train_by=time.monotonic() - 1))
    assert "no time is left for training: submitting noise alone" in caplog.text
    assert [entry.units for entry in own.ledger.entries()] == [0]


def test_why_a_training_cannot_be_begun_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unstarted(LocalWork):
        def train(self, task: TrainingTask, on_step: OnStep = None) -> bytes:
            if len(task.dataset):
                raise TrainingFailed("app x: no module y")
            return super().train(task, on_step)

    released(own_side(tmp_path, InProcess(Unstarted())), planned())
    assert "the training failed (app x: no module y): submitting noise alone" in caplog.text


def test_a_failed_training_that_is_killed_before_it_is_kept_releases_once(tmp_path: Path) -> None:
    """Killed while sealing: it is charged, and has no bytes. The next start makes the only ones."""

    def die(_: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    child = os.fork()
    if child == 0:
        released(own_side(tmp_path, InProcess(Failing())), planned(die))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    own = own_side(tmp_path, InProcess(Failing()))
    assert own.ledger.stored(RELEASE) is None
    assert [entry.units for entry in own.ledger.entries()] == [9]
    sealed = released(own, planned())
    again = own_side(tmp_path, InProcess(Failing()))
    assert released(again, planned()) == sealed
    assert [entry.units for entry in again.ledger.entries()] == [9]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_training_thirty_times_as_long_submits_at_the_same_time(share: float) -> None:
    start, window = 10_000, 600
    for short in (0.2, 1.0, 1.9):
        quick, slow = (
            submission_time(start, window, share, start + int(took)) for took in (short, 30 * short)
        )
        assert quick == slow == start + share * window
    late = submission_time(start, window, 0.5, start + 301)
    assert late == start + 360 == submission_time(start, window, 0.5, start + 359)


def test_the_time_when_it_was_ready_counts_the_training(tmp_path: Path) -> None:
    class Slow(LocalWork):
        def train(
            self, task: TrainingTask, on_step: Callable[[int, int], None] | None = None
        ) -> bytes:
            time.sleep(1.1)
            return super().train(task, on_step)

    own = own_side(tmp_path, InProcess(Slow()))
    released(own, planned())
    assert own.ledger.kept_at(RELEASE) >= 1002


def test_a_cycle_never_waits_for_a_computation_whose_end_nobody_may_see() -> None:
    held = threading.Event()
    private, public = Background(patience=0.0), Background(patience=60.0)
    assert private.result("training", lambda: held.wait) is None
    # A vote of another request is computed meanwhile.
    assert public.result("score", lambda: lambda: 7) == 7
    assert private.result("training", lambda: held.wait) is None
    held.set()
    wait_until(lambda: private.result("training", lambda: held.wait), "the training did not end")
    private.close()
    public.close()


def test_what_is_due_first_begins_first() -> None:
    """A request whose window ends soon waited for the scoring of those that had asked before."""
    held, begun, public = threading.Event(), list[str](), Background(patience=0.0)

    def ask(name: str, due: float) -> str | None:
        def compute() -> str:
            begun.append(name)
            held.wait(PATIENCE)
            return name

        return public.result(name, lambda: compute, due)

    ask("running", 1_000)
    wait_until(lambda: begun == ["running"], "it did not begin")
    dues = {"late": 900.0, "over": 90.0, "soon": 100.0, "whenever": 0.0, "next": 200.0}
    for name, due in dues.items():
        assert ask(name, due) is None
    public.forget(now=95)
    held.set()
    wait_until(lambda: len(begun) == 5, "not all began")
    assert begun[1:] == ["soon", "next", "late", "whenever"]
    for name in ("soon", "next", "late", "whenever"):
        wait_until(lambda name=name: ask(name, dues[name]) == name, "it did not end")
    # One that was given up is made anew where it is asked for again.
    assert ask("over", 2_000) is None
    wait_until(lambda: begun[-1] == "over", "it did not begin again")
    public.close()


def test_no_log_line_of_a_release_holds_a_cell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own = own_side(tmp_path, InProcess(LocalWork()))
    released(own, planned())
    assert SECRET not in caplog.text
    assert np.isfinite(own.ledger.kept_at(RELEASE))

"""How long a training takes, from a slice of it on made-up examples."""

import pytest

from fedpact.learning.families import family_of
from fedpact.provider.training import time_trial
from fedpact.provider.training.time_trial import Work, made_up_examples, round_seconds
from fedpact.provider.training.work import LocalWork, TrainingTask
from tests.offchain.learning.test_families import ALL
from tests.support.specifications import SOUND, specification

CONSTRUCTED = {"family": {"name": "random-forest"}, "local": {"construction_seed": 1}}


def asked(examples: int, **fields: object) -> Work:
    spec = specification(**fields)
    return Work.of(spec, {}, examples, 1)


class Clock(LocalWork):
    """A machine of known speed: a step costs half a second, and 1/1000 s an example of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cores: float = 1.0) -> None:
        super().__init__()
        self.now, self.sizes = 0.0, list[int]()
        monkeypatch.setattr(time_trial, "ENOUGH_SECONDS", 1e9)
        monkeypatch.setattr(time_trial, "_now", lambda: (self.now, cores * self.now))

    def train(self, task: TrainingTask, on_step: object = None) -> bytes:
        self.sizes.append(len(task.dataset))
        local = task.spec.local
        steps, size = local.steps_for(len(task.dataset)), len(task.dataset)
        size = min(size, getattr(local, "batch_size", size)) * getattr(local, "sampling_rate", 1)
        self.now += 7.0  # setting up
        for step in range(1, steps + 1):
            self.now += 0.5 + size / 1000
            if callable(on_step) and not hasattr(local, "construction_seed"):
                on_step(step, steps)
        return b""


@pytest.mark.parametrize(
    ("local", "seconds"),
    [
        ({"steps": 100, "learning_rate": 1.0}, 100 * (0.5 + 40_000)),
        ({"steps": 100, "learning_rate": 1.0, "sampling_rate": 0.01}, 100 * (0.5 + 400)),
        ({"epochs": 3, "batch_size": 500, "learning_rate": 1.0}, 3 * 80_000 * 1.0),
    ],
)
def test_a_slice_tells_the_time_of_all_steps_on_all_examples(
    monkeypatch: pytest.MonkeyPatch, local: dict[str, object], seconds: float
) -> None:
    monkeypatch.setattr(time_trial, "MOST_BYTES", 2**18)
    machine = Clock(monkeypatch)
    measured = round_seconds(machine, asked(40_000_000, local=local))
    assert measured == pytest.approx(seconds, rel=1e-6)
    assert max(machine.sizes) <= 2**18 / 8


def test_a_model_made_in_one_go_is_made_from_more_and_more_examples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Clock(monkeypatch)
    measured = round_seconds(machine, asked(100_000, **CONSTRUCTED))
    assert measured == pytest.approx(7.5 + 100)
    assert machine.sizes[:3] == [64, 64, 256]


def test_what_else_the_machine_does_hardly_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"local": {"steps": 4, "learning_rate": 1.0}}
    busy = round_seconds(Clock(monkeypatch, cores=0.25), asked(100, **steps))
    assert busy == pytest.approx(0.25 * 4 * 0.6)
    assert round_seconds(Clock(monkeypatch, cores=2.0), asked(100, **steps)) == pytest.approx(2.4)


@pytest.mark.parametrize("name", ALL)
def test_every_family_takes_made_up_examples(name: str) -> None:
    spec = ALL[name]
    start = family_of(spec).initial(spec, 0)
    assert 0 < round_seconds(LocalWork(), Work.of(spec, start, 70, 1)) < 60


def test_made_up_examples_are_always_the_same() -> None:
    spec = specification(privacy=SOUND)
    one, other = made_up_examples(spec, 7, 3), made_up_examples(spec, 7, 3)
    assert (one.x.tobytes(), one.y.tobytes(), one.units) == (
        other.x.tobytes(),
        other.y.tobytes(),
        other.units,
    )
    assert (len(one), one.unit_count, len(set(one.units))) == (7, 3, 3)


def test_as_many_examples_are_expected_as_the_schema_allows() -> None:
    sound, open_ = specification(privacy=SOUND), specification()
    assert Work.of(sound, {}, 100, 7).examples == 700
    assert Work.of(open_, {}, 100, 7).examples == 100  # there the samples are examples


def test_little_work_texts_and_apps_are_not_measured() -> None:
    spec = specification(privacy=SOUND)
    start = family_of(spec).initial(spec, 0)
    assert not Work.of(spec, start, 1_000, 1).is_tried(1.0)
    assert Work.of(spec, start, 1_000_000, 1).is_tried(1.0)
    texts = specification(
        features={"kind": "text", "shape": []}, family={"name": "text-statistics"}
    )
    assert not Work.of(texts, start, 10**12, 1).is_tried(1.0)
    app = specification(local={"groups": 3, "seconds": 5})
    assert not Work.of(app, start, 10**12, 1).is_tried(1.0)

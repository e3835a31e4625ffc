"""The family of Flower's apps: what a unit may move, what fails, what is refused.

Here a function takes the place of the app's process; tests/integration/test_flower.py runs apps.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.data.dataset import Dataset
from fedpact.data.declared import no_examples
from fedpact.errors import (
    PolicyRefusal,
    PrivacyError,
    SettingsError,
    SpecificationError,
    TrainingFailed,
    UnknownFamily,
)
from fedpact.learning import packages
from fedpact.learning.artefact import Model, Template, encode
from fedpact.learning.families import family_of, flower, privacy_statement
from fedpact.learning.families.flower import FlowerFamily
from fedpact.learning.flower.jobs import AppFailed, Job, Train
from fedpact.learning.local_training import train_local
from fedpact.learning.training_inputs import LocalTraining
from fedpact.learning.update_bounds import update_norm, update_norm_bounds
from fedpact.privacy.noise import NoiseSource, SeededNoise
from fedpact.provider.policy import Policy
from fedpact.requester.draft import Draft
from fedpact.types.local_training import (
    READING_SECONDS,
    SLACK_SECONDS,
    START_SECONDS,
    LocalApp,
)
from fedpact.types.specification import Specification
from tests.support.flower_apps import NUMPY_RUN, installed

NORM = 0.5
PARAMETERS: dict[str, Any] = {
    "app": "numpyexample.client_app:app",
    "run_config": NUMPY_RUN,
    "arrays": '[["b","float64",[2]],["a","float32",[2,3]]]',
}
FIELDS: dict[str, Any] = {
    "title": "Flower",
    "category": "test",
    "labels": ["no", "yes"],
    "features": {"shape": [3]},
    "family": {"name": "flower", "parameters": PARAMETERS},
    "local": {"groups": 5, "seconds": 10},
    "privacy": {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": NORM},
    "rounds": 2,
    "min_providers": 2,
    "max_providers": 3,
    "score": "model",
    "max_error": 9000,
}
START: Model = {"a": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}


@pytest.fixture(scope="module", autouse=True)
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield installed("numpy-client", "0.1.0", tmp_path_factory.mktemp("app"), patch)
    packages.package_of_app.cache_clear()


@pytest.fixture
def spec() -> Specification:
    return Draft(FIELDS).specification


def changed(**fields: Any) -> Specification:
    return Draft({**FIELDS, **fields}).specification


class Answering:
    """In place of the app's process."""

    def __init__(self, answer: Callable[[Any], bytes]) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.by = math.inf

    def start(self) -> None:
        """It runs."""

    def ask(self, job: Job, by: float = math.inf) -> bytes:
        self.asked.append(job)
        self.by = by
        return self.answer(job)


def serve(patch: pytest.MonkeyPatch, answer: Callable[[Any], bytes]) -> Answering:
    found = Answering(answer)
    patch.setattr(flower, "host_of", lambda _: found)
    return found


class NoNoise(SeededNoise):
    """Deals units as ever, and adds nothing to the sum."""

    def add(self, values: Any, std: float) -> Any:
        return values


def data(count: int = 40) -> Dataset:
    x = np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32)
    units = tuple(bytes([unit]) * 32 for unit in range(count))
    return Dataset(x, np.arange(count) % 2, units, 40)


def released(spec: Specification, dataset: Dataset, noise: NoiseSource | None) -> Model:
    given = LocalTraining(spec, START, dataset, noise=noise, round_and_seat=(1, 0))
    return train_local(given)


def test_a_unit_moves_the_sum_by_at_most_twice_the_norm(
    spec: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = data().x[7]

    def turned(job: Train) -> bytes:
        """One record turns its group's whole update around."""
        sign = -1 if (np.abs(job.records.x - target).max(axis=1) < 1e-6).any() else 1
        return encode({name: values + np.float32(50 * sign) for name, values in job.model.items()})

    served = serve(monkeypatch, turned)
    everyone = released(spec, data(), NoNoise(3))
    groups = [len(job.records.y) for job in served.asked]
    assert sum(groups) == 40
    assert len(groups) == 5
    without = np.arange(40) != 7
    rest = data()
    less = Dataset(rest.x[without], rest.y[without], tuple(np.array(rest.units)[without]), 40)
    others = released(spec, less, NoNoise(3))
    # The other units stay in their groups: only the group of the one has another company.
    left = [len(job.records.y) for job in served.asked[5:]]
    assert sorted(np.subtract(groups, left)) == [0, 0, 0, 0, 1]
    moved = 5 * update_norm(everyone, others)
    assert 1.99 * NORM < moved <= 2 * NORM


def test_the_noise_is_of_twice_the_norm_and_updates_are_within_their_bounds(
    spec: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, lambda job: encode(job.model))
    low, high = update_norm_bounds(spec, 40, 1)
    norms = []
    for seed in range(200):
        model = released(spec, data(), SeededNoise(seed))
        norms.append(update_norm(START, model))
        assert low <= norms[-1] <= high
    multiplier = spec.privacy.noise_multiplier
    assert multiplier is not None
    expected = 2 * NORM * multiplier / 5 * np.sqrt(8)
    assert np.sqrt(np.mean(np.square(norms))) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no model",
        encode({"a": np.full((2, 3), np.nan, np.float32), "b": np.zeros(2, np.float32)}),
        encode({"a": np.full((2, 3), 1e30, np.float32), "b": np.zeros(2, np.float32)}),
        encode({"a": np.zeros((3, 2), np.float32), "b": np.zeros(2, np.float32)}),
    ],
)
def test_a_group_whose_app_fails_counts_as_zero_and_says_nothing(
    spec: Specification,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
) -> None:
    def failing(_: Train) -> bytes:
        if not answer:
            raise AppFailed("ValueError")
        return answer

    served = serve(monkeypatch, failing)
    assert update_norm(START, released(spec, data(), NoNoise(3))) == 0
    assert len(served.asked) == 5
    assert caplog.records == []
    open_ = changed(privacy={"mode": "none"})
    with pytest.raises(Exception, match=r"ValueError|model"):
        released(open_, data(), None)


def test_no_record_makes_a_training_longer_than_its_time(
    spec: Specification, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here each training ends the app's process, which takes long to start again. Before, the whole
    training was cut off then, and no group counted."""
    clock, kept = [1000.0], []

    def slow(job: Train) -> bytes:
        clock[0] += 70
        if clock[0] > served.by:
            clock[0] = served.by + 0.01
            raise AppFailed("no answer")
        kept.append(job.records)
        return encode({name: values + 1 for name, values in job.model.items()})

    monkeypatch.setattr(flower, "monotonic", lambda: clock[0])
    served = serve(monkeypatch, slow)
    model = released(spec, data(), NoNoise(3))
    assert isinstance(spec.local, LocalApp)
    longest = START_SECONDS + 5 * (10 + SLACK_SECONDS)
    assert spec.local.longest == READING_SECONDS + longest
    assert clock[0] - 1000 == pytest.approx(longest, abs=0.1)
    assert (len(kept), len(served.asked)) == (2, 4)
    assert update_norm(START, model) == pytest.approx(2 * NORM / 5, rel=1e-3)
    assert "1 of 5 groups count as zero: they missed their turn" in caplog.text


def test_an_app_that_cannot_be_started_is_told(
    spec: Specification, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It follows from no record. Before, each group counted as zero, and nothing was said."""

    def broken(*_: object) -> bytes:
        raise TrainingFailed("app x: ModuleNotFoundError: no torch")

    served = serve(monkeypatch, broken)
    released(spec, data(), NoNoise(3))
    assert caplog.text.count("ModuleNotFoundError: no torch") == 5
    monkeypatch.setattr(served, "start", broken)
    with pytest.raises(TrainingFailed, match="no torch"):
        released(spec, data(), NoNoise(3))


def test_records_that_do_not_fit_reach_no_app(
    spec: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(monkeypatch, lambda job: encode(job.model))
    odd = data()
    odd.x[3, 1], odd.y[5] = np.nan, -1
    released(spec, odd, NoNoise(3))
    assert sum(len(job.records.y) for job in served.asked) == 38
    assert all(np.isfinite(job.records.x).all() for job in served.asked)


def test_no_records_end_in_noise_and_ask_no_app(
    spec: Specification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member's training was cut off, or none of its units has any budget left."""
    served = serve(monkeypatch, lambda job: encode(job.model))
    model = released(spec, replace(no_examples(spec), declared_units=40), SeededNoise(1))
    low, high = update_norm_bounds(spec, 40, 1)
    assert low <= update_norm(START, model) <= high
    assert not served.asked


@pytest.mark.parametrize(
    ("measured", "score"),
    [
        ("0.75", 2500),
        ("1", 0),
        ("1.0000001", 0),
        ("0", 10_000),
        ("1.5", 10_000),
        ("-0.5", 10_000),
        ("NaN", 10_000),
        ("Infinity", 10_000),
        ("-Infinity", 10_000),
        ("true", 10_000),
        ("null", 10_000),
        ('"1"', 10_000),
        ("[1]", 10_000),
        pytest.param("1" + "0" * 400, 10_000, id="over the largest float"),
        pytest.param("1" + "0" * 10_000, 10_000, id="over the most digits"),
        pytest.param("[" * 50_000, 10_000, id="too deep"),
        pytest.param("", 10_000, id="empty"),
    ],
)
def test_a_measure_that_is_no_number_from_0_to_1_is_the_worst(
    spec: Specification,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    measured: str,
    score: int,
) -> None:
    """What an app's process answers is the app's: it may be wrong, or hostile."""
    serve(monkeypatch, lambda _: measured.encode())
    dataset = data()
    assert FlowerFamily().error(spec, START, dataset.x, dataset.y) == score
    assert ("counts as the worst" in caplog.text) == (score == 10_000 and measured != "0")


def test_the_statement_says_what_holds(spec: Specification) -> None:
    assert privacy_statement(spec) == (
        "sound: epsilon 4 at delta 1e-05, for all that a provider releases; each unit is in one of "
        "5 groups, and the whole update of each group is clipped: it holds only if the app learns "
        "a group's update from nothing but the round's arrays and that group's records, and leaves "
        "other processes alone; if the package numpy-client 0.1.0 trains as it says"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"score": "contribution"}, "measures a whole slice"),
        ({"metric": "auc"}, "a metric of its own"),
        ({"strategy": {"name": "fedprox"}}, "strategy fedprox, only fedavg and fedavgm"),
        ({"windows": {"submit": 374}}, r"374 s of windows\.submit are too few.*: 375"),
        ({"windows": {"commit": 274}}, r"windows\.commit .* 3 providers: 275"),
        ({"windows": {"propose": 224}}, r"windows\.propose .*: 225"),
        ({"local": {"steps": 1, "learning_rate": 1.0}}, "local needs groups and seconds"),
        ({"family": {"name": "softmax-regression"}}, "descends a gradient"),
        ({"privacy": {**FIELDS["privacy"], "adaptive_clipping": {}}}, "adaptive_clipping"),
        (
            {"privacy": {key: FIELDS["privacy"][key] for key in ("mode", "epsilon", "delta")}},
            "clip",
        ),
    ],
)
def test_what_an_app_cannot_do_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecificationError, match=said):
        changed(**fields)


def test_windows_are_by_default_long_enough_for_the_app() -> None:
    """Before, a judge with several slow models could not finish within the default of 120 s."""
    spec = changed(local={"groups": 40, "seconds": 10}, max_providers=16)
    windows = spec.windows
    assert (windows.submit, windows.commit, windows.propose) == (1250, 600, 225)
    assert windows.join == 600
    assert changed(windows={"submit": 5000}).windows.submit == 5000


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"arrays": '[["0","uint8",[100]]]'}, "is uint8: an update is a difference of floats"),
        ({"arrays": '[["0","float32",[0]]]'}, "shape"),
        ({"arrays": '[["0","float32",[1]],["0","float32",[1]]]'}, "distinct names"),
        ({"arrays": "[" * 5000}, "arrays: not"),
        ({"arrays": '{"a": 1}'}, "arrays: not"),
        ({"arrays": r'[["\ud800","float32",[1]]]'}, "arrays: not"),
        ({"arrays": json.dumps([["a", "float32", [1] * 33]])}, "shape"),
        ({"arrays": json.dumps([["a", "float32", [2**31]]])}, "shape"),
        ({"run_config": "penalty = l2"}, "settings 'penalty = l2'"),
        ({"train_config": "} [x"}, "settings"),
        ({"run_config": "when = 1979-05-27"}, "is not a number"),
        ({"run_config": 'rates = [[0.1], ["a"]]'}, "is not a number"),
        ({"run_config": 'rates = [0.1, "a"]'}, "is not a number"),
        ({"run_config": f"steps = {2**63}"}, "more than 64 bits"),
        ({"run_config": "a = 1}\nb = {c = 2"}, "more than one table"),
        ({"train_config": "a." * 8_000 + "b = 1"}, "settings"),
        ({"train_config": "a." * 100_000 + "b = 1"}, "at most 16384 characters"),
        ({"app": "numpyexample.client_app"}, "app"),
        ({"pictures": 1}, r"examples are \(height, width\)"),
    ],
)
def test_parameters_that_name_no_app_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises((SpecificationError, UnknownFamily), match=said):
        changed(family={"name": "flower", "parameters": {**PARAMETERS, **parameters}})


@pytest.mark.parametrize(
    "parameters",
    [{"app": "no entry point"}, {"app": "numpyexample.client_app:app", "pictures": 7}],
)
def test_a_drafts_parameters_are_refused_as_such(parameters: dict[str, Any]) -> None:
    with pytest.raises((SpecificationError, UnknownFamily)):
        changed(family={"name": "flower", "parameters": parameters})


def test_noise_too_coarse_for_the_clipping_norm_is_refused(spec: Specification) -> None:
    """Beyond 10^9 values; the bound was negative, and turned updates around."""
    privacy = spec.privacy.model_copy(update={"noise_multiplier": 1e5})
    noisy = spec.model_copy(update={"privacy": privacy})
    assert flower._bound(noisy, Template((("a", (10**6,)),), 1.0)) is not None
    with pytest.raises(PrivacyError, match="too coarse"):
        flower._bound(noisy, Template((("a", (10**10,)),), 1.0))


def test_a_policy_lists_apps_one_by_one(spec: Specification, tmp_path: Path) -> None:
    given = (10**18, 100, 500, 4.0)
    package = spec.family.package
    assert package is not None
    with pytest.raises(PolicyRefusal, match="family 'flower' is not among"):
        Policy().check(spec, *given)
    with pytest.raises(PolicyRefusal):
        Policy(families=("flower:another",)).check(spec, *given)
    for listed in ("flower:numpy-client", package.digest):
        Policy(families=(listed,)).check(spec, *given)
    with pytest.raises(PolicyRefusal, match="225 s a round, over 100"):
        Policy(families=(package.digest,), max_training_seconds=100).check(spec, *given)
    file = tmp_path / "policy.toml"
    file.write_text('families = ["flower"]')
    with pytest.raises(SettingsError, match="list each, as in 'flower:PACKAGE'"):
        Policy.read(file)


def test_an_app_is_refused_whose_files_are_others(spec: Specification, app: Path) -> None:
    assert isinstance(family_of(spec), FlowerFamily)
    code = app / "numpyexample" / "task.py"
    before = code.read_text()
    try:
        code.write_text(before.replace("rate * x.T", "2 * rate * x.T"))
        packages.package_of_app.cache_clear()
        with pytest.raises(UnknownFamily, match="is asked for"):
            family_of(spec)
    finally:
        code.write_text(before)
        packages.package_of_app.cache_clear()


def test_an_app_is_not_started_whose_files_have_changed_since(
    spec: Specification, app: Path
) -> None:
    """A daemon runs for weeks. Before, its next process imported what pip had installed since,
    under the digest of what was there when the daemon first looked."""
    code = app / "numpyexample" / "task.py"
    before = code.read_text()
    dataset = data()
    assert isinstance(family_of(spec), FlowerFamily)
    try:
        code.write_text(before.replace("rate * x.T", "2 * rate * x.T"))
        with pytest.raises(TrainingFailed, match=r"files of numpy-client 0\.1\.0 have changed"):
            FlowerFamily().error(spec, START, dataset.x, dataset.y)
        with pytest.raises(UnknownFamily, match="is asked for"):  # nor are requests taken on
            family_of(spec)
    finally:
        code.write_text(before)
        packages.package_of_app.cache_clear()

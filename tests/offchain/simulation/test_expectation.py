"""What a request is expected to reach follows from epsilon and from how many records there are."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fedpact.api.evaluation import evaluation_of
from fedpact.api.proposal import Proposal, quality_text
from fedpact.data.dataset import Dataset
from fedpact.demo import plant_data
from fedpact.errors import DataError, PrivacyError
from fedpact.requester.candidates import candidates
from fedpact.requester.draft import Draft
from fedpact.requester.preparing import judged_fairly, read_evaluation
from fedpact.simulation.expectation import expected
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

SCHEMA = plant_data.schema(100, "0" * 32)


def linear(tmp_path: Path, epsilon: float) -> tuple[Draft, Specification, Dataset]:
    (asked,) = (one for one in candidates(SCHEMA, epsilon) if one.family == "generalised-linear")
    file = plant_data.write_rows(tmp_path / "evaluation.csv", 300, seed=3)
    draft, data = read_evaluation(Draft(asked.fields), file)
    return draft, judged_fairly(draft.specification, data), data


def test_what_cannot_reach_anything_is_refused(tmp_path: Path) -> None:
    draft, spec, data = linear(tmp_path, 0.1)
    draft = draft.changed(metric="balanced-accuracy")
    seen = expected(spec, data, providers=3, units=50)
    assert not seen.reaches
    assert seen.first == 0.5
    assert seen.without_privacy < 0.3
    with pytest.raises(
        PrivacyError, match=r"epsilon 0\.1 with 3 providers of 50 units reaches.*: raise epsilon"
    ):
        Proposal(draft, seen, {}, "generalised-linear", "label", None).check()
    no_use = replace(seen, without_privacy=seen.first - 0.01)
    with pytest.raises(PrivacyError, match="more epsilon would not help: the columns say little"):
        Proposal(draft, no_use, {}, "generalised-linear", "label", None).check()


def test_what_can_be_learnt_is_proposed(tmp_path: Path) -> None:
    draft, spec, data = linear(tmp_path, 4.0)
    runs: list[int] = []
    seen = expected(spec, data, providers=3, units=500, on_run=runs.append)
    assert runs == [1, 2, 3, 4]
    assert seen.reaches
    assert seen.error < 0.25
    again = expected(spec, data, providers=3, units=500)
    assert (again.error, again.deviation) == (seen.error, seen.deviation)
    proposed = Proposal(draft, seen, {}, "generalised-linear", "label", 10**15)
    proposed.check()
    assert proposed.pay == 10**15 * 10 * 16


def test_an_evaluation_set_that_tells_nothing_is_refused(tmp_path: Path) -> None:
    _, spec, data = linear(tmp_path, 4.0)
    few = Dataset(data.x[:19], data.y[:19], ())
    with pytest.raises(DataError, match="19 examples: what to expect is estimated from 20"):
        expected(spec, few, 3, 50)
    one = Dataset(data.x, np.zeros_like(data.y), ())
    with pytest.raises(DataError, match="label 'fails' has 0 examples"):
        expected(spec, one, 3, 50)


def test_qualities_are_told_in_the_unit_of_the_metric(tmp_path: Path) -> None:
    _, spec, _ = linear(tmp_path, 4.0)
    assert quality_text(spec, 0.1) == "0.900"
    value = Draft.proposed(SCHEMA, 4.0, output="torque").specification
    assert quality_text(value, 0.5) == "5"


def test_a_network_reads_each_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes most of the time, and the runs draw from the same texts."""
    texts = [f"{word} again {number}" for number in range(20) for word in ("pump", "hatch")]
    schema = DataSchema(
        data_id="0" * 32, category="texts", kind="text", units=100, labels=("a", "b")
    )
    (asked,) = (one for one in candidates(schema, 8.0) if one.family == "network-statistics")
    spec, data = evaluation_of(Draft(asked.fields), (texts, ["a", "b"] * 20), None)
    read: list[str] = []

    def features(texts: list[str], *_: object) -> NDArray[np.float16]:
        read.extend(texts)
        time.sleep(0.02)
        return np.eye(384, dtype=np.float16)[[int("hatch" in text) for text in texts]]

    monkeypatch.setattr("fedpact.learning.families.network_statistics.sentence_features", features)
    seen = expected(spec.specification, data, providers=3, units=100)
    assert sorted(read) == sorted(texts)
    assert seen.error < 0.1
    assert seen.preparing >= 0.02 * 100 / 40  # a provider has 100 texts, the one slice 40
    assert seen.judging == pytest.approx(seen.preparing * 40 / 100)

"""What a training computes anew must not depend on one record: its time is seen, and one that takes
too long is cut off."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import attacks
from fedpact.data.dataset import Dataset
from fedpact.data.declared import DeclaredData
from fedpact.features import cache, scattering
from fedpact.learning.families import oblivious_trees, represented
from fedpact.privacy_audit import participation
from fedpact.privacy_audit.hostile import LABELS
from fedpact.types.schema import DataSchema
from fedpact.types.specification import Specification

RARE = LABELS[-1]
"""The label that the record in question has alone."""
OTHERS = 6 * cache.BATCH


def request(*labels: str) -> Specification:
    return attacks.request("scattering-linear", labels=list(labels)).spec


def images(folder: Path, *, with_record: bool) -> DeclaredData:
    """Many images of two labels, and one of RARE in the middle."""
    lots = np.random.default_rng(0)
    x = lots.random((OTHERS + 1, 8, 8))
    y = np.array([LABELS[number % 2] for number in range(OTHERS + 1)])
    y[OTHERS // 2] = RARE
    kept = np.arange(OTHERS + 1) != OTHERS // 2
    if with_record:
        kept[:] = True
    np.savez(folder / "images.npz", x=x[kept], y=y[kept])
    schema = DataSchema(
        data_id="00" * 16,
        category="test",
        units=OTHERS + 5,
        labels=LABELS,
        shape=(8, 8),
        value_range=(0.0, 1.0),
    )
    return DeclaredData.read(folder / "images.npz", schema)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each batch that is transformed."""
    found: list[int] = []
    real = scattering.features

    def counted(one: Any, **options: Any) -> Any:
        found.append(len(one))
        return real(one, **options)

    monkeypatch.setattr(scattering, "features", counted)
    return found


def test_one_record_makes_no_features_of_others_anew(tmp_path: Path, batches: list[int]) -> None:
    """A requester asks for two labels, then for a third as well, in a window that is too short to
    compute all features. Whether the second training was cut off told if anyone has the third."""
    work, rows = {}, {}
    for there in (True, False):
        folder = tmp_path / str(there)
        folder.mkdir()
        data = images(folder, with_record=there)
        for asked in (request(*LABELS[:2]), request(*LABELS)):
            batches.clear()
            found = represented(asked, data.dataset(asked), folder)
        work[there], rows[there] = len(batches), np.array(found.x)
    assert work[True] - work[False] <= 1
    others = np.arange(OTHERS + 1) != OTHERS // 2
    assert np.array_equal(rows[True][others], rows[False])


def test_an_interrupted_computation_copies_the_rest_as_well(
    tmp_path: Path, batches: list[int]
) -> None:
    data = images(tmp_path, with_record=True)
    asked = request(*LABELS)
    whole = np.array(represented(asked, data.dataset(asked), tmp_path).x)
    (kept,) = tmp_path.glob("*.npy")
    kept.with_suffix(".part").write_bytes(kept.read_bytes()[:5000])
    represented(request(*LABELS[:2]), data.dataset(request(*LABELS[:2])), tmp_path)
    kept.unlink()
    batches.clear()
    assert np.array_equal(represented(asked, data.dataset(asked), tmp_path).x, whole)
    assert len(batches) == 1


def test_a_record_that_alone_fits_a_request_is_in_no_log_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Features of nobody were computed without a word."""
    real = participation._schema
    more = {"labels": (*LABELS, "rare")}
    monkeypatch.setattr(participation, "_schema", lambda *of: real(*of).model_copy(update=more))
    asked = attacks.request("scattering-linear", labels=["rare", "none"])
    without, with_it = (
        participation.play(asked, content, "rare", False, 1) for content in (None, 3.0)
    )
    assert without.behaviour.decision == participation.JOINS
    assert participation._moved(with_it.sums, without.sums) > 0
    assert with_it.behaviour == without.behaviour


def test_one_record_does_not_decide_whether_trees_ask_in_every_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A requester who knows how many records fit chooses as many trees as make one more slow."""
    asked = attacks.request("oblivious-trees").spec
    trees = asked.family.parameters["trees"]
    monkeypatch.setattr(oblivious_trees, "LARGEST_REPRESENTED", 40 * trees)
    lots = np.random.default_rng(0)
    forms = set()
    for count in (40, 41):
        x = lots.random((count, *asked.features.shape), dtype=np.float32)
        units = tuple(bytes([number] * 32) for number in range(count))
        data = Dataset(x, np.zeros(count, np.int64), units, declared_units=60)
        forms.add(represented(asked, data).x.dtype)
    assert len(forms) == 1

"""The text experiments on a small collection in the archive's own layout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.data.newsgroups import TEST, TRAIN
from fedpact.errors import DataMissing, InvalidInput
from fedpact.experiments import text_collections, text_rounds, text_statistics, text_trees

GROUPS = {
    "rec.autos": "engine brakes clutch gearbox tyres diesel wheels exhaust",
    "sci.space": "orbit launch shuttle rocket lunar payload satellite thrust",
    "talk.food": "butter garlic onion pepper flour oven recipe simmer",
}


@pytest.fixture
def posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    generator = np.random.default_rng(0)
    for part, count in ((TRAIN, 40), (TEST, 15)):
        for group, words in GROUPS.items():
            folder = tmp_path / "20newsgroups" / part / group
            folder.mkdir(parents=True)
            others = " ".join(GROUPS.values()).split()
            for number in range(count):
                own = generator.choice(words.split(), 6)
                text = " ".join([*own, *generator.choice(others, 4)])
                (folder / str(number)).write_text(f"Subject: x\n\n{text}\n")
    monkeypatch.setenv("FEDPACT_DATA", str(tmp_path))
    caches = (
        text_collections.collection,
        text_statistics._rows,
        text_rounds._rows,
        text_trees._graphs,
        text_trees._bags,
    )
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("posts")
def test_statistics_without_privacy_are_the_same_for_any_number_of_providers() -> None:
    found = [text_statistics.run_case("20newsgroups", count, None, 0) for count in (3, 6)]
    assert found[0]["metrics"] == found[1]["metrics"]
    assert found[0]["metrics"]["macro_auc"] > 0.95
    assert found[0]["privacy"] == {"mode": "none"}


@pytest.mark.usefixtures("posts")
def test_statistics_under_privacy_say_what_they_cost_and_repeat() -> None:
    found = text_statistics.run_case("20newsgroups", 3, 5.0, 1, held_out=True)
    again = text_statistics.run_case("20newsgroups", 3, 5.0, 1, held_out=True)
    assert found["metrics"] == again["metrics"]
    assert found["privacy"]["epsilon"] == pytest.approx(5.0, abs=1e-3)
    assert found["privacy"]["epsilon_replacement"] > 5
    (row,) = text_statistics.summary([found])
    assert row["seeds"] == 1


@pytest.mark.usefixtures("posts")
def test_rounds_reach_the_central_machine() -> None:
    found = text_rounds.run_case("20newsgroups", 3, 0, 15)
    assert len(found["curves"]["accuracy"]) <= 15
    assert found["metrics"]["accuracy"] >= text_rounds.central_svm("20newsgroups") - 0.05


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("parallel", {"iterations": 2}),
        ("sequential", {"iterations": 2}),
        ("parallel", {"iterations": 1, "epsilon": 1.0}),
        ("forest", {}),
        ("tree", {}),
    ],
)
def test_trees_run_in_every_method(method: str, options: dict[str, Any]) -> None:
    found = text_trees.run_case("20newsgroups", 3, method, 0, terms=16, **options)
    assert 0 < found["metrics"]["macro_auc"] <= 1
    mode = "paper" if "epsilon" in options else "none"
    assert found["privacy"]["mode"] == mode


@pytest.mark.usefixtures("posts")
def test_sound_trees_say_what_they_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_trees, "SOUND_TREES", 50)
    found = text_trees.run_case("20newsgroups", 3, "sound", 0, epsilon=5.0)
    assert found["privacy"]["epsilon"] == pytest.approx(5.0, abs=1e-3)


def test_the_paper_measure_by_hand() -> None:
    # Class 0: of 2 x 2 pairs three are in order, 3/4; class 1 the same by symmetry.
    likely = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    found = text_collections.measured(likely, np.array([0, 0, 1, 1]))
    assert (found.macro_auc, found.accuracy) == (0.75, 0.5)


def test_a_collection_that_is_unknown_or_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidInput, match="no text collection"):
        text_collections.collection("books")
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(DataMissing, match="FEDPACT_DATA"):
        text_collections.collection("r8")

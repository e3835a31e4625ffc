"""The kind `texts` on a small collection in the archive's own layout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedpact.data.newsgroups import TEST, TRAIN
from fedpact.data.texts import TextSource
from fedpact.errors import DataMissing, InvalidInput
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Scale
from lab.harness.results import Result
from lab.text_training import collections as text_collections
from lab.text_training.task import Seconds
from lab.texts.cases import run

GROUPS = {
    "rec.autos": "engine brakes clutch gearbox tyres diesel wheels exhaust",
    "sci.space": "orbit launch shuttle rocket lunar payload satellite thrust",
    "talk.food": "butter garlic onion pepper flour oven recipe simmer",
}
FEW_TERMS = {"terms": 16}


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
    yield
    text_collections.collection.cache_clear()


def case(providers: int = 3, seed: int = 0, **settings: Any) -> Case:
    return Case(
        "little", "texts", Scale.SMALL, "20newsgroups", "sorted", providers, "one", seed, settings
    )


def outcome(asked: Case) -> Result:
    """The case's result, as it would be written."""
    return Result.of(asked, run(asked, Checkpoint(lambda _: None)), 0.0)


@pytest.mark.usefixtures("posts")
def test_statistics_without_privacy_are_the_same_for_any_number_of_providers() -> None:
    found = [outcome(case(count, family="text-statistics")) for count in (3, 6)]
    assert [one.metrics["macro_auc"] for one in found] == [found[0].metrics["macro_auc"]] * 2
    assert found[0].metrics["macro_auc"] > 0.95
    assert found[0].privacy["mode"] == "none"


@pytest.mark.usefixtures("posts")
def test_private_statistics_report_their_cost_and_are_repeatable() -> None:
    asked = case(seed=1, family="text-statistics", epsilon=5.0, held_out=True)
    found, again = outcome(asked), outcome(asked)
    assert found.metrics["macro_auc"] == again.metrics["macro_auc"]
    assert found.privacy["mode"] == "sound"
    assert found.privacy["epsilon"] == pytest.approx(5.0, abs=2e-3)
    assert found.privacy["epsilon_replacement"] > 5
    assert found.details["test_documents"] == 24  # every fifth of 120


@pytest.mark.usefixtures("posts")
def test_training_in_rounds_reaches_the_central_svm() -> None:
    rounds = outcome(case(family="gradient-rounds", parameters={"rounds": 15}))
    central = outcome(case(family="central-svm"))
    assert len(rounds.curves["accuracy"]) <= 15
    assert rounds.metrics["accuracy"] >= central.metrics["accuracy"] - 0.05


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize("epsilon", ["none", 1.0])
@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("boosted-trees", {"iterations": 2, **FEW_TERMS}),
        ("boosted-trees", {"iterations": 2, "reading": "sequential", **FEW_TERMS}),
        ("grown-trees", FEW_TERMS),
        ("grown-trees", {"single": True, **FEW_TERMS}),
    ],
)
def test_trees_run_without_privacy_and_with_the_papers_noise(
    family: str, parameters: dict[str, Any], epsilon: Any
) -> None:
    found = outcome(case(family=family, parameters=parameters, epsilon=epsilon))
    noised = epsilon != "none"
    # Noise of scale 1 on every weight of a vector of norm 1 leaves next to nothing.
    assert (found.metrics["macro_auc"] > 0.75) != noised
    assert found.privacy["mode"] == ("paper" if noised else "none")
    assert found.privacy.get("guaranteed", True) != noised


@pytest.mark.usefixtures("posts")
def test_sound_trees_report_their_privacy_cost() -> None:
    found = outcome(case(family="sound-forest", parameters={"trees": 50}, epsilon=5.0))
    assert found.privacy["epsilon"] == pytest.approx(5.0, abs=2e-3)


@pytest.mark.usefixtures("posts")
def test_a_sub_data_set_has_only_the_labels_of_its_shards() -> None:
    found = outcome(case(family="text-statistics", share=0.2))
    assert sum(found.details["documents"]) == 24  # 4 of 20 shards of 6
    assert found.details["test_documents"] == 15 * found.details["labels"]


def test_a_sub_data_set_is_drawn_from_the_sorted_documents_by_the_seed() -> None:
    y = np.repeat(np.arange(4), 50)
    source = TextSource(
        "made", tuple("abcd"[one] for one in y), y, ("a", "d"), y[[0, -1]], ("w", "x", "y", "z")
    )
    found = text_collections.sub_collection(source, 0.1, 3)
    again = text_collections.sub_collection(source, 0.1, 3)
    other = text_collections.sub_collection(source, 0.1, 4)
    assert found.train == again.train != other.train
    assert len(found.train) == 20
    for text, label in zip(found.train, found.y_train, strict=True):
        assert "wxyz"["abcd".index(text)] == found.labels[label]


def test_waiting_for_the_slowest_or_for_each_in_turn_by_hand() -> None:
    side_by_side = Seconds([1.0, 2.0], [3.0, 1.0], 0.5)
    assert (side_by_side.running, side_by_side.slowest_training) == (4.5, 3.5)
    in_turn = Seconds([1.0, 2.0], [3.0, 1.0], 0.5, in_turn=True)
    assert (in_turn.running, in_turn.slowest_training) == (6.5, 4.5)
    assert side_by_side.processor == in_turn.processor == 7.5


def test_the_paper_measure_by_hand() -> None:
    # Class 0: of 2 x 2 pairs three are in order, 3/4; class 1 the same by symmetry.
    likely = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]])
    found = text_collections.measured(likely, np.array([0, 0, 1, 1]))
    assert (found.macro_auc, found.accuracy) == (0.75, 0.5)


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "family"),
        ({"family": "trees"}, "unknown family 'trees'"),
        ({"family": "text-statistics", "parameters": {"bit": 3}}, "bit"),
        ({"family": "text-statistics", "epsilon": -1}, "epsilon"),
        ({"family": "text-statistics", "share": 1.5}, "share"),
        ({"family": "gradient-rounds", "epsilon": 1.0}, "no privacy"),
        ({"family": "text-statistics", "rounds": 3}, "rounds"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run(case(**settings), Checkpoint(lambda _: None))


def test_a_collection_that_is_unknown_or_missing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidInput, match="unknown text collection"):
        text_collections.collection("books")
    monkeypatch.delenv("FEDPACT_DATA", raising=False)
    with pytest.raises(DataMissing, match="FEDPACT_DATA"):
        text_collections.collection("r8")


@pytest.mark.slow
@pytest.mark.usefixtures("posts")
def test_a_graph_of_words_and_documents_learns_the_groups_in_one_place() -> None:
    found = outcome(case(family="text-gcn"))
    assert found.metrics["macro_auc"] > 0.95
    assert 1 <= found.details["epochs"] <= 200
    assert found.details["nodes"] > 3 * (40 + 15)  # the documents, and words
    with pytest.raises(InvalidInput, match="no privacy"):
        outcome(case(family="text-gcn", epsilon=1.0))

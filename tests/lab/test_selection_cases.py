"""The kind `provider-selection` on a small collection whose groups have words of their own."""

from typing import Any

import numpy as np
import pytest

from fedpact.data.texts import TextSource
from fedpact.errors import InvalidInput
from lab.harness.checkpoint import Checkpoint
from lab.harness.configuration import Case, Scale
from lab.harness.results import Result
from lab.provider_selection import cases as selection
from lab.provider_selection import market as provider_selection
from lab.provider_selection.market import BySignature, ProviderMarket, by_labels, quality

WORDS = {
    f"{topic}.{name}": f"{name} {words}"
    for topic, groups in {
        "comp": {"printers": "ink toner nozzle", "modems": "baud handshake carrier"},
        "rec": {"autos": "clutch gearbox tyres", "hockey": "goalie puck skates"},
        "sci": {"space": "orbit lunar payload", "med": "dosage syringe biopsy"},
        "talk": {"food": "garlic onion simmer", "law": "verdict tort statute"},
    }.items()
    for name, words in groups.items()
}


def collection(_name: str = "little") -> TextSource:
    """80 documents of each of eight groups: two words of its own, two of any."""
    generator = np.random.default_rng(0)
    anything = " ".join(WORDS.values()).split()

    def texts(each: int) -> tuple[tuple[str, ...], Any]:
        found = [
            " ".join([*generator.choice(words.split(), 2), *generator.choice(anything, 2)])
            for words in WORDS.values()
            for _ in range(each)
        ]
        return tuple(found), np.repeat(np.arange(len(WORDS)), each)

    return TextSource("little", *texts(80), *texts(20), tuple(WORDS))


def market(chosen: int = 4) -> ProviderMarket:
    return ProviderMarket.open(collection(), "class2", 16, chosen, 1)


def outcome(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Result:
    monkeypatch.setattr(selection, "collection", collection)
    case = Case(
        "little",
        "provider-selection",
        Scale.SMALL,
        "20newsgroups",
        "class2",
        16,
        "one",
        0,
        settings,
    )
    return Result.of(case, selection.run(case, Checkpoint(lambda _: None)), 0.0)


@pytest.mark.parametrize("form", ["graph", "terms"])
def test_a_query_by_documents_finds_the_providers_that_have_them(form: Any) -> None:
    little = market()
    labels = little.wanted("sci")
    ((selections,),) = BySignature("documents", form)(little, [labels])
    assert len(set(selections)) == 4
    assert (little.held(labels)[selections].sum(axis=1) > 0).all()


def test_no_provider_has_the_requesters_documents() -> None:
    little = market()
    assert not np.isin(np.concatenate(little.parts), little.examples).any()
    known = little.source.y_train[little.examples]
    assert (np.bincount(known) == provider_selection.EXAMPLES).all()


def test_a_choice_by_true_labels_favours_the_rarest_label() -> None:
    # By hand: first the most of label 0 (a tie, the fuller one), then of label 1, then of 1 again.
    held = np.array([[5, 0], [5, 1], [0, 3], [0, 2], [0, 0]])
    assert provider_selection._covering(held, 3) == [1, 2, 3]


def test_a_choice_by_topic_beats_a_random_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = outcome(monkeypatch, by="documents", signature="terms", chosen=3)
    assert found.metrics["over_random"] > 0.05
    assert found.metrics["share_of_gain"] > 0.8
    topics = found.details["topics"]
    assert set(topics) == {"comp", "rec", "sci", "talk"}


def test_the_true_labels_are_the_whole_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(monkeypatch, by="labels", chosen=3).metrics["share_of_gain"] == 1
    assert outcome(monkeypatch, by="random", chosen=3).metrics["over_random"] == 0


def test_noised_signatures_report_their_privacy_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcome(monkeypatch, by="terms", signature="terms", epsilon=2.0, chosen=3)
    assert (found.privacy["mode"], found.privacy["epsilon"]) == ("sound", 2.0)


def test_providers_without_the_labels_contribute_nothing() -> None:
    little = market()
    labels = little.wanted("sci")
    strangers = np.flatnonzero(little.held(labels).sum(axis=1) == 0)[:2].tolist()
    assert quality(little, labels, strangers) == 0.5
    ((best,),) = by_labels(little, [labels])
    assert quality(little, labels, best) > 0.9


@pytest.mark.parametrize(
    "settings",
    [
        {"by": "luck"},
        {"by": "random", "epsilon": 1.0},
        {"by": "documents", "epsilon": 1.0},
        {"by": "labels", "chosen": 17},
    ],
)
def test_invalid_choices_are_refused(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput):
        outcome(monkeypatch, **settings)

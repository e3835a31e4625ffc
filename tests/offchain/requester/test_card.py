"""Model cards: figures against other libraries', and text that can start no markup."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard as HuggingFaceCard
from numpy.typing import NDArray
from sklearn import metrics as theirs

from fedpact.data.dataset import Dataset
from fedpact.requester.card.card import ModelCard, make_card
from fedpact.requester.card.markdown import markdown, plain
from fedpact.requester.card.provenance import GlobalModel, Milestone, Provenance, ProviderShare
from fedpact.requester.card.quality import Quality, interval, judge, share
from fedpact.requester.model_file import FetchedModel
from fedpact.requester.thresholds import Decisions
from fedpact.types.metric import Metric, MetricName
from fedpact.types.specification import Specification
from tests.offchain.requester.requests_of_digits import draft

SOUND = {"mode": "sound", "epsilon": 2.0, "delta": 1e-5, "clipping_norm": 1.0}
HOSTILE = "</title><script>alert(1)</script> [x](http://e) | a `b`\n# c \u202egnp"
PLAIN = Decisions(1.0, (0.0,) * 3, (1.0,) * 3, 60)


def guesses(count: int, seed: int) -> tuple[NDArray[np.float64], Dataset]:
    """Probabilities of three labels that are right more often than not."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, count)
    raw = np.exp(generator.normal(size=(count, 3)) + 1.5 * np.eye(3)[y])
    x = np.zeros((count, 2), dtype=np.float32)
    return raw / raw.sum(axis=1, keepdims=True), Dataset(x, y, ())


def judged(spec: Specification, decisions: Decisions | None = None, last: int = 2) -> Quality:
    parts = [guesses(80, seed) for seed in range(3)]
    return judge(spec, [p for p, _ in parts], [one for _, one in parts], last, decisions)


def card_of(quality: Quality | None = None, **changes: Any) -> ModelCard:
    spec = draft(**changes).specification
    model = FetchedModel(7, "ab" * 32, spec, "bafymodel", 2, 2_500, ("0xA",), Path("m.safetensors"))
    members = (ProviderShare("0xA", 120, 30, 0.75, True), ProviderShare("0xB", 90, 10, 0.25, False))
    rounds = (GlobalModel(1, 0.4, "bafy1", "0x11"), GlobalModel(2, None, "bafymodel", "0x22"))
    steps = (Milestone("request published", "0x33"),)
    source = Provenance(2, 31337, {"market": "0xC"}, "0xD", "bafyspec", members, rounds, steps)
    return make_card(model, source, quality)


def test_figures_by_slice_and_class_are_those_of_scikit_learn() -> None:
    spec = draft().specification
    found = judged(spec, PLAIN)
    predicted = np.concatenate([guesses(80, seed)[0] for seed in range(3)])
    y = np.concatenate([guesses(80, seed)[1].y for seed in range(3)])
    decided = predicted.argmax(axis=1)
    assert found.error.value == pytest.approx(1 - theirs.accuracy_score(y, decided))
    assert found.confusion == tuple(map(tuple, theirs.confusion_matrix(y, decided)))
    recalls = theirs.recall_score(y, decided, average=None)
    assert [one.recall.value for one in found.classes if one.recall] == pytest.approx(recalls)
    assert sum(one.examples for one in found.calibration) == 240
    right = sum(one.examples * one.found for one in found.calibrated)
    assert right == pytest.approx((decided == y).sum())
    assert found.roc is not None
    area = np.trapezoid if hasattr(np, "trapezoid") else np.trapz
    mean_auc = np.mean([one.auc for one in found.classes])
    assert area(found.roc.mean, found.roc.false_positive) == pytest.approx(mean_auc, abs=0.02)


def test_only_slices_sealed_until_the_end_count_as_new() -> None:
    found = judged(draft().specification)
    assert [one.sealed for one in found.slices] == [False, True, True]
    last = np.concatenate([guesses(80, seed)[0] for seed in (1, 2)])
    y = np.concatenate([guesses(80, seed)[1].y for seed in (1, 2)])
    assert found.sealed is not None
    assert found.sealed.value == pytest.approx((last.argmax(axis=1) != y).mean())


@pytest.mark.parametrize(
    "name", [MetricName.ACCURACY, MetricName.MACRO_F1, MetricName.AUC, MetricName.BRIER]
)
def test_an_interval_holds_the_figure_and_shrinks_with_the_examples(
    name: MetricName,
) -> None:
    metric = Metric(name=name)
    few, many = (interval(metric, p, one.y) for p, one in (guesses(50, 1), guesses(800, 1)))
    for one in (few, many):
        assert one.low < one.value < one.high
    assert many.high - many.low < 0.5 * (few.high - few.low)


def test_a_share_has_wilsons_interval() -> None:
    # Newcombe 1998, table I: 15 of 148.
    found = share(15, 148)
    assert (found.low, found.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_a_regression_has_tenths_and_no_labels() -> None:
    spec = draft(
        task="regression",
        labels=[],
        output={"column": "life", "scale": 100.0},
        family={"name": "linear-regression"},
    ).specification
    generator = np.random.default_rng(0)
    y = generator.random(200).astype(np.float32)
    said = (y + generator.normal(scale=0.05, size=200)).reshape(-1, 1)
    found = judge(spec, [said], [Dataset(np.zeros((200, 2), np.float32), y, ())], 1, None)
    assert (found.classes, found.confusion, found.roc) == ((), (), None)
    assert [one.examples for one in found.calibration] == [20] * 10
    assert found.calibration[-1].found > 80
    assert found.error.low < found.error.value < found.error.high


def test_a_card_says_everything_and_its_metadata_are_yaml() -> None:
    privacy = {**SOUND, "noise_multiplier": 4.0}
    local = {"steps": 2, "learning_rate": 0.5, "sampling_rate": 1.0}
    card = card_of(judged(draft().specification, PLAIN), privacy=privacy, local=local)
    text, facts = markdown(card), card.facts()
    _, front, body = text.split("---\n", 2)
    metadata = yaml.safe_load(front)
    [result] = metadata["model-index"][0]["results"]
    assert metadata["pipeline_tag"] == "tabular-classification"
    accuracy = 1 - facts["quality"]["error"]["value"]
    assert result["metrics"][0]["value"] == pytest.approx(accuracy, abs=1e-4)
    for said in ("0xA", "75.0%", "bafyspec", "0x22", "0x33", "slice 2, sealed", "Not covered"):
        assert said in body
    assert "fitted to the same evaluation examples" in body
    assert json.loads(json.dumps(facts))["provenance"]["rounds"][1]["error"] is None
    assert facts["privacy"]["computed_epsilon"] > 0
    assert "closed form" in facts["privacy"]["accountant"]


@pytest.mark.parametrize(
    "title", ["Digits", HOSTILE, "a\n---\nlicense: mit\n---\nb", "'\"\t: {[", "- a: b # c"]
)
def test_hugging_face_reads_the_metadata(title: str) -> None:
    """By their own parser; a title ends the block at the front for nobody."""
    card = card_of(judged(draft().specification, PLAIN), title=title)
    data: Any = HuggingFaceCard(markdown(card), ignore_metadata_errors=False).data
    assert (data.license, data.library_name) == ("other", "fedpact")
    assert data.pipeline_tag == "tabular-classification"
    assert data.model_name == title
    [result] = data.eval_results
    assert result.task_type == "tabular-classification"
    assert "95 %" in result.metric_name
    unmeasured: Any = HuggingFaceCard(markdown(card_of(title=title))).data
    assert unmeasured.eval_results is None


def test_a_card_names_no_task_that_hugging_face_does_not_know() -> None:
    card = card_of()
    regression = card.spec.model_copy(update={"task": "regression", "labels": ()})
    card = replace(card, model=replace(card.model, specification=regression))
    images = card.spec.features.model_copy(update={"names": (), "shape": (8, 8)})
    spec = card.spec.model_copy(update={"features": images})
    of_images = replace(card, model=replace(card.model, specification=spec))
    read: list[Any] = [HuggingFaceCard(markdown(one)).data for one in (card, of_images)]
    assert [one.pipeline_tag for one in read] == ["tabular-regression", None]


def test_a_card_promises_nothing_that_does_not_hold() -> None:
    card = card_of()
    assert card.facts()["privacy"]["computed_epsilon"] is None
    assert "Nothing is promised" in markdown(card)
    assert "has not measured it" in markdown(card)
    assert "model-index" not in markdown(card)


def test_foreign_text_starts_no_markup() -> None:
    card = card_of(title=HOSTILE, usage_rules=HOSTILE, labels=["a", HOSTILE, "c"])
    text = markdown(card)
    _, front, body = text.split("---\n", 2)
    assert "<script" not in body
    assert "[x](" not in body
    assert "\u202e" not in body
    assert "\n# c" not in body
    assert plain("a|b") == "a\\|b"
    quality = judged(draft().specification)
    named = yaml.safe_load(markdown(card_of(quality, title=HOSTILE)).split("---\n", 2)[1])
    assert named["model-index"][0]["name"] == HOSTILE
    assert "tags" in yaml.safe_load(front)


def test_a_card_says_how_texts_and_windows_were_read() -> None:
    table = [
        {"name": "heat", "range": [0, 1]},
        {"name": "site", "type": "boolean"},
        {"name": "note", "type": "text", "encoding": "words", "weight": 1.5},
    ]
    series = {"window": 3, "stride": 2, "by": "engine", "static": ["site", "note"]}
    features = {"shape": [260], "table": table, "series": series}
    found = markdown(card_of(features=features))
    assert "An example is a window of 3 rows of one engine, every 2 rows." in found
    assert "Of site, note it has the last row's." in found
    assert (
        "note is a text, read by its words and pairs of words, hashed: 256 values of norm 1.5."
        in found
    )

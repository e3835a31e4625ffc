"""A model card as Markdown, with Hugging Face's metadata as YAML in front: pure.

Metadata: https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Titles, labels and rules
are foreign text (of a bought model, somebody else's): they can start no markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any
from unicodedata import category

import yaml

from fedpact.learning.families import family_of, privacy_statement
from fedpact.learning.strategies import strategy
from fedpact.privacy.scope import ADJACENCY, UNIT, scope_of
from fedpact.requester.card.card import ModelCard, predicts
from fedpact.requester.card.quality import RESAMPLES, Interval, Quality
from fedpact.types.columns import ColumnSchema
from fedpact.types.metric import Metric, MetricName
from fedpact.types.specification import Specification

MOST_LISTED = 12
"""Columns or labels that are named in a sentence; the JSON file has all."""
GOODNESS = frozenset(
    {MetricName.ACCURACY, MetricName.BALANCED_ACCURACY, MetricName.MACRO_F1, MetricName.AUC}
)
"""Metrics whose error is 1 - metric."""
PIPELINES = frozenset(
    {"image-classification", "tabular-classification", "tabular-regression", "text-classification"}
)
"""Of our tasks those that Hugging Face has a pipeline for; another name is refused there."""
_ACTIVE = re.compile(r"([\\`*_\[\]|~#$])|^[-+=]")
"""What may start markup in a line, or at its beginning; <, > and & become entities."""


def markdown(card: ModelCard) -> str:
    """The whole card."""
    front = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True, width=100)
    parts = [
        f"# {plain(card.spec.title)}",
        _about(card),
        "## Data and providers\n\n" + _data(card),
        "## How good it is\n\n" + _quality(card),
        "## Privacy\n\n" + _privacy(card),
        "## What you may do with it\n\n"
        + (plain(card.spec.usage_rules) or "The specification sets no usage rules."),
        "## Limits\n\n" + _listed(card.limits),
        "## Where it came from\n\n" + _provenance(card),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Foreign text on one line; what Markdown or HTML would act on is escaped, what is not seen or
    turns the direction of what follows becomes U+FFFD."""
    line = escape(" ".join(text.split()), quote=False)
    shown = "".join("\ufffd" if category(one) in ("Cc", "Cs", "Cf") else one for one in line)
    return _ACTIVE.sub(r"\\\g<0>", shown)


def figure(metric: Metric, found: Interval) -> tuple[str, float, float, float]:
    """A name, and the value with its interval: 1 - error where that is the metric itself."""
    if metric.name in GOODNESS:
        return str(metric), 1 - found.value, 1 - found.high, 1 - found.low
    return f"{metric} error", found.value, found.low, found.high


def _metadata(card: ModelCard) -> dict[str, Any]:
    spec, quality = card.spec, card.quality
    kind = {"text": "text", "numbers": "tabular"}[spec.features.kind]
    if kind == "tabular" and len(spec.features.shape) > 1 and spec.features.series is None:
        kind = "image"
    task = f"{kind}-{spec.task}"
    found: dict[str, Any] = {
        "license": "other",
        "license_name": "usage-rules-of-the-request",
        "library_name": "fedpact",
        **({"pipeline_tag": task} if task in PIPELINES else {}),
        "tags": ["fedpact", "federated-learning", "differential-privacy", spec.category],
    }
    if quality is None:
        return found
    name, value, low, high = figure(spec.measure, quality.error)
    metric = {"type": name, "value": round(value, 4), "name": f"{name} (95 % {low:.4f}-{high:.4f})"}
    dataset = {
        "type": "private",
        "name": f"requester's evaluation set, {quality.examples} examples",
    }
    result = {"task": {"type": task}, "dataset": dataset, "metrics": [metric]}
    found["model-index"] = [{"name": spec.title, "results": [result]}]
    return found


def _about(card: ModelCard) -> str:
    spec = card.spec
    made = sum(one.in_model for one in card.provenance.providers)
    combined = f"{made} of their models"
    if spec.privacy.sum is not None:
        combined = f"the parts of {made} of them, which nobody saw but in sums of groups,"
    return (
        f"A {spec.task} model of the family {plain(spec.family.name)} for {plain(spec.category)},"
        f" trained by {len(card.provenance.providers)} providers on data that never left them."
        f" Rounds that became final: {len(card.provenance.rounds)}. The final model combines"
        f" {combined} by {plain(spec.aggregation.name)}, with the strategy"
        f" {plain(spec.strategy.name)}. It predicts {_names(predicts(spec))}."
        f"\n\n{_use(card)}"
    )


def _use(card: ModelCard) -> str:
    name, spec = card.model.path.name, card.spec
    if not family_of(spec).predicts:
        app = plain(str(spec.family.parameters.get("app")))
        return f"Load its arrays into the app's model, {app}: `{name}` has its names."
    said = f"Answer queries with `fedpact request answer {name} QUERIES`."
    if strategy(spec.strategy).personalises:
        said += (
            " Each provider can train a model of its own from it, which stays with the provider:"
            f" `fedpact provider personal {card.model.request_id}`."
        )
    return said


def _data(card: ModelCard) -> str:
    spec, providers = card.spec, card.provenance.providers
    return (
        f"{_inputs(spec)} The providers declared {sum(one.samples for one in providers)} samples in"
        " all. Nothing else about the data is public.\n\n"
        + _table(
            ("provider", "samples", "share of the points", "in the final model"),
            [
                (
                    f"`{one.account}`",
                    one.samples,
                    f"{one.share:.1%}",
                    "yes" if one.in_model else "no",
                )
                for one in providers
            ],
        )
    )


def _inputs(spec: Specification) -> str:
    features = spec.features
    if features.kind == "text":
        return "Inputs are texts."
    shape = " by ".join(map(str, features.shape))
    if features.names:
        said = f"Inputs are the columns {_names(features.names)} ({shape} values)."
        if features.series is not None:
            asked = features.series
            said += (
                f" An example is a window of {asked.window} rows of one {plain(asked.by)}, every"
                f" {asked.stride} rows."
            )
            if asked.static:
                said += f" Of {_names(asked.static)} it has the last row's."
        return " ".join([said, *map(_text, features.table)]).rstrip()
    return f"Inputs are arrays of {shape} values."


def _text(column: ColumnSchema) -> str:
    """How a text among the columns is read; empty for others."""
    if column.type != "text":
        return ""
    read = "its words and pairs of words, hashed"
    if column.encoding == "sentences":
        read = f"a public network (sha-256 {column.digest})"
    return (
        f"{plain(column.name)} is a text, read by {read}: {column.width} values of norm"
        f" {column.length:g}."
    )


def _quality(card: ModelCard) -> str:
    found, metric = card.quality, card.spec.measure
    committee = card.model.error
    said = "The members measured no error."
    if committee is not None:
        said = (
            f"The members' median error in round {card.model.round}, on that round's slice:"
            f" {committee / 10_000:.4f}."
        )
    if found is None:
        return said
    rows: list[tuple[Any, ...]] = [_row("all slices", found.examples, metric, found.error)]
    if found.sealed is not None and not all(one.sealed for one in found.slices):
        count = sum(one.examples for one in found.slices if one.sealed)
        rows.append(_row("slices sealed until the end", count, metric, found.sealed))
    rows += [
        _row(
            f"slice {one.number}" + (", sealed" if one.sealed else ""),
            one.examples,
            metric,
            one.error,
        )
        for one in found.slices
    ]
    name = figure(metric, found.error)[0]
    parts = [
        f"Measured by the requester on its own evaluation set. {said}",
        _table(("on", "examples", name, "95 % interval"), rows),
        f"Intervals: Wilson for shares, standard error for means, else {RESAMPLES} resamples.",
    ]
    if found.classes:
        parts += [_classes(found), _calibration(found)]
    return "\n\n".join(parts)


def _row(what: str, examples: int, metric: Metric, found: Interval) -> tuple[Any, ...]:
    _, value, low, high = figure(metric, found)
    return what, examples, f"{value:.4f}", f"{low:.4f} to {high:.4f}"


def _classes(found: Quality) -> str:
    rows = [
        (
            plain(one.label),
            one.examples,
            *map(_range, (one.recall, one.precision)),
            "-" if one.auc is None else f"{one.auc:.4f}",
        )
        for one in found.classes
    ]
    return _table(("label", "examples", "recall", "precision", "AUC"), rows)


def _calibration(found: Quality) -> str:
    bins = found.calibrated or found.calibration
    rows = [(one.examples, f"{one.said:.3f}", f"{one.found:.3f}") for one in bins]
    kind = "Calibrated" if found.calibrated else "The model's own"
    head = f"{kind} probabilities of the most probable label, and how often it was right:\n\n"
    return head + _table(("examples", "mean probability", "right"), rows)


def _range(found: Interval | None) -> str:
    return "-" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _privacy(card: ModelCard) -> str:
    scope, spent = scope_of(card.spec.privacy), card.cost
    statement = plain(privacy_statement(card.spec))
    parts = [f"{statement[0].upper()}{statement[1:]}."]
    if spent is not None:
        rows = [
            ("epsilon promised", f"{card.spec.privacy.epsilon:g}"),
            ("epsilon computed", f"{spent.epsilon:.4g}"),
            ("under replacement", f"{spent.epsilon_replacement:.4g}"),
            ("delta", f"{spent.delta:g}"),
            ("unit", UNIT),
            ("adjacency", ADJACENCY),
            ("accountant", spent.accountant),
        ]
        parts.append(_table(("privacy of a provider", ""), rows))
    if scope.covers:
        parts.append("Covered:\n\n" + _listed(scope.covers))
    parts.append("Not covered:\n\n" + _listed(scope.not_covered))
    return "\n\n".join(parts)


def _provenance(card: ModelCard) -> str:
    source, model = card.provenance, card.model
    rows: list[tuple[Any, ...]] = [
        ("protocol", source.protocol),
        ("chain", source.chain_id),
        ("deployment", f"`{model.deployment}`"),
        *((f"contract {name}", f"`{at}`") for name, at in source.contracts.items()),
        ("request", model.request_id),
        ("requester", f"`{source.requester}`"),
        ("specification", f"`{source.specification}`"),
        ("first model", f"`{card.spec.initial_model}`"),
        ("this model, encrypted", f"`{model.cid}`"),
        *((one.what, f"`{one.transaction}`") for one in source.milestones),
    ]
    rounds = [
        (
            one.round,
            "-" if one.error is None else f"{one.error:.4f}",
            f"`{one.cid}`",
            f"`{one.transaction}`",
        )
        for one in source.rounds
    ]
    check = f"To check all of it: `fedpact audit {model.request_id}`."
    tables = (
        _table(("what", "where"), rows),
        _table(("round", "error", "global model", "transaction"), rounds),
    )
    return "\n\n".join((*tables, check))


def _names(names: Sequence[str]) -> str:
    more = len(names) - MOST_LISTED
    return ", ".join(map(plain, names[:MOST_LISTED])) + (f" and {more} more" if more > 0 else "")


def _listed(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {one}" for one in sentences)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)

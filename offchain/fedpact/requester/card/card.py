"""A model card's content: pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fedpact.learning.families import family_of, privacy_statement
from fedpact.privacy.accounting import PrivacyCost, cost
from fedpact.privacy.releases import of_request
from fedpact.privacy.scope import ADJACENCY, UNIT, scope_of
from fedpact.requester.card.provenance import Provenance
from fedpact.requester.card.quality import CONFIDENCE, RESAMPLES, Quality
from fedpact.requester.model_file import FetchedModel
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification

LIMITS = (
    "This card knows only what is public about the training data: columns, labels and numbers of"
    " samples. Nobody has checked that the records are like yours.",
    "Members could read an evaluation slice once the models of its round were in, and train on it"
    " in later rounds. The figures of slices that stayed sealed until the final models were made"
    " are the ones to trust.",
    "Intervals are over the examples of the evaluation set. Data from elsewhere may differ more.",
)
_FITTED = (
    "Thresholds and calibration were fitted to the same evaluation examples on which the tables of"
    " labels and calibrated probabilities are counted: new data may do worse."
)
_UNMEASURED = (
    "Its holder has not measured it: the requester alone can read the evaluation slices, while the"
    " content store has them."
)
_BY_MEMBERS = (
    "Its family gives no predictions: the members measured it, by what the app reports of itself."
)


@dataclass(frozen=True)
class ModelCard:
    """All that a card says. `quality` is None for a bought model, or where a slice is lost."""

    model: FetchedModel
    provenance: Provenance
    quality: Quality | None
    cost: PrivacyCost | None
    """Of all that one provider releases; None unless the privacy is sound."""

    @property
    def spec(self) -> Specification:
        return self.model.specification

    @property
    def limits(self) -> tuple[str, ...]:
        if self.quality is None:
            known = family_of(self.spec).predicts
            return (LIMITS[0], _UNMEASURED if known else _BY_MEMBERS)
        return (*LIMITS, _FITTED) if self.quality.thresholds else LIMITS

    def facts(self) -> dict[str, Any]:
        """A JSON object."""
        spec, quality = self.spec, self.quality
        return {
            "format": "fedpact-model-card-1",
            "title": spec.title,
            "category": spec.category,
            "task": spec.task,
            "predicts": list(predicts(spec)),
            "family": spec.family.model_dump(mode="json"),
            "strategy": spec.strategy.model_dump(mode="json"),
            "aggregation": spec.aggregation.model_dump(mode="json"),
            "data": {
                "features": spec.features.model_dump(mode="json"),
                "samples": sum(one.samples for one in self.provenance.providers),
                "evaluation_examples": sum(part.examples for part in spec.evaluation),
            },
            "providers": [asdict(one) for one in self.provenance.providers],
            "quality": None
            if quality is None
            else {
                **asdict(quality),
                "intervals": {"confidence": CONFIDENCE, "resamples": RESAMPLES},
            },
            "privacy": self._privacy(),
            "usage_rules": spec.usage_rules,
            "limits": list(self.limits),
            "provenance": {
                "deployment": self.model.deployment,
                "request": self.model.request_id,
                "model": self.model.cid,
                "initial_model": spec.initial_model,
                "evaluation": [part.cid for part in spec.evaluation],
                **{k: v for k, v in asdict(self.provenance).items() if k != "providers"},
            },
        }

    def _privacy(self) -> dict[str, Any]:
        privacy, scope, spent = self.spec.privacy, scope_of(self.spec.privacy), self.cost
        return {
            "statement": privacy_statement(self.spec),
            "mode": privacy.mode.value,
            "epsilon": privacy.epsilon,
            "delta": privacy.delta,
            "unit": None if spent is None else UNIT,
            "adjacency": None if spent is None else ADJACENCY,
            "accountant": None if spent is None else spent.accountant,
            "computed_epsilon": None if spent is None else spent.epsilon,
            "computed_epsilon_replacement": None if spent is None else spent.epsilon_replacement,
            "covers": list(scope.covers),
            "not_covered": list(scope.not_covered),
        }


def make_card(model: FetchedModel, provenance: Provenance, quality: Quality | None) -> ModelCard:
    """The card; what all releases of a provider cost is computed from the specification."""
    return ModelCard(model, provenance, quality, request_cost(model.specification))


def request_cost(spec: Specification) -> PrivacyCost | None:
    """What all releases of one provider cost; None unless the privacy is sound."""
    whole, delta = of_request(spec), spec.privacy.delta
    if spec.privacy.mode is not PrivacyMode.SOUND or whole is None or delta is None:
        return None
    return cost(whole, delta)


def predicts(spec: Specification) -> tuple[str, ...]:
    """The labels, or the name of a regression's value."""
    return spec.labels or ((spec.output.column,) if spec.output else ())

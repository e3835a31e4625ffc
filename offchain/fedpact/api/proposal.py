"""A request proposed from its schema, its evaluation set and epsilon, before anything is paid."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from fedpact.api.evaluation import evaluation_of
from fedpact.errors import PrivacyError, SpecificationError
from fedpact.requester.candidates import FamilyCandidate, candidates
from fedpact.requester.draft import Draft
from fedpact.requester.preparing import judged_fairly
from fedpact.requester.usual_terms import block_seconds, windows
from fedpact.simulation.expectation import Expectation, expected
from fedpact.types.schema import DataSchema

if TYPE_CHECKING:
    from fedpact.chain.client import ChainClient
    from fedpact.data.dataset import Dataset
    from fedpact.types.specification import Specification

LEAST_ROUNDS = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proposal:
    """A draft, and what a simulation on the evaluation set says of it."""

    draft: Draft
    expected: Expectation
    considered: Mapping[str, Expectation]
    """Of each family that was tried, and of each form of one."""
    form: str
    """Which of `considered` is proposed."""
    label: str
    """The evaluation set's column of labels."""
    usual_pay: int | None
    """Wei per provider and round, as paid here before; None: nothing was."""

    @property
    def pay(self) -> int | None:
        """Wei for the whole request at the usual pay, rounded up to two digits."""
        if self.usual_pay is None:
            return None
        spec = self.draft.specification
        whole = self.usual_pay * spec.rounds * spec.max_providers
        step: int = 10 ** max(0, len(str(whole)) - 2)
        return -(-whole // step) * step

    def check(self) -> None:
        """Raise PrivacyError if no model better than a guess is to be expected."""
        if self.expected.reaches:
            return
        spec, seen = self.draft.specification, self.expected
        guess, found, free = (
            quality_text(spec, one) for one in (seen.first, seen.error, seen.without_privacy)
        )
        advice = (
            "raise epsilon, or ask for more providers or larger ones"
            if seen.learns
            else "more epsilon would not help: the columns say little about what is to be "
            "predicted, or the evaluation set is too small to show it"
        )
        raise PrivacyError(
            f"epsilon {spec.privacy.epsilon:g} with {seen.providers} providers of {seen.units} "
            f"units reaches nothing: {spec.measure} {found} is to be expected, {guess} by guessing,"
            f" {free} without privacy: {advice}"
        )


def propose(
    client: "ChainClient",
    schema: DataSchema,
    evaluation: Any,
    epsilon: float,
    *,
    usual: int | None,
    units: int | None = None,
    label: str | None = None,
    family: str | None = None,
    fields: Mapping[str, Any],
    on_try: Callable[[str], None] = lambda _: None,
) -> Proposal:
    """The best of the families and forms that suit the schema, by simulation, with windows for this
    chain.

    `usual`: as `fedpact.requester.usual_terms.usual_pay` says it; `units`: privacy units that each
    provider is expected to have, by default the schema's; `family`: the only one to try; `fields`
    replace those of the draft; `on_try`: called with the name of each before it is simulated.
    Raises SpecificationError, DataError, PrivacyError.
    """
    if units is not None and (not isinstance(units, Integral) or units < 1):
        raise SpecificationError(f"units: a number from 1 is needed, not {units!r}")
    given = dict(fields)
    output = given.pop("output", None)
    suited = candidates(schema, epsilon, output)
    tried = [one for one in suited if family in (None, one.family)]
    if not tried:
        known = ", ".join(dict.fromkeys(one.family for one in suited))
        raise SpecificationError(
            f"family {family!r} is not proposed for these data, only {known}: write it into the "
            "draft yourself"
        )
    found: dict[str, tuple[Draft, Expectation]] = {}
    column = label or schema.label_column
    for name, asked, data in _read(tried, given, evaluation, column):
        draft = _judged(asked.with_priors(data.y), data, fixed="rounds" in given)
        if "metric" in draft.fields:
            given["metric"] = draft.fields["metric"]
        spec = draft.specification
        on_try(name)
        seen = expected(spec, data, spec.min_providers, units or schema.units)
        log.info("%s: expected error %.4f", name, seen.error)
        found[name] = draft, seen
    best = min(found, key=lambda name: found[name][1].error)
    draft, seen = found[best]
    if "windows" not in given:
        long_enough = windows(
            block_seconds(client),
            client.deployment.min_window,
            seen.seconds,
            seen.preparing,
            seen.judging,
        )
        draft = draft.changed(windows=long_enough)
    considered = {name: one for name, (_, one) in found.items()}
    return Proposal(draft, seen, considered, best, column, usual)


def quality_text(spec: "Specification", error: float) -> str:
    """An error by the request's metric as people say it: a share of right answers, an area, or an
    error in the output's unit."""
    if spec.output is not None:
        return f"{error * spec.output.scale:.3g}"
    if spec.measure.name in ("brier", "log-loss"):
        return f"error {error:.3f}"
    return f"{1 - error:.3f}"


def _read(
    suited: Iterable[FamilyCandidate], given: Mapping[str, Any], evaluation: Any, label: str
) -> "Iterator[tuple[str, Draft, Dataset]]":
    """Names and drafts, each with the evaluation set as it asks for it, which is read once where
    they ask for the same."""
    known: dict[str, tuple[Draft, Dataset]] = {}
    for one in suited:
        fields = {**one.fields, **given}
        features = repr(fields["features"])
        if features not in known:
            known[features] = evaluation_of(Draft(fields), evaluation, label)
        read, data = known[features]
        yield one.name, Draft({**fields, "features": read.fields["features"]}), data


def _judged(draft: Draft, data: "Dataset", *, fixed: bool) -> Draft:
    """With the metric that the evaluation set's labels call for, and no more rounds than its rarest
    label has examples, since each slice needs one."""
    spec = judged_fairly(draft.specification, data)
    if draft.fields.get("metric") is None and spec.metric is not None:
        draft = draft.changed(metric=spec.metric.name)
    if not spec.measure.by_label or fixed:
        return draft
    rarest = int(np.bincount(data.y, minlength=len(spec.labels)).min())
    rounds = min(spec.rounds, max(LEAST_ROUNDS, rarest))
    return draft if rounds == spec.rounds else draft.changed(rounds=rounds)

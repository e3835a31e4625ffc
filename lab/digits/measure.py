"""Measures the digits request over seeds and compares the figures with the targets."""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fedpact.privacy.accounting import cost
from fedpact.privacy.releases import of_request
from fedpact.simulation.adversaries import FURTHER, POISONS, SimulatedProvider
from fedpact.simulation.baselines import central
from fedpact.simulation.request import SimulatedRequest, accuracy
from lab.digits import request as digits
from lab.digits.request import Setting

MIN_MEAN_ACCURACY = 0.88
MIN_ACCURACY = 0.85
MIN_LEAD_OVER_SINGLE = 0.20
LARGEST_LOSS = 0.03
LARGEST_PAY = {"average": 0.25}
"""Largest pay of a poisoner as a share of the honest mean; 0.1 for kinds not listed."""
USUAL_LARGEST_PAY = 0.10


@dataclass(frozen=True)
class HonestRun:
    """A run with four honest providers, and the figures to compare it with."""

    seed: int
    noise_seed: int
    accuracy: float
    best_single_accuracy: float
    central_accuracy: float
    """Trained on all records together, without privacy, for as many steps."""
    alone_accuracy: float
    """The first three providers only, without the one that the poisoner replaces."""
    points: list[int]
    excluded: list[int]
    """Rounds in which each provider's model was left out."""


@dataclass(frozen=True)
class PoisonedRun:
    """A run in which the last of the four providers is hostile."""

    seed: int
    accuracy: float
    difference: float
    """Accuracy minus that of the honest providers alone."""
    pay: float
    """The poisoner's points divided by the honest mean."""
    least_honest_points: int
    reputations: list[int]
    excluded: list[int]

    @property
    def lowest_reputation(self) -> bool:
        return self.reputations[-1] < min(self.reputations[:-1])


def measure(
    seeds: Sequence[int],
    noise_seed: int | None = None,
    *,
    further: bool = True,
    on_run: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """All runs of the study as a JSON object.

    Args:
        noise_seed: makes the noise repeatable; drawn from the operating system if None.
        further: also run the kinds of poison without a target.
        on_run: called after each run with its description.
    """
    kinds = {**POISONS, **(FURTHER if further else {})}
    honest: list[HonestRun] = []
    poisoned: dict[str, list[PoisonedRun]] = {kind: [] for kind in kinds}
    report = on_run or (lambda _: None)
    for seed in seeds:
        drawn = int.from_bytes(os.urandom(8), "big") if noise_seed is None else noise_seed + seed
        case = digits.setting(seed)
        honest.append(_honest(case, seed, drawn))
        report(f"seed {seed}: honest")
        for kind, provider in kinds.items():
            poisoned[kind].append(_poisoned(case, honest[-1], provider()))
            report(f"seed {seed}: {kind}")
    return {
        "experiment": "digits, 4 providers with 5 of the 10 classes each",
        "specification": digits.setting(seeds[0]).spec.model_dump(
            mode="json", exclude={"evaluation", "initial_model", "queries", "auditors"}
        ),
        "privacy": _privacy(digits.setting(seeds[0])),
        "honest": [asdict(run) for run in honest],
        "poison": {kind: [asdict(run) for run in runs] for kind, runs in poisoned.items()},
        "targets": _targets(honest, {kind: poisoned[kind] for kind in POISONS}),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scikit-learn", "dp-accounting")},
        },
    }


def write(result: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _honest(case: Setting, seed: int, noise_seed: int) -> HonestRun:
    all_four = digits.run(case, noise_seed)
    three = digits.run(case, noise_seed, absent=True)
    return HonestRun(
        seed,
        noise_seed,
        accuracy(case.spec, all_four.model, case.test),
        max(digits.single_accuracies(case, noise_seed)),
        accuracy(case.spec, central(case.spec, case.parts), case.test),
        accuracy(case.spec, three.model, case.test),
        all_four.points,
        _excluded(all_four),
    )


def _poisoned(case: Setting, honest: HonestRun, poison: SimulatedProvider) -> PoisonedRun:
    request = digits.run(case, honest.noise_seed, poison)
    reached = accuracy(case.spec, request.model, case.test)
    *others, hostile = request.points
    return PoisonedRun(
        honest.seed,
        reached,
        reached - honest.alone_accuracy,
        hostile / float(np.mean(others)),
        min(others),
        request.reputations(),
        _excluded(request),
    )


def _excluded(request: SimulatedRequest) -> list[int]:
    return [request.times_excluded(seat) for seat in range(len(request.points))]


def _privacy(case: Setting) -> dict[str, Any]:
    """Privacy cost of one provider's records over all rounds."""
    event = of_request(case.spec)
    if event is None or case.spec.privacy.delta is None:
        return {"mode": case.spec.privacy.mode.value}
    return asdict(cost(event, case.spec.privacy.delta))


def _targets(
    honest: Sequence[HonestRun], poisoned: Mapping[str, Sequence[PoisonedRun]]
) -> dict[str, dict[str, Any]]:
    accuracies = [run.accuracy for run in honest]
    lead = min(run.accuracy - run.best_single_accuracy for run in honest)
    targets = {
        "mean accuracy": _least(float(np.mean(accuracies)), MIN_MEAN_ACCURACY),
        "worst accuracy": _least(min(accuracies), MIN_ACCURACY),
        "least lead over the best single provider": _least(lead, MIN_LEAD_OVER_SINGLE),
    }
    for kind, runs in poisoned.items():
        pay = LARGEST_PAY.get(kind, USUAL_LARGEST_PAY)
        worst_pay = max(run.pay for run in runs)
        targets[f"{kind}: worst difference to the honest alone"] = _least(
            min(run.difference for run in runs), -LARGEST_LOSS
        )
        targets[f"{kind}: largest pay"] = {
            "value": round(worst_pay, 4),
            "at_most": pay,
            "met": worst_pay <= pay,
        }
        targets[f"{kind}: no honest provider unpaid"] = {
            "met": all(run.least_honest_points > 0 for run in runs)
        }
        targets[f"{kind}: poisoner has the lowest reputation"] = {
            "met": all(run.lowest_reputation for run in runs)
        }
    return targets


def _least(value: float, least: float) -> dict[str, Any]:
    return {"value": round(value, 4), "at_least": least, "met": value >= least}

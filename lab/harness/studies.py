"""Matches results to the cases of each experiment at each scale."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab.harness import configuration
from lab.harness.configuration import Case, Experiment, Gap, Scale
from lab.harness.needs import need
from lab.harness.results import Result
from lab.harness.statistics import mean_absolute_gap

Cell = tuple[str, str]
"""(partition, method)"""


@dataclass
class Study:
    """One experiment at one scale, with the results so far."""

    experiment: Experiment
    scale: Scale
    runs: dict[Cell, dict[int, Result]] = field(default_factory=lambda: defaultdict(dict))
    """Results by seed."""
    cases: dict[Cell, Case] = field(default_factory=dict)
    """One case per cell, for its grid point and number of providers."""
    missing: list[Case] = field(default_factory=list)
    """Cases of the file's own seeds without a result."""
    needs: str = ""
    """What the missing cases need; empty if none is missing."""

    @property
    def started(self) -> bool:
        """Whether any case was run."""
        return bool(self.runs)

    @property
    def state(self) -> str:
        """Complete, or what is missing and why."""
        if not self.started:
            return f"not run: {self.experiment.scales[self.scale].not_run or self.needs}"
        return f"{len(self.missing)} not run: {self.needs}" if self.missing else "complete"

    @property
    def name(self) -> str:
        return f"{self.experiment.name}-{self.scale}"

    def values(self, cell: Cell, metric: str) -> dict[int, float]:
        """Values by seed; gaps are computed here."""
        for gap in self.experiment.gaps:
            if gap.metric == metric:
                return self._gaps(gap, cell[0]) if cell[1] == gap.method else {}
        runs = self.runs.get(cell, {})
        return {seed: one.metrics[metric] for seed, one in runs.items() if metric in one.metrics}

    def curves(self, cell: Cell, curve: str) -> list[list[float]]:
        """One curve per seed."""
        runs = self.runs.get(cell, {})
        return [runs[seed].curves[curve] for seed in sorted(runs) if curve in runs[seed].curves]

    def metrics(self) -> list[str]:
        """All summarised metrics, the gaps last."""
        return [*self.experiment.metrics, *(gap.metric for gap in self.experiment.gaps)]

    def _gaps(self, gap: Gap, partition: str) -> dict[int, float]:
        ours = self.runs.get((partition, gap.method), {})
        base = self.runs.get((partition, gap.base), {})
        return {
            seed: mean_absolute_gap(ours[seed].curves[gap.curve], base[seed].curves[gap.curve])
            for seed in sorted(ours.keys() & base.keys())
        }


def studies(
    experiments: Iterable[Experiment], results: Sequence[Result]
) -> tuple[list[Study], list[Result]]:
    """Every experiment and scale, run or not, and the results that match none.

    A result matches a case, of any seed, if their identities are equal; other settings make
    another case.
    """
    by_identity = {result.identity: result for result in results}
    seeds = 1 + max((int(result.case["seed"]) for result in results), default=-1)
    found: list[Study] = []
    for experiment in experiments:
        for scale, setting in experiment.scales.items():
            study = Study(experiment, scale)
            for case in configuration.cases(experiment, scale, max(seeds, setting.seeds)):
                _assign(study, case, by_identity, own=case.seed < setting.seeds)
            if study.missing:
                study.needs = need(study.missing, results)
            found.append(study)
    return found, list(by_identity.values())


def _assign(study: Study, case: Case, by_identity: dict[str, Result], *, own: bool) -> None:
    cell = (case.partition, case.method)
    study.cases.setdefault(cell, case)
    result = by_identity.pop(case.identity, None)
    if result is None:
        study.missing += [case] if own else []
    else:
        study.runs[cell][case.seed] = result


def privacy_of(runs: Mapping[int, Result]) -> Mapping[str, object]:
    """The privacy of one cell's runs; the largest epsilon if they differ."""
    return max((one.privacy for one in runs.values()), key=lambda one: one["epsilon"] or 0.0)


def cells(study: Study) -> Iterator[tuple[Cell, Mapping[int, Result]]]:
    """The cells with results, in the order of the file."""
    for cell in study.cases:
        if cell in study.runs:
            yield cell, study.runs[cell]

"""A demo's results, as values and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from fedpact.audit import AuditReport, Verdict
from fedpact.demo.options import PoisonKind
from fedpact.privacy.accounting import PrivacyCost


@dataclass(frozen=True)
class RoundRow:
    leader: str
    excluded: tuple[str, ...]
    global_cid: str
    mae: int | None
    """1/10,000; None if there was no slice to measure on."""
    gas: int
    seconds: float


@dataclass(frozen=True)
class ProviderRow:
    address: str
    poisoned: str | None
    samples: int
    points: int
    paid_wei: int
    epsilon: float | None
    """Of all its releases, at `delta`; None if nothing is guaranteed: without privacy, or for a
    hostile provider, which does not train as declared."""
    delta: float | None
    reputation: int
    faults: int
    """Silence, votes not revealed or outside the band, another model attested."""
    drawn: int | None = None
    """In how many final rounds it took part."""

    def published(self) -> dict[str, object]:
        """The columns of the JSON file."""
        left_out = {"faults"} if self.drawn is not None else {"faults", "drawn"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass(frozen=True)
class FinalModel:
    """Qualities on held-out records: accuracy, or 1 - mean absolute error of a regression."""

    task: str
    quality: float
    central: float
    """Quality of a model from all providers' records together, without privacy."""
    best_single: float
    cid: str

    def published(self) -> dict[str, object]:
        """Accuracies, or mean absolute errors in units of the output's scale."""
        figures = {"": self.quality, "central_": self.central, "best_single_": self.best_single}
        if self.task == "classification":
            found = {f"{name}accuracy": value for name, value in figures.items()}
        else:
            found = {f"{name}mae": 1 - value for name, value in figures.items()}
        return {**found, "cid": self.cid}


@dataclass(frozen=True)
class DemoResult:
    rounds: tuple[RoundRow, ...]
    providers: tuple[ProviderRow, ...]
    final: FinalModel
    gas: int
    seconds: float
    refunded_wei: int
    audit: AuditReport
    cost: PrivacyCost | None
    """Of all releases of one honest provider; None if nothing is guaranteed."""
    privacy: str
    """The request's privacy in words."""
    missed: tuple[int, ...] = ()
    """The rounds that were asked for and did not become final."""

    def failures(self) -> list[str]:
        """Expectations that failed; empty if all held."""
        failed = [
            f"audit: {item.name}: {item.detail}"
            for item in self.audit.items
            if item.verdict is not Verdict.HOLDS
        ]
        failed += [f"round {number} did not become final" for number in self.missed]
        failed += [
            f"honest provider {row.address} was not paid"
            for row in self.providers
            if row.poisoned is None and row.paid_wei == 0 and row.drawn != 0
        ]
        failed += [
            f"honest provider {row.address} was found at fault {row.faults} times"
            for row in self.providers
            if row.poisoned is None and row.faults
        ]
        if self.final.quality <= self.final.best_single:
            failed.append("the model is no better than the best single provider's")
        return failed

    def to_json(self) -> str:
        per_round = sum(row.seconds for row in self.rounds) / max(1, len(self.rounds))
        document = {
            "rounds": [asdict(row) for row in self.rounds],
            "providers": [
                {**row.published(), "poisoned": row.poisoned is not None} for row in self.providers
            ],
            "privacy": self.privacy,
            "final": self.final.published(),
            "totals": {
                "gas": self.gas,
                "seconds": round(self.seconds, 2),
                "seconds_per_round": round(per_round, 3),
            },
            "audit": {item.name: item.verdict is Verdict.HOLDS for item in self.audit.items},
        }
        return json.dumps(document, indent=2) + "\n"


@dataclass(frozen=True)
class DemoProvider:
    """A provider as the demo set it up."""

    address: str
    samples: int
    poisoned: PoisonKind | None


@dataclass(frozen=True)
class Ending:
    """What the chain does not tell about a request's end."""

    round_seconds: Sequence[float]
    seconds: float
    """Of the whole demo."""
    final: FinalModel
    audit: AuditReport

"""A demo's results, as values and as JSON."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from fedpact.audit import AuditReport, Verdict
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.records import Event
from fedpact.consensus.artefacts import model_cid
from fedpact.demo.options import DemoOptions
from fedpact.learning.families import family_of, privacy_statement
from fedpact.privacy.accounting import PrivacyCost
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification

if TYPE_CHECKING:
    from fedpact.demo.data import DemoData
    from fedpact.demo.network import DemoNetwork
    from fedpact.demo.progress import RoundClock


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
    """No-shows, votes not revealed or outside the band, missed turns as leader."""

    def published(self) -> dict[str, object]:
        """The columns of the JSON file."""
        return {name: value for name, value in asdict(self).items() if name != "faults"}


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

    def failures(self) -> list[str]:
        """Expectations that failed; empty if all held."""
        failed = [
            f"audit: {item.name}: {item.detail}"
            for item in self.audit.items
            if item.verdict is not Verdict.HOLDS
        ]
        failed += [
            f"honest provider {row.address} was not paid"
            for row in self.providers
            if row.poisoned is None and row.paid_wei == 0
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


def collect(
    network: "DemoNetwork",
    request_id: int,
    spec: Specification,
    accounts: list[AccountKeys],
    options: DemoOptions,
    data: "DemoData",
    clock: "RoundClock",
    final: FinalModel,
    report: AuditReport,
    refunded: int,
    started: float,
) -> DemoResult:
    """Read the tables' figures from the chain."""
    events = network.events(request_id)
    gas = {tx: network.client.gas_used(tx) for tx in {event.tx_hash for event in events}}
    seats = {member.account: member for member in network.client.rounds.members(request_id)}
    points, faults = network.client.rounds.points(request_id)
    paid = {e.args["provider"]: int(e.args["amount"]) for e in _named(events, "Claimed")}
    spent = _privacy(spec)
    providers = tuple(
        ProviderRow(
            keys.address,
            kind.value if (kind := options.poison_of(number)) else None,
            data.samples[number],
            points[seats[keys.address].seat],
            paid.get(keys.address, 0),
            round(spent.epsilon, 4) if spent and not options.poison_of(number) else None,
            spent.delta if spent and not options.poison_of(number) else None,
            network.client.registry.reputation(keys.address),
            faults[seats[keys.address].seat],
        )
        for number, keys in enumerate(accounts)
    )
    names = {member.seat: member.account for member in seats.values()}
    template = family_of(spec).template(spec)
    included = {e.args["round"]: e.args["included"] for e in _named(events, "RoundTallied")}
    rows = []
    for event in _named(events, "RoundFinalised"):
        round_ = event.args["round"]
        submitted = {
            e.args["seat"] for e in _named(events, "ModelSubmitted") if e.args["round"] == round_
        }
        left_out = sorted(submitted - set(seats_of(included[round_])))
        rows.append(
            RoundRow(
                names[event.args["leader"]],
                tuple(names[seat] for seat in left_out),
                str(model_cid(template, event.args["digest"])),
                None if event.args["mae"] == INVALID else event.args["mae"],
                sum(gas[tx] for tx in {e.tx_hash for e in events if e.args.get("round") == round_}),
                round(clock.seconds[round_ - 1], 3) if round_ <= len(clock.seconds) else 0.0,
            )
        )
    return DemoResult(
        tuple(rows),
        providers,
        final,
        sum(gas.values()),
        time.monotonic() - started,
        refunded,
        report,
        spent,
        privacy_statement(spec),
    )


def _named(events: Iterable[Event], name: str) -> list[Event]:
    return [event for event in events if event.name == name]


def _privacy(spec: Specification) -> PrivacyCost | None:
    """Cost to each record of a provider of all its releases in the request."""
    from fedpact.privacy.accounting import cost
    from fedpact.privacy.mechanisms import of_request

    release = of_request(spec)
    if release is None or spec.privacy.delta is None:
        return None
    return cost(release, spec.privacy.delta)

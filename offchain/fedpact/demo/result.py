"""A demo's results, as values and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from fedpact.audit import AuditReport, Verdict
from fedpact.chain.client import ChainClient
from fedpact.chain.records import Event
from fedpact.consensus.artefacts import model_cid
from fedpact.demo.network import DemoNetwork
from fedpact.demo.options import PoisonKind
from fedpact.learning.families import family_of, privacy_statement
from fedpact.privacy.accounting import PrivacyCost
from fedpact.types.rounds import seats_of
from fedpact.types.scores import INVALID
from fedpact.types.specification import Specification


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
    drawn: int | None = None
    """Protocol 2: in how many final rounds it took part."""

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
    """Protocol 2: the rounds that were asked for and did not become final."""

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
    refunded_wei: int


def collect(
    network: DemoNetwork,
    client: ChainClient,
    request_id: int,
    spec: Specification,
    providers: Sequence[DemoProvider],
    ending: Ending,
) -> DemoResult:
    """Read the tables' figures from the chain."""
    events = network.events(request_id)
    gas = {tx: client.gas_used(tx) for tx in {event.tx_hash for event in events}}
    seats = {member.account: member for member in client.rounds.members(request_id)}
    points, faults = client.rounds.points(request_id)
    paid = {e.args["provider"]: int(e.args["amount"]) for e in _named(events, "Claimed")}
    spent = _privacy(spec)
    rows = tuple(
        ProviderRow(
            one.address,
            one.poisoned.value if one.poisoned else None,
            one.samples,
            points[seats[one.address].seat],
            paid.get(one.address, 0),
            round(spent.epsilon, 4) if spent and not one.poisoned else None,
            spent.delta if spent and not one.poisoned else None,
            client.registry.reputation(one.address),
            faults[seats[one.address].seat],
        )
        for one in providers
    )
    names = {member.seat: member.account for member in seats.values()}
    template = family_of(spec).template(spec)
    included = {e.args["round"]: e.args["included"] for e in _named(events, "RoundTallied")}
    rounds = []
    for event in _named(events, "RoundFinalised"):
        round_ = event.args["round"]
        submitted = {
            e.args["seat"] for e in _named(events, "ModelSubmitted") if e.args["round"] == round_
        }
        left_out = sorted(submitted - set(seats_of(included[round_])))
        rounds.append(
            RoundRow(
                names[event.args["leader"]],
                tuple(names[seat] for seat in left_out),
                str(model_cid(template, event.args["digest"])),
                None if event.args["mae"] == INVALID else event.args["mae"],
                sum(gas[tx] for tx in {e.tx_hash for e in events if e.args.get("round") == round_}),
                round(ending.round_seconds[round_ - 1], 3)
                if round_ <= len(ending.round_seconds)
                else 0.0,
            )
        )
    return DemoResult(
        tuple(rounds),
        rows,
        ending.final,
        sum(gas.values()),
        ending.seconds,
        ending.refunded_wei,
        ending.audit,
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

"""The effect of a share of hostile providers on the model, by attack and rule."""

from collections.abc import Mapping
from typing import Any

from fedpact.data.dataset import Dataset
from fedpact.errors import InvalidInput
from fedpact.learning.artefact import Model
from fedpact.simulation.adversaries import SimulatedProvider
from fedpact.simulation.request import Seat, accuracy
from fedpact.types.specification import AggregationChoice
from lab.committees.attacks import ATTACKS, BACKDOOR_LABEL, Collusion, patched
from lab.committees.data import SMALL, CommitteeData, CommitteeSize, committee_data

VOTED = "poq"
"""The default: votes on the contribution, then the weighted mean of the included models."""
RULES: Mapping[str, AggregationChoice] = {
    VOTED: AggregationChoice(),
    "weighted-mean": AggregationChoice(),
    "coordinate-median": AggregationChoice(name="coordinate-median"),
    "trimmed-mean": AggregationChoice(name="trimmed-mean", parameters={"share": 0.3}),
    "multi-krum": AggregationChoice(name="multi-krum", parameters={"byzantine": 3, "kept": 7}),
    "centred-clipping": AggregationChoice(
        name="centred-clipping", parameters={"radius": 3.0, "iterations": 3}
    ),
    "norm-bounding": AggregationChoice(name="norm-bounding", parameters={"bound": 3.0}),
}
"""One setting for all attacks; radius and bound are near the median norm of honest updates, which
on MNIST (seed 100) falls from 4 to 0.7 over ten rounds IID and from 6 to 3.5 with two classes each.
Only the first uses votes and approvals."""


def run_case(
    attack: str,
    rule: str,
    share: float,
    partition: str,
    seed: int,
    scale: CommitteeSize = SMALL,
    dataset: str = "mnist",
) -> dict[str, Any]:
    """One request with `share` of the providers hostile, and one with only the honest providers.

    Args:
        attack: a name of ATTACKS.
        rule: a name of RULES.
        share: from 0 to below 1; rounded to whole providers, which take the last seats.

    Returns:
        `accuracy` of the global model; `honest_alone`, the accuracy of plain training without the
        hostile providers; `difference` between them; `excluded`, rounds in which each seat was
        excluded; `points` of each seat (only with votes); `stalled`, whether a round never became
        final; `rounds`, how many became final; `back_door`, how often a patched example of another
        label gets the back door's label; `back_door_honest`, the same for the honest alone.

    Raises:
        InvalidInput: an unknown attack or rule, or a share out of range.
        DataMissing: the data set's files are missing.
    """
    if attack not in ATTACKS or rule not in RULES:
        raise InvalidInput(
            f"unknown attack {attack!r} or rule {rule!r}: attacks are {', '.join(ATTACKS)}, rules "
            f"{', '.join(RULES)}"
        )
    if not 0 <= share < 1:
        raise InvalidInput(f"share of hostile providers: from 0 to below 1, not {share:g}")
    case = committee_data(dataset, partition, seed, scale)
    hostile = round(share * scale.providers)
    seats = committee(case, attack, hostile)
    request = case.run(seats, voting=rule == VOTED, aggregation=RULES[rule])
    alone = case.run(seats[: len(seats) - hostile], voting=False)
    reached, honest = (accuracy(case.spec, one.model, case.test) for one in (request, alone))
    found = {
        "accuracy": reached,
        "honest_alone": honest,
        "difference": reached - honest,
        "excluded": [request.times_excluded(seat) for seat in range(len(seats))],
        "points": request.points if rule == VOTED else [],
        "stalled": request.stalled,
        "rounds": len(request.rounds),
    }
    if attack == "back-door":
        found["back_door"] = back_door_rate(case, request.model)
        found["back_door_honest"] = back_door_rate(case, alone.model)
    return found


def committee(case: CommitteeData, attack: str, hostile: int) -> list[Seat]:
    """All providers of a case; the last `hostile` of them are colluding poisoners."""
    first = len(case.parts) - hostile
    collusion = Collusion(frozenset(range(first, len(case.parts))), dict(enumerate(case.parts)))
    return [
        Seat(seat, part, ATTACKS[attack](collusion) if seat >= first else SimulatedProvider())
        for seat, part in enumerate(case.parts)
    ]


def back_door_rate(case: CommitteeData, model: Model) -> float:
    """Share of the patched test examples of other labels that get the back door's label."""
    others = case.test.y != BACKDOOR_LABEL
    x = patched(case.test.x[others])
    wanted = case.test.y[others] * 0 + BACKDOOR_LABEL
    return accuracy(case.spec, model, Dataset(x, wanted, ()))

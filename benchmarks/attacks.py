"""What a requester learns of one record from attacks that once worked, over many trials each.

`python -m benchmarks.attacks` prints the table of docs/privacy.md: 200 trials a row, half of them
with the record. Advantage: by how much more often the best guess from everything that leaves the
process, but for noised bytes, is right than wrong; the distance in total variation of what was seen
with and without the record. Move: the largest distance by which the record moved the noised sums of
a step, over what is charged for it. Repeat an attack alone by its name.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedpact.learning.artefact import MAX_WEIGHT
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of
from fedpact.privacy_audit import hostile, participation
from fedpact.privacy_audit.hostile import HostileRequest
from fedpact.privacy_audit.participation import CELLS, NUMBERS, play
from fedpact.types.document import canonical_json
from fedpact.types.specification import Specification

TRIALS = 200
BISECTIONS = 20
"""Scales that an attacker tries in turn."""
SAMPLED = {"steps": 1, "learning_rate": 1.0, "momentum": 0.0, "sampling_rate": 0.5}


@dataclass(frozen=True)
class Attack:
    requests: list[HostileRequest]
    content: Any
    """Of the record."""
    label: str = "a"
    several: bool = False
    """Whether units have several examples; the record's then has seventy."""
    spent: bool = False
    """Whether the record's budget was used up before."""


def request(family: str, extreme_start: bool = False, **changes: Any) -> HostileRequest:
    """A request that may be published: an ordinary one with `changes`, which replace or, where both
    are tables, extend its fields. extreme_start: all weights at their bounds."""
    random = np.random.default_rng(0)
    fields = hostile._fields(family, random)
    fields["labels"] = fields["labels"] and list(hostile.LABELS)
    fields["strategy"] = {"name": "fedavg"}
    if "scale" in fields["features"]:
        fields["features"]["scale"] = 1.0
    fields["family"]["parameters"] = hostile._FORMS[family][1]
    fields["privacy"]["noise_multiplier"] = 3.0
    if family not in hostile.TEXT_FAMILIES:
        fields["local"] = _steps()
        fields["privacy"]["clipping_norm"] = 1.0
    if family not in hostile.TEXT_FAMILIES and not hostile._FORMS[family][0]:
        fields["features"] = {**_columns("age", "income"), "scale": 1.0}
    for name, value in changes.items():
        known = fields.get(name)
        both = isinstance(known, dict) and isinstance(value, dict)
        fields[name] = {**known, **value} if both else value
    if fields["local"].get("sampling_rate", 1.0) != 1:
        fields["privacy"]["noise_multiplier"] = hostile._SAMPLED[0]
    spec = Specification.decode(canonical_json(fields))
    check_published(spec)
    start = family_of(spec).initial(spec, 0)
    if extreme_start:
        ends, lots = np.array([-MAX_WEIGHT, MAX_WEIGHT], np.float32), np.random.default_rng(0)
        start = {name: lots.choice(ends, one.shape) for name, one in start.items()}
    return HostileRequest(spec, start, spec.rounds)


def _columns(*names: str) -> dict[str, Any]:
    return {"shape": [len(names)], "columns": list(names)}


def _steps(rate: float = 1.0) -> dict[str, Any]:
    return {**SAMPLED, "sampling_rate": rate}


def _scales() -> list[HostileRequest]:
    return [
        request("softmax-regression", features={**_columns("income"), "scale": float(scale)})
        for scale in np.geomspace(1e-6, 1e12, BISECTIONS)
    ]


ATTACKS: dict[str, Callable[[], Attack]] = {
    "overflow of cnn": lambda: Attack([request("cnn", True)], NUMBERS["huge"]),
    "overflow of scattering-linear": lambda: Attack(
        [request("scattering-linear", True)], NUMBERS["huge"]
    ),
    "bisected scale": lambda: Attack(_scales(), CELLS["huge"]),
    "all labels but one": lambda: Attack(
        [request("softmax-regression", labels=["a", "b"])], CELLS["ordinary"], label="c"
    ),
    "output that is no number": lambda: Attack(
        [
            request(
                "linear-regression",
                features=_columns("age"),
                output={"column": "note", "scale": 1.0, "cap": None},
            )
        ],
        CELLS["a word"],
    ),
    "columns that are no numbers": lambda: Attack(
        [request("mlp", features=_columns("note", "code"))], CELLS["long"]
    ),
    "codes of characters": lambda: Attack([request("char-lstm")], NUMBERS["beyond float32"]),
    "steps off the sum": lambda: Attack(
        [request("softmax-regression", True, local=_steps(0.5))], CELLS["huge"]
    ),
    "budget that is used up": lambda: Attack(
        [request("softmax-regression")], CELLS["ordinary"], spent=True
    ),
    "time of the submission": lambda: Attack([request("mlp")], CELLS["ordinary"], several=True),
    "rounding of sampled steps": lambda: Attack(
        [
            request(
                "softmax-regression",
                True,
                local=_steps(0.5),
            )
        ],
        CELLS["ordinary"],
    ),
    "smallest clipping norm": lambda: Attack(
        [request("softmax-regression", True, privacy={"clipping_norm": 1e-6})],
        CELLS["ordinary"],
    ),
}


def multiplier(asked: HostileRequest) -> float:
    """Of the noise of the request's last round."""
    return participation._multiplier(asked) or 1.0


def result(name: str, trials: int) -> tuple[float, float]:
    """Advantage and largest move of an attack, over an even number of trials."""
    attack = ATTACKS[name]()
    seen: dict[bool, Counter[Any]] = {True: Counter(), False: Counter()}
    move = 0.0
    for trial in range(trials // 2):
        number = trial % len(attack.requests)
        asked, sums = attack.requests[number], {}
        for there in (True, False):
            content = attack.content if there else None
            spent = attack.spent and there
            found = play(asked, content, attack.label, attack.several, trial, spent=spent)
            assert found.behaviour.decision == participation.JOINS, found.behaviour.decision
            seen[there][number, found.behaviour] += 1
            sums[there] = found.sums
        moved = participation._moved(sums[True], sums[False])
        move = max(move, moved * multiplier(asked))
    keys = seen[True].keys() | seen[False].keys()
    apart = sum(abs(seen[True][key] - seen[False][key]) for key in keys)
    return apart / (2 * (trials // 2)), move


def main(names: list[str]) -> None:
    print(f"| attack | advantage over {TRIALS} trials | largest move |")
    print("|---|---|---|")
    for name in names or ATTACKS:
        advantage, move = result(name, TRIALS)
        print(f"| {name} | {advantage:.3f} | {move:.4f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Made-up status logs of machines, in place of the files that Lu et al. 2020 take texts for
(section IV-B: configuration files and status logs of vehicles).

Each line has words of the machine, of what is wrong with it, and of any log.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

LABELS = ("bearing", "leak", "control")
WORDS = {
    "bearing": ("vibration", "bearing", "rattle", "friction", "wear", "shaft"),
    "leak": ("pressure", "leak", "seal", "drip", "valve", "refill"),
    "control": ("timeout", "controller", "sensor", "restart", "firmware", "signal"),
}
SHARED = ("shift", "checked", "report", "normal", "technician", "cleaned", "noted", "hours")
MACHINES = {
    "logs/turbines": ("turbine", "blade", "rotor", "nacelle", "steam"),
    "logs/conveyors": ("conveyor", "belt", "roller", "pallet", "chute"),
    "logs/forklifts": ("forklift", "fork", "battery", "driver", "aisle"),
}
TERMS = (*(word for label in LABELS for word in WORDS[label]), *MACHINES["logs/turbines"][:2])
"""Public terms of a request: the nodes of its graphs."""
OWN, OTHER = 4, 1
"""Words of a line that are of its own label, and of another."""


def lines(category: str, count: int, seed: int) -> list[tuple[str, str]]:
    """`count` lines and their labels, all labels equally often."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        other = random.choice([one for one in LABELS if one != label])
        words = [
            *random.choice(WORDS[label], OWN),
            *random.choice(WORDS[other], OTHER),
            *random.choice(MACHINES[category], 3),
            *random.choice(SHARED, 4),
        ]
        found.append((f"unit {seed}-{number}: {' '.join(random.permutation(words))}", label))
    return found


def write_table(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A provider's file: columns `text` and `label`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("text", "label"), *rows])
    return path


def write_queries(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A requester's file: one text a line."""
    path.write_text("".join(f"{text}\n" for text, _ in rows), encoding="utf-8")
    return path

"""Writes the shared vectors beside this file: `python -m tests.vectors.generate`.

Cases under a name were worked out by hand and are checked against naive.py here; the others are
random (fixed seed) with naive.py's answer. Contracts and Python mirror are tested against both.
"""

import json
import random
from math import floor
from pathlib import Path

from tests.vectors import naive
from tests.vectors.deliveries import deliveries
from tests.vectors.golden import (
    BAD_LANES,
    LEADER_CASES,
    REPUTATION_CASES,
    WEIGHT_CASES,
)
from tests.vectors.large import large_rounds
from tests.vectors.rounds import judgement

FOLDER = Path(__file__).parent
Case = dict


def build() -> dict[str, Case]:
    """All vector files by name."""
    source = random.Random("fedpact vectors")
    return {
        "votes": votes(source),
        "leader": leader(source),
        "merkle": {"cases": merkle(source)},
        "reputation": {"cases": reputation(source)},
        "delivery": {"cases": deliveries()},
        "judgement": judgement(random.Random("fedpact judgement")),
        "large_rounds": large_rounds(random.Random("fedpact large rounds")),
    }


def agreed(name: str, by_hand: object, by_rule: object) -> None:
    if by_hand != by_rule:
        raise SystemExit(f"{name}: by hand {by_hand}, by the rules {by_rule}")


def address(source: random.Random) -> str:
    return "0x" + source.randbytes(20).hex()


# -- votes -----------------------------------------------------------------------------------------


def votes(source: random.Random) -> Case:
    packed = [[0] * 16, [10_000] * 16, [naive.INVALID] * 16, list(range(16))]
    packed += [
        [source.choice([source.randint(0, 10_000), 16_383]) for _ in range(16)] for _ in "abcd"
    ]
    return {
        "packed": [
            {"scores": scores, "word": hex(naive.pack(dict(enumerate(scores))))}
            for scores in packed
        ],
        "bad_lanes": BAD_LANES,
    }


# -- leader ----------------------------------------------------------------------------------------


def leader(source: random.Random) -> Case:
    weights = []
    for hand in WEIGHT_CASES:
        samples = dict(enumerate(hand["samples"]))
        agreed(hand["name"], hand["weights"], list(naive.capped(samples).values()))
        weights.append(hand)
    for number in range(12):
        drawn = [source.choice([source.randint(1, 500), 10_000_000]) for _ in range(1 + number)]
        capped = naive.capped(dict(enumerate(drawn)))
        weights.append(
            {"name": f"random {number}", "samples": drawn, "weights": list(capped.values())}
        )
    orders = []
    for hand in LEADER_CASES:
        agreed(hand["name"], hand["order"], naive.leaders(hand))
        orders.append(hand)
    for number in range(30):
        orders.append(random_order(source, f"random {number}", size=2 + number % 15))
    return {"weights": weights, "orders": orders}


def random_order(source: random.Random, name: str, size: int) -> Case:
    eligible = sorted(source.sample(range(size), source.randint(1, size)))
    medians = [source.choice([0, 500, 1000, source.randint(0, 10_000)]) for _ in range(size)]
    case: Case = {
        "name": name,
        "round": source.randint(1, 1000),
        "rule": source.randint(0, 1),
        "eligible": naive.mask(eligible),
        "medians": medians,
        "weights": [source.choice([100, source.randint(1, 10_000_000)]) for _ in range(size)],
        "accounts": [address(source) for _ in range(size)],
        "reputations": [source.choice([4000, source.randint(0, 10_000)]) for _ in range(size)],
        "last_leader": source.choice([255, *eligible]),
    }
    return {**case, "order": naive.leaders(case)}


# -- attributes ------------------------------------------------------------------------------------


def merkle(source: random.Random) -> list[Case]:
    cases = []
    for size in (1, 2, 3, 4, 5, 7, 8, 11):
        fields = [[source.randbytes(32) for _ in range(3)] for _ in range(size)]
        leaves = [naive.keccak(b"\x00" + b"".join(triple)) for triple in fields]
        proofs = [naive.tree_proof(leaves, index) for index in range(size)]
        cases.append(
            {
                "root": "0x" + naive.tree_root(leaves).hex(),
                "attributes": [["0x" + field.hex() for field in triple] for triple in fields],
                "leaves": ["0x" + leaf.hex() for leaf in leaves],
                "proofs": [["0x" + node.hex() for node in proof] for proof in proofs],
            }
        )
    return cases


# -- reputation ------------------------------------------------------------------------------------


def reputation(source: random.Random) -> list[Case]:
    cases = []
    for hand in REPUTATION_CASES:
        outcomes = hand["outcomes"]
        agreed(hand["name"], hand["score"], floor(naive.reputation(outcomes, hand["now"])))
        cases.append({**hand, "tolerance": 0})
    for number in range(25):
        now = source.randint(1_700_000_000, 1_800_000_000)
        outcomes = []
        for recorded in sorted(source.randint(now - 10**8, now) for _ in range(number % 8)):
            outcomes.append(
                {
                    "weight": source.choice([0, 1, source.randint(2, 150)]),
                    "quality": source.randint(0, 10_000),
                    "losses": source.choice([0, 0, 100, 300, 2000]),
                    "ended_at": source.randint(recorded - 10**7, recorded),
                    "recorded_at": recorded,
                }
            )
        exact = floor(naive.reputation(outcomes, now))
        cases.append(
            {
                "name": f"random {number}",
                "outcomes": outcomes,
                "now": now,
                "score": exact,
                "tolerance": 1,
            }
        )
    return cases


def render(content: Case) -> str:
    """The text of one vector file."""
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    for file, content in build().items():
        (FOLDER / f"{file}.json").write_text(render(content))

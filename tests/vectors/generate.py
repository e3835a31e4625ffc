"""Writes the shared vectors beside this file: `python -m tests.vectors.generate`.

Cases under a name were worked out by hand and are checked against naive.py here; the others are
random (fixed seed) with naive.py's answer. Contracts and Python mirror are tested against both.
"""

import json
import random
from fractions import Fraction
from math import floor
from pathlib import Path

from tests.vectors import naive
from tests.vectors.deliveries import deliveries
from tests.vectors.golden import (
    BAD_LANES,
    LEADER_CASES,
    PAYMENT_CASES,
    QUALITY_CASES,
    REPUTATION_CASES,
    TALLY_CASES,
    WEIGHT_CASES,
)
from tests.vectors.rounds import judgement

FOLDER = Path(__file__).parent
Case = dict


def build() -> dict[str, Case]:
    """All vector files by name."""
    source = random.Random("fedpact vectors")
    return {
        "votes": votes(source),
        "tally": {"cases": tally(source)},
        "leader": leader(source),
        "merkle": {"cases": merkle(source)},
        "reputation": {"cases": reputation(source)},
        "payment": payment(source),
        "delivery": {"cases": deliveries()},
        "judgement": judgement(random.Random("fedpact judgement")),
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
    bindings = [binding(source) for _ in range(6)]
    return {
        "packed": [
            {"scores": scores, "word": hex(naive.pack(dict(enumerate(scores))))}
            for scores in packed
        ],
        "bad_lanes": BAD_LANES,
        "bindings": bindings,
    }


def binding(source: random.Random) -> Case:
    """A vote's commitment and a global model's attestation of the same member and round."""
    ballot: Case = {
        "chain_id": source.choice([1, 31337, 2**40]),
        "rounds": address(source),
        "request_id": source.randint(1, 1000),
        "round": source.randint(1, 1000),
        "member": address(source),
    }
    scores = naive.pack({seat: source.randint(0, 10_000) for seat in range(5)})
    salt, digest = source.randbytes(32), source.randbytes(32)
    mae = source.choice([0, source.randint(1, 10_000), naive.INVALID])
    reference = b"".join(
        naive.word(ballot[key]) for key in ("chain_id", "rounds", "request_id", "round")
    )
    member = naive.word(ballot["member"])
    committed = naive.keccak(reference + member + naive.word(scores) + salt)
    seat = ballot["round"] % 16
    beside = seat + 1 if seat % 2 == 0 else seat - 1
    attested = naive.keccak(reference + digest + naive.word(mae) + member)
    return {
        **ballot,
        "word": hex(scores),
        "salt": "0x" + salt.hex(),
        "commitment": "0x" + committed.hex(),
        "digest": "0x" + digest.hex(),
        "mae": mae,
        "attestation": "0x" + attested.hex(),
        "seat": seat,
        "kept_commitment": hex(naive.without(committed, [seat])),
        "kept_attestation": hex(naive.without(attested, [seat, beside]) + (mae << 14 * beside)),
    }


# -- tally -----------------------------------------------------------------------------------------


def tally(source: random.Random) -> list[Case]:
    cases = []
    for hand in TALLY_CASES:
        rules = {key: hand[key] for key in ("name", "seats", "max_error", "band", "submitted")}
        expected = naive.tally(
            hand["votes"],
            naive.seats(hand["submitted"]),
            hand["seats"],
            hand["max_error"],
            hand["band"],
        )
        agreed(hand["name"], {key: hand[key] for key in expected}, expected)
        cases.append({**rules, **voted(hand["votes"]), **expected})
    for number in range(40):
        cases.append(random_tally(source, f"random {number}", size=2 + number % 15))
    return cases


def random_tally(source: random.Random, name: str, size: int) -> Case:
    submitted = sorted(source.sample(range(size), source.randint(min(2, size), size)))
    revealed = sorted(source.sample(submitted, source.randint(len(submitted) // 2, len(submitted))))
    truth = {seat: source.randint(0, 10_000) for seat in submitted}
    ballots: naive.Votes = {}
    for voter in revealed:
        honest = source.random() < 0.8
        ballots[voter] = {}
        for seat in submitted:
            if seat == voter:
                continue
            near = truth[seat] + source.randint(-400, 400) if honest else source.randint(0, 10_000)
            invalid = source.random() < 0.15
            ballots[voter][seat] = naive.INVALID if invalid else min(10_000, max(0, near))
    max_error, band = source.randint(1, 10_000), source.choice([0, 100, 300, 1000])
    return {
        "name": name,
        "seats": size,
        "max_error": max_error,
        "band": band,
        "submitted": naive.mask(submitted),
        **voted(ballots),
        **naive.tally(ballots, submitted, size, max_error, band),
    }


def voted(ballots: naive.Votes) -> Case:
    words = {str(voter): hex(naive.pack(scores)) for voter, scores in ballots.items()}
    return {"revealed": naive.mask(list(ballots)), "words": words}


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


# -- reputation and payment ------------------------------------------------------------------------


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
                    "losses": source.choice([0, 0, 100, 300]),
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


def payment(source: random.Random) -> Case:
    splits = []
    for hand in PAYMENT_CASES:
        agreed(hand["name"], [hand["pool"], hand["shares"]], split(hand))
        splits.append(hand)
    for number in range(20):
        rounds = source.randint(1, 1000)
        case: Case = {
            "name": f"random {number}",
            "payment": source.randint(1, 10**20),
            "reached": source.random() < 0.4,
            "paid_rounds": source.randint(0, rounds),
            "max_rounds": rounds,
            "points": [
                source.choice([0, source.randint(0, 10**7)]) for _ in range(2 + number % 15)
            ],
        }
        pool, shares = split(case)
        splits.append({**case, "pool": pool, "shares": shares})
    for hand in QUALITY_CASES:
        exact = Fraction(5000 * hand["points"] * hand["members"], hand["total"] or 1)
        agreed(hand["name"], hand["quality"], floor(min(Fraction(10_000), exact)))
    return {"splits": splits, "qualities": QUALITY_CASES}


def split(case: Case) -> list:
    part = Fraction(1) if case["reached"] else Fraction(case["paid_rounds"], case["max_rounds"])
    pool = floor(case["payment"] * part)
    total = sum(case["points"])
    return [pool, [floor(Fraction(pool * own, total)) if total else 0 for own in case["points"]]]


def render(content: Case) -> str:
    """The text of one vector file."""
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    for file, content in build().items():
        (FOLDER / f"{file}.json").write_text(render(content))

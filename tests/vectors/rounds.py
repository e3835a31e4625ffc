"""Rounds and settlements, from a third reading of their rules: in fractions and plain lists,
without the contracts and without fedpact.consensus."""

import random
from fractions import Fraction
from math import floor

from tests.vectors import naive

Case = dict
BLIND = 2**255
INVALID = naive.INVALID


def judgement(source: random.Random) -> Case:
    """The content of the vector file."""
    return {
        "rounds": [*BY_HAND, *(random_round(source, f"random {i}", 2 + i % 15) for i in range(60))],
        "leaders": [random_leader(source, f"random {i}", 2 + i % 15) for i in range(30)],
        "payouts": [random_payout(source, f"random {i}") for i in range(20)],
    }


# -- rounds ----------------------------------------------------------------------------------------


def judged(votes: naive.Votes, blind: list[int], submitted: list[int], max_error: int, band: int):
    """`blind`: seats whose vote is BLIND; `votes` are the others'."""
    voters = sorted([*votes, *blind])
    if 2 * len(blind) > len(voters):
        return equal(submitted, submitted, True)
    if len(votes) < 2:
        return equal(submitted, voters, False)
    medians = {
        seat: naive.median([ballot[seat] for voter, ballot in votes.items() if voter != seat])
        for seat in submitted
    }
    valid = [seat for seat in submitted if medians[seat] != INVALID]
    good = [seat for seat in valid if medians[seat] <= max_error]
    near = dict.fromkeys(voters, 0)
    for voter, ballot in votes.items():
        for seat in submitted:
            if seat != voter:
                both = (ballot[seat] == INVALID) == (medians[seat] == INVALID)
                near[voter] += both and -band <= ballot[seat] - medians[seat] <= band
    adverse = [voter for voter in votes if near[voter] < Fraction(len(submitted) - 1, 2)]
    paid = [seat for seat in valid if seat in voters and seat not in adverse]
    quality = {seat: Fraction(max(0, max_error - medians[seat])) for seat in paid}
    if not any(quality.values()):
        quality = {seat: Fraction(1) for seat in paid}
    points = {}
    for seat in paid:
        of_votes = sum(near[other] for other in paid)
        points[seat] = floor(8000 * quality[seat] / sum(quality.values()))
        points[seat] += floor(Fraction(1000 * near[seat], of_votes)) if of_votes else 0
    return board(medians, good or valid, paid, points, adverse, False)


def equal(submitted: list[int], eligible: list[int], is_blind: bool) -> Case:
    share = floor(Fraction(9000, len(eligible))) if eligible else 0
    points = {seat: share for seat in submitted if seat in eligible}
    return board(dict.fromkeys(submitted, 0), submitted, eligible, points, [], is_blind)


def board(medians, included, eligible, points, faults, is_blind) -> Case:
    every = {seat: medians.get(seat, INVALID) for seat in range(16)}
    return {
        "board": {
            "medians": hex(naive.pack(every)),
            "included": naive.mask(included),
            "eligible": naive.mask(eligible),
            "points": hex(sum(own * 65_536**seat for seat, own in points.items())),
            "faults": naive.mask(faults),
        },
        "blind": is_blind,
    }


def random_round(source: random.Random, name: str, size: int) -> Case:
    submitted = sorted(source.sample(range(size), source.randint(min(2, size), size)))
    revealed = sorted(source.sample(submitted, source.randint(len(submitted) // 2, len(submitted))))
    share = source.choice([0, 0, 0, 0.3, 0.6])
    blind = [seat for seat in revealed if source.random() < share]
    truth = {seat: source.randint(0, 10_000) for seat in submitted}
    votes: naive.Votes = {}
    for voter in [seat for seat in revealed if seat not in blind]:
        honest = source.random() < 0.8
        votes[voter] = {}
        for seat in [seat for seat in submitted if seat != voter]:
            near = truth[seat] + source.randint(-400, 400) if honest else source.randint(0, 10_000)
            invalid = source.random() < 0.1
            votes[voter][seat] = INVALID if invalid else min(10_000, max(0, near))
    max_error = source.choice([1, source.randint(1, 10_000), 10_000])
    return case_of(name, votes, blind, submitted, max_error, source.choice([0, 100, 1000]))


def case_of(name, votes, blind, submitted, max_error, band) -> Case:
    words = {voter: naive.pack(ballot) for voter, ballot in votes.items()} | dict.fromkeys(
        blind, BLIND
    )
    return {
        "name": name,
        "submitted": naive.mask(submitted),
        "votes": {str(seat): hex(words[seat]) for seat in sorted(words)},
        "max_error": max_error,
        "band": band,
        **judged(votes, blind, submitted, max_error, band),
    }


def _same(score: int, size: int = 3) -> naive.Votes:
    return {i: {j: score for j in range(size) if j != i} for i in range(size)}


BY_HAND = [
    {
        # 8,000 / 3 + 1,000 / 3, each rounded down.
        **case_of("equal models", _same(1000), [], [0, 1, 2], 5000, 50),
        "by_hand": [2666 + 333] * 3,
    },
    {
        # One adds nothing: it has the third of the votes' share alone.
        **case_of(
            "a model that adds nothing",
            {i: {j: 5000 if j == 2 else 1000 for j in range(3) if j != i} for i in range(3)},
            [],
            [0, 1, 2],
            5000,
            50,
        ),
        "by_hand": [4000 + 333, 4000 + 333, 333],
    },
    {
        **case_of("none is within the ceiling", _same(6000), [], [0, 1, 2], 5000, 50),
        "by_hand": [2666 + 333] * 3,
    },
    {**case_of("no slice opens", {}, [0, 1], [0, 1, 2], 5000, 50), "by_hand": [3000] * 3},
    {
        # One vote compares nothing: those that revealed share the 9,000.
        **case_of("one vote", {0: {1: 9, 2: 9}}, [], [0, 1, 2], 5000, 50),
        "by_hand": [9000, 0, 0],
    },
]


# -- leaders ---------------------------------------------------------------------------------------


def random_leader(source: random.Random, name: str, size: int) -> Case:
    submitted = sorted(source.sample(range(size), source.randint(min(2, size), size)))
    candidates = sorted(source.sample(submitted, source.randint(0, len(submitted))))
    samples = [source.choice([100, source.randint(1, 2**24 - 1)]) for _ in range(size)]
    medians = [source.choice([0, 500, source.randint(0, 10_000)]) for _ in range(size)]
    capped = naive.capped({seat: samples[seat] for seat in submitted})
    case: Case = {
        "name": name,
        "round": source.randint(1, 1000),
        "rule": source.randint(0, 1),
        "candidates": naive.mask(candidates),
        "submitted": naive.mask(submitted),
        "medians": medians,
        "samples": samples,
        "accounts": ["0x" + source.randbytes(20).hex() for _ in range(size)],
        "reputations": [source.choice([4000, source.randint(0, 10_000)]) for _ in range(size)],
        "last_leader": source.choice([16, *range(size)]),
    }
    # naive.leaders weighs all seats alike; those that did not submit weigh nothing.
    order = naive.leaders(
        {**case, "eligible": case["candidates"], "weights": [capped.get(s, 0) for s in range(size)]}
    )
    return {**case, "leader": order[0] if order else 16}


# -- settlements -----------------------------------------------------------------------------------


def random_payout(source: random.Random, name: str) -> Case:
    count, rounds = source.randint(2, 30), source.randint(1, 6)
    size = min(count, source.randint(2, 16))
    accounts = ["0x" + source.randbytes(20).hex() for _ in range(3)]
    entries, points = [], [0] * count
    fair, faults, refunds = [Fraction(0)] * count, [0] * count, dict.fromkeys(accounts, 0)
    paid_rounds = 0
    for _ in range(rounds):
        seats = source.sample(range(count), size)
        own = [source.choice([0, source.randint(0, 10_000 // size)]) for _ in seats]
        blamed = [source.random() < 0.3 for _ in seats]
        gas, poster = source.choice([0, source.randint(1, 10**7)]), source.choice(accounts)
        # Member 0 leaves no trace in the last seat without points and faults.
        blamed[-1] = blamed[-1] or seats[-1] == 0
        paid_rounds += any(own)
        extra = sum(2**i for i, fault in enumerate(blamed) if fault) + (2**16 if any(own) else 0)
        extra += gas * 2**32 + (int(poster, 16) * 2**96 if gas else 0)
        entries.append(
            {
                "cohort": hex(sum(index * 65_536**i for i, index in enumerate(seats))),
                "points": hex(sum(p * 65_536**i for i, p in enumerate(own))),
                "extra": hex(extra),
                "digest": "0x" + source.randbytes(32).hex(),
            }
        )
        refunds[poster] += gas * 10**9
        for index, got, fault in zip(seats, own, blamed, strict=True):
            points[index] += got
            fair[index] += floor(Fraction(sum(own), len(seats)))
            faults[index] += fault
    pay, reached, max_rounds = source.randint(1, 10**20), source.random() < 0.4, rounds + 2
    part = Fraction(1) if reached else Fraction(paid_rounds, max_rounds)
    whole, total = floor(pay * part), sum(points)
    earned = bytes(32)
    for entry in entries:
        words = [naive.word(int(entry[key], 16)) for key in ("cohort", "points", "extra")]
        digest = bytes.fromhex(entry["digest"][2:])
        earned = naive.keccak(earned + b"".join(words) + digest)
    return {
        "name": name,
        "count": count,
        "entries": entries,
        "folded": "0x" + earned.hex(),
        "pay": pay,
        "reached": reached,
        "max_rounds": max_rounds,
        "points": points,
        "qualities": [
            max(
                0,
                min(10_000, floor(5000 * points[i] / fair[i]) if fair[i] else 0)
                - 2000 * min(3, faults[i]),
            )
            for i in range(count)
        ],
        "shares": [floor(Fraction(whole * own, total)) if total else 0 for own in points],
        "refunds": {account: wei for account, wei in refunds.items() if wei},
    }

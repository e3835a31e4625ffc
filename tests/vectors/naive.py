"""A third implementation of the protocol's maths, in fractions and plain lists.

Neither the contracts nor fedpact.consensus are used here: the vectors that both are held against
come from this reading of the rules, slow and literal.
"""

from fractions import Fraction
from math import ceil, floor

from Crypto.Hash import keccak as _keccak

INVALID = 16_383
Votes = dict[int, dict[int, int]]
"""Voter's seat -> judged seat -> score."""


def keccak(data: bytes) -> bytes:
    return _keccak.new(digest_bits=256, data=data).digest()


def word(value: int | bytes | str) -> bytes:
    """One 32-byte ABI word of a number, an address or 32 bytes."""
    if isinstance(value, str):
        return bytes(12) + bytes.fromhex(value.removeprefix("0x"))
    return value if isinstance(value, bytes) else value.to_bytes(32, "big")


def pack(scores: dict[int, int]) -> int:
    return sum(score * 16_384**seat for seat, score in scores.items())


def seats(mask: int) -> list[int]:
    return [seat for seat in range(16) if mask // 2**seat % 2 == 1]


def mask(of: list[int]) -> int:
    return sum(2**seat for seat in of)


def median(votes: list[int]) -> int:
    if not votes:
        return INVALID
    votes = sorted(votes)
    middle = len(votes) // 2
    if len(votes) % 2 == 1:
        return votes[middle]
    if votes[middle] == INVALID:
        return votes[middle - 1]
    return ceil(Fraction(votes[middle - 1] + votes[middle], 2))


def tally(votes: Votes, submitted: list[int], size: int, max_error: int, band: int) -> dict:
    medians = [INVALID] * size
    for seat in submitted:
        medians[seat] = median([votes[voter][seat] for voter in votes if voter != seat])
    valid = [seat for seat in submitted if medians[seat] != INVALID]

    near: dict[int, int] = {}
    for voter in votes:
        near[voter] = 0
        for seat in submitted:
            if seat == voter:
                continue
            vote, middle = votes[voter][seat], medians[seat]
            both_invalid = vote == middle == INVALID
            both_valid = vote != INVALID and middle != INVALID
            if both_invalid or (both_valid and -band <= vote - middle <= band):
                near[voter] += 1
    half = Fraction(len(submitted) - 1, 2)
    adverse = [voter for voter in votes if near[voter] < half]
    paid = [seat for seat in valid if seat in votes and seat not in adverse]

    quality = {seat: Fraction(max(0, max_error - medians[seat])) for seat in paid}
    points = [0] * size
    for seat in paid:
        base = Fraction(1500, len(paid))
        by_quality = 7000 * quality[seat] / sum(quality.values()) if any(quality.values()) else 0
        total_near = sum(near[other] for other in paid)
        by_votes = Fraction(1000 * near[seat], total_near) if total_near else 0
        points[seat] = floor(base) + floor(by_quality) + floor(by_votes)
    return {
        "medians": medians,
        "valid": mask(valid),
        "included": mask([seat for seat in valid if medians[seat] <= max_error]),
        "eligible": mask(paid),
        "adverse": mask(adverse),
        "points": points,
    }


def capped(samples: dict[int, int]) -> dict[int, int]:
    ordered = sorted(samples.values())
    count = len(ordered)
    if count == 0:
        return {}
    middle = Fraction(ordered[(count - 1) // 2] + ordered[count // 2], 2)
    return {seat: int(min(number, 2 * middle)) for seat, number in samples.items()}


def weighted_error(seat: int, valid: list[int], medians: list[int], weights: list[int]) -> Fraction:
    """Lu et al. 2020, eq. 7, as printed."""
    gamma = 1 + Fraction(weights[seat], sum(weights))
    return gamma * medians[seat] + Fraction(sum(medians[i] for i in valid), len(valid))


def without(hashed: bytes, lanes: list[int]) -> int:
    """The sixteen lowest lanes of 14 bits of a hash, some of them blank."""
    digits = [int.from_bytes(hashed, "big") // 2 ** (14 * index) % 2**14 for index in range(16)]
    return pack({index: digit for index, digit in enumerate(digits) if index not in lanes})


def lot(round_number: int, account: str) -> int:
    return int.from_bytes(keccak(word(round_number) + word(account)), "big")


def leaders(case: dict) -> list[int]:
    eligible = seats(case["eligible"])

    def key(seat: int) -> tuple[Fraction, int]:
        tie = lot(case["round"], case["accounts"][seat])
        if case["rule"] == 0:
            return weighted_error(seat, eligible, case["medians"], case["weights"]), tie
        last = 20_000 if seat == case["last_leader"] else 0
        return Fraction(last - case["reputations"][seat]), tie

    return sorted(eligible, key=key)


def tree_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    # A power of two below the count splits the tree as pairing level by level does.
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    low, high = sorted([tree_root(leaves[:half]), tree_root(leaves[half:])])
    return keccak(b"\x01" + low + high)


def tree_proof(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    if index < half:
        return [*tree_proof(leaves[:half], index), tree_root(leaves[half:])]
    return [*tree_proof(leaves[half:], index - half), tree_root(leaves[:half])]


def reputation(outcomes: list[dict], now: int) -> Fraction:
    """The score with exact decay; the contract's roundings stay within one unit of it."""
    month = 30 * 24 * 3600
    gains, weights, losses = Fraction(10 * 4000), Fraction(10), Fraction(0)
    for outcome in outcomes:
        if outcome["weight"] == 0:
            continue
        fade = Fraction(9, 10) ** (now // month - outcome["ended_at"] // month)
        weight = min(outcome["weight"], 100)
        gains += fade * weight * min(outcome["quality"], 10_000)
        weights += fade * weight
        losses += fade * outcome["losses"]
    return max(Fraction(0), gains / weights - losses)

"""A third implementation of the protocol's maths, in fractions and plain lists.

Neither the contracts nor fedpact.consensus are used here: the vectors that both are held against
come from this reading of the rules, slow and literal.
"""

from fractions import Fraction
from math import ceil

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


def lot(round_number: int, account: str) -> int:
    return int.from_bytes(keccak(word(round_number) + word(account)), "big")


def leaders(case: dict) -> list[int]:
    eligible = seats(case["eligible"])
    if case["rule"] == 1:
        return turns(case)

    def key(seat: int) -> tuple[Fraction, int]:
        tie = lot(case["round"], case["accounts"][seat])
        return weighted_error(seat, eligible, case["medians"], case["weights"]), tie

    return sorted(eligible, key=key)


def turns(case: dict) -> list[int]:
    """All seats in a ring by reputation, read from the one after the last leader."""
    reputations, accounts = case["reputations"], case["accounts"]
    everybody = range(len(accounts))
    ring = sorted(everybody, key=lambda seat: (-reputations[seat], lot(0, accounts[seat])))
    if case["last_leader"] in ring:
        start = ring.index(case["last_leader"]) + 1
        ring = ring[start:] + ring[:start]
    return [seat for seat in ring if seat in seats(case["eligible"])]


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
    gains, weights, losses, period = Fraction(10 * 4000), Fraction(10), Fraction(0), 0
    for outcome in outcomes:
        ended, recorded = outcome["ended_at"] // month, outcome["recorded_at"] // month
        fade = Fraction(9, 10) ** (now // month - ended)
        weight = min(outcome["weight"], 100)
        gains += fade * weight * min(outcome["quality"], 10_000)
        weights += fade * weight
        # At most 1,000, as of each time that something is recorded.
        losses *= Fraction(9, 10) ** (recorded - period)
        losses += Fraction(9, 10) ** (recorded - ended) * min(1000, outcome["losses"])
        losses, period = min(Fraction(1000), losses), recorded
    return max(Fraction(0), gains / weights - losses * Fraction(9, 10) ** (now // month - period))


def bad_lane(word_: int, size: int, submitted: int, own: int) -> tuple[int, int] | None:
    """The first lane of a vote that holds what it must not, and its value: the voter's own and
    those of seats without a model are empty, as are the bits above (lane 16)."""
    for lane in range(16):
        value = word_ // 2 ** (14 * lane) % 2**14
        judged = lane < size and lane in seats(submitted) and lane != own
        if not (value <= 10_000 or value == INVALID if judged else value == 0):
            return lane, value
    return (16, word_ >> 224) if word_ >> 224 else None

"""Rounds in which a committee judges a whole pool: what the votes come to, and the mirror of
contracts/LargeRounds.sol and contracts/libraries/PoolPoints.sol.

Points are whole numbers, one for each member of the pool, in its order; sixteen members share a
word of 256 bits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak

from fedpact.consensus.payout import packed
from fedpact.errors import InvalidInput
from fedpact.types.requests import Earned
from fedpact.types.scores import MAX_SCORE, median_score

MAX_POOL = 1_024
MAX_ROUNDS = 50
MOST = 1_000
"""Most points of one member in a round."""
MEAN = 100
"""Most points of a round for each member of the pool."""
PER_JUDGES_POINT = 10
"""The judges have at most one point of so many that the round gives, however few these are."""
SUMMED = 1 << 19
"""The flag of an entry with the points of all rounds (`Earned.extra`)."""
_LANES = 16


@dataclass(frozen=True)
class LargeBoard:
    """What a committee's votes come to; members are pool indices."""

    medians: Mapping[int, int]
    """Of each model, 1/10,000; none in a blind round."""
    included: tuple[int, ...]
    """Whose models are aggregated, ascending; in a blind round all that submitted, of which
    those are aggregated that open (`JudgedRound.opened`)."""
    points: tuple[int, ...]
    """Of all members, in the order of the pool."""
    blind: bool

    @property
    def valid(self) -> tuple[int, ...]:
        """Whose models count as such, ascending; none in a blind round."""
        return tuple(index for index, one in sorted(self.medians.items()) if one <= MAX_SCORE)


def judge(
    votes: Mapping[int, Mapping[int, int] | None],
    models: Collection[int],
    judges: Sequence[int],
    members: int,
    max_error: int,
    vote_band: int,
) -> LargeBoard:
    """What a round's votes come to. Every share is rounded down.

    As in usual rounds, a model's points follow from how far its median is below the ceiling, and a
    vote's from how many of its scores are near the medians. Trainers share nine tenths of what a
    round may give, none more than MOST; judges a ninth of what that comes to, at most. The round is
    blind if more than half of the votes are, or fewer than two see: all models are equal then.

    Args:
        votes: each judge's scores of all models by pool index, by seat; None: blind to it.
        models: pool indices of those that submitted.
        judges: the pool index of each seat.
        members: of the pool.
    """
    seeing = {seat: found for seat, found in votes.items() if found is not None}
    is_blind = 2 * (len(votes) - len(seeing)) > len(votes) or len(seeing) < 2
    points = [0] * members
    order, medians = sorted(models), dict[int, int]()
    if is_blind:
        included, qualities = order, dict.fromkeys(order, 1)
        near = dict.fromkeys(votes, 1)
    else:
        medians = {
            index: median_score([found[index] for found in seeing.values()]) for index in order
        }
        valid = [index for index in order if medians[index] <= MAX_SCORE]
        good = [index for index in valid if medians[index] <= max_error]
        included = good or valid
        qualities = {index: max(0, max_error - medians[index]) if good else 0 for index in valid}
        near = {
            seat: sum(abs(found[index] - medians[index]) <= vote_band for index in order)
            for seat, found in seeing.items()
        }
        near = {seat: own if 2 * own >= len(order) else 0 for seat, own in near.items()}
    if not any(qualities.values()):
        qualities = dict.fromkeys(qualities, 1)
    for index, own in _shares(qualities, (MEAN - MEAN // PER_JUDGES_POINT) * members).items():
        points[index] = min(MOST, own)
    given = sum(points) // (PER_JUDGES_POINT - 1)
    for seat, own in _shares(near, min(given, MEAN // PER_JUDGES_POINT * members)).items():
        points[judges[seat]] = min(MOST, own)
    return LargeBoard(medians, tuple(included), tuple(points), is_blind)


def _shares(parts: Mapping[int, int], whole: int) -> dict[int, int]:
    total = sum(parts.values())
    return {name: whole * own // total for name, own in parts.items()} if total else {}


def words(points: Sequence[int], judges: Collection[int]) -> list[int]:
    """A round's points as the contract takes them.

    `points`: of each member. `judges`: the pool indices of the committee. Raises InvalidInput for
    points that the contract refuses.
    """
    for index, own in enumerate(points):
        if not 0 <= own <= MOST:
            raise InvalidInput(f"member {index} has {own} points; a round gives 0 to {MOST}")
    most = MEAN * len(points)
    if sum(points) > most:
        raise InvalidInput(f"{sum(points)} points in all; a round gives at most {most}")
    own, given = sum(points[index] for index in judges), sum(points)
    if PER_JUDGES_POINT * own > given:
        raise InvalidInput(
            f"the judges have {own} points together; of the {given} that the round gives they may "
            f"have {given // PER_JUDGES_POINT}"
        )
    return [packed(points[i : i + _LANES]) for i in range(0, len(points), _LANES)]


def unpacked(points: Sequence[int]) -> tuple[int, ...]:
    """The points of each member from a round's words; zeros fill up the last word."""
    return tuple(word >> 16 * lane & 0xFFFF for word in points for lane in range(_LANES))


def entries(rounds: Sequence[Sequence[int]], left: Collection[int] = ()) -> list[Earned]:
    """What `sum` adds to the list of what a request earned.

    `rounds`: the points of each paid round, of all members. `left`: members that left the pool.
    Raises InvalidInput without rounds.
    """
    if not rounds:
        raise InvalidInput("there are no points to sum up: no round gave any")
    totals = [sum(column) for column in zip(*rounds, strict=True)]
    present = [index for index in range(len(totals)) if index not in left]
    fair = sum(totals[index] for index in present) // len(present)
    extra = SUMMED | fair << 32
    groups = [present[i : i + _LANES] for i in range(0, len(present), _LANES)]
    return [
        Earned(packed(group), packed([totals[index] for index in group]), extra, bytes(32))
        for group in groups
    ]


@dataclass(frozen=True)
class Inclusion:
    """That some models are in a tree of submissions: see ILargeRounds.Inclusion."""

    indices: tuple[int, ...] = ()
    proof: tuple[bytes, ...] = ()
    flags: tuple[bool, ...] = ()

    @property
    def fields(self) -> tuple[list[int], list[bytes], list[bool]]:
        """As the contract takes it."""
        return list(self.indices), list(self.proof), list(self.flags)


class SubmissionTree:
    """The tree over the models of a round.

    `models`: the digest (32 bytes) of each model by its maker's pool index, at least one. Leaves
    are in ascending order of the indices, and hashed twice, so that no inner node passes for one;
    zeros fill them up to a power of two.
    """

    def __init__(self, models: Mapping[int, bytes]) -> None:
        if not models:
            raise InvalidInput("a round without any model has no tree of submissions")
        self._order = sorted(models)
        level = [_leaf(index, models[index]) for index in self._order]
        level += [bytes(32)] * ((1 << (len(level) - 1).bit_length()) - len(level))
        self._levels = [level]
        while len(level) > 1:
            level = [_parent(*level[i : i + 2]) for i in range(0, len(level), 2)]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def inclusion(self, indices: Collection[int]) -> Inclusion:
        """The proof that the models of these members are in the tree; KeyError if one is not.

        Level by level from the leaves: a flag says whether a node's sibling is known as well; if
        not, it is part of the proof.
        """
        wanted = sorted(indices)
        place = {index: i for i, index in enumerate(self._order)}
        known = [place[index] for index in wanted]
        if not known:
            return Inclusion()
        proof: list[bytes] = []
        flags: list[bool] = []
        for level in self._levels[:-1]:
            parents = sorted({i // 2 for i in known})
            for parent in parents:
                both = 2 * parent in known and 2 * parent + 1 in known
                flags.append(both)
                if not both:
                    proof.append(level[2 * parent + (2 * parent in known)])
            known = parents
        return Inclusion(tuple(wanted), tuple(proof), tuple(flags))


def _leaf(index: int, digest: bytes) -> bytes:
    return keccak(keccak(index.to_bytes(32, "big") + digest))


def _parent(a: bytes, b: bytes) -> bytes:
    return keccak(min(a, b) + max(a, b))

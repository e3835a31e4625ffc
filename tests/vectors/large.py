"""Rounds of whole pools, from a third reading of their rules: dictionaries and recursion, without
the contracts and without fedpact.consensus."""

import random
from math import floor

from tests.vectors import naive

Case = dict


def large_rounds(source: random.Random) -> Case:
    """The content of the vector file."""
    return {
        "points": [random_points(source, members) for members in (4, 16, 17, 33, 100, 1_024)],
        "sums": [random_sum(source, members) for members in (5, 16, 20, 40)],
        "trees": [random_tree(source, models) for models in (1, 2, 3, 5, 8, 13, 31)],
    }


def lanes(values: dict[int, int]) -> str:
    return hex(sum(value * 65_536**place for place, value in values.items()))


def drawn_points(source: random.Random, members: int, judges: list[int]) -> list[int]:
    """Within all bounds: 100 a member on average; of each ten points, the judges have one."""
    points = [0] * members
    others = [index for index in range(members) if index not in judges]
    room = 100 * members - 10 * len(judges)
    for index in source.sample(others, len(others)):
        points[index] = drawn(source, min(1_000, room))
        room -= points[index]
    theirs = min(sum(points) // 9, 100 * members - sum(points))
    for index in source.sample(judges, len(judges)):
        points[index] = drawn(source, min(1_000, theirs))
        theirs -= points[index]
    return points


def drawn(source: random.Random, most: int) -> int:
    return source.choice([0, most, source.randint(0, min(most, 150))])


def random_points(source: random.Random, members: int) -> Case:
    judges = source.sample(range(members), min(16, members // 2))
    points = drawn_points(source, members, judges)
    groups = [range(first, min(first + 16, members)) for first in range(0, members, 16)]
    return {
        "name": f"{members} members",
        "judges": judges,
        "points": points,
        "words": [lanes({i % 16: points[i] for i in group}) for group in groups],
        "total": sum(points),
    }


def random_sum(source: random.Random, members: int) -> Case:
    rounds = [drawn_points(source, members, []) for _ in range(source.randint(1, 5))]
    left = sorted(source.sample(range(members), source.choice([0, members // 4])))
    present = [index for index in range(members) if index not in left]
    totals = {index: sum(points[index] for points in rounds) for index in present}
    fair = floor(sum(totals.values()) / len(present))
    entries = []
    for first in range(0, len(present), 16):
        group = dict(enumerate(present[first : first + 16]))
        entries.append(
            {
                "cohort": lanes(group),
                "points": lanes({seat: totals[index] for seat, index in group.items()}),
                "extra": hex(2**19 + fair * 2**32),
            }
        )
    quality = {str(i): min(10_000, floor(5_000 * totals[i] / fair)) for i in present if fair}
    return {
        "name": f"{members} members",
        "rounds": rounds,
        "left": left,
        "entries": entries,
        "qualities": quality,
    }


def random_tree(source: random.Random, number: int) -> Case:
    indices = sorted(source.sample(range(1_024), number))
    models = {index: source.randbytes(32) for index in indices}
    leaves = [naive.keccak(naive.keccak(naive.word(i) + models[i])) for i in indices]
    while len(leaves) & (len(leaves) - 1):
        leaves.append(bytes(32))
    shown = sorted(source.sample(indices, source.randint(1, number)))
    return {
        "name": f"{number} models",
        "models": {str(index): "0x" + digest.hex() for index, digest in models.items()},
        "root": "0x" + root(leaves).hex(),
        "shown": shown,
    }


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    low, high = sorted([root(leaves[:half]), root(leaves[half:])])
    return naive.keccak(low + high)

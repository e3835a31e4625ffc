"""Contract libraries and Python mirror agree to the bit, on random inputs and at the limits."""

import random

import pytest

from fedpact.consensus import reputation
from fedpact.consensus.tally import add_points, read_points, tally
from fedpact.consensus.votes import first_bad_lane

INVALID = 16_383


def random_word(source, own, submitted):
    """A valid vote with values concentrated at the ends of the scale."""
    edges = [0, 1, 9_999, 10_000, INVALID]
    return sum(
        source.choice([*edges, source.randint(0, 10_000)]) << 14 * seat
        for seat in range(16)
        if submitted >> seat & 1 and seat != own
    )


@pytest.mark.parametrize("seed", range(40))
def test_tallies_agree(libraries, seed):
    source = random.Random(seed)
    seats = source.randint(2, 16)
    submitted = source.getrandbits(seats)
    revealed = submitted & source.getrandbits(seats) | submitted & source.getrandbits(seats)
    words = {j: random_word(source, j, submitted) for j in range(seats) if revealed >> j & 1}
    max_error, band = source.randint(1, 10_000), source.randint(0, 1000)

    found = libraries.tally(
        [words.get(seat, source.getrandbits(256)) for seat in range(seats)],
        submitted,
        revealed,
        max_error,
        band,
    ).call()

    expected = tally(words, submitted, seats, max_error, band)
    medians = sum(
        (expected.medians[seat] if seat < seats else INVALID) << 14 * seat for seat in range(16)
    )
    assert found == (
        medians,
        expected.valid,
        expected.included,
        expected.eligible,
        expected.adverse,
        sum(own << 16 * index for index, own in enumerate(expected.points)),
    )


@pytest.mark.parametrize("seed", range(40))
def test_bad_lanes_agree(libraries, seed):
    source = random.Random(seed)
    seats = source.randint(2, 16)
    own, submitted = source.randrange(seats), source.getrandbits(seats)
    word = random_word(source, own, submitted)
    for _ in range(source.randint(0, 2)):
        word ^= 1 << source.randrange(228)

    bad, lane, value = libraries.firstBadLane(word, seats, submitted, own).call()

    assert ((lane, value) if bad else None) == first_bad_lane(word, seats, submitted, own)


@pytest.mark.parametrize("seed", range(20))
def test_reputation_sums_agree(libraries, seed):
    source = random.Random(seed)
    now = source.randint(10**9, 2 * 10**9)
    mirror = reputation.Sums()
    sums = (0, 0, 0, 0)
    for _ in range(5):
        now += source.choice([0, 10**5, 10**7, 10**9])
        outcome = [
            source.choice([0, 1, 100, 10**30]),
            source.choice([0, 10_000, 65_535]),
            source.choice([0, 100, 65_535]),
            now - source.choice([0, 10**6, 10**8]),
            now,
        ]

        mirror = reputation.record(mirror, *outcome)
        sums = libraries.record(sums, *outcome).call()

        assert sums == (mirror.period, mirror.gains, mirror.weights, mirror.losses)
        later = now + source.choice([0, 10**7])
        assert libraries.score(sums, later).call() == reputation.score(mirror, later)


def test_reputation_sums_stop_at_their_maximum(libraries):
    top = (0, 2**48 - 1, 2**40 - 1, 2**32 - 1)

    sums = libraries.record(top, 100, 10_000, 65_535, 1, 1).call()

    assert sums == top
    assert reputation.record(reputation.Sums(*top), 100, 10_000, 65_535, 1, 1).losses == top[3]
    assert libraries.score(sums, 1).call() == 0


@pytest.mark.parametrize("seat", range(8))
def test_a_full_lane_never_overflows_into_its_neighbours(libraries, seat):
    full = (1 << 256) - 1
    empty_neighbours = 0xFFFFFFFF << 32 * seat

    points = 10_000 << 16 * seat
    assert libraries.addPoints(full, points, 1 << seat).call() == full
    assert libraries.addPoints(empty_neighbours, points, 1 << seat).call() == empty_neighbours


def test_the_points_of_a_thousand_rounds_fit_a_lane(libraries):
    word = add_points(0, 3, 999 * 10_000, 254)

    word = libraries.addPoints(word, 10_000 << 48, 0b1000).call()

    assert tuple(libraries.readPoints(word, 3).call()) == (10_000_000, 255)
    assert tuple(libraries.readPoints(word, 2).call()) == (0, 0)
    assert tuple(libraries.readPoints(word, 4).call()) == (0, 0)


@pytest.mark.parametrize("seed", range(10))
def test_point_lanes_agree(libraries, seed):
    source = random.Random(seed)
    word = source.getrandbits(256)
    points, faults = [source.getrandbits(14) for _ in range(16)], source.getrandbits(16)

    packed = sum(own << 16 * seat for seat, own in enumerate(points))
    found = libraries.addPoints(word, packed, faults).call()

    expected = word
    for seat in range(8):
        expected = add_points(expected, seat, points[seat], faults >> seat & 1)
        assert tuple(libraries.readPoints(found, seat).call()) == read_points(expected, seat)
    assert found == expected


@pytest.mark.parametrize(("seats", "limit"), [(5, 6_500), (10, 13_500), (16, 25_000)])
def test_packed_medians_stay_cheap(libraries, seats, limit):
    source = random.Random(seats)
    everyone = (1 << seats) - 1
    words = [random_word(source, seat, everyone) for seat in range(seats)]

    used, _ = libraries.mediansGas(words, everyone, everyone).call()

    assert used <= limit

"""The contract libraries against the vectors that also test the Python mirror, and against it on
random inputs and at the limits."""

import json
import random
from pathlib import Path

import pytest

from tests.vectors import naive

VECTORS = Path(__file__).parents[2] / "vectors"
INVALID = 16_383


@pytest.fixture(scope="session")
def libraries(session_chain, accounts):
    """Deployed once: its functions are pure and are only called."""
    return session_chain.deploy("LibraryHarness", accounts[0]).functions


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def named(cases):
    return [pytest.param(case, id=case["name"]) for case in cases]


def random_word(source, own, submitted):
    """A valid vote with values concentrated at the ends of the scale."""
    edges = [0, 1, 9_999, 10_000, INVALID]
    return sum(
        source.choice([*edges, source.randint(0, 10_000)]) << 14 * seat
        for seat in range(16)
        if submitted >> seat & 1 and seat != own
    )


@pytest.mark.parametrize("case", load("votes")["packed"])
def test_lanes_hold_what_was_set(libraries, case):
    word = int(case["word"], 16)

    assert [libraries.lane(word, seat).call() for seat in range(16)] == case["scores"]

    rebuilt = (1 << 224) - 1
    for seat, score in enumerate(case["scores"]):
        rebuilt = libraries.set(rebuilt, seat, score).call()
    assert rebuilt == word


@pytest.mark.parametrize("case", named(load("votes")["bad_lanes"]))
def test_the_first_bad_lane_of_a_vote_is_named(libraries, case):
    word = sum(value << 14 * int(seat) for seat, value in case["lanes"].items())
    word |= case["rest"] << 224

    bad, lane, value = libraries.firstBadLane(word, 4, 0b1011, 0).call()

    assert [lane, value] == case["bad"] if bad else case["bad"] is None


@pytest.mark.parametrize("seed", range(40))
def test_bad_lanes_agree(libraries, seed):
    source = random.Random(seed)
    seats = source.randint(2, 16)
    own, submitted = source.randrange(seats), source.getrandbits(seats)
    word = random_word(source, own, submitted)
    for _ in range(source.randint(0, 2)):
        word ^= 1 << source.randrange(228)

    bad, lane, value = libraries.firstBadLane(word, seats, submitted, own).call()

    assert ((lane, value) if bad else None) == naive.bad_lane(word, seats, submitted, own)


@pytest.mark.optimised
@pytest.mark.parametrize(("seats", "limit"), [(5, 6_500), (10, 13_500), (16, 25_000)])
def test_packed_medians_stay_cheap(libraries, seats, limit):
    source = random.Random(seats)
    everyone = (1 << seats) - 1
    words = [random_word(source, seat, everyone) for seat in range(seats)]

    used, _ = libraries.mediansGas(words, everyone, everyone).call()

    assert used <= limit


@pytest.mark.parametrize("case", named(load("leader")["weights"]))
def test_weights_are_capped_at_two_medians(libraries, case):
    submitted = (1 << len(case["samples"])) - 1

    assert libraries.capped(case["samples"], submitted).call() == case["weights"]


def test_seats_that_did_not_submit_weigh_nothing_and_move_no_median(libraries):
    assert libraries.capped([10, 10_000_000, 20, 1000], 0b1101).call() == [10, 0, 20, 40]


@pytest.mark.parametrize("case", load("merkle")["cases"], ids=lambda c: str(len(c["leaves"])))
def test_every_attribute_proves_itself_and_no_other(libraries, case):
    for index, fields in enumerate(case["attributes"]):
        leaf = libraries.leaf(*fields).call()

        assert leaf == bytes.fromhex(case["leaves"][index][2:])
        assert libraries.verify(case["root"], leaf, case["proofs"][index]).call()
        lie = libraries.leaf(fields[0], "0x" + "00" * 32, fields[2]).call()
        assert not libraries.verify(case["root"], lie, case["proofs"][index]).call()

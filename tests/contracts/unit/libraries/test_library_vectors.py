"""The contract libraries against the vectors that also test the Python mirror."""

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[3] / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def named(cases):
    return [pytest.param(case, id=case["name"]) for case in cases]


def number(text):
    return int(text, 16)


def padded(values, filler=0):
    return [*values, *[filler] * (16 - len(values))]


def pack(scores):
    return sum(score << 14 * seat for seat, score in enumerate(scores))


@pytest.mark.parametrize("case", load("votes")["packed"])
def test_lanes_hold_what_was_set(libraries, case):
    word = number(case["word"])

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


@pytest.mark.parametrize("case", named(load("tally")["cases"]))
def test_a_tally_gives_the_medians_and_points(libraries, case):
    words = [number(case["words"].get(str(seat), "0")) for seat in range(case["seats"])]

    medians, valid, included, eligible, adverse, points = libraries.tally(
        words, case["submitted"], case["revealed"], case["max_error"], case["band"]
    ).call()

    assert medians == pack(padded(case["medians"], 16_383))
    assert (valid, included) == (case["valid"], case["included"])
    assert (eligible, adverse) == (case["eligible"], case["adverse"])
    assert points == sum(own << 16 * seat for seat, own in enumerate(case["points"]))


@pytest.mark.parametrize("case", named(load("leader")["weights"]))
def test_weights_are_capped_at_two_medians(libraries, case):
    submitted = (1 << len(case["samples"])) - 1

    assert libraries.capped(case["samples"], submitted).call() == case["weights"]


def test_seats_that_did_not_submit_weigh_nothing_and_move_no_median(libraries):
    assert libraries.capped([10, 10_000_000, 20, 1000], 0b1101).call() == [10, 0, 20, 40]


@pytest.mark.parametrize("case", named(load("leader")["orders"]))
def test_leaders_come_in_order(libraries, case):
    medians = pack(case["medians"])
    shared = [
        case["eligible"],
        medians,
        case["weights"],
        [bytes.fromhex(account[2:]) for account in case["accounts"]],
        case["round"],
        case["rule"],
        case["reputations"],
        case["last_leader"],
    ]

    assert libraries.order(*shared).call() == case["order"]

    ordered = sum(seat << 4 * rank for rank, seat in enumerate(case["order"]))
    for rank, seat in enumerate(case["order"]):
        assert libraries.rankOf(ordered, len(case["order"]), seat).call() == rank
        assert libraries.rankOf(ordered, rank, seat).call() == rank
        assert libraries.first(ordered, rank).call() == sum(1 << s for s in case["order"][:rank])


@pytest.mark.parametrize("case", load("merkle")["cases"], ids=lambda c: str(len(c["leaves"])))
def test_every_attribute_proves_itself_and_no_other(libraries, case):
    for index, fields in enumerate(case["attributes"]):
        leaf = libraries.leaf(*fields).call()

        assert leaf == bytes.fromhex(case["leaves"][index][2:])
        assert libraries.verify(case["root"], leaf, case["proofs"][index]).call()
        lie = libraries.leaf(fields[0], "0x" + "00" * 32, fields[2]).call()
        assert not libraries.verify(case["root"], lie, case["proofs"][index]).call()


@pytest.mark.parametrize("case", named(load("reputation")["cases"]))
def test_reputation_follows_the_outcomes(libraries, case):
    sums = (0, 0, 0, 0)
    for outcome in case["outcomes"]:
        sums = libraries.record(
            sums,
            outcome["weight"],
            outcome["quality"],
            outcome["losses"],
            outcome["ended_at"],
            outcome["recorded_at"],
        ).call()

    score = libraries.score(sums, case["now"]).call()

    assert abs(score - case["score"]) <= case["tolerance"]

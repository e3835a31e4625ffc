"""The first protocol's rules against vectors that its contracts were tested with.

The files in `tests/vectors/first_protocol` never change: nothing makes them any more.
"""

import json
from pathlib import Path

import pytest

from fedpact.audit.first_protocol.commitments import Ballot, approves, attestation, vote_commitment
from fedpact.audit.first_protocol.payment import outcome_weight, relative_quality, shares
from fedpact.audit.first_protocol.tally import (
    LEADER_POINTS,
    ROUND_POINTS,
    history_of_start,
    history_with_model,
    history_with_tally,
    tally,
)
from fedpact.consensus.payout import pool
from fedpact.consensus.reputation import Sums, added, score

VECTORS = Path(__file__).parents[2] / "vectors" / "first_protocol"


def cases(name, kind="cases"):
    listed = json.loads((VECTORS / f"{name}.json").read_text())[kind]
    return [pytest.param(one, id=one.get("name", str(i))) for i, one in enumerate(listed)]


@pytest.mark.parametrize("case", cases("tally"))
def test_a_tally_gives_the_medians_and_points(case):
    words = {int(seat): int(word, 16) for seat, word in case["words"].items()}

    found = tally(words, case["submitted"], case["seats"], case["max_error"], case["band"])

    assert list(found.medians) == case["medians"]
    masks = ("valid", "included", "eligible", "adverse")
    assert [getattr(found, mask) for mask in masks] == [case[mask] for mask in masks]
    assert list(found.points) == case["points"]
    assert sum(found.points) + LEADER_POINTS <= ROUND_POINTS == 10_000


@pytest.mark.parametrize("case", cases("votes"))
def test_hashes_of_votes_and_attestations(case):
    at = [case[key] for key in ("chain_id", "rounds", "request_id", "round", "member")]
    salt, digest = (bytes.fromhex(case[key][2:]) for key in ("salt", "digest"))
    ballot, seat, mae = Ballot(*at), case["seat"], case["mae"]

    commitment = vote_commitment(ballot, int(case["word"], 16), salt)
    assert "0x" + commitment.hex() == case["commitment"]
    posted = attestation(ballot, digest, mae)
    assert "0x" + posted.hex() == case["attestation"]
    assert approves(ballot, seat, posted, mae, digest)
    assert not approves(ballot, seat, posted, mae, bytes(32))
    assert not approves(ballot, seat, posted, (mae + 1) % 10_000, digest)
    at[-1] = "0x" + 40 * "7"
    assert not approves(Ballot(*at), seat, posted, mae, digest)


@pytest.mark.parametrize("case", cases("payment", "splits"))
def test_the_pool_is_split_by_points(case):
    how = {key: case[key] for key in ("reached", "paid_rounds", "max_rounds")}

    assert pool(case["payment"], **how) == case["pool"]
    assert shares(case["pool"], case["points"]) == case["shares"]


@pytest.mark.parametrize("case", cases("payment", "qualities"))
def test_quality_is_relative_to_the_mean_of_points(case):
    assert relative_quality(case["points"], case["members"], case["total"]) == case["quality"]


@pytest.mark.parametrize("case", cases("reputation"))
def test_reputation_follows_the_outcomes_that_weigh_something(case):
    sums = Sums()
    for one in case["outcomes"]:
        if one["weight"]:
            fields = ("weight", "quality", "losses", "ended_at", "recorded_at")
            sums = added(sums, *(one[field] for field in fields))

    assert abs(score(sums, case["now"]) - case["score"]) <= case["tolerance"]


def test_a_payment_below_the_unit_weighs_nothing():
    assert [outcome_weight(wei, 10**15) for wei in (1, 10**15, 10**18)] == [0, 1, 100]


@pytest.mark.parametrize(
    ("link", "parts", "changed"),
    [
        (history_of_start, [b"\1" * 32, b"\2" * 32, b"\3" * 32], [b"\4" * 32] * 3),
        (history_with_model, [b"\1" * 32, 1, 2, b"\3" * 32], [b"\4" * 32, 2, 1, b"\4" * 32]),
        (
            history_with_tally,
            [b"\1" * 32, 1, 0b11, [5 << 14, 7], [7, 5]],
            [b"\4" * 32, 2, 0b01, [5 << 14, 8], [7, 6]],
        ),
    ],
)
def test_the_running_hash_depends_on_each_of_its_parts(link, parts, changed):
    hashes = {link(*parts)}
    for index, part in enumerate(changed):
        hashes.add(link(*parts[:index], part, *parts[index + 1 :]))

    assert len(hashes) == len(parts) + 1

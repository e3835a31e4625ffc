"""The Python mirror against the vectors that the contracts are tested with, too."""

import json
import sys
from pathlib import Path

import pytest

from fedpact.consensus import payment, reputation
from fedpact.consensus.leader import Candidate, capped_weights, leader_order
from fedpact.consensus.tally import tally
from fedpact.consensus.votes import (
    Ballot,
    approves,
    attestation,
    first_bad_lane,
    kept_attestation,
    kept_commitment,
    pack_scores,
    unpack_scores,
    vote_commitment,
)
from fedpact.types.attributes import Attribute, AttributeTree, verify_attribute
from fedpact.types.rounds import LeaderRule, seats_of

VECTORS = Path(__file__).parents[2] / "vectors"


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


def named(cases):
    return [pytest.param(case, id=case["name"]) for case in cases]


def unhex(text):
    return bytes.fromhex(text.removeprefix("0x"))


def test_the_files_are_what_the_generator_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(VECTORS))
    generate = __import__("generate")
    try:
        for name, content in generate.build().items():
            assert (VECTORS / f"{name}.json").read_text() == generate.render(content), name
    finally:
        for module in ("generate", "naive", "golden"):
            sys.modules.pop(module, None)


@pytest.mark.parametrize("case", load("votes")["packed"])
def test_scores_pack_into_the_word_and_back(case):
    assert pack_scores(dict(enumerate(case["scores"]))) == int(case["word"], 16)
    assert list(unpack_scores(int(case["word"], 16))) == case["scores"]


@pytest.mark.parametrize("case", named(load("votes")["bad_lanes"]))
def test_the_first_bad_lane_of_a_vote_is_named(case):
    word = sum(value << 14 * int(seat) for seat, value in case["lanes"].items())
    word |= case["rest"] << 224

    found = first_bad_lane(word, seats=4, submitted=0b1011, own=0)

    assert found == (tuple(case["bad"]) if case["bad"] else None)


@pytest.mark.parametrize("case", load("votes")["bindings"])
def test_hashes_of_votes_and_attestations(case):
    ballot = Ballot(
        case["chain_id"], case["rounds"], case["request_id"], case["round"], case["member"]
    )
    digest, mae, seat = unhex(case["digest"]), case["mae"], case["seat"]

    commitment = vote_commitment(ballot, int(case["word"], 16), unhex(case["salt"]))
    assert commitment == unhex(case["commitment"])
    assert kept_commitment(seat, commitment) == int(case["kept_commitment"], 16)
    posted = attestation(ballot, digest, mae)
    assert posted == unhex(case["attestation"])
    assert kept_attestation(seat, posted, mae) == int(case["kept_attestation"], 16)
    assert approves(ballot, seat, posted, mae, digest)
    assert not approves(ballot, seat, posted, mae, bytes(32))


@pytest.mark.parametrize("case", named(load("tally")["cases"]))
def test_a_tally_gives_the_medians_and_points(case):
    words = {int(seat): int(word, 16) for seat, word in case["words"].items()}

    result = tally(words, case["submitted"], case["seats"], case["max_error"], case["band"])

    assert list(result.medians) == case["medians"]
    assert result.valid == case["valid"]
    assert result.included == case["included"]
    assert result.eligible == case["eligible"]
    assert result.adverse == case["adverse"]
    assert list(result.points) == case["points"]


@pytest.mark.parametrize("case", named(load("leader")["weights"]))
def test_no_provider_weighs_more_than_two_medians(case):
    assert list(capped_weights(dict(enumerate(case["samples"]))).values()) == case["weights"]


@pytest.mark.parametrize("case", named(load("leader")["orders"]))
def test_leaders_come_in_order(case):
    candidates = [
        Candidate(
            seat,
            case["accounts"][seat],
            case["medians"][seat],
            case["weights"][seat],
            case["reputations"][seat],
        )
        for seat in seats_of(case["eligible"])
    ]
    last = None if case["last_leader"] == 255 else case["last_leader"]
    total = sum(case["weights"])

    order = leader_order(candidates, case["round"], LeaderRule(case["rule"]), total, last)

    assert order == case["order"]


@pytest.mark.parametrize("case", load("merkle")["cases"], ids=lambda c: str(len(c["leaves"])))
def test_every_attribute_proves_itself_and_no_other(case):
    attributes = [Attribute(*map(unhex, fields)) for fields in case["attributes"]]
    tree = AttributeTree(attributes)
    root = unhex(case["root"])

    assert tree.root == root
    for index, attribute in enumerate(attributes):
        proof = [unhex(node) for node in case["proofs"][index]]
        assert attribute.leaf() == unhex(case["leaves"][index])
        assert tree.proof(index) == proof
        assert verify_attribute(root, attribute, proof)
        lie = Attribute(attribute.name, bytes(32), attribute.salt)
        assert not verify_attribute(root, lie, proof)


@pytest.mark.parametrize("case", named(load("reputation")["cases"]))
def test_reputation_follows_the_outcomes(case):
    sums = reputation.Sums()
    for outcome in case["outcomes"]:
        sums = reputation.record(
            sums,
            outcome["weight"],
            outcome["quality"],
            outcome["losses"],
            outcome["ended_at"],
            outcome["recorded_at"],
        )

    assert abs(reputation.score(sums, case["now"]) - case["score"]) <= case["tolerance"]


@pytest.mark.parametrize("case", named(load("payment")["splits"]))
def test_the_pool_is_split_by_points(case):
    part = payment.pool(
        case["payment"],
        reached=case["reached"],
        paid_rounds=case["paid_rounds"],
        max_rounds=case["max_rounds"],
    )

    assert part == case["pool"]
    assert payment.shares(part, case["points"]) == case["shares"]


@pytest.mark.parametrize("case", named(load("payment")["qualities"]))
def test_quality_is_relative_to_the_mean_of_points(case):
    quality = payment.relative_quality(case["points"], case["members"], case["total"])

    assert quality == case["quality"]

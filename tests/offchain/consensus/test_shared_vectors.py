"""The Python mirror against the vectors that the contracts are tested with, too."""

import json
import sys
from pathlib import Path

import pytest

from fedpact.consensus import reputation
from fedpact.consensus.leader import Candidate, by_turns, by_weighted_error, capped_weights
from fedpact.types.attributes import Attribute, AttributeTree, verify_attribute
from fedpact.types.requests import CohortMember, LeaderRule, seats_of
from fedpact.types.scores import lane, pack_scores

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
    word = int(case["word"], 16)

    assert pack_scores(dict(enumerate(case["scores"]))) == word
    assert [lane(word, seat) for seat in range(16)] == case["scores"]


@pytest.mark.parametrize("case", named(load("leader")["weights"]))
def test_no_provider_weighs_more_than_two_medians(case):
    assert list(capped_weights(dict(enumerate(case["samples"]))).values()) == case["weights"]


@pytest.mark.parametrize("case", named(load("leader")["orders"]))
def test_leaders_come_in_order(case):
    seats = seats_of(case["eligible"])
    facts = list(zip(case["accounts"], case["medians"], case["weights"], strict=True))
    if case["rule"] == LeaderRule.POQ:
        candidates = [Candidate(seat, *facts[seat]) for seat in seats]
        order = by_weighted_error(candidates, case["round"], sum(case["weights"]))
    else:
        members = [
            CohortMember(seat, account, 100, reputation)
            for seat, (account, reputation) in enumerate(
                zip(case["accounts"], case["reputations"], strict=True)
            )
        ]
        last = None if case["last_leader"] == 255 else members[case["last_leader"]]
        order = by_turns([members[seat] for seat in seats], last)
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

"""The mirror of rounds in which a whole pool trains, against the shared vectors."""

import json
from pathlib import Path

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import Domain, LargeRecord, signed_digest
from fedpact.consensus.large_rounds import Inclusion, SubmissionTree, entries, words
from fedpact.consensus.payout import payouts, refunds_of, sums_of
from fedpact.errors import InvalidInput
from fedpact.types.requests import Earned

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "large_rounds.json").read_text())


def named(kind):
    return [pytest.param(case, id=case["name"]) for case in VECTORS[kind]]


def unhex(text):
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.mark.parametrize("case", named("points"))
def test_points_are_packed(case):
    assert words(case["points"], case["judges"]) == [int(word, 16) for word in case["words"]]


@pytest.mark.parametrize(
    ("points", "judges", "message"),
    [
        ([0, -1, 0, 0], [0], "member 1 has -1 points"),
        ([0, 1_001, *[0] * 30], [0], "member 1 has 1001 points"),
        ([0, 300, 101], [0], "401 points in all; a round gives at most 300"),
        ([5, 6, 98, 0], [0, 1], "the judges have 11 points together; of the 109 .* may have 10"),
    ],
)
def test_points_that_the_contract_refuses_are_refused(points, judges, message):
    with pytest.raises(InvalidInput, match=message):
        words(points, judges)


@pytest.mark.parametrize("case", named("sums"))
def test_all_rounds_are_summed(case):
    found = entries(case["rounds"], case["left"])
    given = [
        Earned(*(int(one[key], 16) for key in ("cohort", "points", "extra")), bytes(32))
        for one in case["entries"]
    ]
    assert found == given
    sums = sums_of(given)
    assert {str(i): own.quality for i, own in sums.items()} == case["qualities"]
    assert refunds_of(given, 10**18) == {}
    whole = sum(own.points for own in sums.values())
    paid = Earned(0, 0, 1 << 16, b"\x01" * 32)
    shares = payouts([paid, *given], whole, due=True, reached=True, max_rounds=1)
    # The round itself seats nobody.
    assert shares == {index: own.points for index, own in sums.items()}


def test_no_rounds_have_no_sum():
    with pytest.raises(InvalidInput, match="no round gave any"):
        entries([])


@pytest.mark.parametrize("case", named("trees"))
def test_a_tree_proves_what_is_in_it(case):
    models = {int(index): unhex(digest) for index, digest in case["models"].items()}
    tree = SubmissionTree(models)
    assert tree.root == unhex(case["root"])
    shown = tree.inclusion(case["shown"])
    assert shown.indices == tuple(case["shown"])
    assert proven_root(shown, models) == tree.root


def proven_root(shown, models):
    """What a multiproof leads to, as OpenZeppelin's MerkleProof.processMultiProof goes."""
    nodes = [keccak(keccak(i.to_bytes(32, "big") + models[i])) for i in shown.indices]
    proof, taken = list(shown.proof), 0
    for both in shown.flags:
        first = nodes[taken]
        second = nodes[taken + 1] if both else proof.pop(0)
        taken += 2 if both else 1
        nodes.append(keccak(min(first, second) + max(first, second)))
    assert proof == []
    return nodes[-1]


def test_no_inner_node_passes_for_a_leaf():
    """The node above a zero that fills up hashes (0, leaf), like a model of member 0."""
    models = {index: bytes([index]) * 32 for index in (1, 2, 3)}
    last = keccak(keccak((3).to_bytes(32, "big") + models[3]))
    node = keccak(bytes(32) + last)
    [first] = SubmissionTree(models).inclusion([1, 2]).proof
    assert first == node
    assert SubmissionTree({0: last}).root != node


def test_nothing_needs_no_proof():
    assert SubmissionTree({3: b"\x01" * 32}).inclusion([]) == Inclusion()


def test_no_model_has_no_tree():
    with pytest.raises(InvalidInput, match="without any model"):
        SubmissionTree({})


def test_a_judge_signs_record_and_points():
    record = LargeRecord(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, 900, False, (1, 2))
    domain = Domain(31_337, "0x" + "11" * 20)
    signed = signed_digest(domain.large_round(7, 2, b"\x09" * 32, record))
    other = LargeRecord(*record.fields, (1, 3))
    assert signed != signed_digest(domain.large_round(7, 2, b"\x09" * 32, other))
    assert signed != signed_digest(domain.large_round(7, 3, b"\x09" * 32, record))

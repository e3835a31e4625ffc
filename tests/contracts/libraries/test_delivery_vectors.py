"""The curve and sealed keys against the vectors that also test the Python side."""

import json
from pathlib import Path

import pytest

from fedpact.content.bn254 import FIELD

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "delivery.json").read_text())["cases"]


@pytest.fixture(scope="session")
def curve(session_chain, accounts):
    return session_chain.deploy("CurveHarness", accounts[0]).functions


def point(pair):
    return tuple(int(coordinate, 16) for coordinate in pair)


def delivery_of(case):
    return (point(case["ephemeral"]), case["cipher"], case["key_digest"], case["proof"])


def proof_of(case):
    points = (point(case[name]) for name in ("requester", "ephemeral", "shared"))
    return [*points, int(case["challenge"], 16), int(case["response"], 16), case["context"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["max_rounds"])
def test_the_delivery_is_in_its_place_of_the_tree(curve, case):
    rounds, root = case["final_rounds"], case["root"]
    assert curve.isAnchored(delivery_of(case), rounds, root).call()
    assert not curve.isAnchored(delivery_of(case), rounds + 1, root).call()
    other = (*delivery_of(case)[:2], case["context"], case["proof"])
    assert not curve.isAnchored(other, rounds, root).call()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["max_rounds"])
def test_the_shared_point_opens_the_key(curve, case):
    key, right = curve.open(delivery_of(case), case["final_rounds"], point(case["shared"])).call()
    assert ("0x" + key.hex(), right) == (case["key"], True)
    assert not curve.open(delivery_of(case), case["final_rounds"] + 1, (1, 2)).call()[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["max_rounds"])
def test_the_proof_holds_for_its_statement_alone(curve, case):
    proof = proof_of(case)
    assert curve.haveSameLogarithm(*proof).call()
    for place, value in [(0, (1, 2)), (1, (1, 2)), (2, (1, 2)), (3, 1), (4, 1), (5, bytes(32))]:
        changed = [*proof[:place], value, *proof[place + 1 :]]
        assert not curve.haveSameLogarithm(*changed).call()


@pytest.mark.parametrize(
    ("x", "y", "valid"),
    [(1, 2, 1), (1, FIELD - 2, 1), (0, 0, 0), (1, 3, 0), (1 + FIELD, 2, 0), (1, 2 + FIELD, 0)],
)
def test_points_are_on_the_curve_and_not_its_zero(curve, x, y, valid):
    assert curve.isValid((x, y)).call() == bool(valid)

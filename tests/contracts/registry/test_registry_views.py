"""One test for each leaf of views.tree."""

import json
from pathlib import Path

import pytest

from tests.contracts.registry.registry_values import KEY, PROFILE

VECTOR = next(
    case
    for case in json.loads((Path(__file__).parents[2] / "vectors" / "merkle.json").read_text())[
        "cases"
    ]
    if len(case["leaves"]) == 5
)


@pytest.fixture
def profiled(chain, registry, admitted):
    """Alice with a profile of five attributes."""
    chain.send(admitted, registry.functions.setProfile(PROFILE, VECTOR["root"]))
    return admitted


@pytest.fixture
def verify(registry, alice):
    def verify(index, account=alice, root=VECTOR["root"], **changed):
        name, value, salt = VECTOR["attributes"][index]
        fields = {"name": name, "value": value, "salt": salt} | changed
        return tuple(
            registry.functions.verifyAttribute(
                account.address, PROFILE, root, VECTOR["proofs"][index], *fields.values()
            ).call()
        )

    return verify


@pytest.mark.parametrize("index", range(5))
def test_attribute_of_the_present_profile_holds(profiled, verify, index):
    assert verify(index) == (True, False)


def test_attribute_is_attested_by_the_registrar(chain, registry, registrar, profiled, verify):
    present = chain.w3.keccak(PROFILE + bytes.fromhex(VECTOR["root"][2:]))
    chain.send(registrar, registry.functions.attestAttributes(profiled.address, present))

    assert verify(2) == (True, True)
    assert verify(2, value=KEY) == (False, False)


@pytest.mark.parametrize("field", ["name", "value", "salt"])
def test_attribute_of_another_value_does_not_hold(profiled, verify, field):
    assert verify(2, **{field: KEY}) == (False, False)


def test_inner_node_is_no_attribute(registry, profiled):
    # Without proof, the root itself: were nodes hashed like leaves, some fields would fit it.
    left, right = VECTOR["proofs"][4][0], VECTOR["leaves"][4]
    call = registry.functions.verifyAttribute(
        profiled.address, PROFILE, VECTOR["root"], [], left, right, bytes(32)
    )

    assert tuple(call.call()) == (False, False)


def test_root_that_was_not_published_does_not_hold(admitted, verify):
    assert verify(0) == (False, False)


def test_attribute_does_not_hold_once_the_profile_has_changed(chain, registry, profiled, verify):
    chain.send(profiled, registry.functions.setProfile(KEY, VECTOR["root"]))

    assert verify(0) == (False, False)


def test_attribute_of_a_stranger_does_not_hold(chain, verify, stranger):
    assert verify(0, account=stranger) == (False, False)


def test_stranger_has_an_empty_record(chain, registry, stranger):
    found = registry.functions.participant(stranger.address).call()

    assert tuple(found) == (0, 0, 0, 0, 0, False, bytes(32), bytes(32))
    assert tuple(registry.functions.seatInfo(stranger.address).call()) == (False, 0)

"""One test for each leaf of participant.tree."""

import pytest

from tests.contracts.registry.registry_values import PROFILE, ROOT
from tests.support.chainkit import events

NEW = b"\x09" * 32


@pytest.fixture
def set_key(chain, registry):
    return lambda sender, key=NEW: chain.send(sender, registry.functions.setEncryptionKey(key))


@pytest.fixture
def set_profile(chain, registry):
    return lambda sender: chain.send(sender, registry.functions.setProfile(NEW, ROOT))


def test_set_key_reverts_given_the_caller_is_a_stranger(set_key, stranger, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", stranger):
        set_key(stranger)


def test_set_key_reverts_given_the_caller_is_suspended(set_key, suspended, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", suspended):
        set_key(suspended)


def test_set_key_reverts_when_the_key_is_zero(set_key, admitted, expect_revert):
    with expect_revert("ParticipantRegistry_EncryptionKeyZero", admitted):
        set_key(admitted, bytes(32))


def test_set_key_replaces_the_key(registry, set_key, admitted):
    set_key(admitted)
    receipt = set_key(admitted, NEW)

    found = registry.functions.participant(admitted.address).call()
    assert (found.encryptionKey, found.keyVersion) == (NEW, 3)
    assert events(registry, "EncryptionKeyChanged", receipt) == [
        {"account": admitted.address, "keyVersion": 3, "encryptionKey": NEW}
    ]


def test_set_profile_reverts_given_the_caller_is_a_stranger(set_profile, stranger, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", stranger):
        set_profile(stranger)


def test_set_profile_reverts_given_the_caller_is_suspended(set_profile, suspended, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", suspended):
        set_profile(suspended)


def test_set_profile_replaces_the_hash(chain, registry, set_profile, admitted):
    receipt = set_profile(admitted)

    found = registry.functions.participant(admitted.address).call()
    assert found.profileHash == chain.w3.keccak(NEW + ROOT)
    assert events(registry, "ProfileChanged", receipt) == [
        {"account": admitted.address, "profile": NEW, "attributesRoot": ROOT}
    ]


def test_set_profile_ends_the_attestation(chain, registry, registrar, set_profile, admitted):
    present = chain.w3.keccak(PROFILE + ROOT)
    chain.send(registrar, registry.functions.attestAttributes(admitted.address, present))

    set_profile(admitted)

    assert not registry.functions.participant(admitted.address).call().attested

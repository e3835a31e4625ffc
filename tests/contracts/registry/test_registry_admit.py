"""One test for each leaf of admit.tree."""

import pytest

from tests.contracts.registry.registry_values import KEY, PROFILE, ROOT
from tests.support.chainkit import events


@pytest.fixture
def admit(chain, registry, registrar, alice):
    def admit(sender=registrar, organisation=7, key=KEY):
        call = registry.functions.admit(alice.address, organisation, key, PROFILE, ROOT)
        return chain.send(sender, call)

    return admit


def test_reverts_when_the_caller_is_not_the_registrar(admit, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        admit(sender=stranger)


def test_reverts_given_the_account_is_registered(admit, admitted, expect_revert):
    with expect_revert("ParticipantRegistry_AlreadyRegistered", admitted):
        admit()


def test_reverts_when_the_organisation_is_zero(admit, alice, expect_revert):
    with expect_revert("ParticipantRegistry_OrganisationZero", alice):
        admit(organisation=0)


def test_reverts_when_the_encryption_key_is_zero(admit, alice, expect_revert):
    with expect_revert("ParticipantRegistry_EncryptionKeyZero", alice):
        admit(key=bytes(32))


def test_registers_a_new_account(chain, registry, admit, alice):
    admit()

    found = registry.functions.participant(alice.address).call()
    assert (found.organisation, found.status, found.keyVersion) == (7, 1, 1)
    assert (found.registeredAt, found.encryptionKey) == (chain.now, KEY)


def test_emits_registered(registry, admit, alice):
    (event,) = events(registry, "Registered", admit())

    assert (event["account"], event["organisation"]) == (alice.address, 7)
    assert (event["profile"], event["attributesRoot"]) == (PROFILE, ROOT)

"""One test for each leaf of registrar.tree."""

import pytest

from tests.contracts.unit.registry.registry_values import KEY, PROFILE, ROOT, UNIT
from tests.support.chainkit import events

SUSPENDED = 2


@pytest.fixture
def call(chain, registry):
    """Sends one function of the registry."""

    def call(sender, name, *args):
        return chain.send(sender, registry.functions[name](*args))

    return call


@pytest.fixture
def profile_hash(chain):
    return chain.w3.keccak(PROFILE + ROOT)


def test_revoke_voucher_reverts_for_a_stranger(call, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "revokeVoucher", 5)


def test_revoke_voucher_marks_the_nonce(registry, call, registrar):
    receipt = call(registrar, "revokeVoucher", 5)

    assert registry.functions.voucherRevoked(5).call()
    assert not registry.functions.voucherRevoked(6).call()
    assert events(registry, "VoucherRevoked", receipt) == [{"nonce": 5}]


def test_suspend_reverts_for_a_stranger(call, admitted, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "suspend", admitted.address)


def test_suspend_reverts_given_the_account_is_a_stranger(call, registrar, stranger, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", stranger):
        call(registrar, "suspend", stranger.address)


def test_suspend_reverts_given_the_account_is_suspended(call, registrar, admitted, expect_revert):
    call(registrar, "suspend", admitted.address)

    with expect_revert("ParticipantRegistry_NotActive", admitted):
        call(registrar, "suspend", admitted.address)


def test_suspend_makes_an_account_inactive(registry, call, registrar, admitted):
    receipt = call(registrar, "suspend", admitted.address)

    found = registry.functions.participant(admitted.address).call()
    assert (found.status, found.organisation, found.encryptionKey) == (SUSPENDED, 7, KEY)
    assert registry.functions.seatInfo(admitted.address).call()[0] is False
    assert events(registry, "Suspended", receipt) == [{"account": admitted.address}]


def test_restore_reverts_for_a_stranger(call, registrar, admitted, stranger, expect_revert):
    call(registrar, "suspend", admitted.address)

    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "restore", admitted.address)


def test_restore_reverts_given_the_account_is_a_stranger(call, registrar, stranger, expect_revert):
    with expect_revert("ParticipantRegistry_NotSuspended", stranger):
        call(registrar, "restore", stranger.address)


def test_restore_reverts_given_the_account_is_active(call, registrar, admitted, expect_revert):
    with expect_revert("ParticipantRegistry_NotSuspended", admitted):
        call(registrar, "restore", admitted.address)


def test_restore_makes_a_suspended_account_active(registry, call, registrar, admitted):
    call(registrar, "suspend", admitted.address)

    receipt = call(registrar, "restore", admitted.address)

    assert registry.functions.seatInfo(admitted.address).call()[0] is True
    assert events(registry, "Restored", receipt) == [{"account": admitted.address}]


def test_attest_reverts_for_a_stranger(call, admitted, profile_hash, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", admitted):
        call(admitted, "attestAttributes", admitted.address, profile_hash)


def test_attest_reverts_given_the_account_is_not_active(
    call, registrar, admitted, profile_hash, expect_revert
):
    call(registrar, "suspend", admitted.address)

    with expect_revert("ParticipantRegistry_NotActive", admitted):
        call(registrar, "attestAttributes", admitted.address, profile_hash)


def test_attest_reverts_given_the_profile_was_changed(
    chain, call, registrar, admitted, profile_hash, expect_revert
):
    call(admitted, "setProfile", ROOT, PROFILE)
    present = chain.w3.keccak(ROOT + PROFILE)

    with expect_revert("ParticipantRegistry_ProfileDiffers", admitted, profile_hash, present):
        call(registrar, "attestAttributes", admitted.address, profile_hash)


def test_attest_marks_the_profile(registry, call, registrar, admitted, profile_hash):
    receipt = call(registrar, "attestAttributes", admitted.address, profile_hash)

    assert registry.functions.participant(admitted.address).call().attested
    (event,) = events(registry, "AttributesAttested", receipt)
    assert event == {"account": admitted.address, "profileHash": profile_hash}


def test_hand_over_reverts_when_a_stranger_offers_the_role(call, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "transferRegistrar", stranger.address)


def test_hand_over_reverts_when_a_stranger_takes_an_offered_role(
    call, registrar, alice, stranger, expect_revert
):
    call(registrar, "transferRegistrar", alice.address)

    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "acceptRegistrar")


def test_hand_over_waits_for_the_other(registry, call, registrar, alice):
    call(registrar, "transferRegistrar", alice.address)

    assert registry.functions.registrar().call() == registrar.address
    call(registrar, "revokeVoucher", 1)


def test_hand_over_takes_effect_when_accepted(registry, call, registrar, alice, expect_revert):
    call(registrar, "transferRegistrar", alice.address)
    call(alice, "acceptRegistrar")

    assert registry.functions.registrar().call() == alice.address
    with expect_revert("OwnableUnauthorizedAccount", registrar):
        call(registrar, "revokeVoucher", 1)


def test_hand_over_later_offer_replaces_an_earlier_one(
    call, registrar, alice, stranger, expect_revert
):
    call(registrar, "transferRegistrar", alice.address)
    call(registrar, "transferRegistrar", stranger.address)

    with expect_revert("OwnableUnauthorizedAccount", alice):
        call(alice, "acceptRegistrar")


def test_renounce_reverts_for_a_stranger(call, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "renounceOwnership")


def test_renounce_reverts_for_the_registrar(call, registrar, expect_revert):
    with expect_revert("ParticipantRegistry_RegistrarRequired", registrar):
        call(registrar, "renounceOwnership")


def test_constructor_reverts_when_the_unit_is_zero(chain, registrar, market, expect_revert):
    parties = (registrar.address, market.address, market.address)

    with expect_revert("ParticipantRegistry_ReputationUnitZero"):
        chain.deploy("ParticipantRegistry", registrar, *parties, 0)


def test_constructor_keeps_the_addresses(registry, market, rounds):
    assert registry.functions.market().call() == market.address
    assert registry.functions.rounds().call() == rounds.address
    assert registry.functions.reputationUnit().call() == UNIT

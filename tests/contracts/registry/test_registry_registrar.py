"""One test for each leaf of registrar.tree."""

import pytest

from tests.contracts.registry.registry_values import DELAY, KEY, PROFILE, ROOT
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


def test_suspend_reverts_given_the_account_is_suspended(call, registrar, suspended, expect_revert):
    with expect_revert("ParticipantRegistry_NotActive", suspended):
        call(registrar, "suspend", suspended.address)


def test_suspend_reverts_given_a_suspension_is_announced(
    chain, call, registrar, admitted, expect_revert
):
    call(registrar, "suspend", admitted.address)
    effective = chain.now + DELAY

    with expect_revert("ParticipantRegistry_AlreadyAnnounced", admitted, effective):
        call(registrar, "suspend", admitted.address)


def test_suspend_is_announced(chain, registry, call, registrar, admitted):
    receipt = call(registrar, "suspend", admitted.address)

    assert events(registry, "SuspensionAnnounced", receipt) == [
        {"account": admitted.address, "effective": chain.now + DELAY}
    ]


def test_suspend_leaves_the_account_active_until_the_delay_is_over(
    chain, registry, call, registrar, admitted
):
    call(registrar, "suspend", admitted.address)
    chain.travel(DELAY - 1)

    assert registry.functions.seatInfo(admitted.address).call() == (True, 7)


def test_suspend_makes_an_account_inactive_then(chain, registry, call, registrar, admitted):
    call(registrar, "suspend", admitted.address)
    announced = chain.now
    chain.travel(DELAY)

    found = registry.functions.participant(admitted.address).call()
    assert (found.status, found.organisation, found.encryptionKey) == (SUSPENDED, 7, KEY)
    assert found.suspendedFrom == announced + DELAY
    assert registry.functions.seatInfo(admitted.address).call() == (False, 7)


def test_restore_reverts_for_a_stranger(call, suspended, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "restore", suspended.address)


def test_restore_reverts_given_the_account_is_a_stranger(call, registrar, stranger, expect_revert):
    with expect_revert("ParticipantRegistry_NotSuspended", stranger):
        call(registrar, "restore", stranger.address)


def test_restore_reverts_given_no_suspension_is_announced(call, registrar, admitted, expect_revert):
    with expect_revert("ParticipantRegistry_NotSuspended", admitted):
        call(registrar, "restore", admitted.address)


def test_restore_calls_off_an_announced_suspension(chain, registry, call, registrar, admitted):
    call(registrar, "suspend", admitted.address)

    call(registrar, "restore", admitted.address)
    chain.travel(DELAY)

    assert registry.functions.seatInfo(admitted.address).call() == (True, 7)


def test_restore_makes_a_suspended_account_active(registry, call, registrar, suspended):
    receipt = call(registrar, "restore", suspended.address)

    assert registry.functions.seatInfo(suspended.address).call() == (True, 7)
    assert events(registry, "Restored", receipt) == [{"account": suspended.address}]


def test_attest_reverts_for_a_stranger(call, admitted, profile_hash, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", admitted):
        call(admitted, "attestAttributes", admitted.address, profile_hash)


def test_attest_reverts_given_the_account_is_not_active(
    call, registrar, suspended, profile_hash, expect_revert
):
    with expect_revert("ParticipantRegistry_NotActive", suspended):
        call(registrar, "attestAttributes", suspended.address, profile_hash)


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


def test_a_wallet_of_two_owners_takes_the_role_and_uses_it(
    chain, registry, call, registrar, accounts, alice
):
    # Its owners decide inside the wallet; the registry sees one caller, the wallet.
    owners = (account.address for account in accounts[10:12])
    wallet = chain.deploy("TwoOwnerWallet", registrar, *owners).address
    chain.fund(wallet)
    call(registrar, "transferRegistrar", wallet)
    call(wallet, "acceptRegistrar")

    call(wallet, "admit", alice.address, 7, KEY, PROFILE, ROOT)
    call(wallet, "suspend", alice.address)
    chain.travel(DELAY)

    assert registry.functions.registrar().call() == wallet
    assert registry.functions.seatInfo(alice.address).call() == (False, 7)


def test_renounce_reverts_for_a_stranger(call, stranger, expect_revert):
    with expect_revert("OwnableUnauthorizedAccount", stranger):
        call(stranger, "renounceOwnership")


def test_renounce_reverts_for_the_registrar(call, registrar, expect_revert):
    with expect_revert("ParticipantRegistry_RegistrarRequired", registrar):
        call(registrar, "renounceOwnership")


def test_constructor_keeps_the_delay(registry):
    assert registry.functions.suspensionDelay().call() == DELAY

"""One test for each leaf of register.tree."""

from unittest.mock import ANY

import pytest

from tests.contracts.registry.registry_values import KEY, PROFILE, ROOT, TOP_OF_INT
from tests.support.chainkit import events


@pytest.fixture
def register(chain, registry, alice):
    """Sends a registration; by default from Alice, with valid arguments."""

    def register(voucher, signature, sender=alice, key=KEY):
        call = registry.functions.register(voucher, signature, key, PROFILE, ROOT)
        return chain.send(sender, call)

    return register


def test_reverts_when_the_voucher_admits_another_account(
    register, sign, voucher, registrar, alice, stranger, expect_revert
):
    with expect_revert("ParticipantRegistry_VoucherOfAnother", alice, stranger):
        register(voucher, sign(registrar, voucher), sender=stranger)


def test_reverts_when_the_voucher_has_expired(
    chain, register, sign, voucher, registrar, expect_revert
):
    chain.next_at(voucher[3] + 1)

    with expect_revert("ParticipantRegistry_VoucherExpired", voucher[3], voucher[3] + 1):
        register(voucher, sign(registrar, voucher))


def test_reverts_when_the_voucher_was_revoked(
    chain, registry, register, sign, voucher, registrar, expect_revert
):
    chain.send(registrar, registry.functions.revokeVoucher(voucher[2]))

    with expect_revert("ParticipantRegistry_VoucherRevoked", voucher[2]):
        register(voucher, sign(registrar, voucher))


def test_reverts_for_a_strangers_signature(
    registry, register, sign, voucher, registrar, stranger, expect_revert
):
    digest = registry.functions.voucherDigest(voucher).call()

    with expect_revert("ParticipantRegistry_VoucherNotSigned", registrar, digest):
        register(voucher, sign(stranger, voucher))


def test_reverts_for_a_former_registrars_signature(
    chain, registry, register, sign, voucher, registrar, stranger, expect_revert
):
    chain.send(registrar, registry.functions.transferRegistrar(stranger.address))
    chain.send(stranger, registry.functions.acceptRegistrar())

    with expect_revert("ParticipantRegistry_VoucherNotSigned", stranger, ANY):
        register(voucher, sign(registrar, voucher))


@pytest.mark.parametrize("signature", [b"", b"\x00" * 65, b"\xff" * 64], ids=len)
def test_reverts_for_bytes_that_are_no_signature(
    register, voucher, registrar, signature, expect_revert
):
    with expect_revert("ParticipantRegistry_VoucherNotSigned", registrar, ANY):
        register(voucher, signature)


def test_reverts_for_another_organisation(register, sign, voucher, registrar, expect_revert):
    account, organisation, nonce, expiry = voucher

    with expect_revert("ParticipantRegistry_VoucherNotSigned"):
        register((account, organisation + 1, nonce, expiry), sign(registrar, voucher))


def test_reverts_for_another_chain(register, sign, voucher, registrar, expect_revert):
    with expect_revert("ParticipantRegistry_VoucherNotSigned"):
        register(voucher, sign(registrar, voucher, chainId=1))


def test_reverts_for_another_deployment(
    register, sign, voucher, registrar, stranger, expect_revert
):
    with expect_revert("ParticipantRegistry_VoucherNotSigned"):
        register(voucher, sign(registrar, voucher, verifyingContract=stranger.address))


def test_reverts_for_the_same_voucher_given_the_account_is_registered(
    register, sign, voucher, registrar, alice, expect_revert
):
    register(voucher, sign(registrar, voucher))

    with expect_revert("ParticipantRegistry_AlreadyRegistered", alice):
        register(voucher, sign(registrar, voucher))


def test_reverts_for_a_new_voucher_given_the_account_is_registered(
    admitted, register, sign, voucher, registrar, expect_revert
):
    with expect_revert("ParticipantRegistry_AlreadyRegistered", admitted):
        register(voucher, sign(registrar, voucher))


def test_reverts_for_a_suspended_account(
    suspended, register, sign, voucher, registrar, expect_revert
):
    with expect_revert("ParticipantRegistry_AlreadyRegistered", suspended):
        register(voucher, sign(registrar, voucher))


def test_reverts_when_the_organisation_is_zero(
    register, sign, voucher, registrar, alice, expect_revert
):
    account, _, nonce, expiry = voucher
    none = (account, 0, nonce, expiry)

    with expect_revert("ParticipantRegistry_OrganisationZero", alice):
        register(none, sign(registrar, none))


def test_reverts_when_the_organisation_is_too_large(
    register, sign, voucher, registrar, alice, expect_revert
):
    account, _, nonce, expiry = voucher
    large = (account, 2**16, nonce, expiry)

    with expect_revert("ParticipantRegistry_OrganisationTooLarge", 2**16, 2**16 - 1):
        register(large, sign(registrar, large))


def test_reverts_when_the_encryption_key_is_zero(
    register, sign, voucher, registrar, alice, expect_revert
):
    with expect_revert("ParticipantRegistry_EncryptionKeyZero", alice):
        register(voucher, sign(registrar, voucher), key=bytes(32))


@pytest.fixture
def wallet(chain, registry, registrar, accounts):
    """A wallet of two owners that holds the registrar's role."""
    owners = accounts[10:12]
    wallet = chain.deploy("TwoOwnerWallet", registrar, *(owner.address for owner in owners))
    chain.fund(wallet.address)
    chain.send(registrar, registry.functions.transferRegistrar(wallet.address))
    chain.send(wallet.address, registry.functions.acceptRegistrar())
    return owners


def test_registers_with_the_signatures_of_all_owners(
    registry, wallet, register, sign, voucher, alice
):
    register(voucher, b"".join(sign(owner, voucher) for owner in wallet))

    assert registry.functions.seatInfo(alice.address).call() == (True, 7)


def test_reverts_for_the_signature_of_one_owner(wallet, register, sign, voucher, expect_revert):
    with expect_revert("ParticipantRegistry_VoucherNotSigned"):
        register(voucher, sign(wallet[0], voucher) * 2)


def test_registers_with_the_key_of_a_registrar_that_delegated_to_a_contract(
    chain, registry, register, sign, voucher, registrar, alice
):
    # EIP-7702: its account has code that knows no signatures.
    chain.rpc("anvil_setCode", registrar.address, "0xef0100" + registry.address[2:])

    register(voucher, sign(registrar, voucher))

    assert registry.functions.seatInfo(alice.address).call() == (True, 7)


def test_registers_with_a_short_signature(registry, register, sign, voucher, registrar, alice):
    long = sign(registrar, voucher)
    odd = (long[64] - 27) << 7
    register(voucher, long[:32] + bytes([long[32] | odd]) + long[33:64])

    assert registry.functions.seatInfo(alice.address).call() == (True, 7)


def test_registers_the_caller_in_the_vouchers_last_second(
    chain, registry, register, sign, registrar, alice
):
    voucher = (alice.address, 2**16 - 1, TOP_OF_INT, chain.now + 60)
    chain.next_at(voucher[3])

    register(voucher, sign(registrar, voucher))

    found = registry.functions.participant(alice.address).call()
    assert found.organisation == 2**16 - 1
    assert (found.status, found.keyVersion, found.attested) == (1, 1, False)
    assert found.registeredAt == voucher[3]
    assert found.encryptionKey == KEY
    assert found.profileHash == chain.w3.keccak(PROFILE + ROOT)


def test_emits_registered(registry, register, sign, voucher, registrar, alice):
    receipt = register(voucher, sign(registrar, voucher))

    assert events(registry, "Registered", receipt) == [
        {
            "account": alice.address,
            "organisation": 7,
            "encryptionKey": KEY,
            "profile": PROFILE,
            "attributesRoot": ROOT,
        }
    ]


@pytest.mark.optimised
def test_costs_less_than_115_000_gas(register, sign, voucher, registrar):
    assert register(voucher, sign(registrar, voucher))["gasUsed"] < 115_000

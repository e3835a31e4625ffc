"""Signatures and commitments replayed elsewhere are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eth_account.messages import encode_typed_data
from eth_utils import keccak

from tests.support.chainkit import anvil_process, deploy_all
from tests.support.scenario import REVEAL, Scenario

New = Callable[..., Scenario]
FIELDS = [
    {"name": "account", "type": "address"},
    {"name": "organisation", "type": "uint32"},
    {"name": "nonce", "type": "uint256"},
    {"name": "expiry", "type": "uint256"},
]


def signed(registrar: Any, chain_id: int, registry: str, voucher: tuple[Any, ...]) -> bytes:
    domain = {
        **{"name": "fedpact", "version": "1"},
        **{"chainId": chain_id, "verifyingContract": registry},
    }
    names = [field["name"] for field in FIELDS]
    data = dict(zip(names, voucher, strict=True))
    message = encode_typed_data(domain, {"Voucher": FIELDS}, data)
    return bytes(registrar.sign_message(message).signature)


def test_a_voucher_of_one_deployment_admits_to_no_other(
    chain: Any, deployed: Any, accounts: Any, expect_revert: Any
) -> None:
    """The same registrar runs two markets; a voucher for one is presented to the other."""
    registrar, account = deployed.registrar, accounts[20]
    other = deploy_all(chain, accounts[0], registrar.address, 10**15)[0]
    voucher = (account.address, 7, 1, chain.now + 3_600)
    signature = signed(registrar, chain.chain_id, deployed.registry.address, voucher)
    rest = (voucher, signature, keccak(b"key"), bytes(32), bytes(32))
    with expect_revert("ParticipantRegistry_VoucherNotSigned"):
        chain.send(account, other.functions.register(*rest))
    chain.send(account, deployed.registry.functions.register(*rest))
    # Nor does it admit twice.
    with expect_revert("ParticipantRegistry_AlreadyRegistered"):
        chain.send(account, deployed.registry.functions.register(*rest))


def test_a_local_chain_before_had_the_same_addresses_but_short_vouchers(
    compiled: Any, accounts: Any
) -> None:
    """A restarted chain repeats id and addresses: only the expiry limits a voucher there.

    Its ciphertexts and checkpoints are bound to the first block as well, see test_content.py.
    """
    from tests.support.chainkit import Chain, Reverted

    found = []
    for _ in range(2):
        with anvil_process() as url:
            chain = Chain(url, compiled)
            for account in accounts[:2]:
                chain.fund(account)
            registry = deploy_all(chain, accounts[0], accounts[0], 10**15)[0]
            found.append((chain.chain_id, registry.address))
            old = (accounts[1].address, 7, 1, chain.now - 1)
            signature = signed(accounts[0], *found[0], old)
            call = registry.functions.register(
                *(old, signature, keccak(b"key"), bytes(32), bytes(32))
            )
            try:
                chain.send(accounts[1], call)
            except Reverted as error:
                name = chain.decode_error(error.data)[0]
                assert name == "ParticipantRegistry_VoucherExpired"
            else:
                raise AssertionError("an expired voucher admitted an account")
    assert found[0] == found[1]


def test_a_vote_of_an_earlier_round_or_request_does_not_open(
    scenario: New, expect_revert: Any
) -> None:
    s = scenario(3, maxRounds=2).committing()
    old = s.commitment(0, s.vote(0))
    s.vote_all()
    s.tally()
    s.attest_all()
    s.propose()
    s.submit_all()
    s.rounds_call(s.providers[0], "commitVote", s.id, 0, old)
    s.commit(1)
    s.commit(2)
    assert s.facts.phase == REVEAL
    with expect_revert("TrainingRounds_CommitmentMismatch"):
        s.reveal(0)


def test_an_attestation_of_an_earlier_round_approves_nothing(
    scenario: New, expect_revert: Any
) -> None:
    s = scenario(3, maxRounds=2).attesting()
    digest, old = s.global_digest, [s.attestation(i, s.global_digest, 900) for i in range(3)]
    s.attest_all()
    s.propose()
    s.submit_all()
    s.vote_all()
    s.tally()
    for seat in range(3):
        s.rounds_call(s.providers[seat], "attest", s.id, seat, old[seat], 900)
    with expect_revert("TrainingRounds_ProposerDisagrees"):
        s.propose(0, digest)

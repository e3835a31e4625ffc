"""Members whose accounts are contract wallets (ERC-1271), beside those with keys."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from fedpact.chain.signed_messages import WalletSignature
from tests.contracts.rounds.kit import SUBMIT, Rounds
from tests.support.chainkit import events


@dataclass(frozen=True)
class Wallet:
    """A member whose signatures are its owner's."""

    address: str
    owner: LocalAccount

    def sign_message(self, message: SignableMessage) -> Any:
        signature = WalletSignature(self.owner.sign_message(message).signature)
        return SimpleNamespace(signature=signature)


@pytest.fixture
def r(rounds_of: Any, accounts: Any) -> Rounds:
    """Round 1 of two members with keys and one with a wallet, in seat 2."""
    made: Rounds = rounds_of(3)
    owner = accounts[18]
    address = made.chain.deploy("OwnerWallet", owner, owner.address).address
    made.admit(address, 150)
    made.members[2] = Wallet(address, owner)
    return made.running()


def test_a_whole_round_counts_a_wallets_signature(r: Rounds) -> None:
    receipt = r.post()
    assert events(r.on.rounds, "RoundPosted", receipt)
    assert (r.facts.round, r.facts.phase) == (2, SUBMIT)
    assert all(r.points())


def test_a_round_in_batches_counts_a_wallets_signatures(r: Rounds) -> None:
    r.batched_round(0, 1, 2)
    assert (r.facts.round, r.facts.phase) == (2, SUBMIT)
    assert all(r.points())


def test_the_owners_account_posts_for_its_wallet_alone(r: Rounds) -> None:
    """Its own calls need no wallet that makes them."""
    owner = r.seats[2].owner
    r.submit(2, sender=owner)
    assert r.facts.submitted == 0b100


def test_what_the_wallet_does_not_take_is_refused(r: Rounds, expect_revert: Any) -> None:
    wallet = r.seats[2]
    thief = Wallet(wallet.address, r.stranger)
    with expect_revert("SeatSignatures_NotSigned", wallet.address, 1):
        r.post(signers=[r.seats[0], r.seats[1], thief])
    # The owner's key signs for the wallet, but is not the wallet's key.
    with expect_revert("SeatSignatures_NotSigned", wallet.address, 1):
        r.post(signers=[r.seats[0], r.seats[1], wallet.owner])


def test_a_wallet_that_contradicts_itself_is_void(r: Rounds) -> None:
    r.contradict(2)
    assert r.facts.voided == 0b100

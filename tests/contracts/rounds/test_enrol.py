"""One test for each leaf of enrol.tree."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import keccak

from fedpact.chain.signed_messages import Domain, WalletSignature, pack_signatures
from tests.contracts.rounds.kit import ATTRIBUTES, START, WAITING, WINDOW, Rounds
from tests.support.chainkit import events


@pytest.fixture
def r(rounds_of: Any) -> Rounds:
    made: Rounds = rounds_of(4, maxPool=4, minPool=2)
    made.create()
    return made


def pool(r: Rounds) -> Any:
    return r.on.pool.functions.facts(r.id).call()


def enrolled(r: Rounds) -> list[int]:
    """The organisations of the members, in order."""
    count = r.on.pool.functions.count(r.id).call()
    return [word >> 232 for word in r.on.pool.functions.members(r.id, 0, count).call()]


def test_a_pool_that_is_not_open_is_refused(r: Rounds, expect_revert: Any) -> None:
    call = r.on.pool.functions.enrol(r.id + 1, [(r.members[0].address, 1, ATTRIBUTES)], b"")
    with expect_revert("TrainingRounds_WrongPhase", r.id + 1, 0, WAITING):
        r.chain.send(r.members[0], call)
    r.enrol(r.members[:2])
    r.halt()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.enrol(r.members[2:])


def test_a_late_join_is_refused(r: Rounds, expect_revert: Any) -> None:
    r.chain.travel(WINDOW + 1)
    with expect_revert("TrainingPool_Closed"):
        r.enrol()


def test_a_full_pool_takes_nobody(rounds_of: Any, expect_revert: Any) -> None:
    r: Rounds = rounds_of(4, maxPool=3, minPool=2)
    r.create()
    with expect_revert("TrainingPool_Full", r.id, 4, 3):
        r.enrol()
    r.enrol(r.members[:3])
    with expect_revert("TrainingPool_Closed"):
        r.enrol(r.members[3:])


def test_no_joins_are_refused(r: Rounds, expect_revert: Any) -> None:
    with expect_revert("TrainingPool_NoJoins"):
        r.chain.send(r.stranger, r.on.pool.functions.enrol(r.id, [], b""))


def test_an_unsigned_join_is_refused(r: Rounds, expect_revert: Any) -> None:
    other = r.members[1]
    joins = [(r.members[0].address, r.samples, ATTRIBUTES)]
    enrol = r.on.pool.functions.enrol
    with expect_revert("SeatSignatures_NotSigned", r.members[0].address, 0):
        r.chain.send(r.stranger, enrol(r.id, joins, pack_signatures([r.join_signature(other)])))
    with expect_revert("SeatSignatures_Short", 0, 64):
        r.chain.send(r.stranger, enrol(r.id, joins, b""))
    fewer = pack_signatures([r.join_signature(r.members[0], samples=99)])
    with expect_revert("SeatSignatures_NotSigned"):
        r.chain.send(r.stranger, enrol(r.id, joins, fewer))


def test_consent_to_other_terms_does_not_count(r: Rounds, expect_revert: Any) -> None:
    domain = Domain(r.chain.chain_id, r.on.pool.address)
    message = domain.join(r.id, r.samples, ATTRIBUTES, keccak(text="other terms"))
    signature = bytes(r.members[0].sign_message(message).signature)
    joins = [(r.members[0].address, r.samples, ATTRIBUTES)]
    with expect_revert("SeatSignatures_NotSigned"):
        call = r.on.pool.functions.enrol(r.id, joins, pack_signatures([signature]))
        r.chain.send(r.stranger, call)


def test_who_may_not_take_part_is_refused(r: Rounds, accounts: Any, expect_revert: Any) -> None:
    with expect_revert("TrainingPool_NotActive", accounts[20].address):
        r.enrol([accounts[20]])
    with expect_revert("TrainingPool_OwnOrganisation", r.id, 1):
        r.enrol([r.requester])
    r.enrol(r.members[:2])
    with expect_revert("TrainingPool_OrganisationJoined", r.id, 101):
        r.enrol(r.members[1:2])


def test_unsorted_joins_are_refused(r: Rounds, expect_revert: Any) -> None:
    with expect_revert("TrainingPool_NotSorted", 100, 101):
        r.enrol([r.members[1], r.members[0]])
    with expect_revert("TrainingPool_NotSorted", 100, 100):
        r.enrol([r.members[0], r.members[0]])


@pytest.mark.parametrize("samples", [0, 2**24])
def test_impossible_samples_are_refused(r: Rounds, samples: int, expect_revert: Any) -> None:
    r.samples = samples
    with expect_revert("TrainingPool_BadSamples", samples):
        r.enrol(r.members[:1])


def test_anyone_posts_joins(r: Rounds) -> None:
    receipt = r.enrol(sender=r.stranger)
    assert [e["provider"] for e in events(r.on.pool, "Joined", receipt)] == [
        m.address for m in r.members
    ]
    facts = pool(r)
    assert (facts.members, facts.batches, facts.closed, facts.closedAt) == (4, 1, True, r.chain.now)
    assert enrolled(r) == [100, 101, 102, 103]


def test_a_contract_wallet_joins(r: Rounds, accounts: Any, expect_revert: Any) -> None:
    owners = accounts[18:20]
    wallet = r.chain.deploy("TwoOwnerWallet", r.stranger, owners[0].address, owners[1].address)
    r.admit(wallet.address, 100 + 50)
    domain = Domain(r.chain.chain_id, r.on.pool.address)
    message = domain.join(r.id, r.samples, ATTRIBUTES, r.terms_hash)
    both = b"".join(bytes(o.sign_message(message).signature) for o in owners)
    joins = [(r.members[0].address, r.samples, ATTRIBUTES), (wallet.address, r.samples, ATTRIBUTES)]
    own = r.join_signature(r.members[0])
    enrol = r.on.pool.functions.enrol
    half = WalletSignature(both[:65] + b"\0" * 65)
    with expect_revert("SeatSignatures_NotSigned", wallet.address, 1):
        r.chain.send(
            r.stranger,
            enrol(r.id, joins, pack_signatures([own, half])),
        )
    packed = pack_signatures([own, WalletSignature(both)])
    # Cut behind the length, then the length itself.
    with expect_revert("SeatSignatures_Short", len(packed) - 1, len(both)):
        r.chain.send(r.stranger, enrol(r.id, joins, packed[:-1]))
    with expect_revert("SeatSignatures_Short", 2 * 64 + 31, 2 * 64):
        r.chain.send(r.stranger, enrol(r.id, joins, packed[: 2 * 64 + 31]))
    r.chain.send(r.stranger, enrol(r.id, joins, packed))
    assert enrolled(r) == [100, 150]


@pytest.mark.parametrize("rules", [{"weightRule": 2}, {"leaderRule": 1}, {}])
def test_reputations_are_noted_where_the_request_reads_them(
    rounds_of: Any, rules: dict[str, int]
) -> None:
    r: Rounds = rounds_of(3, **rules)
    r.create()
    r.enrol()
    held = [r.on.ledger.functions.reputation(one.address).call() for one in r.members]
    assert all(held)
    words = r.on.pool.functions.members(r.id, 0, 3).call()
    assert [(word >> 32) & 0xFFFF for word in words] == (held if rules else [0, 0, 0])


def test_there_are_no_more_batches_than_are_counted(rounds_of: Any, expect_revert: Any) -> None:
    """The pool's state is set as if 700 members were in so many batches."""
    r: Rounds = rounds_of(2, maxPool=1_000)
    r.create()
    slot = "0x" + keccak(r.id.to_bytes(32, "big") + bytes(32)).hex()
    empty = int(r.chain.rpc("eth_getStorageAt", r.on.pool.address, slot, "latest"), 16)
    for batches in (255, 254):
        held = empty | 700 << 80 | batches << 112 | 700 << 120
        word = "0x" + held.to_bytes(32, "big").hex()
        r.chain.rpc("anvil_setStorageAt", r.on.pool.address, slot, word)
        assert (pool(r).members, pool(r).batches) == (700, batches)
        if batches == 255:
            with expect_revert("TrainingPool_TooManyBatches", r.id):
                r.enrol([r.members[0]])
    r.enrol([r.members[0]])
    assert (pool(r).members, pool(r).batches, pool(r).weight) == (701, 255, 701)


def test_portions_are_merged(rounds_of: Any) -> None:
    r: Rounds = rounds_of(14)
    r.create()
    for i in (9, 3, 12, 0, 1, 7):
        r.enrol([r.members[i]])
    r.enrol([r.members[i] for i in (2, 4, 5, 6, 8, 10, 11, 13)])
    assert enrolled(r) == list(range(100, 114))
    assert pool(r).batches == 1
    assert pool(r).weight == 14


def test_withdrawal_is_for_open_pools_and_members(r: Rounds, expect_revert: Any) -> None:
    r.enrol(r.members[:3])
    withdraw = r.on.pool.functions.withdraw
    with expect_revert("TrainingPool_NotMember", r.id, 1, r.members[0].address):
        r.chain.send(r.members[0], withdraw(r.id, 1))
    with expect_revert("TrainingPool_NoMember", r.id, 3):
        r.chain.send(r.members[0], withdraw(r.id, 3))
    r.chain.send(r.members[1], withdraw(r.id, 1))
    with expect_revert("TrainingPool_HasLeft", r.id, 1):
        r.chain.send(r.members[1], withdraw(r.id, 1))
    with expect_revert("TrainingPool_OrganisationJoined", r.id, 101):
        r.enrol([r.members[1]])
    facts = pool(r)
    assert (facts.members, facts.left) == (3, 1)
    r.chain.travel(WINDOW + 1)
    with expect_revert("TrainingPool_Closed"):
        r.chain.send(r.members[0], withdraw(r.id, 0))
    with expect_revert("TrainingRounds_NotMember", r.id, 1, r.members[1].address):
        r.send(r.members[1], "start", 1, START)
    r.start(0)
    assert r.seats == [r.members[0], r.members[2]]

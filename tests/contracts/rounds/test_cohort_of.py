"""One test for each leaf of cohortOf.tree."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak

from fedpact.chain.signed_messages import pack_signatures
from fedpact.consensus.draw import cohort, weight_of
from tests.contracts.rounds.kit import ATTRIBUTES, Rounds, deploy, lanes16
from tests.support.chainkit import Chain

SEEDS = [keccak(text=f"seed {i}") for i in range(12)]
SAMPLES = (1, 50, 400, 70, 3, 9_000, 20, 20, 600, 5, 31)


def drawn(r: Rounds, seed: bytes) -> tuple[int, ...]:
    word, members = r.on.pool.functions.cohortOf(r.id, seed).call()
    return tuple(lanes16(word, len(members)))


def larger(rounds_of: Any, **terms: Any) -> Rounds:
    """Eleven members with different samples, of which four take part in a round."""
    r: Rounds = rounds_of(11, cohort=4, maxPool=12, **terms)
    r.create()
    for member, samples in zip(r.members, SAMPLES, strict=True):
        r.samples = samples
        r.enrol([member])
    return r


def weights(r: Rounds) -> list[int]:
    rule, cap = r.terms["weightRule"], r.terms["sampleCap"]
    count = r.on.pool.functions.count(r.id).call()
    words = r.on.pool.functions.members(r.id, 0, count).call()
    return [weight_of(rule, (w >> 48) & 0xFFFFFF, (w >> 32) & 0xFFFF, cap) for w in words]


def on_open_registry(r: Rounds, registrar: Any, size: int) -> list[Any]:
    """Creates the request for so many new members, which need no registration."""
    members = [Account.from_key(keccak(text=f"member {i}")) for i in range(size)]
    r.create()
    code = r.chain.w3.eth.get_code(r.chain.deploy("OpenRegistry", registrar).address)
    r.chain.rpc("anvil_setCode", r.on.registry.address, code.to_0x_hex())
    registry = r.chain.at("OpenRegistry", r.on.registry.address)
    r.chain.send(registrar, registry.functions.admit([one.address for one in members], 0))
    r.members = members
    return members


def test_a_small_pool_takes_part_as_a_whole(running: Any) -> None:
    r: Rounds = running(5)
    assert {drawn(r, seed) for seed in SEEDS} == {(0, 1, 2, 3, 4)}
    assert r.seats == r.members


@pytest.mark.parametrize(("rule", "cap"), [(0, 0), (1, 500), (2, 0)])
def test_a_larger_pool_draws_as_the_mirror(rounds_of: Any, rule: int, cap: int) -> None:
    r = larger(rounds_of, weightRule=rule, sampleCap=cap)
    expected = [cohort(seed, weights(r), 4) for seed in SEEDS]
    assert [drawn(r, seed) for seed in SEEDS] == expected
    assert len(set(expected)) > 6


def test_those_that_left_are_passed_over(rounds_of: Any) -> None:
    r = larger(rounds_of)
    count = r.on.pool.functions.count(r.id).call()
    words = r.on.pool.functions.members(r.id, 0, count).call()
    left = [0, 5, 8]
    by_address = {int(m.address, 16): m for m in r.members}
    for index in left:
        leaver = by_address[(words[index] >> 72) & (2**160 - 1)]
        r.chain.send(leaver, r.on.pool.functions.withdraw(r.id, index))
    for seed in SEEDS:
        assert drawn(r, seed) == cohort(seed, weights(r), 4, left)
        assert not set(drawn(r, seed)) & set(left)
    [here] = r.on.pool.functions.presence(r.id).call()
    assert [index for index in range(256) if here >> index & 1] == [1, 2, 3, 4, 6, 7, 9, 10]


def test_all_of_a_large_pool_are_present(chain: Chain, accounts: Any) -> None:
    """Over two words and, in portions that are not merged, two batches."""
    r = Rounds(chain, deploy(chain, accounts[0]), accounts, 2, maxPool=900)
    members = on_open_registry(r, accounts[0], 300)
    r.enrol(members[:250], sender=accounts[0])
    r.enrol(members[250:], sender=accounts[0])
    gone = members[257]
    chain.fund(gone)
    chain.send(gone, r.on.pool.functions.withdraw(r.id, 257))
    low, high = r.on.pool.functions.presence(r.id).call()
    assert low == 2**256 - 1
    assert high == 2**44 - 1 & ~0b10


def test_the_next_in_order_fill_the_seats(rounds_of: Any) -> None:
    """One member has nearly all the weight, so most draws hit it."""
    r = larger(rounds_of, weightRule=1, sampleCap=65_535)
    found = [drawn(r, seed) for seed in SEEDS]
    assert found == [cohort(seed, weights(r), 4) for seed in SEEDS]
    assert all(len(set(one)) == 4 for one in found)


def test_the_next_in_order_follow_draws_that_are_used_up(rounds_of: Any) -> None:
    """All weigh alike, and 128 draws find fifteen of seventeen: this seed was searched for."""
    r: Rounds = rounds_of(17, cohort=16, maxPool=17)
    r.create()
    r.enrol()
    seed = keccak(text="late 271135")
    expected = cohort(seed, [1] * 17, 16)
    drawn_alone = {int.from_bytes(keccak(seed + c.to_bytes(32)), "big") % 17 for c in range(128)}
    assert len(drawn_alone) == 15
    assert drawn(r, seed) == expected


PORTIONS = (64, 31, 15, 7, 3, 1)
"""Each less than half of the one before, so that none is merged with an earlier one."""


@pytest.mark.parametrize(("rule", "cap"), [(0, 0), (1, 500)])
def test_a_pool_of_many_batches_draws_as_the_mirror(
    chain: Chain, accounts: Any, rule: int, cap: int
) -> None:
    """Six batches: where they end needs more than a word."""
    registrar, contracts = accounts[0], deploy(chain, accounts[0])
    terms = {"weightRule": rule, "sampleCap": cap, "cohort": 4, "maxPool": sum(PORTIONS)}
    r = Rounds(chain, contracts, accounts, 2, **terms)
    members = on_open_registry(r, registrar, sum(PORTIONS))
    begin = 0
    for number, size in enumerate(PORTIONS):
        r.samples = 40 + 100 * number
        r.enrol(members[begin : begin + size], sender=registrar)
        begin += size
    facts = r.on.pool.functions.facts(r.id).call()
    assert (facts.batches, facts.members) == (6, 121)
    words = r.on.pool.functions.members(r.id, 0, 121).call()
    assert [(one >> 72) & (2**160 - 1) for one in words] == [int(m.address, 16) for m in members]
    assert facts.weight == sum(weights(r))
    assert [drawn(r, seed) for seed in SEEDS] == [cohort(seed, weights(r), 4) for seed in SEEDS]


def test_the_pool_answers_no_call_that_it_does_not_know(running: Any) -> None:
    """Its fallback gives a blob's code while one is created, and reverts at any other time."""
    r: Rounds = running(3)
    with pytest.raises(RuntimeError, match="revert"):
        r.chain.rpc("eth_call", {"to": r.on.pool.address, "data": "0x12345678"}, "latest")


def test_a_pool_is_not_written_with_too_little_gas(rounds_of: Any) -> None:
    """Enrolling reverts, or writes all: a blob without its code would make a pool of nobody."""
    r: Rounds = rounds_of(3)
    r.create()
    snapshot = r.chain.snapshot()
    enough = r.enrol()["gasUsed"]
    r.chain.revert(snapshot)
    joins = [(one.address, r.samples, ATTRIBUTES) for one in r.members]
    packed = pack_signatures(r.join_signature(one) for one in r.members[1:])
    data = r.on.pool.encode_abi("enrol", [r.id, joins, packed])
    call = {"from": r.members[0].address, "to": r.on.pool.address, "data": data}
    written = 0
    for gas in range(enough - 60_000, enough + 12_000, 3_000):
        snapshot = r.chain.snapshot()
        sent = r.chain.w3.eth.send_transaction({**call, "gas": gas})
        receipt = r.chain.w3.eth.wait_for_transaction_receipt(sent)
        if receipt["status"]:
            written += 1
            words = r.on.pool.functions.members(r.id, 0, 3).call()
            assert [(w >> 72) & (2**160 - 1) for w in words] == [
                int(one.address, 16) for one in r.members
            ]
        r.chain.revert(snapshot)
    assert 0 < written < 24

"""One test for each leaf of before.tree."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak

from fedpact.chain.signed_messages import history_after_start
from fedpact.consensus.draw import first_seed
from tests.contracts.large.kit import DRAW_DELAY, LargeRounds
from tests.contracts.rounds.kit import ENDED, FINALISE, START, SUBMIT, WAITING, WINDOW


def test_only_the_market_prepares_and_halts(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    plan = (b"\x01" * 32, bytes(32), 9_000, 0, 1, 0, 0, 50, *[WINDOW] * 5, 0, 0)
    with expect_revert("TrainingRounds_NotMarket", r.stranger.address):
        r.chain.send(r.stranger, r.on.rounds.functions.prepare(9, plan))
    with expect_revert("TrainingRounds_NotMarket", r.requester.address):
        r.send(r.requester, "halt")


@pytest.mark.parametrize(
    "changes", [{"minPool": 3}, {"minPool": 2}, {"maxPool": 1_025}, {"maxRounds": 51}]
)
def test_a_pool_that_does_not_fit_is_refused(
    waiting: Any, expect_revert: Any, changes: dict[str, int]
) -> None:
    with expect_revert("LargeRounds_BadPlan"):
        waiting(**changes)


@pytest.mark.parametrize("changes", [{"maxError": 0}, {"maxRounds": 0}, {"approvalRule": 2}])
def test_a_plan_out_of_bounds_is_refused(
    waiting: Any, expect_revert: Any, changes: dict[str, int]
) -> None:
    with expect_revert("TrainingRounds_BadPlan"):
        waiting(**changes)


def test_a_plan_at_its_bounds_waits_for_members(waiting: Any) -> None:
    r: LargeRounds = waiting(minPool=4, maxPool=1_024, maxRounds=50)
    assert r.facts.phase == WAITING
    assert r.on.rounds.functions.openTerms(r.id).call() == r.terms_hash


def test_who_may_not_start(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting(maxPool=13)
    with expect_revert("TrainingRounds_PoolNotReady", r.id):
        r.start()
    r.chain.travel(WINDOW + 1)
    closed = r.on.pool.functions.facts(r.id).call().closedAt
    with expect_revert("TrainingRounds_NotMember", r.id, 0, r.members[1].address):
        r.start(0, r.members[1])
    r.chain.next_at(closed + WINDOW - 1)
    with expect_revert("TrainingRounds_NotYourTurn", r.id, 1, closed + WINDOW):
        r.start(1)
    with expect_revert("TrainingRounds_Zero"):
        r.send(r.members[0], "start", 0, (bytes(32), *START[1:]))
    r.start()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()


def test_a_start_opens_round_one_to_a_committee(waiting: Any) -> None:
    r: LargeRounds = waiting()
    r.start()
    facts, opened = r.facts, r.chain.w3.eth.block_number
    assert (facts.phase, facts.round, facts.members, facts.forced) == (SUBMIT, 1, 12, 0)
    assert (facts.turn, facts.deadline) == (1, r.chain.now + WINDOW)
    assert facts.drawBlock == opened + DRAW_DELAY
    r.await_block()
    mix = int(r.block(facts.drawBlock)["mixHash"], 16)
    assert r.seed == first_seed(r.id, mix)
    assert [r.members[index] for index in r.judges] == r.seats
    assert facts.history == history_after_start(r.terms_hash, START)
    outcome = r.outcome
    assert outcome.deliveryHash == START[3]
    assert (outcome.running, outcome.ended, outcome.anySubmission) == (True, False, False)


@pytest.mark.slow
def test_a_pool_is_not_started_whose_points_no_sum_could_hold(
    chain: Any, contracts: Any, accounts: Any, expect_revert: Any
) -> None:
    """Members that left again keep their lane; without the bound the pay would be locked."""
    r = LargeRounds(chain, contracts, accounts, 2, maxPool=1_024)
    r.create()
    members = [Account.from_key(keccak(text=f"pool {i}")) for i in range(1_201)]
    _know_only(r, members)
    for i in range(0, 1_000, 100):
        r.enrol(members[i : i + 100], sender=r.stranger)
    for index in range(1, 178):
        chain.fund(members[index])
        chain.send(members[index], r.on.pool.functions.withdraw(r.id, index))
    r.enrol(members[1_000:1_200], sender=r.stranger)
    chain.fund(members[0])
    r.members = members

    snapshot = chain.snapshot()
    chain.mine_at(r.on.pool.functions.facts(r.id).call().closedAt + 1)
    r.start()
    assert (r.facts.phase, r.facts.members) == (SUBMIT, 1_200)

    chain.revert(snapshot)
    r.enrol(members[1_200:], sender=r.stranger)
    with expect_revert("LargeRounds_TooManyMembers", r.id, 1_201, 1_200):
        r.start()
    chain.travel(1_201 * WINDOW + 1)
    r.send(r.stranger, "expire")
    assert r.outcome.ended


def _know_only(r: LargeRounds, members: list[Any]) -> None:
    """From here on the registry knows these accounts and nobody else."""
    open_ = r.chain.deploy("OpenRegistry", r.stranger)
    code = r.chain.w3.eth.get_code(open_.address).to_0x_hex()
    r.chain.rpc("anvil_setCode", r.on.registry.address, code)
    registry = r.chain.at("OpenRegistry", r.on.registry.address)
    for i in range(0, len(members), 100):
        portion = [one.address for one in members[i : i + 100]]
        r.chain.send(r.stranger, registry.functions.admit(portion, i))


def test_the_points_of_the_most_members_and_rounds_fit_a_transaction(waiting: Any) -> None:
    """Nodes pass on no transaction above 128 KiB; a signature and fees need less than 400 bytes."""
    r: LargeRounds = waiting()
    points = [[2**256 - 1] * (1_200 // 16)] * 50
    call = bytes.fromhex(r.on.rounds.encode_abi("sum", [r.id, points]).removeprefix("0x"))
    assert len(call) == 123_300
    assert len(call) + 400 < 128 * 1_024


def test_all_turns_to_start_run_out(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    with expect_revert("TrainingRounds_NotExpired", r.id):
        r.send(r.stranger, "expire")
    r.chain.travel(12 * WINDOW + 1)
    r.send(r.stranger, "expire")
    assert r.outcome.ended
    assert r.facts.phase == ENDED
    with expect_revert("TrainingRounds_WrongPhase"):
        r.send(r.stranger, "expire")


def test_a_waiting_request_is_cancelled_at_once(waiting: Any, expect_revert: Any) -> None:
    r: LargeRounds = waiting()
    r.halt()
    assert (r.outcome.ended, r.outcome.halted, r.outcome.running) == (True, True, False)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.start()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.halt()
    with expect_revert("TrainingRounds_WrongPhase"):
        r.on.rounds.functions.openTerms(r.id).call()


def test_a_round_under_way_takes_its_course(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running()
    r.halt()
    assert (r.facts.phase, r.facts.halted) == (SUBMIT, True)
    with expect_revert("TrainingRounds_WrongPhase"):
        r.halt()
    r.post_large(r.large_record(blind=True))
    assert r.facts.phase == FINALISE
    r.sum()
    assert (r.outcome.ended, r.outcome.paidRounds, r.outcome.halted) == (True, 1, True)


def test_rounds_that_are_over_are_not_cancelled(running: Any, expect_revert: Any) -> None:
    r: LargeRounds = running(maxRounds=1)
    r.post_large()
    for phase in (FINALISE, ENDED):
        assert r.facts.phase == phase
        with expect_revert("TrainingRounds_WrongPhase"):
            r.halt()
        if phase == FINALISE:
            r.sum()

"""One test for each leaf of settle.tree."""

import pytest
from eth_account.messages import encode_typed_data
from eth_utils import to_checksum_address

from fedpact.content.bn254 import public_key
from fedpact.content.delivery import Deliveries
from fedpact.content.wrong_key_proof import dispute_context, prove
from tests.contracts.market.kit import (
    BLIND,
    ETHER,
    GAS_PER_ROUND,
    GWEI,
    PAID,
    PAY,
    REQUEST_KEY,
    SECRET,
    SETTLED,
    UNIT,
    VOID_START,
    WINDOW,
    entry,
    gas_entry,
)
from tests.support.chainkit import address_of

ROUND = entry([5_000, 3_000, 2_000, 0], faults=0b1000)
BUDGET = 4 * GAS_PER_ROUND


def amounts(r, receipt):
    """What each member, and then the requester, was paid."""
    paid = {account: amount for account, amount, _ in r.paid(receipt)}
    return [paid.get(address_of(who), 0) for who in [*r.members, r.requester]]


def test_other_terms_are_refused(delivered, expect_revert):
    r = delivered(ROUND)
    r.terms["pay"] += 1
    with expect_revert("SharingMarket_WrongTerms"):
        r.settle(sender=r.requester)


def test_nothing_is_settled_before_the_rounds_are_over(request_of, expect_revert):
    r = request_of()
    r.create()
    r.start()
    with expect_revert("SharingMarket_NotEnded", r.id):
        r.settle()


def test_it_is_settled_once(delivered, expect_revert):
    r = delivered(ROUND)
    r.settle(sender=r.requester)
    with expect_revert("SharingMarket_WrongStatus", r.id, SETTLED):
        r.settle(sender=r.requester)


@pytest.mark.parametrize(
    "entries",
    [[], [ROUND, ROUND], [entry([5_001, 3_000, 2_000, 0], faults=0b1000)], [entry([5_000, 3_000])]],
)
def test_other_entries_are_refused(delivered, expect_revert, entries):
    r = delivered(ROUND)
    with expect_revert("SharingMarket_WrongEntries"):
        r.settle(entries, sender=r.requester)


def test_it_waits_while_the_model_may_be_delivered(request_of, expect_revert):
    r = request_of()
    r.create()
    r.start()
    r.end(ROUND)
    deadline = r.outcome["endedAt"] + WINDOW
    r.chain.next_at(deadline)
    with expect_revert("SharingMarket_NotDecided", r.id, deadline):
        r.settle(sender=r.requester)


# -- delivered -------------------------------------------------------------------------------------


def accepted(r, signer, request=None):
    """The requester's acceptance under EIP-712."""
    message = encode_typed_data(
        domain_data={
            **{"name": "fedpact", "version": "2", "chainId": r.chain.chain_id},
            "verifyingContract": r.on.market.address,
        },
        message_types={"Accept": [{"name": "request", "type": "uint256"}]},
        message_data={"request": r.id if request is None else request},
    )
    return signer.sign_message(message).signature


def test_a_stranger_waits_for_the_dispute_window(delivered, expect_revert):
    r = delivered(ROUND)
    deadline = r.chain.now + WINDOW
    r.chain.next_at(deadline)
    with expect_revert("SharingMarket_NotDecided", r.id, deadline):
        r.settle()
    r.chain.next_at(deadline + 1)
    r.settle()
    assert r.status == SETTLED


def test_signatures_of_others_are_no_acceptance(delivered, expect_revert):
    r = delivered(ROUND)
    for signature in (accepted(r, r.stranger), accepted(r, r.requester, r.id + 1)):
        with expect_revert("SharingMarket_NotDecided"):
            r.settle(acceptance=signature)


def test_the_requester_settles_at_once(delivered):
    r = delivered(ROUND)
    r.settle(sender=r.requester)
    assert r.status == SETTLED


def test_its_signature_lets_anyone_settle_at_once(delivered):
    r = delivered(ROUND)
    r.settle(acceptance=accepted(r, r.requester))
    assert r.status == SETTLED


def test_a_wallet_accepts_by_the_signatures_of_its_owners(request_of, accounts):
    r = request_of()
    owners = accounts[10:12]
    wallet = r.chain.deploy("TwoOwnerWallet", r.stranger, *(one.address for one in owners)).address
    r.chain.fund(wallet)
    r.admit(wallet, 50)
    r.create(sender=wallet)
    r.start()
    r.end(ROUND)
    r.deliver()

    r.settle(acceptance=b"".join(accepted(r, owner) for owner in owners))

    assert r.status == SETTLED
    # It takes no ether: what it gets back waits for it.
    assert r.balance(wallet) == PAY - PAY // 4 + BUDGET


def test_members_are_paid_by_points_and_the_rest_goes_back(delivered):
    r = delivered(ROUND)
    before = r.chain.balance(r.members[0])
    receipt = r.settle(sender=r.requester)

    pool = PAY // 4
    assert amounts(r, receipt) == [pool // 2, pool * 3 // 10, pool // 5, 0, PAY - pool + BUDGET]
    assert r.chain.balance(r.members[0]) == before + pool // 2
    assert r.event("Settled", receipt) == {
        "request": r.id,
        "pool": pool,
        "points": 10_000,
        "refund": PAY - pool,
        "gasRefund": BUDGET,
    }


def test_the_whole_is_paid_if_the_target_was_reached(delivered):
    r = delivered(ROUND, reached=True)
    assert amounts(r, r.settle(sender=r.requester)) == [
        *(PAY // 2, PAY * 3 // 10, PAY // 5, 0),
        BUDGET,
    ]


def test_less_than_one_unit_a_member_stays(delivered):
    r = delivered(entry([3_333, 3_333, 3_333]), pay=1_001, maxRounds=1, gasPerRound=0)
    held = r.chain.balance(r.on.market.address)
    assert amounts(r, r.settle(sender=r.requester)) == [333, 333, 333, 0, 0]
    assert held - r.chain.balance(r.on.market.address) == 999


def test_qualities_are_relative_to_the_fair_share_of_ones_own_rounds(delivered):
    """Member 2 was drawn once, and earned its fair share there; member 3 has two faults."""
    first = entry([6_000, 4_000], [0, 1])
    second = entry([5_000, 2_500, 2_500], [2, 0, 3], faults=0b100)
    third = entry([2_500, 7_500], [3, 1], faults=0b01)
    r = delivered(first, second, third, reached=True, pay=10 * UNIT)
    r.settle(sender=r.requester)

    def expected(points, fair, faults=0):
        quality = max(0, min(10_000, 5_000 * points // fair) - 2_000 * faults)
        return (10 * 4_000 + 10 * quality) // 20

    assert [r.reputation(member) for member in r.members] == [
        expected(8_500, 5_000 + 3_333),
        expected(11_500, 10_000),
        expected(5_000, 3_333),
        expected(5_000, 3_333 + 5_000, faults=2),
    ]


def test_the_smallest_payments_leave_no_trace(delivered):
    r = delivered(ROUND, reached=True, pay=UNIT - 1)
    r.settle(sender=r.requester)
    assert {r.reputation(member) for member in r.members} == {4_000}
    assert r.requester_reputation == 4_000


def test_rounds_that_are_final_without_anyone_to_pay_give_all_back(request_of):
    """As where a committee agrees on a round in which no model is valid."""
    r = request_of()
    r.create()
    r.start()
    r.end(entry([0, 0, 0, 0], flags=0), final_rounds=1)
    r.deliver()
    receipt = r.settle(sender=r.requester)
    assert r.status == SETTLED
    assert amounts(r, receipt) == [0, 0, 0, 0, PAY + BUDGET]
    assert r.requester_reputation == 4_000


@pytest.mark.parametrize(("flags", "quality"), [(PAID, 10_000), (PAID | BLIND, 5_000)])
def test_blind_rounds_lower_the_requesters_quality(delivered, flags, quality):
    r = delivered(ROUND, entry([5_000] * 2, flags=flags), reached=True, pay=10 * UNIT)
    r.settle(sender=r.requester)
    assert r.requester_reputation == (4_000 + quality) // 2


# -- not delivered ---------------------------------------------------------------------------------


def test_a_disputed_delivery_gives_all_back_and_is_recorded(request_of):
    r = request_of(pay=10 * UNIT)
    r.create()
    right = Deliveries.seal(REQUEST_KEY, public_key(SECRET), bytes(32), r.id, 4)
    r.start(Deliveries(right.ephemeral, (bytes(32),) * 4, right.key_digests))
    r.end(ROUND, gas_entry(1_000, r.members[0]))
    r.deliver()
    context = dispute_context(r.chain.chain_id, r.on.market.address, r.id)
    r.dispute(prove(SECRET, r.delivery(), 1, context))

    receipt = r.settle()

    gas = 1_000 * GWEI
    assert amounts(r, receipt) == [gas, 0, 0, 0, 10 * UNIT + BUDGET - gas]
    # Member 3 earned nothing: it may have refused to take part in this.
    assert [r.reputation(member) for member in r.members] == [2_000, 2_000, 2_000, 4_000]
    assert r.requester_reputation == 4_000


@pytest.mark.parametrize("final_rounds", [0, 1])
def test_without_a_delivery_all_goes_back(request_of, final_rounds):
    r = request_of()
    r.create()
    r.start()
    void = entry([0], [2], faults=1, flags=VOID_START, digest=bytes(32))
    r.end(void, ROUND, final_rounds=final_rounds)
    if final_rounds:
        r.wait()

    assert amounts(r, r.settle()) == [0, 0, 0, 0, PAY + BUDGET]
    assert [r.reputation(member) for member in r.members] == [4_000, 4_000, 3_900, 3_900]


def test_without_delivery_faults_of_a_worthless_request_leave_no_trace(request_of):
    r = request_of(pay=UNIT - 1)
    r.create()
    r.start()
    r.end(ROUND, final_rounds=0)
    r.settle()
    assert r.reputation(r.members[3]) == 4_000


# -- cancelled -------------------------------------------------------------------------------------


def test_only_the_requester_cancels(request_of, expect_revert):
    r = request_of()
    r.create()
    with expect_revert("SharingMarket_NotRequester", r.id, r.stranger):
        r.send(r.stranger, "cancel", r.id)


def test_who_cancels_on_its_members_gets_all_back_and_is_known_for_it(request_of):
    r = request_of()
    r.create()
    receipt = r.send(r.requester, "cancel", r.id)
    assert r.event("Cancelled", receipt) == {"request": r.id}

    assert amounts(r, r.settle()) == [0, 0, 0, 0, PAY + BUDGET]
    assert r.requester_reputation == 3_900


def test_cancelling_without_members_costs_nothing(request_of):
    r = request_of(members=[])
    r.create()
    r.send(r.requester, "cancel", r.id)
    r.settle()
    assert r.requester_reputation == 4_000


def test_who_cancels_after_a_submission_pays_the_round_without_a_model(request_of):
    r = request_of(pay=40 * UNIT)
    r.create()
    r.start()
    r.send(r.requester, "cancel", r.id)
    r.end(entry([2_500] * 4, flags=PAID | BLIND, digest=bytes(32)), final_rounds=0)

    assert amounts(r, r.settle()) == [*[10 * UNIT // 4] * 4, 30 * UNIT + BUDGET]
    assert r.requester_reputation == 2_000


def test_who_cancels_after_a_final_round_still_gets_its_model_before_it_pays(request_of):
    r = request_of(pay=40 * UNIT)
    r.create()
    r.start()
    r.send(r.requester, "cancel", r.id)
    r.end(ROUND, entry([2_500] * 4, flags=PAID | BLIND, digest=bytes(32)), final_rounds=1)
    r.deliver()

    paid = amounts(r, r.settle(sender=r.requester))

    assert sum(paid[:4]) == 20 * UNIT
    assert r.requester_reputation == (10 * 4_000 + 20 * 2_500) // 30


# -- gas -------------------------------------------------------------------------------------------


def test_each_poster_is_refunded(delivered, accounts):
    posters = accounts[15:17]
    r = delivered(
        entry([5_000] * 2, refund=7, poster=posters[0].address),
        gas_entry(5, posters[1]),
        gas_entry(4, posters[0]),
    )
    receipt = r.settle(sender=r.requester)

    paid = {account: amount for account, amount, _ in r.paid(receipt)}
    assert [paid[one.address] for one in posters] == [11 * GWEI, 5 * GWEI]
    assert r.event("Settled", receipt)["gasRefund"] == BUDGET - 16 * GWEI


def test_refunds_of_sixteen_posters_are_added_up(delivered):
    """Later ones have a payment for each."""
    posters = [f"0x{number:040x}" for number in range(0x100, 0x111)]
    entries = [gas_entry(number, poster) for number, poster in enumerate(posters, 1)]
    r = delivered(ROUND, *entries, gas_entry(30, posters[15]), gas_entry(40, posters[16]))

    paid = [(a, amount // GWEI) for a, amount, _ in r.paid(r.settle(sender=r.requester))]

    assert (to_checksum_address(posters[15]), 16 + 30) in paid
    assert [gwei for account, gwei in paid if int(account, 16) == 0x110] == [17, 40]


def test_no_more_gas_is_refunded_than_the_request_holds(delivered, accounts):
    posters = accounts[15:18]
    entries = [gas_entry(BUDGET // GWEI - 3, posters[0]), gas_entry(5, posters[1])]
    r = delivered(ROUND, *entries, gas_entry(5, posters[2]))
    receipt = r.settle(sender=r.requester)

    paid = {account: amount for account, amount, _ in r.paid(receipt)}
    assert [paid.get(one.address, 0) for one in posters] == [BUDGET - 3 * GWEI, 3 * GWEI, 0]
    assert r.event("Settled", receipt)["gasRefund"] == 0


# -- tokens ----------------------------------------------------------------------------------------


def test_a_token_pays_members_and_ether_the_gas(delivered, token):
    money = token("PlainToken")
    r = delivered(entry([6_000, 4_000], refund=9, poster="0x" + 40 * "7"), token=money.address)
    had = money.functions.balanceOf(r.requester.address).call()
    receipt = r.settle(sender=r.requester)

    def held(account):
        return money.functions.balanceOf(address_of(account)).call()

    pool = PAY // 4
    assert [held(member) for member in r.members[:2]] == [pool * 6 // 10, pool * 4 // 10]
    assert held(r.requester) == had + PAY - pool
    ether = [one for one in r.paid(receipt) if one[1] == BUDGET - 9 * GWEI]
    assert ether == [(r.requester.address, BUDGET - 9 * GWEI, False)]
    assert r.chain.balance("0x" + 40 * "7") == 9 * GWEI
    # A token without a unit weighs nothing in reputations: anybody can make one.
    assert {r.reputation(member) for member in r.members} == {4_000}


# -- collect and pay -------------------------------------------------------------------------------


@pytest.fixture
def large(delivered):
    """Three rounds of two members drawn from a pool of 20, and the gas of a batch."""
    members = [to_checksum_address(f"0x{0xA000 + i:040x}") for i in range(20)]
    entries = [
        entry([6_000, 4_000], [17, 3]),
        gas_entry(50, "0x" + 40 * "8"),
        entry([1_000, 9_000], [3, 0]),
        entry([5_000, 5_000], [16, 17], faults=0b01),
    ]
    return delivered(*entries, members=members, reached=True, pay=30 * UNIT, cohort=2)


def test_collect_reverts_before_the_rounds_are_over(request_of, expect_revert):
    r = request_of()
    r.create()
    with expect_revert("SharingMarket_NotEnded", r.id):
        r.collect(0)


def test_collect_reverts_once_it_is_settled(large, expect_revert):
    large.settle(sender=large.requester)
    with expect_revert("SharingMarket_WrongStatus", large.id, SETTLED):
        large.collect(0)


@pytest.mark.parametrize("part", [slice(0, 2), slice(1, 3)])
def test_collect_reverts_for_entries_that_do_not_end_the_list(large, expect_revert, part):
    with expect_revert("SharingMarket_WrongEntries"):
        large.collect(part.start, part.stop)


@pytest.mark.parametrize("cuts", [[], [0], [2], [1, 3], [0, 1, 2, 3], [4]])
def test_a_list_is_taken_in_in_any_cuts(large, cuts):
    """The same is paid whether the list came at once or in parts."""
    end = 4
    for start in reversed(cuts):
        large.collect(start, end)
        end = start
    receipt = large.settle(large.entries[:end], sender=large.requester)

    assert large.chain.balance("0x" + 40 * "8") == 50 * GWEI
    assert large.event("Settled", receipt)["points"] == 30_000
    assert large.event("Settled", receipt)["gasRefund"] == BUDGET - 50 * GWEI
    due = [large.on.market.functions.unpaid(large.id, index).call() for index in range(20)]
    expected = {0: 9 * UNIT, 3: 5 * UNIT, 16: 5 * UNIT, 17: 11 * UNIT}
    assert due == [expected.get(index, 0) for index in range(20)]


def test_small_pools_are_paid_at_once_after_a_collection_too(delivered):
    r = delivered(ROUND, ROUND, ROUND)
    r.collect(1)
    pool = PAY * 3 // 4
    receipt = r.settle(r.entries[:1], sender=r.requester)
    assert amounts(r, receipt)[:4] == [pool // 2, pool * 3 // 10, pool // 5, 0]


def test_pay_reverts_before_the_settlement(large, expect_revert):
    large.collect(0)
    with expect_revert("SharingMarket_WrongStatus"):
        large.pay(17)
    assert large.on.market.functions.unpaid(large.id, 17).call() == 0


@pytest.mark.parametrize("index", [1, 17])
def test_pay_reverts_where_nothing_is_left(large, expect_revert, index):
    large.settle(sender=large.requester)
    large.pay(17)
    with expect_revert("SharingMarket_NothingToPay", large.id, index):
        large.pay(0, index)


def test_members_of_a_large_pool_are_paid_once_in_any_order(large):
    large.settle(sender=large.requester)
    receipts = [large.pay(3), large.pay(17, 0), large.pay(16)]

    paid = [large.paid(receipt) for receipt in receipts]
    assert paid == [
        [(large.members[3], 5 * UNIT, False)],
        [(large.members[17], 11 * UNIT, False), (large.members[0], 9 * UNIT, False)],
        [(large.members[16], 5 * UNIT, False)],
    ]


def test_their_outcomes_are_recorded_with_the_payment(large):
    large.settle(sender=large.requester)
    assert large.reputation(large.members[17]) == 4_000
    large.pay(17, 16)

    weight = 30
    assert large.reputation(large.members[17]) == (40_000 + weight * 5_500) // (10 + weight)
    assert large.reputation(large.members[16]) == (40_000 + weight * 3_000) // (10 + weight)


def test_withdraw_reverts_without_a_balance(request_of, expect_revert):
    r = request_of()
    with expect_revert("SharingMarket_NoBalance", r.stranger, ETHER):
        r.send(r.stranger, "withdraw", ETHER, r.stranger.address)

"""Payees and tokens that misbehave: all others get their money, and nothing is paid twice."""

import pytest

from fedpact.content.bn254 import public_key
from fedpact.content.delivery import Deliveries
from fedpact.content.wrong_key_proof import dispute_context, prove
from tests.contracts.market.kit import (
    ETHER,
    GAS_PER_ROUND,
    GWEI,
    PAY,
    REQUEST_KEY,
    SECRET,
    SETTLED,
    UNIT,
    as_argument,
    entry,
)
from tests.support.chainkit import Reverted

REFUSE, BURN_GAS, RETURN_MUCH = 1, 2, 3
ROUND = entry([5_000, 3_000, 2_000])
POOL = PAY // 4


@pytest.fixture
def hostile(chain, accounts):
    """A contract that is a member, between two accounts."""
    return chain.deploy("HostilePayee", accounts[0])


@pytest.fixture
def members(hostile, accounts):
    return [accounts[2], hostile.address, accounts[3]]


def withdrawal(r, token, to):
    return r.on.market.encode_abi("withdraw", [token, to])


@pytest.mark.parametrize("way", [REFUSE, BURN_GAS, RETURN_MUCH])
def test_a_payee_that_takes_no_ether_costs_itself_alone(delivered, hostile, members, way):
    r = delivered(ROUND, members=members)
    r.chain.send(r.stranger, hostile.functions.behave(way))
    before = [r.chain.balance(member) for member in members]

    receipt = r.settle(sender=r.requester)

    gained = [r.chain.balance(m) - b for m, b in zip(members, before, strict=True)]
    assert gained == [POOL // 2, 0, POOL // 5]
    assert r.balance(hostile.address) == POOL * 3 // 10
    assert (hostile.address, POOL * 3 // 10, True) in r.paid(receipt)


@pytest.mark.optimised
def test_a_payee_that_burns_gas_burns_little(delivered, hostile, members):
    r = delivered(ROUND, members=members)
    r.chain.send(r.stranger, hostile.functions.behave(BURN_GAS))
    assert r.settle(sender=r.requester)["gasUsed"] < 400_000


def test_what_a_payee_could_not_take_it_withdraws_later(delivered, hostile, members, expect_revert):
    r = delivered(ROUND, members=members)
    r.chain.send(r.stranger, hostile.functions.behave(REFUSE))
    r.settle(sender=r.requester)
    r.chain.fund(hostile.address)
    with expect_revert("SharingMarket_TransferFailed", hostile.address, POOL * 3 // 10):
        r.send(hostile.address, "withdraw", ETHER, hostile.address)

    to = "0x" + 40 * "6"
    receipt = r.send(hostile.address, "withdraw", ETHER, to)

    assert r.chain.balance(to) == POOL * 3 // 10
    assert r.balance(hostile.address) == 0
    event = r.event("Withdrawn", receipt)
    assert (event["account"], event["to"], event["amount"]) == (hostile.address, to, POOL * 3 // 10)
    with expect_revert("SharingMarket_NoBalance", hostile.address, ETHER):
        r.send(hostile.address, "withdraw", ETHER, to)


def test_a_payee_that_calls_back_is_paid_once(delivered, hostile, members):
    r = delivered(ROUND, members=members)
    again = withdrawal(r, ETHER, hostile.address)
    r.chain.send(r.stranger, hostile.functions.call(r.on.market.address, again))
    before = r.chain.balance(hostile.address)

    r.settle(sender=r.requester)

    assert not hostile.functions.succeeded().call()
    assert r.chain.balance(hostile.address) - before == POOL * 3 // 10


def test_a_payee_cannot_withdraw_twice_while_it_is_paid(delivered, hostile, members):
    r = delivered(ROUND, members=members)
    r.chain.send(r.stranger, hostile.functions.behave(REFUSE))
    r.settle(sender=r.requester)
    again = withdrawal(r, ETHER, hostile.address)
    r.chain.send(r.stranger, hostile.functions.call(r.on.market.address, again))
    before = r.chain.balance(hostile.address)

    r.chain.send(r.stranger, hostile.functions.execute(r.on.market.address, again))

    assert not hostile.functions.succeeded().call()
    assert r.chain.balance(hostile.address) - before == POOL * 3 // 10


@pytest.mark.parametrize("name", ["deliver", "dispute", "settle", "collect"])
def test_a_payee_moves_no_request_while_it_is_paid(delivered, request_of, hostile, members, name):
    """Not another one either; each call is allowed a moment later. A withdrawal gives the payee all
    the gas: that of a settlement would not be enough for some of these calls anyway."""
    other = request_of()
    other.create()
    right = Deliveries.seal(REQUEST_KEY, public_key(SECRET), bytes(32), other.id, 4)
    other.start(Deliveries(right.ephemeral, (bytes(32),) * 4, right.key_digests))
    other.end(ROUND)
    delivery = other.delivery()
    if name in ("dispute", "settle"):
        other.deliver()
    if name == "settle":
        other.wait()
    context = dispute_context(other.chain.chain_id, other.on.market.address, other.id)
    args = {
        "deliver": [as_argument(delivery)],
        "dispute": [as_argument(delivery), prove(SECRET, delivery, 1, context).fields],
        "settle": [other.entries, b""],
        "collect": [bytes(32), other.entries],
    }
    call = other.on.market.encode_abi(name, [other.id, other.terms, *args[name]])
    r = delivered(ROUND, members=members)
    r.chain.send(r.stranger, hostile.functions.behave(REFUSE))
    r.settle(sender=r.requester)
    r.chain.send(r.stranger, hostile.functions.call(r.on.market.address, call))
    taken = withdrawal(r, ETHER, hostile.address)
    before = r.chain.balance(hostile.address)

    r.chain.send(r.stranger, hostile.functions.execute(r.on.market.address, taken))

    assert r.chain.balance(hostile.address) - before == POOL * 3 // 10
    assert not hostile.functions.succeeded().call()
    r.chain.send(r.stranger, hostile.functions.execute(r.on.market.address, call))


def test_who_settles_cannot_starve_payees_by_sending_little_gas(chain, delivered, hostile, members):
    """With too little gas a payment to a wallet would fail and become a credit."""
    r = delivered(ROUND, members=members, pay=UNIT)  # nothing is recorded after the payments
    r.chain.send(r.stranger, hostile.functions.call(hostile.address, b"\x01" * 32 * 12))
    call = r.on.market.functions.settle(r.id, r.terms, r.entries, b"")
    before = chain.snapshot()
    enough = r.settle(sender=r.requester)["gasUsed"]
    assert r.balance(hostile.address) == 0
    statuses = set()
    for gas in range(enough // 2, 2 * enough, enough // 12):
        chain.revert(before)
        before = chain.snapshot()
        fields = {"from": r.requester.address, "gas": gas, "gasPrice": 0, "chainId": chain.chain_id}
        receipt = chain.w3.eth.wait_for_transaction_receipt(call.transact(fields))
        statuses.add(receipt["status"])
        assert receipt["status"] == 0 or r.balance(hostile.address) == 0
    assert statuses == {0, 1}


# -- tokens ----------------------------------------------------------------------------------------


def test_a_token_that_lists_a_member_costs_that_member_alone(chain, delivered, token, accounts):
    money = token("ListingToken")
    r = delivered(ROUND, token=money.address)
    member = r.members[1]
    chain.send(r.stranger, money.functions.list(member.address, True))

    receipt = r.settle(sender=r.requester)

    assert r.status == SETTLED
    assert (member.address, POOL * 3 // 10, True) in r.paid(receipt)
    # It may have the money sent to an account that is not listed.
    to = accounts[20].address
    r.send(member, "withdraw", money.address, to)
    assert money.functions.balanceOf(to).call() == POOL * 3 // 10


def test_a_token_that_returns_false_is_owed(chain, delivered, token, expect_revert):
    money = token("FalseToken")
    r = delivered(ROUND, token=money.address)
    chain.send(r.stranger, money.functions.fail(True))

    r.settle(sender=r.requester)

    owed = [r.balance(who, money.address) for who in [*r.members, r.requester]]
    assert owed == [POOL // 2, POOL * 3 // 10, POOL // 5, 0, PAY - POOL]
    with expect_revert("SafeERC20FailedOperation", money.address):
        r.send(r.members[0], "withdraw", money.address, r.members[0].address)
    chain.send(r.stranger, money.functions.fail(False))
    r.send(r.members[0], "withdraw", money.address, r.members[0].address)
    assert money.functions.balanceOf(r.members[0].address).call() == POOL // 2


def test_a_token_that_burns_gas_does_not_hold_up_the_settlement(chain, delivered, token):
    money = token("CallingToken")
    r = delivered(ROUND, token=money.address)
    chain.send(r.stranger, money.functions.burnGas(True))

    r.settle(sender=r.requester)

    assert r.balance(r.members[0], money.address) == POOL // 2
    assert r.chain.balance(r.on.market.address) == 0  # the ether for gas went back


def test_a_token_that_calls_back_pays_once(chain, delivered, token):
    money = token("CallingToken")
    r = delivered(ROUND, token=money.address)
    again = withdrawal(r, money.address, money.address)
    chain.send(r.stranger, money.functions.call(r.on.market.address, again))

    r.settle(sender=r.requester)

    assert money.functions.tries().call() == 4
    assert not money.functions.succeeded().call()
    assert money.functions.balanceOf(r.members[0].address).call() == POOL // 2


def test_a_token_that_begins_to_take_a_fee_costs_its_own_receivers_alone(chain, delivered, token):
    """What was held before the fee is still sent in full; the token keeps a part of it."""
    money = token("FeeToken")
    first = delivered(ROUND, token=money.address)
    chain.send(first.stranger, money.functions.charge(True))
    first.settle(sender=first.requester)

    assert money.functions.balanceOf(first.on.market.address).call() == 0
    assert money.functions.balanceOf(first.members[0].address).call() == POOL // 2 * 99 // 100


def test_requests_in_one_token_do_not_touch_each_others_money(chain, delivered, token):
    money = token("PlainToken")
    first = delivered(ROUND, token=money.address)
    second = delivered(ROUND, token=money.address, reached=True)
    first.settle(sender=first.requester)

    assert money.functions.balanceOf(first.on.market.address).call() == PAY
    second.settle(sender=second.requester)
    assert money.functions.balanceOf(first.on.market.address).call() == 0


def test_forced_ether_changes_nothing(chain, delivered):
    r = delivered(ROUND)
    chain.fund(r.on.market.address, chain.balance(r.on.market.address) + 5 * GWEI)
    r.settle(sender=r.requester)
    assert chain.balance(r.on.market.address) == 5 * GWEI


def test_the_market_takes_no_ether_but_with_a_request(chain, request_of):
    r = request_of()
    with pytest.raises(Reverted):
        chain.transfer(r.stranger, r.on.market.address, 1)
    assert chain.balance(r.on.market.address) == 0


def test_a_requester_that_takes_no_ether_does_not_hold_up_its_members(chain, request_of, hostile):
    r = request_of()
    r.admit(hostile.address, 60)
    chain.fund(hostile.address)
    r.create(sender=hostile.address)
    chain.send(r.stranger, hostile.functions.behave(REFUSE))
    r.start()
    r.end(ROUND)
    r.deliver()
    r.wait()
    before = chain.balance(r.members[0])

    r.settle()

    assert chain.balance(r.members[0]) - before == POOL // 2
    assert r.balance(hostile.address) == PAY - POOL + 4 * GAS_PER_ROUND

"""One test for each leaf of resale.tree."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_utils import keccak

from fedpact.content.bn254 import Point, public_key
from fedpact.content.delivery import Deliveries, open_delivery, sale_anchor
from fedpact.content.wrong_key_proof import dispute_context, prove, sale_context
from tests.contracts.market.kit import (
    REQUEST_KEY,
    WINDOW,
    Contracts,
    as_argument,
    entry,
)
from tests.contracts.market.sale import KEY, PRICE, ROUND, SECRET, Sale
from tests.support.chainkit import Chain, events

NONE, PENDING, SEALED, SOLD, REFUNDED = range(5)
DIGEST = keccak(text="record")


class OffCurve(Point):
    """A point whose coordinates are not on the curve."""

    def __post_init__(self) -> None:
        pass


@pytest.fixture(scope="session")
def resale(session_chain: Chain, contracts: Contracts, accounts: Any) -> Any:
    parts = (contracts.registry, contracts.market, contracts.pool, contracts.rounds)
    return session_chain.deploy("ResaleMarket", accounts[0], *(one.address for one in parts))


@pytest.fixture
def open_request(resale: Any, request_of: Any, accounts: Any) -> Callable[..., Sale]:
    """A request that has just been created."""

    def new(members: Any = 4, **terms: Any) -> Sale:
        r = request_of(members, **terms)
        r.create()
        buyers = [accounts[20], accounts[21]]
        for number, buyer in enumerate(buyers):
            r.admit(buyer, 50 + number)
        return Sale(resale, r, buyers)

    return new


@pytest.fixture
def on_sale(open_request: Callable[..., Sale]) -> Callable[..., Sale]:
    """`on_sale(*entries, members=4, **terms)`: settled, on offer, nothing bought."""

    def new(*entries: Any, members: Any = 4, **terms: Any) -> Sale:
        sale = open_request(members, **terms)
        sale.offer()
        sale.r.start()
        sale.r.end(*(entries or (ROUND,)), final_rounds=1)
        sale.r.deliver()
        sale.r.settle(sender=sale.r.requester)
        return sale

    return new


@pytest.fixture
def sale(on_sale: Callable[..., Sale]) -> Sale:
    """On offer, points tallied."""
    found = on_sale()
    found.tally()
    return found


# -- recordRetrieval -------------------------------------------------------------------------------


def test_only_the_requester_records_its_search(open_request, expect_revert):
    sale = open_request()
    with expect_revert("ResaleMarket_NotRequester", sale.id, sale.r.stranger.address):
        sale.send(sale.r.stranger, "recordRetrieval", sale.id, DIGEST)


def test_a_record_has_a_digest(open_request, expect_revert):
    sale = open_request()
    with expect_revert("ResaleMarket_ZeroDigest"):
        sale.send(sale.r.requester, "recordRetrieval", sale.id, bytes(32))


def test_nothing_is_recorded_after_the_start(open_request, expect_revert):
    sale = open_request()
    sale.r.start()
    with expect_revert("ResaleMarket_Started", sale.id):
        sale.send(sale.r.requester, "recordRetrieval", sale.id, DIGEST)
    sale.r.end(ROUND)
    with expect_revert("ResaleMarket_Started", sale.id):
        sale.send(sale.r.requester, "recordRetrieval", sale.id, DIGEST)


def test_a_search_is_recorded(open_request):
    sale = open_request()
    receipt = sale.send(sale.r.requester, "recordRetrieval", sale.id, DIGEST)
    told = {"request": sale.id, "requester": sale.r.requester.address, "digest": DIGEST}
    assert sale.event("RetrievalRecorded", receipt) == told


# -- offer -----------------------------------------------------------------------------------------


def test_only_the_requester_offers(open_request, expect_revert):
    sale = open_request()
    with expect_revert("ResaleMarket_NotRequester", sale.id, sale.r.members[0].address):
        sale.offer(sender=sale.r.members[0])


def test_other_terms_are_refused(open_request, expect_revert):
    sale = open_request()
    sale.r.terms["disputeWindow"] += 1
    with expect_revert("ResaleMarket_WrongTerms"):
        sale.offer()


def test_nothing_is_offered_once_the_rounds_are_over(open_request, expect_revert):
    sale = open_request()
    sale.r.start()
    sale.r.end(ROUND)
    with expect_revert("ResaleMarket_Ended", sale.id):
        sale.offer()


@pytest.mark.parametrize("price", [0, 2**96])
def test_a_price_must_fit(open_request, expect_revert, price):
    sale = open_request()
    with expect_revert("ResaleMarket_BadPrice", price):
        sale.offer(price)


def test_a_price_is_fixed_once(open_request, expect_revert):
    sale = open_request()
    sale.offer()
    with expect_revert("ResaleMarket_AlreadyOffered", sale.id, PRICE):
        sale.offer(PRICE + 1)


def test_an_offer_names_price_and_token(open_request, token):
    money = token("PlainToken")
    sale = open_request(token=money.address)
    sale.r.start()
    told = sale.event("ResaleOffered", sale.offer())
    assert told == {"request": sale.id, "price": PRICE, "token": money.address}
    found = sale.market.functions.offered(sale.id).call()._asdict()
    assert found == {
        **{"price": PRICE, "token": money.address},
        **{"deliverWindow": WINDOW, "disputeWindow": WINDOW, "tallied": False, "points": 0},
    }


# -- buy -------------------------------------------------------------------------------------------


def test_nothing_is_sold_without_an_offer(delivered, resale, accounts, expect_revert):
    r = delivered(ROUND)
    r.settle(sender=r.requester)
    with expect_revert("ResaleMarket_NotOffered", r.id):
        Sale(resale, r, [accounts[20], accounts[21]]).buy()


def test_only_a_model_that_was_paid_for_is_sold(open_request, expect_revert):
    sale = open_request()
    sale.offer()
    sale.r.start()
    sale.r.end(ROUND)
    sale.r.deliver()
    with expect_revert("ResaleMarket_NotDelivered", sale.id):
        sale.buy()


def test_a_disputed_model_is_never_sold(open_request, expect_revert):
    """A settlement after a dispute looks like one after a delivery, but for this."""
    sale = open_request()
    sale.offer()
    right = Deliveries.seal(REQUEST_KEY, public_key(0x5EC2E7), bytes(32), sale.id, 4)
    sale.r.start(Deliveries(right.ephemeral, (bytes(32),) * 4, right.key_digests))
    sale.r.end(ROUND)
    sale.r.deliver()
    context = dispute_context(sale.chain.chain_id, sale.r.on.market.address, sale.id)
    sale.r.dispute(prove(0x5EC2E7, sale.r.delivery(), 1, context))
    sale.r.settle()
    with expect_revert("ResaleMarket_NotDelivered", sale.id):
        sale.buy()


def test_a_buyer_is_an_active_participant(on_sale, expect_revert):
    sale = on_sale()
    with expect_revert("ResaleMarket_NotActive", sale.r.stranger.address):
        sale.buy(sale.r.stranger)


@pytest.mark.parametrize("point", [OffCurve(1, 3), OffCurve(0, 0)])
def test_a_buyers_key_is_a_point(on_sale, expect_revert, point):
    """Nothing that is sealed to another could be disputed."""
    sale = on_sale()
    with expect_revert("ResaleMarket_BadPoint", point.x, point.y):
        sale.buy(key=point)


def test_exactly_the_price_is_sent(on_sale, token, expect_revert):
    sale = on_sale()
    with expect_revert("ResaleMarket_WrongPayment", PRICE - 1, PRICE):
        sale.buy(value=PRICE - 1)
    tokens = on_sale(token=token("PlainToken").address)
    with expect_revert("ResaleMarket_WrongPayment", 1, 0):
        tokens.buy(value=1)


def test_nobody_buys_twice(sale, expect_revert):
    sale.buy()
    with expect_revert("ResaleMarket_AlreadyBought", sale.id, sale.buyer.address):
        sale.buy()
    sale.seal()
    with expect_revert("ResaleMarket_AlreadyBought", sale.id, sale.buyer.address):
        sale.buy()


def paying(sale, money, amount=10 * PRICE):
    sale.chain.send(sale.r.stranger, money.functions.mint(sale.buyer.address, amount))
    sale.chain.send(sale.buyer, money.functions.approve(sale.market.address, amount))


def test_a_token_that_moves_less_is_refused(on_sale, token, expect_revert):
    money = token("FeeToken")
    sale = on_sale(token=money.address)
    paying(sale, money)
    sale.chain.send(sale.r.stranger, money.functions.charge(True))
    with expect_revert("ResaleMarket_WrongAmount", money.address, PRICE * 99 // 100, PRICE):
        sale.buy()


def test_a_token_that_calls_back_buys_once(on_sale, token):
    money = token("CallingToken")
    sale = on_sale(token=money.address)
    paying(sale, money)
    again = sale.market.encode_abi("refund", [sale.id])
    sale.chain.send(sale.r.stranger, money.functions.call(sale.market.address, again))
    sale.buy()
    assert not money.functions.succeeded().call()
    assert money.functions.balanceOf(sale.market.address).call() == PRICE


def test_the_price_is_taken_in_ether(on_sale):
    sale = on_sale()
    before = sale.chain.balance(sale.market.address)
    told = sale.event("ResultBought", sale.buy())
    deadline = sale.chain.now + WINDOW
    assert sale.chain.balance(sale.market.address) - before == PRICE
    assert (told["price"], told["deadline"]) == (PRICE, deadline)
    assert (told["key"]["x"], told["key"]["y"]) == KEY.fields
    assert sale.purchase()[:2] == (PENDING, deadline)


def test_the_price_is_taken_in_the_token(on_sale, token):
    money = token("PlainToken")
    sale = on_sale(token=money.address)
    paying(sale, money, PRICE)
    sale.buy()
    assert money.functions.balanceOf(sale.market.address).call() == PRICE
    assert money.functions.balanceOf(sale.buyer.address).call() == 0


# -- tally -----------------------------------------------------------------------------------------


def test_nothing_is_tallied_before_the_settlement(open_request, expect_revert):
    sale = open_request()
    sale.offer()
    sale.r.start()
    sale.r.end(ROUND)
    with expect_revert("ResaleMarket_NotDelivered", sale.id):
        sale.tally()


def test_other_entries_are_refused(on_sale, expect_revert):
    sale = on_sale()
    sale.r.entries[0] = entry([1, 0, 0, 9_000])
    with expect_revert("ResaleMarket_WrongEntries"):
        sale.tally()
    sale.r.entries[0] = ROUND
    with expect_revert("ResaleMarket_WrongEntries"):
        sale.tally(1)


def test_all_is_tallied_once(sale, expect_revert):
    with expect_revert("ResaleMarket_AlreadyTallied", sale.id):
        sale.tally()


def test_points_are_stored_at_once(on_sale):
    sale = on_sale()
    told = sale.event("PointsTallied", sale.tally())
    assert told == {"request": sale.id, "cursor": bytes(32), "points": 10_000}
    assert sale.points() == [5_000, 3_000, 2_000, 0]


def test_points_are_stored_in_parts(on_sale, expect_revert):
    sale = on_sale(ROUND, entry([0, 0, 1_000, 4_000]))
    sale.buy()
    sale.tally(1)
    with expect_revert("ResaleMarket_NotTallied", sale.id):
        sale.seal(2)
    assert sale.points() == [0, 0, 1_000, 4_000]
    sale.tally(0, 1)
    assert sale.points() == [5_000, 3_000, 3_000, 4_000]
    assert sale.market.functions.offered(sale.id).call()._asdict()["points"] == 15_000


# -- seal ------------------------------------------------------------------------------------------


def test_a_key_is_sealed_to_a_waiting_buyer_alone(sale, expect_revert):
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, NONE):
        sale.seal()
    sale.buy()
    sale.seal()
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, SEALED):
        sale.seal(1)


def test_no_key_is_sealed_too_late(sale, expect_revert):
    sale.buy()
    deadline = sale.chain.now + WINDOW
    sale.chain.next_at(deadline + 1)
    with expect_revert("ResaleMarket_TooLate", sale.id, deadline):
        sale.seal()


def test_a_key_is_sealed_in_the_last_second(sale):
    sale.buy()
    sale.chain.next_at(sale.chain.now + WINDOW)
    sale.seal()
    assert sale.purchase()[0] == SEALED


def test_points_are_tallied_first(on_sale, expect_revert):
    sale = on_sale()
    sale.buy()
    with expect_revert("ResaleMarket_NotTallied", sale.id):
        sale.seal()


def test_a_member_seals_for_itself(sale, expect_revert):
    sale.buy()
    args = (sale.id, 0, sale.buyer.address, bytes(32))
    with expect_revert("ResaleMarket_NotMember", sale.id, 0, sale.r.members[1].address):
        sale.send(sale.r.members[1], "seal", *args)


def test_only_a_maker_seals(sale, expect_revert):
    sale.buy()
    with expect_revert("ResaleMarket_NoPoints", sale.id, 3):
        sale.seal(3)


def test_the_buyer_opens_the_key(sale):
    sale.buy()
    sale.chain.next_at(sale.chain.now + WINDOW)
    told = sale.event("KeySealed", sale.seal(1))
    assert (told["maker"], told["index"]) == (sale.r.members[1].address, 1)
    assert told["deadline"] == sale.chain.now + WINDOW
    sealed = replace(sale.r.delivery(), cipher=told["cipher"])
    assert keccak(open_delivery(SECRET, sealed, 1)) == sealed.key_digest
    anchor = sale_anchor(KEY, told["cipher"])
    assert tuple(sale.purchase()) == (SEALED, told["deadline"], 1, anchor)


# -- dispute ---------------------------------------------------------------------------------------

WRONG = bytes(32)


def test_a_dispute_needs_a_key(sale, expect_revert):
    sale.buy()
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, PENDING):
        sale.dispute(WRONG)


def test_a_dispute_can_be_too_late(sale, expect_revert):
    sale.buy()
    sale.seal(cipher=WRONG)
    deadline = sale.chain.now + WINDOW
    sale.chain.next_at(deadline + 1)
    with expect_revert("ResaleMarket_TooLate", sale.id, deadline):
        sale.dispute(WRONG)


def test_a_dispute_is_of_what_was_sealed(sale, expect_revert):
    sale.buy()
    sale.seal(cipher=WRONG)
    with expect_revert("ResaleMarket_WrongSeal"):
        sale.dispute(b"\x01" * 32)
    with expect_revert("ResaleMarket_WrongSeal"):
        sale.dispute(WRONG, key=public_key(SECRET + 1))


def test_a_dispute_names_the_requests_delivery(sale, expect_revert):
    sale.buy()
    sale.seal(cipher=WRONG)
    other = replace(sale.r.delivery(), key_digest=keccak(text="other"))
    with expect_revert("ResaleMarket_WrongDelivery"):
        sale.dispute(WRONG, delivery=other)


def test_only_the_buyer_can_prove_it(sale, expect_revert):
    sale.buy()
    sale.seal(cipher=WRONG)
    for proof in (
        sale.proof(WRONG, SECRET + 1),
        sale.proof(WRONG, buyer=sale.other.address),
        sale.proof(WRONG, request=sale.id + 1),
    ):
        with expect_revert("ResaleMarket_BadProof", sale.id):
            sale.dispute(WRONG, proof)


def test_a_right_key_is_never_disputed(sale, expect_revert):
    """The proof itself is valid; `prove` refuses to make it for a right key."""
    sale.buy()
    sale.seal()
    cipher = sale.sealed().cipher
    context = sale_context(sale.chain.chain_id, sale.market.address, sale.id, sale.buyer.address)
    altered = replace(sale.sealed(), key_digest=bytes(32))
    with expect_revert("ResaleMarket_RightKey", sale.id):
        sale.dispute(cipher, prove(SECRET, altered, 1, context))


def test_whoever_seals_a_wrong_key_loses_its_own_points(sale):
    sale.buy()
    sale.seal(1, cipher=WRONG)
    sale.dispute(WRONG)
    assert sale.points() == [5_000, 0, 2_000, 0]


def test_after_a_wrong_key_the_others_seal_and_share_what_its_maker_had(sale, expect_revert):
    sale.sell(buyer=sale.other)
    sale.claim(2, sale.other)  # 2,000 of 10,000 points
    sale.buy()
    sale.seal(0, cipher=WRONG)
    sale.chain.next_at(sale.chain.now + WINDOW)
    told = sale.event("SealDisputed", sale.dispute(WRONG))

    assert (told["index"], told["forfeited"]) == (0, PRICE // 2)
    assert told["deadline"] == sale.chain.now + WINDOW
    assert sale.purchase()[:2] == (PENDING, told["deadline"])
    assert sale.points() == [0, 3_000, 2_000, 0]
    with expect_revert("ResaleMarket_NoPoints", sale.id, 0):
        sale.seal(0)
    with expect_revert("ResaleMarket_NothingToClaim", sale.id, 0):
        sale.claim(0)
    # Of its half they get three and two fifths; the first sale had given them 0.3 and 0.2.
    assert sale.claimable(1) == PRICE * 6 // 10
    assert sale.claimable(2) == PRICE * 2 // 10
    sale.seal(1)
    sale.chain.travel(WINDOW + 1)
    sale.claim(1, sale.buyer)
    assert sale.claimable(2) == PRICE * 6 // 10


# -- refund ----------------------------------------------------------------------------------------


def test_a_refund_needs_a_buyer_without_a_key(sale, expect_revert):
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, NONE):
        sale.send(sale.buyer, "refund", sale.id)
    sale.sell()
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, SEALED):
        sale.send(sale.buyer, "refund", sale.id)


def test_a_refund_can_be_too_early(sale, expect_revert):
    sale.buy()
    deadline = sale.chain.now + WINDOW
    sale.chain.next_at(deadline)
    with expect_revert("ResaleMarket_TooEarly", sale.id, deadline):
        sale.send(sale.buyer, "refund", sale.id)


def test_the_price_goes_back_once(sale, on_sale, token, expect_revert):
    sale.buy()
    sale.chain.travel(WINDOW + 1)
    held = sale.chain.balance(sale.market.address)
    told = sale.event("PurchaseRefunded", sale.send(sale.buyer, "refund", sale.id))
    assert told["amount"] == PRICE == held - sale.chain.balance(sale.market.address)
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, REFUNDED):
        sale.send(sale.buyer, "refund", sale.id)

    money = token("PlainToken")
    in_token = on_sale(token=money.address)
    paying(in_token, money, PRICE)
    in_token.buy()
    in_token.chain.travel(WINDOW + 1)
    in_token.send(in_token.buyer, "refund", in_token.id)
    assert money.functions.balanceOf(in_token.buyer.address).call() == PRICE


def test_a_refunded_buyer_may_buy_again(sale):
    sale.buy()
    sale.chain.travel(WINDOW + 1)
    sale.send(sale.buyer, "refund", sale.id)
    sale.buy(key=public_key(SECRET + 1))
    assert sale.purchase()[0] == PENDING


# -- claim -----------------------------------------------------------------------------------------


def test_a_member_claims_for_itself(sale, expect_revert):
    sale.sell()
    with expect_revert("ResaleMarket_NotMember", sale.id, 0, sale.r.stranger.address):
        sale.claim(0, sale.buyer, sender=sale.r.stranger)


def test_a_sale_is_final_after_the_dispute_window(sale, expect_revert):
    sale.buy()
    with expect_revert("ResaleMarket_WrongStatus", sale.id, sale.buyer.address, PENDING):
        sale.claim(0, sale.buyer)
    sale.seal()
    deadline = sale.chain.now + WINDOW
    sale.chain.next_at(deadline)
    with expect_revert("ResaleMarket_TooEarly", sale.id, deadline):
        sale.claim(0, sale.buyer)


def test_nothing_is_due_without_a_sale(sale, expect_revert):
    with expect_revert("ResaleMarket_NothingToClaim", sale.id, 0):
        sale.claim(0)
    sale.sell()
    with expect_revert("ResaleMarket_NothingToClaim", sale.id, 3):
        sale.claim(3, sale.buyer)


def test_a_receiver_that_refuses_leaves_the_share_due(sale, chain, accounts, expect_revert):
    sale.sell()
    hostile = chain.deploy("HostilePayee", accounts[0])
    chain.send(accounts[0], hostile.functions.behave(1))
    with expect_revert("ResaleMarket_TransferFailed", hostile.address, PRICE // 2):
        sale.claim(0, sale.buyer, to=hostile.address)
    sale.claim(0, sale.buyer)


def test_makers_share_by_points(sale):
    sale.sell()
    sale.sell(buyer=sale.other)
    to = "0x" + 40 * "7"
    receipt = sale.claim(0, sale.buyer, sale.other, to=to)
    assert {one["buyer"] for one in events(sale.market, "ResultSold", receipt)} == {
        sale.buyer.address,
        sale.other.address,
    }
    assert sale.chain.balance(to) == PRICE
    assert [sale.claimable(i) for i in range(4)] == [0, PRICE * 6 // 10, PRICE * 4 // 10, 0]
    assert sale.purchase()[0] == SOLD


def test_makers_that_name_the_same_sale_are_all_paid(sale):
    """The second one's call failed, and cost its gas: daemons see in the same block that a sale can
    become final."""
    sale.sell()
    sale.claim(0, sale.buyer)
    receipt = sale.claim(1, sale.buyer)
    assert not events(sale.market, "ResultSold", receipt)
    assert sale.event("ResaleClaimed", receipt)["amount"] == PRICE * 3 // 10
    assert [sale.claimable(i) for i in range(3)] == [0, 0, PRICE // 5]


def test_makers_are_paid_in_the_token(on_sale, token):
    money = token("PlainToken")
    sale = on_sale(token=money.address)
    sale.tally()
    paying(sale, money, PRICE)
    sale.sell()
    maker = sale.r.members[0].address
    before = money.functions.balanceOf(maker).call()
    sale.claim(0, sale.buyer)
    assert money.functions.balanceOf(maker).call() - before == PRICE // 2


def test_a_maker_that_calls_back_is_paid_once(on_sale, chain, accounts):
    hostile = chain.deploy("HostilePayee", accounts[0])
    sale = on_sale(members=[hostile.address, accounts[3], accounts[4], accounts[5]])
    sale.tally()
    sale.buy()
    sale.seal(1)
    sale.chain.travel(WINDOW + 1)
    again = sale.market.encode_abi("claim", [sale.id, [], 0, hostile.address])
    chain.send(accounts[0], hostile.functions.call(sale.market.address, again))
    chain.fund(hostile.address)
    before = chain.balance(sale.market.address)
    sale.claim(0, sale.buyer)
    assert not hostile.functions.succeeded().call()
    assert before - chain.balance(sale.market.address) == PRICE // 2


def test_a_maker_moves_no_other_sale_while_it_is_paid(on_sale, chain, accounts):
    """It may a moment later."""
    hostile = chain.deploy("HostilePayee", accounts[0])
    sale = on_sale(members=[hostile.address, accounts[3], accounts[4], accounts[5]])
    sale.tally()
    sale.sell(1, sale.other)
    sale.buy()
    sale.seal(1, cipher=WRONG)
    shown, given = sale.proof(WRONG).fields, as_argument(sale.r.delivery())
    args = [sale.id, sale.buyer.address, KEY.fields, WRONG, given, shown]
    call = sale.market.encode_abi("dispute", args)
    chain.send(accounts[0], hostile.functions.call(sale.market.address, call))
    chain.fund(hostile.address)
    sale.claim(0, sale.other)
    assert not hostile.functions.succeeded().call()
    chain.send(accounts[0], hostile.functions.execute(sale.market.address, call))
    assert sale.purchase()[0] == PENDING


def test_no_more_goes_out_than_came_in(on_sale):
    """Seven points do not divide the price."""
    sale = on_sale(entry([3, 2, 2, 0]))
    sale.tally()
    before = sale.chain.balance(sale.market.address)
    sale.sell()
    sale.sell(buyer=sale.other)
    sale.claim(0, sale.buyer, sale.other)
    sale.claim(1)
    sale.claim(2)
    rest = sale.chain.balance(sale.market.address) - before
    assert 0 <= rest <= 3

"""One test for each leaf of deliver.tree."""

from dataclasses import replace

import pytest
from eth_utils import keccak

from fedpact.content.bn254 import Point, multiply, public_key
from fedpact.content.delivery import Deliveries, open_delivery
from fedpact.content.keys import delivery_key
from fedpact.content.wrong_key_proof import SharedPoint, dispute_context, prove
from tests.contracts.market.kit import (
    DELIVERED,
    DISPUTED,
    OPEN,
    REQUEST_KEY,
    SECRET,
    WINDOW,
    as_argument,
    entry,
)

ROUND = entry([5_000, 3_000])


@pytest.fixture
def ended(request_of):
    """A request whose only round is final."""
    r = request_of()
    r.create()
    r.start()
    r.end(ROUND)
    return r


@pytest.fixture
def wrong(request_of):
    """A request whose start anchored a seal of zeros instead of the key."""
    r = request_of()
    r.create()
    right = Deliveries.seal(REQUEST_KEY, public_key(SECRET), bytes(32), r.id, 4)
    r.start(Deliveries(right.ephemeral, (bytes(32),) * 4, right.key_digests))
    r.end(ROUND)
    return r


def context_of(r):
    return dispute_context(r.chain.chain_id, r.on.market.address, r.id)


def test_other_terms_are_refused(ended, expect_revert):
    ended.terms["deliverWindow"] += 1
    with expect_revert("SharingMarket_WrongTerms"):
        ended.deliver()


def test_nothing_is_delivered_before_the_rounds_are_over(request_of, expect_revert):
    r = request_of()
    r.create()
    r.start()
    with expect_revert("SharingMarket_NotEnded", r.id):
        r.deliver(r.deliveries.after(1))


def test_nothing_is_delivered_without_a_final_round(request_of, expect_revert):
    r = request_of()
    r.create()
    r.start()
    r.end(ROUND, final_rounds=0)
    with expect_revert("SharingMarket_NothingToDeliver", r.id):
        r.deliver(r.deliveries.after(1))


def test_it_is_delivered_once(ended, expect_revert):
    ended.deliver()
    with expect_revert("SharingMarket_WrongStatus", ended.id, DELIVERED):
        ended.deliver()


def test_it_is_refused_once_the_window_is_over(ended, expect_revert):
    deadline = ended.outcome["endedAt"] + WINDOW
    ended.chain.next_at(deadline + 1)
    with expect_revert("SharingMarket_TooLate", ended.id, deadline):
        ended.deliver()


@pytest.mark.parametrize("field", ["cipher", "key_digest", "ephemeral", "proof"])
def test_anything_but_what_was_anchored_is_refused(ended, expect_revert, field):
    """In the first protocol any eighty bytes made the pay due."""
    junk = Point(1, 2) if field == "ephemeral" else () if field == "proof" else keccak(text="junk")
    delivery = replace(ended.delivery(), **{field: junk})
    with expect_revert("SharingMarket_WrongDelivery", ended.id, ended.deliveries.root):
        ended.deliver(delivery)
    assert ended.status == OPEN


def test_the_delivery_of_another_number_of_rounds_is_refused(ended, expect_revert):
    with expect_revert("SharingMarket_WrongDelivery"):
        ended.deliver(ended.delivery(2))


class OffCurve(Point):
    """A point whose coordinates are not on the curve."""

    def __post_init__(self) -> None:
        pass


@pytest.mark.parametrize("point", [OffCurve(1, 3), OffCurve(0, 0)])
def test_a_point_off_the_curve_is_refused_even_if_anchored(request_of, expect_revert, point):
    """Such a delivery could never be disputed."""
    r = request_of()
    r.create()
    r.start(Deliveries(point, (bytes(32),) * 4, (bytes(32),) * 4))
    r.end(ROUND)
    with expect_revert("SharingMarket_BadPoint", point.x, point.y):
        r.deliver()


def test_anyone_delivers_in_the_last_second(ended):
    ended.chain.next_at(ended.outcome["endedAt"] + WINDOW)
    ended.deliver(sender=ended.stranger)
    assert ended.status == DELIVERED


def test_the_requester_opens_the_key_from_the_event(ended):
    event = ended.event("Delivered", ended.deliver())
    sealed = ended.delivery()
    assert (event["request"], event["finalRounds"]) == (ended.id, 1)
    point, cipher, digest, proof = as_argument(sealed)
    found = event["delivery"]
    assert (found["ephemeral"]["x"], found["ephemeral"]["y"]) == point
    assert (found["cipher"], found["keyDigest"], found["proof"]) == (cipher, digest, proof)
    key = open_delivery(SECRET, sealed, 1)
    assert key == delivery_key(REQUEST_KEY, bytes(32), ended.id, 1)


# -- dispute ---------------------------------------------------------------------------------------


def test_a_dispute_needs_a_delivery(wrong, expect_revert):
    proof = prove(SECRET, wrong.delivery(), 1, context_of(wrong))
    with expect_revert("SharingMarket_WrongStatus", wrong.id, OPEN):
        wrong.dispute(proof)


def test_a_dispute_is_refused_once_the_window_is_over(wrong, expect_revert):
    wrong.deliver()
    deadline = wrong.chain.now + WINDOW
    proof = prove(SECRET, wrong.delivery(), 1, context_of(wrong))
    wrong.chain.next_at(deadline + 1)
    with expect_revert("SharingMarket_TooLate", wrong.id, deadline):
        wrong.dispute(proof)


def test_a_dispute_of_another_delivery_is_refused(ended, expect_revert):
    ended.deliver()
    other = replace(ended.delivery(), cipher=bytes(32))
    proof = prove(SECRET, other, 1, context_of(ended))
    with expect_revert("SharingMarket_WrongDelivery"):
        ended.dispute(proof, other)


def test_a_proof_of_another_secret_is_refused(wrong, expect_revert):
    wrong.deliver()
    with expect_revert("SharingMarket_BadProof", wrong.id):
        wrong.dispute(prove(SECRET + 1, wrong.delivery(), 1, context_of(wrong)))


@pytest.mark.parametrize("field", ["challenge", "response", "shared"])
def test_a_changed_proof_is_refused(wrong, expect_revert, field):
    wrong.deliver()
    proof = prove(SECRET, wrong.delivery(), 1, context_of(wrong))
    old = getattr(proof, field)
    new = multiply(old, 2) if field == "shared" else old ^ 1
    with expect_revert("SharingMarket_BadProof", wrong.id):
        wrong.dispute(replace(proof, **{field: new}))


def test_a_proof_of_another_request_is_refused(wrong, expect_revert):
    wrong.deliver()
    context = dispute_context(wrong.chain.chain_id, wrong.on.market.address, wrong.id + 1)
    with expect_revert("SharingMarket_BadProof", wrong.id):
        wrong.dispute(prove(SECRET, wrong.delivery(), 1, context))


def test_a_shared_point_off_the_curve_is_refused(wrong, expect_revert):
    wrong.deliver()
    with expect_revert("Bn254_NotAPoint"):
        wrong.dispute(SharedPoint(OffCurve(1, 3), 1, 1))


def test_zero_is_no_shared_point(wrong, expect_revert):
    wrong.deliver()
    with expect_revert("SharingMarket_BadProof", wrong.id):
        wrong.dispute(SharedPoint(OffCurve(0, 0), 1, 1))


def test_a_right_key_is_never_disputed(ended, expect_revert):
    """The proof itself is valid; `prove` refuses to make it for a right key."""
    ended.deliver()
    altered = replace(ended.delivery(), key_digest=bytes(32))
    proof = prove(SECRET, altered, 1, context_of(ended))
    with expect_revert("SharingMarket_RightKey", ended.id):
        ended.dispute(proof)


def test_a_wrong_key_is_shown_in_the_last_second(wrong):
    wrong.deliver()
    proof = prove(SECRET, wrong.delivery(), 1, context_of(wrong))
    wrong.chain.next_at(wrong.chain.now + WINDOW)

    event = wrong.event("Disputed", wrong.dispute(proof))

    assert wrong.status == DISPUTED
    assert keccak(event["opened"]) != wrong.delivery().key_digest

"""See offer.tree and recordRetrieval.tree."""

from typing import Any

import pytest
from eth_utils import keccak

from tests.support.scenario import PRICE, Scenario

DIGEST = keccak(text="retrieval")


@pytest.fixture(scope="module")
def s(stage: Any) -> Scenario:
    opened: Scenario = stage()
    return opened.opened()


def test_only_the_requester_sets_a_price(s: Scenario, expect_revert: Any) -> None:
    for sender, request in ((s.providers[0], s.id), (s.requester, s.id + 1)):
        with expect_revert("ResaleMarket_NotRequester", request, sender.address):
            s.cache_call(sender, "offer", request, PRICE)


def test_no_price_is_set_after_the_start(s: Scenario, expect_revert: Any) -> None:
    s.start()
    with expect_revert("ResaleMarket_NotOpen", s.id):
        s.offer()


def test_no_price_is_set_for_a_cancelled_request(s: Scenario, expect_revert: Any) -> None:
    s.cancel()
    with expect_revert("ResaleMarket_NotOpen", s.id):
        s.offer()


def test_a_price_is_between_1_wei_and_96_bits(s: Scenario, expect_revert: Any) -> None:
    for price in (0, 2**96):
        with expect_revert("ResaleMarket_BadPrice", price):
            s.offer(price)
    s.offer(2**96 - 1)


def test_a_price_is_set_once(s: Scenario, expect_revert: Any) -> None:
    s.offer()
    with expect_revert("ResaleMarket_AlreadyOffered", s.id, PRICE):
        s.offer(1)
    assert s.offered == (PRICE, 0)


def test_an_open_request_gets_a_price(s: Scenario) -> None:
    event = s.event("ResaleOffered", s.offer())
    assert event == {"requestId": s.id, "price": PRICE}
    assert s.offered == (PRICE, 0)


def test_only_the_requester_records_a_retrieval(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("ResaleMarket_NotRequester", s.id, s.stranger.address):
        s.cache_call(s.stranger, "recordRetrieval", s.id, DIGEST)


def test_no_retrieval_is_recorded_after_the_start(s: Scenario, expect_revert: Any) -> None:
    s.start()
    with expect_revert("ResaleMarket_NotOpen", s.id):
        s.cache_call(s.requester, "recordRetrieval", s.id, DIGEST)


def test_a_retrieval_without_a_digest_is_refused(s: Scenario, expect_revert: Any) -> None:
    with expect_revert("ResaleMarket_ZeroDigest"):
        s.cache_call(s.requester, "recordRetrieval", s.id, bytes(32))


def test_each_retrieval_is_announced(s: Scenario) -> None:
    for digest in (DIGEST, keccak(text="a second lookup")):
        receipt = s.cache_call(s.requester, "recordRetrieval", s.id, digest)
        assert s.event("RetrievalRecorded", receipt) == {
            "requestId": s.id,
            "requester": s.requester.address,
            "digest": digest,
        }

"""What a member's join record and its address do to the daemons that read them."""

import json

import pytest

from fedpact.exchange.peer_address import RECORD_MAX_BYTES, endpoint_in
from fedpact.retrieval.http import may_ask
from fedpact.types.cid import Cid
from tests.offchain.exchange.test_gossip import exchanging
from tests.offchain.exchange.test_messages import BALLOT
from tests.offchain.exchange.test_submissions import ROUND, named

UNPARSED = ["http://[x]", "http://[", "http://]/", "https://[::1", "http://a\u2100b.example"]


def endpoint(record: bytes) -> str:
    return endpoint_in(lambda _cid, _most: record, Cid.of(record).digest)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"endpoint": 5}',
        b'{"endpoint": ' + b"9" * 5_000 + b"}",
        b"[" * (RECORD_MAX_BYTES - 1),
        b'{"endpoint": ' + b"[" * 60_000,
        b'{"a": ' * 10_000,
    ],
    ids=lambda record: str(record[:16]),
)
def test_a_malformed_record_names_no_address(record: bytes) -> None:
    assert endpoint(record) == ""


def test_a_record_names_an_address() -> None:
    assert endpoint(json.dumps({"endpoint": "http://a.example"}).encode()) == "http://a.example"


@pytest.mark.parametrize("address", UNPARSED)
def test_an_address_that_cannot_be_parsed_is_not_asked(address: str) -> None:
    assert not may_ask(True, address)
    assert not may_ask(False, address)


def test_a_member_with_a_bad_address_keeps_nobody_from_the_exchange() -> None:
    with exchanging(False) as exchange:
        exchange.open(BALLOT, UNPARSED, lambda: ())
        exchange.name_models(ROUND, UNPARSED, [named(4)], judging=True)
        assert set(exchange.models((ROUND.request, ROUND.round))) == {4}

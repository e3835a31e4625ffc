from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedpact.errors import RetrievalError
from fedpact.retrieval.messages import (
    LONGEST_MESSAGE,
    MAX_DETAILS,
    Announce,
    Lookup,
    Prefix,
    Record,
    Reply,
    Request,
    decode,
    decode_reply,
    decode_request,
    encode,
)
from fedpact.retrieval.signature import MASS, Signature
from tests.offchain.retrieval import retrieval_strategies as strategies

ONE = Signature((3,), (MASS,))


@given(strategies.messages)
def test_a_message_survives_its_byte_form(message: Request | Reply) -> None:
    content = encode(message)
    assert decode(content) == message
    wrong = decode_reply if isinstance(message, Request) else decode_request
    with pytest.raises(RetrievalError, match="is not a"):
        wrong(content)


@given(strategies.messages, st.data())
def test_a_message_cut_short_or_drawn_out_is_refused(
    message: Request | Reply, data: st.DataObject
) -> None:
    content = encode(message)
    cut = data.draw(st.integers(0, len(content) - 1))
    for changed in (content[:cut], content + b"\0"):
        with pytest.raises(RetrievalError):
            decode(changed)


@given(st.binary(max_size=300))
def test_random_bytes_are_a_message_or_refused(content: bytes) -> None:
    for bytes_ in (content, bytes([1, content[0] % 8]) + content[1:] if content else b""):
        with suppress(RetrievalError):
            assert encode(decode(bytes_)) == bytes_


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(RetrievalError, match="262145 bytes"):
        decode(bytes(LONGEST_MESSAGE + 1))
    with pytest.raises(RetrievalError, match="length 2049, at most 2048"):
        decode(encode(Announce(Record(bytes(20), ONE, bytes(MAX_DETAILS + 1)))))
    with pytest.raises(RetrievalError, match="length 65, at most 64"):
        decode(encode(Lookup(ONE, 65)))


def test_a_record_is_identified_by_its_documents_digest() -> None:
    record = Record(b"n" * 20, ONE, b"{}")
    assert Record.of_document(b"n" * 20, record.document) == record
    assert Record(b"n" * 20, ONE, b"{ }").digest != record.digest


def test_a_prefix_holds_the_ids_that_start_with_it() -> None:
    prefix = Prefix(0b101 << 61, 3)
    assert prefix.holds(0b101 << 61)
    assert prefix.holds((0b110 << 61) - 1)
    assert not prefix.holds(0b110 << 61)
    assert Prefix(0, 0).holds((1 << 64) - 1)
    with pytest.raises(RetrievalError, match="bits beyond"):
        Prefix(1, 3)

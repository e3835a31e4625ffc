"""What a board of a round's messages takes, and what it refuses."""

from contextlib import suppress

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from fedpact.chain.contract_wallets import MOST_SIGNATURE
from fedpact.chain.signed_messages import Domain
from fedpact.errors import InvalidInput
from fedpact.exchange.messages import (
    MOST,
    WORD_BYTES,
    Ballot,
    Forged,
    Kind,
    Message,
    RoundMessages,
    lacking,
    vote_bytes,
)
from fedpact.exchange.sending import AT_ONCE, LONGEST, Sending
from fedpact.types.document import canonical_json
from tests.support.twins import twins

SIGNERS = [Account.from_key(keccak(text=f"member {n}")) for n in range(3)]
OPENER = Account.from_key(keccak(text="opener"))
DOMAIN = Domain(31337, "0x" + "12" * 20)
BALLOT = Ballot(DOMAIN, 7, 2, b"\5" * 32, tuple(one.address for one in SIGNERS), (OPENER.address,))
DIGEST, OTHER = keccak(text="digest"), keccak(text="other")
SALT = keccak(text="salt")
WORD = 5 << 14


def signed(kind, seat, value, extra=b"", signer=None, ballot=BALLOT):
    unsigned = Message(kind=kind, seat=seat, value=value.hex(), extra=extra.hex())
    if kind is Kind.REVEAL:
        return unsigned
    signer = signer or (OPENER if kind is Kind.SLICE else SIGNERS[seat])
    signature = signer.sign_message(encode_typed_data(*ballot.typed(unsigned))).signature
    return unsigned.model_copy(update={"signature": bytes(signature).hex()})


def commitment(seat=0, word=WORD):
    return DOMAIN.commitment(7, 2, SIGNERS[seat].address, word, SALT)


def test_all_kinds_are_taken_once_and_survive_encoding():
    said = [
        signed(Kind.MODEL, 0, DIGEST),
        signed(Kind.SLICE, 16, bytes(80), bytes.fromhex(OPENER.address[2:])),
        signed(Kind.VOTE, 0, commitment()),
        signed(Kind.REVEAL, 0, vote_bytes(WORD), SALT),
        signed(Kind.ATTEST, 0, DIGEST, (900).to_bytes(2)),
        signed(Kind.ROUND, 0, DIGEST),
    ]
    board = RoundMessages(BALLOT)
    for message in Sending.decode(Sending.of((), said).encode()).messages:
        assert board.take(message), message.kind
        assert not board.take(message)
    assert board.all() == said
    assert board.held(Kind.REVEAL)[0].number == WORD
    assert board.held(Kind.ATTEST)[0].error == 900


def test_a_second_different_message_is_kept_as_proof_and_the_first_counts():
    board = RoundMessages(BALLOT)
    first, second, third = (
        signed(Kind.MODEL, 0, value) for value in (DIGEST, OTHER, keccak(text="third"))
    )
    assert board.take(first)
    assert board.take(second)
    assert not board.take(third)
    assert board.held(Kind.MODEL) == {0: first}
    assert board.contradictions == {first.at: second}


@pytest.mark.parametrize(
    "message",
    [
        signed(Kind.MODEL, 0, DIGEST, signer=SIGNERS[1]),
        signed(Kind.MODEL, 0, DIGEST, signer=OPENER),
        signed(Kind.MODEL, 0, DIGEST, ballot=Ballot(DOMAIN, 7, 3, b"", (), ())),
        signed(Kind.MODEL, 0, DIGEST, ballot=Ballot(Domain(1, DOMAIN.contract), 7, 2, b"", (), ())),
        signed(Kind.MODEL, 0, bytes(32)),
        signed(Kind.MODEL, 0, DIGEST).model_copy(update={"value": "11" * 33}),
        signed(Kind.SLICE, 16, bytes(80), bytes.fromhex(OPENER.address[2:]), SIGNERS[0]),
        signed(Kind.SLICE, 16, bytes(80), bytes.fromhex(SIGNERS[0].address[2:]), SIGNERS[0]),
        signed(Kind.SLICE, 0, bytes(80), bytes.fromhex(OPENER.address[2:])),
        signed(Kind.ATTEST, 0, DIGEST, (10_001).to_bytes(2)),
        signed(Kind.ROUND, 0, DIGEST, ballot=Ballot(DOMAIN, 7, 2, b"\6" * 32, (), ())),
        signed(Kind.REVEAL, 0, vote_bytes(WORD), SALT),
        signed(Kind.MODEL, 0, DIGEST).model_copy(update={"signature": "00" * 65}),
        signed(Kind.MODEL, 0, DIGEST).model_copy(update={"signature": ""}),
        Message(kind=Kind.MODEL, seat=9, value=DIGEST.hex(), signature="11" * 65),
    ],
    ids=range(15),
)
def test_what_does_not_count_is_not_kept(message):
    board = RoundMessages(BALLOT)
    with suppress(Forged):
        assert not board.take(message)
    assert board.all() == []


@pytest.mark.parametrize("which", twins(bytes(65)[:64] + b"\x1b"))
def test_a_signature_that_the_contracts_refuse_keeps_no_right_one_out(which):
    """Whoever relayed such a copy first made each post of the round fail."""
    board, right = RoundMessages(BALLOT), signed(Kind.MODEL, 0, DIGEST)
    assert Account.recover_message(BALLOT.signable(right), signature=twins(right.signed)[which])
    with pytest.raises(Forged, match="the contracts refuse"):
        board.take(right.signed_with(twins(right.signed)[which]))
    assert board.take(right)


def test_a_vote_is_opened_by_what_was_committed_alone():
    board = RoundMessages(BALLOT)
    board.take(signed(Kind.VOTE, 0, commitment()))
    board.take(signed(Kind.VOTE, 1, commitment(0)))
    assert not board.take(signed(Kind.REVEAL, 0, vote_bytes(WORD + 1), SALT))
    assert not board.take(signed(Kind.REVEAL, 1, vote_bytes(WORD), SALT))
    assert board.take(signed(Kind.REVEAL, 0, vote_bytes(WORD), SALT))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version":1,"messages":[{"kind":"model"}]}',
        b'{"version":1,"known":"1"}',
        b'{"version":1,"known":"' + b"1" * (2 * WORD_BYTES - 2) + b'"}',
        b"{" + b" " * LONGEST + b"}",
    ],
)
def test_what_is_malformed_or_too_long_is_refused(content):
    with pytest.raises(InvalidInput, match="messages of a round"):
        Sending.decode(content)


@pytest.mark.parametrize("kind", [Kind.HELD, Kind.PICK, Kind.TALLY, Kind.RECORD])
def test_words_of_large_rounds_do_not_count_in_usual_ones(kind):
    """Whoever sent one caused an error that nobody foresaw."""
    said = Message(kind=kind, seat=0, value=DIGEST.hex(), signature="00" * 65)
    assert not RoundMessages(BALLOT).take(said)
    BALLOT.look_up([said.model_copy(update={"signature": "", "wallet": "00"})])


def test_too_many_messages_or_words_are_refused():
    one = Message(kind=Kind.MODEL, seat=0, value="")
    words = {number.to_bytes(WORD_BYTES) for number in range(2 * MOST + 1)}
    for messages, known in (((one,) * (AT_ONCE + 1), ""), ((), b"".join(words).hex())):
        content = canonical_json(
            {
                "version": 1,
                "known": known,
                "messages": [each.model_dump() for each in messages],
            }
        )
        with pytest.raises(InvalidInput, match="messages of a round"):
            Sending.decode(content)


def test_the_longest_that_is_sent_is_taken():
    """Whatever is in it: a peer that refuses it would never get the rest."""
    longest = Message(
        kind=max(Kind, key=len),
        seat=16,
        value="11" * 256,
        extra="11" * 32,
        signature="11" * 65,
        wallet="11" * MOST_SIGNATURE,
    )
    words = [number.to_bytes(WORD_BYTES) for number in range(2 * MOST)]
    content = Sending.of(words, [longest] * (AT_ONCE + 1)).encode()
    assert len(Sending.decode(content).messages) == AT_ONCE
    assert Sending.decode(content).words == set(words)


def test_a_side_lacks_what_it_could_still_keep():
    """Two of a kind and seat: a third one would be sent again and again."""
    values = DIGEST, OTHER, keccak(text="third")
    first, second, third = (signed(Kind.MODEL, 0, value) for value in values)
    every = [first, second, third, signed(Kind.ROUND, 0, DIGEST), signed(Kind.MODEL, 1, DIGEST)]
    assert lacking((), every) == [first, second, *every[3:]]
    assert lacking([second.word], every) == [first, *every[3:]]
    assert lacking([first.word, second.word], every) == every[3:]
    again = first.model_copy(update={"signature": "11" * 65})
    assert lacking([first.word], [again]) == []

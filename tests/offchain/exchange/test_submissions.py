"""The models that trainers name to a large round's committee, and the committee's messages."""

from dataclasses import replace

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from fedpact.errors import InvalidInput
from fedpact.exchange.messages import (
    Forged,
    Kind,
    LargeBallot,
    Message,
    RoundMessages,
    vote_bytes,
)
from fedpact.exchange.submissions import AT_ONCE, Models, Roll, Submission, Trainers, shown
from tests.offchain.exchange.test_gossip import FINGERPRINT, JSON, exchanging
from tests.offchain.exchange.test_messages import DIGEST, DOMAIN, OPENER, OTHER, SIGNERS, signed
from tests.support.twins import twins
from tests.support.waiting import wait_until

TRAINERS = [Account.from_key(keccak(text=f"trainer {n}")) for n in range(3)]
ROUND = Trainers(
    DOMAIN, 7, 2, b"\5" * 32, {index: one.address for index, one in enumerate(TRAINERS, 4)}
)
PLACE = (ROUND.request, ROUND.round)
PATH = f"/exchange/{FINGERPRINT.hex()}/{PLACE[0]}/{PLACE[1]}/models"
SALT = keccak(text="salt")
BALLOT = LargeBallot(
    DOMAIN, 7, 2, b"\5" * 32, tuple(one.address for one in SIGNERS), (OPENER.address,)
)


def named(index, digest=DIGEST, signer=None, for_round=ROUND):
    signer = signer or TRAINERS[index - 4]
    signature = signer.sign_message(encode_typed_data(*for_round.typed(digest))).signature
    return Submission(index=index, digest=digest.hex(), signature=bytes(signature).hex())


def test_a_roll_takes_one_model_of_each_trainer():
    roll = Roll(ROUND)
    assert [one.index for one in roll.take([named(4), named(6), named(4, OTHER)])] == [4, 6]
    assert roll.held[4].content == DIGEST
    assert roll.mask == 0b1010000
    assert [one.index for one in roll.lacking(0b10000)] == [6]


@pytest.mark.parametrize(
    "forged",
    [
        named(4, signer=TRAINERS[1]),
        named(9, signer=TRAINERS[1]),
        named(4, for_round=replace(ROUND, round=3)),
        named(4, for_round=replace(ROUND, history=b"\6" * 32)),
        named(4).model_copy(update={"digest": OTHER.hex()}),
        named(4).model_copy(update={"signature": "00" * 65}),
        *(
            named(4).model_copy(update={"signature": one.hex()})
            for one in twins(bytes.fromhex(named(4).signature)).values()
        ),
    ],
)
def test_a_model_that_its_trainer_did_not_sign_for_this_round_is_not_taken(forged):
    roll = Roll(ROUND)
    assert roll.take([named(5), forged, named(6)]) == [named(5)]
    with pytest.raises(Forged):
        ROUND.require_signed(forged)


def test_an_answer_has_a_bounded_number_of_models():
    many = {n: named(4).model_copy(update={"index": n}) for n in range(AT_ONCE + 9)}
    roll = Roll(ROUND, many.values())
    assert len(roll.lacking(0)) == AT_ONCE
    assert len(shown(roll, 0)) < 8_192, "a stranger's question is some hundred bytes"
    with pytest.raises(InvalidInput, match="models: "):
        Models.decode(Models(known="", models=tuple(roll.lacking(0))).encode()[:-1])
    with pytest.raises(InvalidInput, match="bytes, at most"):
        Models.decode(b" " * (1 << 18))
    assert Models(known="f" * 16_384).mask == 2**65_536 - 1
    for known in ("f" * 16_385, "F", "0x1", " "):
        with pytest.raises(InvalidInput, match="models: known"):
            Models.decode(b'{"version": 1, "known": "' + known.encode() + b'"}')


def test_trainers_learn_who_holds_their_model_and_judges_get_each_others() -> None:
    with exchanging() as a, exchanging() as b, exchanging(False) as c, exchanging(False) as d:
        for judge in (a, b):
            judge.name_models(ROUND, [a.own, b.own], (), judging=True)
        c.name_models(ROUND, [a.own, b.own], [named(4)], judging=False)
        d.name_models(ROUND, [b.own, "http://127.0.0.1:1"], [named(5)], judging=False)
        wait_until(lambda: a.models(PLACE).keys() == b.models(PLACE).keys() == {4, 5})
        wait_until(lambda: (c.receipts(PLACE, 4), d.receipts(PLACE, 5)) == (2, 1))
        assert d.models(PLACE).keys() == {5}, "who trains is told of no others"
        a.forget(7, 3)
        assert a.models(PLACE) == {}


def test_who_does_not_judge_takes_no_models() -> None:
    with exchanging() as a, httpx.Client(trust_env=False, headers=JSON) as http:
        url, content = a.own + PATH, Models(known="0", models=(named(4),)).encode()
        assert http.post(url, content=content).status_code == 400
        a.name_models(ROUND, (), [named(5)], judging=False)
        assert http.post(url, content=content).status_code == 400
        a.name_models(replace(ROUND, history=b"\7" * 32), (), (), judging=True)
        assert Models.decode(http.post(url, content=content).content).mask == 0
        a.name_models(ROUND, (), (), judging=True)
        assert Models.decode(http.post(url, content=content).content).mask == 1 << 4
        assert http.post(url, content=b"[]").status_code == 400


def test_a_committees_messages_are_for_one_start_alone():
    commitment = DOMAIN.commitment(7, 2, SIGNERS[0].address, int.from_bytes(OTHER), SALT)
    said = [
        signed(Kind.SLICE, 16, bytes(80), bytes.fromhex(OPENER.address[2:]), ballot=BALLOT),
        signed(Kind.PICK, 1, DIGEST, b"\1\0\3", ballot=BALLOT),
        signed(Kind.VOTE, 0, commitment, DIGEST, ballot=BALLOT),
        signed(Kind.REVEAL, 0, vote_bytes(int.from_bytes(OTHER) >> 1), SALT),
        signed(Kind.TALLY, 1, DIGEST, b"\1", ballot=BALLOT),
        signed(Kind.ATTEST, 0, bytes(32), (16_383).to_bytes(2), ballot=BALLOT),
        signed(Kind.RECORD, 0, DIGEST, b"\1\0\3", ballot=BALLOT),
        signed(Kind.ROUND, 0, DIGEST, ballot=BALLOT),
    ]
    board, other = RoundMessages(BALLOT), RoundMessages(replace(BALLOT, history=b"\6" * 32))
    for message in said:
        assert board.take(message) is (message.kind is not Kind.REVEAL), message.kind
        if message.kind is not Kind.REVEAL:
            with pytest.raises(Forged):
                other.take(message)
    right = said[3].model_copy(update={"value": OTHER.hex()})
    assert board.take(right) is (int.from_bytes(OTHER) <= 1 << 256)
    assert {BALLOT.key(kind) for kind in Kind}.isdisjoint(
        replace(BALLOT, history=b"\6" * 32).key(kind) for kind in Kind
    )


def test_a_judge_supports_one_proposal_of_each_seat():
    """And two of one seat show that it says different things."""
    board = RoundMessages(BALLOT)
    for proposer in (0, 2):
        assert board.take(signed(Kind.TALLY, 0, DIGEST, bytes([proposer]), ballot=BALLOT))
    assert not board.contradictions
    assert board.take(signed(Kind.TALLY, 0, OTHER, b"\2", ballot=BALLOT))
    assert not board.take(signed(Kind.TALLY, 0, bytes(32), b"\2", ballot=BALLOT))
    assert list(board.contradictions) == [Message.place_of(Kind.TALLY, 0, 2)]
    assert BALLOT.own_key(board.all()[0]) != BALLOT.own_key(board.all()[1])


@pytest.mark.parametrize(
    "message",
    [
        signed(Kind.PICK, 0, DIGEST, ballot=BALLOT),
        signed(Kind.VOTE, 0, DIGEST, ballot=BALLOT),
        signed(Kind.PICK, 0, DIGEST, b"\3\0\3", ballot=BALLOT),
        signed(Kind.TALLY, 0, DIGEST[:31], b"\0", ballot=BALLOT),
        signed(Kind.TALLY, 0, DIGEST, ballot=BALLOT),
        signed(Kind.RECORD, 0, DIGEST, b"\0\3", ballot=BALLOT),
        signed(Kind.ATTEST, 0, DIGEST, (10_001).to_bytes(2), ballot=BALLOT),
        signed(Kind.ROUND, 0, DIGEST, b"\0\3", ballot=BALLOT),
        signed(Kind.MODEL, 0, DIGEST, ballot=BALLOT),
        signed(Kind.PICK, 2, DIGEST, b"\0\0\3", ballot=BALLOT).model_copy(update={"seat": 3}),
    ],
)
def test_a_malformed_word_of_a_judge_does_not_count(message):
    assert not RoundMessages(BALLOT).take(message)

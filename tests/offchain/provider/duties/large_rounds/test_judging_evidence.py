"""Which evidence of a large round a judge goes on with, whatever its committee and requester do.

A judge's duty runs on the board that its exchange would hold; content is what the store has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from eth_utils.crypto import keccak

from fedpact.consensus.artefacts import slice_aad
from fedpact.consensus.committee_evidence import JudgedRound, ModelList, ScoreSheet
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.content.envelope import seal_model
from fedpact.content.keys import committee_key, key_hash, seal
from fedpact.data.dataset import Dataset
from fedpact.data.slices import encode_slice
from fedpact.errors import ContentMissing, ContentTooLarge
from fedpact.exchange.messages import SLICE_SEAT, Kind, Message, RoundMessages
from fedpact.provider.context import Cache
from fedpact.provider.duties.large_rounds import voting
from fedpact.provider.duties.large_rounds.recording import Recording
from fedpact.provider.duties.large_rounds.submitting import begin_round
from fedpact.provider.duties.large_rounds.tallying import Tallying
from fedpact.provider.duties.large_rounds.voting import Voting
from fedpact.types.cid import Cid
from fedpact.types.requests import ApprovalRule, mask_of
from fedpact.types.scores import INVALID
from tests.offchain.exchange.test_messages import DOMAIN, OPENER, SIGNERS
from tests.offchain.exchange.test_submissions import BALLOT, ROUND, named, signed
from tests.support.specifications import BLANK_SLICE, specification

SEATS = range(len(SIGNERS))
FIRST = 2
"""Whose turn it is at first."""
LISTED = ModelList.of({4: named(4), 5: named(5)}, {})
SHEETS = [ScoreSheet(scores=(100 + seat, 200)) for seat in SEATS]
OTHER_SHEET = ScoreSheet(scores=(9000, 0))
REQUEST_KEY, SLICE_KEY, FINGERPRINT = bytes(range(32)), b"\7" * 32, b"\1" * 32
PART = Dataset(np.zeros((2, 2), np.float32), np.array([0, 1]), ())
PLAIN = encode_slice(PART)
SLICE = seal_model(SLICE_KEY, PLAIN, slice_aad(2))
EVALUATION = {"cid": str(Cid.of(SLICE)), "sha256": sha256(PLAIN).hexdigest(), "examples": 2}


def salt(seat: int) -> bytes:
    return bytes(keccak(text=f"salt {seat}"))


def vote(seat: int, sheet: ScoreSheet) -> Message:
    at = (BALLOT.request, BALLOT.round, BALLOT.accounts[seat])
    commitment = DOMAIN.commitment(*at, int.from_bytes(sheet.digest), salt(seat))
    return signed(Kind.VOTE, seat, commitment, LISTED.digest, ballot=BALLOT)


def reveal(seat: int, sheet: ScoreSheet) -> Message:
    return signed(Kind.REVEAL, seat, sheet.digest, salt(seat))


def sealed_key(number: int, key: bytes = SLICE_KEY) -> bytes:
    private = committee_key(REQUEST_KEY, FINGERPRINT, BALLOT.request)
    return seal(bytes(private.public_key), key, bytes([number]) * 32)


def sent(sealed: bytes) -> Message:
    opener = bytes.fromhex(OPENER.address[2:])
    return signed(Kind.SLICE, SLICE_SEAT, sealed, opener, ballot=BALLOT)


def said(seat: int, kind: Kind, value: bytes, extra: bytes = b"") -> Message:
    return signed(kind, seat, value, extra, ballot=BALLOT)


class Stage:
    """One judge's side of a round."""

    def __init__(self, seat: int, said: Iterable[Message], store: dict[bytes, bytes]) -> None:
        """`store`: content by digest."""
        self.store, self.passed = store, 0.5
        self.too_large = set[bytes]()
        """Digests of which the store gives more bytes than they have."""
        self.board = RoundMessages(BALLOT)
        for message in said:
            self.board.take(message)
        self.seat, self.cache = seat, Cache()
        self.cache.request_keys[BALLOT.request] = REQUEST_KEY
        self.cache.specifications[BALLOT.request] = specification(
            rounds=2, evaluation=[BLANK_SLICE, EVALUATION]
        )
        started = {"start": {"keyHash": "0x" + key_hash(REQUEST_KEY).hex()}}
        ctx = SimpleNamespace(
            cache=self.cache,
            client=SimpleNamespace(large=SimpleNamespace(domain=DOMAIN)),
            deployment=SimpleNamespace(is_large=True, fingerprint=FINGERPRINT),
            exchange=SimpleNamespace(models=lambda _place: {}),
            fetching=SimpleNamespace(
                put=self._put, take=self._take, was_missing=lambda *_: True, begin=lambda *_: None
            ),
        )
        terms = SimpleNamespace(
            approval_rule=ApprovalRule.TWO_THIRDS,
            commit_window=10,
            reveal_window=10,
            attest_window=10,
        )
        self.view: Any = SimpleNamespace(
            ctx=ctx,
            id=BALLOT.request,
            round=BALLOT.round,
            seat=seat,
            account=BALLOT.accounts[seat],
            facts=SimpleNamespace(history=BALLOT.history, forced=0),
            cohort=SimpleNamespace(members=BALLOT.accounts, indices=tuple(SEATS)),
            terms=terms,
            trainers=ROUND.accounts,
            start="1",
            events=lambda name, *_: [started] if name == "Started" else [],
            frame=SimpleNamespace(timestamp=100),
            share_passed=lambda: self.passed,
            judging_for=lambda: self.passed * terms.commit_window,
        )

    @property
    def voting(self) -> Any:
        return Voting(self.view, self._talk)

    @property
    def tallying(self) -> Any:
        return Tallying(self.view, self._talk)

    @property
    def recording(self) -> Any:
        return Recording(self.view, self._talk)

    @property
    def _talk(self) -> Any:
        return SimpleNamespace(board=self.board, held=self.board.held, say=self._say)

    def evidence(self, seats: Sequence[int] = tuple(SEATS)) -> JudgedRound:
        """That this judge proposes of these seats' votes."""
        found: JudgedRound = self.tallying._evidence(LISTED, set(seats))
        self._put(BALLOT.request, found.evidence.encode())
        return found

    def takes(self, proposed: JudgedRound) -> bool:
        """Whether this judge goes on with it when it is proposed."""
        by = FIRST
        assert by != self.seat
        self.board.take(said(by, Kind.TALLY, proposed.evidence.digest, bytes([by])))
        found = self.tallying.tally(LISTED)
        self.board.messages = {
            at: one for at, one in self.board.messages.items() if at[0] is not Kind.TALLY
        }
        self.cache.judged.clear()
        self.cache.first_seen.clear()
        return bool(found == proposed)

    def _say(self, kind: Kind, value: bytes, extra: bytes = b"") -> bool:
        own = said(self.seat, kind, value, extra)
        known = self.board.messages.get(own.at)
        if known is not None:
            return (known.content, known.more) == (value, extra)
        return self.board.take(own)

    def _put(self, _request: int, data: bytes) -> Cid:
        self.store[Cid.of(data).digest] = data
        return Cid.of(data)

    def _take(self, _request: int, cid: Cid, _most: int) -> bytes:
        if cid.digest in self.too_large:
            raise ContentTooLarge(f"more bytes than {cid} may have")
        if cid.digest not in self.store:
            raise ContentMissing(f"nobody has {cid}")
        return self.store[cid.digest]


@pytest.fixture
def store() -> dict[bytes, bytes]:
    content = [SLICE, *(one.encode() for one in (LISTED, *SHEETS, OTHER_SHEET))]
    return {Cid.of(one).digest: one for one in content}


VOTES = [vote(seat, sheet) for seat, sheet in enumerate(SHEETS)]
REVEALS = [reveal(seat, sheet) for seat, sheet in enumerate(SHEETS)]
ALL = [*VOTES, *REVEALS]


def test_evidence_of_one_judge_holds_for_the_others(store: dict[bytes, bytes]) -> None:
    a, b = (Stage(seat, ALL, store) for seat in (0, 1))
    assert b.takes(a.evidence())


def test_a_slice_that_opens_is_taken_however_the_requester_sealed_its_key(
    store: dict[bytes, bytes],
) -> None:
    # Two seals to each: a board keeps no third.
    stages = [
        Stage(seat, [*ALL, *(sent(sealed_key(number)) for number in numbers)], store)
        for seat, numbers in ((0, (1, 2)), (1, (3, 4)))
    ]
    for stage, number in zip(stages, (1, 3), strict=True):
        stage.cache.sealed[BALLOT.request, BALLOT.round] = sealed_key(number)
    a, b = stages
    assert b.takes(a.evidence())
    assert a.takes(b.evidence())


@pytest.mark.parametrize(
    "wrong", [b"\1" * 80, sealed_key(5, b"\1" * 32), sealed_key(5, b"short"), b"\1"]
)
def test_a_slice_that_nobody_sent_and_that_does_not_open_is_refused(
    store: dict[bytes, bytes], wrong: bytes
) -> None:
    a, b = (Stage(seat, [*ALL, sent(sealed_key(1))], store) for seat in (0, 1))
    a.cache.sealed[BALLOT.request, BALLOT.round] = wrong
    assert not b.takes(a.evidence())


@pytest.mark.parametrize("wrong", [b"\1" * 80, sealed_key(5, b"short")])
def test_a_sealed_key_that_opens_nothing_does_not_stop_a_judge(
    store: dict[bytes, bytes], wrong: bytes
) -> None:
    stage = Stage(0, [*ALL, sent(wrong), sent(sealed_key(1))], store)
    stage.voting.take_slices()
    assert stage.cache.slices


def test_a_slice_without_examples_does_not_stop_a_judge(store: dict[bytes, bytes]) -> None:
    empty = seal_model(SLICE_KEY, b"no examples", slice_aad(2))
    facts = {"cid": str(Cid.of(empty)), "sha256": sha256(b"no examples").hexdigest(), "examples": 2}
    stage = Stage(0, ALL, {**store, Cid.of(empty).digest: empty})
    stage.cache.specifications[BALLOT.request] = specification(
        rounds=2, evaluation=[BLANK_SLICE, facts]
    )
    stage.voting._take_slice(sent(sealed_key(1)))
    assert not stage.cache.sealed


def test_a_judge_that_votes_twice_does_not_split_the_others(store: dict[bytes, bytes]) -> None:
    last = SEATS[-1]
    twice = [vote(last, SHEETS[last]), vote(last, OTHER_SHEET)]
    opened = [*REVEALS, reveal(last, OTHER_SHEET)]
    a = Stage(0, [*VOTES[:-1], *twice, *opened], store)
    b = Stage(1, [*VOTES[:-1], *reversed(twice), *opened], store)
    assert b.takes(a.evidence())
    assert a.takes(b.evidence())
    unheard = Stage(1, [*VOTES[:-1], twice[1], *opened], store)
    assert unheard.takes(a.evidence())


def changed(found: JudgedRound, **change: object) -> JudgedRound:
    """With another vote of the last seat."""
    votes = found.evidence.votes
    last = votes[-1].model_copy(update=change)
    evidence = found.evidence.model_copy(update={"votes": (*votes[:-1], last)})
    return replace(found, evidence=evidence)


@pytest.mark.parametrize(
    "change",
    [
        {"sheet": OTHER_SHEET.digest.hex()},
        {"salt": salt(0).hex()},
        {"signature": VOTES[0].signature},
        {"signature": ""},
        {"signature": "00" * 65},
        {"signature": "00" * 66},
        {"wallet": True},
        {"seat": SEATS[-1] + 1},
        {"commitment": VOTES[0].value},
    ],
    ids=str,
)
def test_a_vote_that_its_seat_did_not_sign_or_that_does_not_open_is_refused(
    store: dict[bytes, bytes], change: dict[str, object]
) -> None:
    a, b = Stage(0, ALL, store), Stage(1, [*VOTES[:-1], *REVEALS[:-1]], store)
    found = a.evidence()
    assert b.takes(found)
    forged = changed(found, **change)
    store[forged.evidence.digest] = forged.evidence.encode()
    assert not b.takes(forged)


@pytest.mark.parametrize("of", ["the evidence", "a sheet", "the list"])
def test_evidence_of_which_a_store_gives_too_much_is_asked_for_again(
    store: dict[bytes, bytes], of: str
) -> None:
    """One such answer, and the honest proposal counted as one that can never hold."""
    a, b = Stage(0, ALL, store), Stage(1, ALL, dict(store))
    found = a.evidence()
    first = {
        "the evidence": found.evidence.digest,
        "a sheet": SHEETS[0].digest,
        "the list": LISTED.digest,
    }[of]
    b.store = dict(store)
    b.too_large.add(first)
    assert not b.takes(found)
    b.too_large.clear()
    assert b.takes(found)


@pytest.mark.parametrize("change", ["the list", "a vote"])
def test_what_evidence_names_is_read_only_once_it_fits(
    store: dict[bytes, bytes], change: str
) -> None:
    """A judge could have all others read and keep seventeen documents of 256 KiB each."""
    a, b = Stage(0, ALL, store), Stage(1, VOTES, dict(store))
    found, large = a.evidence().evidence, b"x" * 1_000
    named_large = Cid.of(large).digest.hex()
    if change == "the list":
        other = found.model_copy(update={"models": named_large})
    else:
        last = found.votes[-1].model_copy(update={"sheet": named_large})
        other = found.model_copy(update={"votes": (*found.votes[:-1], last)})
    b.store |= {Cid.of(large).digest: large, other.digest: other.encode()}
    b.board.take(said(FIRST, Kind.TALLY, other.digest, bytes([FIRST])))
    b.tallying.tally(LISTED)
    assert large not in b.cache.evidence.values()
    assert other.encode() in b.cache.evidence.values()


def test_evidence_of_earlier_rounds_is_not_kept(store: dict[bytes, bytes]) -> None:
    a = Stage(0, ALL, store)
    a.evidence()
    assert a.cache.evidence
    begin_round(a.view)
    assert a.cache.evidence
    a.view.round += 1
    begin_round(a.view)
    assert not a.cache.evidence


@pytest.mark.parametrize("content", [b"no evidence", b"{}"])
def test_evidence_that_is_malformed_is_refused_for_good(
    store: dict[bytes, bytes], content: bytes
) -> None:
    b = Stage(1, ALL, {**store, Cid.of(content).digest: content})
    b.board.take(said(FIRST, Kind.TALLY, Cid.of(content).digest, bytes([FIRST])))
    b.tallying.tally(LISTED)
    assert len(b.cache.refused) == 1


def test_nobody_leaves_out_a_vote_that_is_open_until_the_reveal_window_is_over(
    store: dict[bytes, bytes],
) -> None:
    a, b = Stage(0, ALL, store), Stage(1, ALL, store)
    without = a.evidence(SEATS[:-1])
    assert not b.takes(without)
    b.passed = 2.0
    assert b.takes(without)


def test_a_sheet_that_comes_late_counts(store: dict[bytes, bytes]) -> None:
    late = SHEETS[-1].digest
    stage = Stage(SEATS[-1] - 1, ALL, {at: one for at, one in store.items() if at != late})
    stage.view.frame.timestamp += 100
    assert stage.tallying.tally(LISTED) == "2 of 3 votes are open"
    stage.store[late] = store[late]
    assert stage.tallying.tally(LISTED) == "3 of 3 votes are open"
    stage.view.frame.timestamp += 100
    assert stage.tallying.tally(LISTED) == "proposed evidence of 3 votes"


def test_no_evidence_has_fewer_votes_than_a_quorum(store: dict[bytes, bytes]) -> None:
    sheets = {one.digest for one in SHEETS}
    stage = Stage(0, ALL, {at: one for at, one in store.items() if at not in sheets})
    for passed in (0.5, 2.0, 3.0):
        stage.passed = passed
        stage.view.frame.timestamp += 100
        assert stage.tallying.tally(LISTED) == "0 of 3 votes are open"
    assert not stage.board.held(Kind.TALLY)


def attest(seat: int, error: int = INVALID) -> Message:
    """That there is no global model."""
    return said(seat, Kind.ATTEST, bytes(32), error.to_bytes(2))


def test_a_judge_that_attests_two_errors_does_not_split_the_others(
    store: dict[bytes, bytes],
) -> None:
    first, second = attest(SEATS[-1], 900), attest(SEATS[-1], 901)
    board = LargeBoard({}, (), (0,) * 8, blind=False)
    a = Stage(0, [*ALL, attest(1), first], store)
    found = a.evidence()
    assert a.recording.record(found, board) == "3 judges attest the global model"
    a.view.frame.timestamp += 100
    assert a.recording.record(found, board) == "proposed a record with 3 judges' errors"
    proposed = a.board.messages[Message.place_of(Kind.RECORD, 0, 0)]
    b = Stage(1, [*ALL, attest(0), second, first, proposed], store)
    b.recording.record(found, board)
    b.view.frame.timestamp += 100
    record = b.recording.record(found, board)
    assert record.hash == proposed.content
    assert b.board.held(Kind.ROUND)[1].content == record.hash


def test_nobody_leaves_out_an_error_before_half_of_the_attest_window_is_over(
    store: dict[bytes, bytes],
) -> None:
    board = LargeBoard({}, (), (0,) * 8, blind=False)
    b = Stage(1, [*ALL, attest(0), attest(1), attest(2, 900)], store)
    found = b.evidence()
    (record,) = b.recording._records(found, board, bytes(32), {0, 1})
    mask = mask_of([0, 1]).to_bytes(2)
    b.board.take(said(FIRST, Kind.RECORD, record.hash, bytes([FIRST]) + mask))
    assert b.recording.record(found, board) == "3 judges attest the global model"
    b.passed = 2.5
    assert b.recording.record(found, board) == record


def test_a_blind_judge_says_which_models_open_once_it_knows(
    store: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, found = Stage(0, ALL, store).voting, dict[int, object]()
    monkeypatch.setattr(voting, "round_models", lambda _view: found or None)
    assert judge._blind(late=True) == "waiting for the trainers' models"
    found |= {4: object(), 5: None}
    assert judge._blind(late=True) == ScoreSheet(scores=None, opened=(4,))

"""The record of a large round: whose errors it has, who signs and who posts it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, product

from fedpact.chain import headers
from fedpact.chain.signed_messages import LargeRecord
from fedpact.consensus.committee_evidence import (
    JudgedRound,
    ModelList,
)
from fedpact.consensus.large_rounds import LargeBoard, words
from fedpact.exchange.messages import Kind, Message
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.aggregating import MEASURING, aggregate_digest, own_error
from fedpact.provider.duties.large_rounds.part import JudgesPart
from fedpact.provider.duties.large_rounds.submitting import (
    forced_models,
)
from fedpact.provider.duties.turns import TURN_SECONDS, due_turn
from fedpact.provider.duties.unsure_wallets import quorum_of, send_signed
from fedpact.types.requests import mask_of, seats_of
from fedpact.types.scores import INVALID, MAX_SEATS, SCORE_BITS

MOST_RECORDS = 32
"""That are tried where judges attested two errors: for five of them, all that there are."""


class Recording(JudgesPart):
    """Attests the global model, signs the record and posts it."""

    def record(self, found: JudgedRound, board: LargeBoard) -> LargeRecord | str:
        """Attest the global model, and sign the record; why it is not signed yet."""
        view, talk = self._view, self._talk
        digest, error = bytes(32), INVALID
        included = found.opened if board.blind else board.included
        if any(board.points) and included:
            known = aggregate_digest(view)
            if known is None:
                return "waiting for the included models"
            measured = own_error(view)
            if measured is None:
                return MEASURING
            digest, error = known, measured
        if not talk.say(Kind.ATTEST, digest, error.to_bytes(2)):
            return "attested another model"
        attested = {seat for seat, one in talk.held(Kind.ATTEST).items() if one.content == digest}
        voters = {one.seat for one in found.evidence.votes} - self._contradicting(Kind.ATTEST)
        sure = attested - self._contradicting(Kind.ATTEST)
        terms = view.terms
        over = view.judging_for() >= (
            terms.commit_window + terms.reveal_window + terms.attest_window // 2
        )

        def right(message: Message) -> LargeRecord | None:
            seats = set(seats_of(int.from_bytes(message.more[1:])))
            # Nobody may leave out an error that is here either.
            if not {view.seat} | (set() if over else sure & voters) <= seats:
                return None
            every = self._records(found, board, digest, seats)
            return next((one for one in every if one.hash == message.content), None)

        ready = len(sure) >= self._needed and (over or sure >= voters)
        record = self._proposals.settled(Kind.RECORD, Kind.ATTEST, right, ready=ready)
        if record is not None:
            return record if talk.say(Kind.ROUND, record.hash) else "signed another record"
        if not (ready and self._proposals.may_propose(Kind.RECORD, Kind.ATTEST)):
            return f"{len(attested)} judges attest the global model"
        (record,) = self._records(found, board, digest, sure)
        self._proposals.propose(Kind.RECORD, record.hash, mask_of(sure).to_bytes(2))
        return f"proposed a record with {len(sure)} judges' errors"

    def _records(
        self, found: JudgedRound, board: LargeBoard, digest: bytes, seats: set[int]
    ) -> Iterable[LargeRecord]:
        """With the errors of these seats: as many as those that said two errors make, and none
        where one of them has attested no such model here."""
        said = self._talk.board
        held = [
            {
                one.error
                for one in (said.messages.get(at), said.contradictions.get(at))
                if one is not None and one.content == digest
            }
            for at in ((Kind.ATTEST, seat) for seat in sorted(seats))
        ]
        for errors in islice(product(*held), MOST_RECORDS):
            lanes = zip(sorted(seats), errors, strict=True)
            of_seat = dict.fromkeys(range(MAX_SEATS), INVALID) | dict(lanes)
            yield LargeRecord(
                found.listed.tree.root,
                found.evidence.digest,
                digest,
                sum(error << SCORE_BITS * seat for seat, error in of_seat.items()),
                board.blind,
                tuple(words(board.points, self._view.cohort.indices)),
            )

    def post(self, record: LargeRecord, listed: ModelList) -> DutyResult:
        """Post the record in turn once enough have signed it."""
        view = self._view
        every = {
            seat: one
            for seat, one in self._talk.held(Kind.ROUND).items()
            if one.content == record.hash
        }
        signed = quorum_of(view, self._talk, every, self._needed)
        if len(signed) < self._needed:
            unsure = len(every) - len(signed)
            without = f", without {unsure} that may not stand by it" if unsure else ""
            return idle(f"{len(signed)} judges have signed the record{without}")
        turns = list(signed)
        after = 0 if len(signed) == len(self._order) else TURN_SECONDS
        first = self._order[0]
        if not due_turn(view, f"post {view.start}", turns, first, after):
            return idle("another judge posts the round")
        ctx, own = view.ctx, view.seat if view.ctx.keys.wallet is None else None
        inclusion = listed.tree.inclusion(forced_models(view)).fields
        header = headers.encoded(view.drawing_block) if view.facts.draw_block else b""
        signatures = [one.signed for seat, one in signed.items() if seat != own]
        call = ctx.client.large.post(
            view.id, record, inclusion, mask_of(signed), signatures, header
        )
        receipt = send_signed(view, self._talk, call, list(signed.values()))
        said = f"posted for {len(signed)} judges and {len(listed.models)} models"
        return did(f"round {view.round}: {said} ({receipt.gas_used} gas)")

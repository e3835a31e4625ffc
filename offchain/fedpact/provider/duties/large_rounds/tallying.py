"""Which votes of a large round count: the evidence that its judges go by."""

from __future__ import annotations

import logging
from functools import partial

from pydantic import ValidationError

from fedpact.consensus.committee_evidence import (
    CommitteeEvidence,
    JudgedRound,
    JudgeVote,
    ModelList,
    ScoreSheet,
    parts_of,
    read_round,
)
from fedpact.errors import ContentError, ContentUnavailable, Retryable
from fedpact.exchange.messages import Forged, Kind, Message
from fedpact.provider.duties.large_rounds.part import JudgesPart
from fedpact.provider.duties.large_rounds.proposals import Spoilt
from fedpact.provider.request.reading import (
    slice_opened_by,
)

log = logging.getLogger(__name__)


class Tallying(JudgesPart):
    """Ties list, slice and opened votes together."""

    def tally(self, listed: ModelList) -> JudgedRound | str:
        """The votes that count; why they are not known yet."""
        view, known = self._view, self._view.ctx.cache.judged
        found = known.get(self._at)
        if found is not None:
            return found
        voted = self._voters(listed)
        opened = set(self._talk.held(Kind.REVEAL)) & voted
        readable, void = self._sheets(listed, opened)
        terms = view.terms
        over = view.judging_for() >= terms.commit_window + terms.reveal_window
        # Nobody may leave out a vote that is open here. After the window it may not have it.
        wanted = set() if over else readable - self._contradicting(Kind.VOTE)
        right = partial(self._agreeable, listed=listed, wanted=wanted)
        ready = (over or readable | void == voted) and len(readable) >= self._needed
        judged = self._proposals.settled(Kind.TALLY, Kind.REVEAL, right, ready=ready)
        if judged is not None:
            known[self._at] = judged
            return judged
        if not (ready and self._proposals.may_propose(Kind.TALLY, Kind.REVEAL)):
            return f"{len(readable)} of {len(voted)} votes are open"
        judged = self._evidence(listed, readable)
        self._keep_evidence(judged)
        self._proposals.propose(Kind.TALLY, judged.evidence.digest)
        return f"proposed evidence of {len(readable)} votes"

    def _sheets(self, listed: ModelList, opened: set[int]) -> tuple[set[int], set[int]]:
        """Of the seats whose votes are open: those whose sheet is here, and those whose sheet does
        not fit the list. The others' are looked for."""
        readable, void, revealed = set[int](), set[int](), self._talk.held(Kind.REVEAL)
        for seat in sorted(opened):
            try:
                content = self._content(revealed[seat].content)
            except (ContentError, ContentUnavailable) as error:
                log.info("request %d, round %d: the vote of seat %d: %s", *self._at, seat, error)
                continue
            try:
                ScoreSheet.decode(content).by_index(listed)
            except ContentError as error:
                log.info("request %d, round %d: the vote of seat %d: %s", *self._at, seat, error)
                void.add(seat)
            else:
                readable.add(seat)
        return readable, void

    def _keep_evidence(self, judged: JudgedRound) -> None:
        """Whoever proposed it may show it to some alone."""
        for digest in parts_of(judged.evidence):
            self._publish(self._content(digest))
        self._publish(judged.evidence.encode())

    def _evidence(self, listed: ModelList, seats: set[int]) -> JudgedRound:
        """Of these seats' votes."""
        view, held, revealed = self._view, self._talk.held(Kind.VOTE), self._talk.held(Kind.REVEAL)
        votes = []
        for seat in sorted(seats):
            vote, sheet = held[seat], revealed[seat]
            signed = {"signature": vote.wallet or vote.signature, "wallet": bool(vote.wallet)}
            votes.append(
                JudgeVote(
                    seat=seat,
                    sheet=sheet.value,
                    salt=sheet.extra,
                    commitment=vote.value,
                    **signed,  # type: ignore[arg-type]
                )
            )
        sealed = view.ctx.cache.sealed.get(self._at, b"")
        evidence = CommitteeEvidence(
            request=view.id,
            round=view.round,
            history=view.facts.history.hex(),
            models=listed.digest.hex(),
            slice=sealed.hex(),
            votes=tuple(votes),
        )
        return read_round(evidence, self._content)

    def _agreeable(
        self, message: Message, listed: ModelList, wanted: set[int]
    ) -> JudgedRound | None:
        """What evidence says, if it has the own vote, those of the seats `wanted` and enough
        others, and all its votes are signed and open; None for other evidence, or while it is
        looked for. Raises Spoilt for what is malformed, or has a vote that a key has not signed."""
        digest = message.content
        try:
            evidence = self._evidence_at(digest)
            if not self._fits(evidence, listed, wanted):
                log.warning("request %d, round %d: not signing for 0x%s", *self._at, digest.hex())
                return None
            judged = self._judged(evidence)
        except (ContentError, ContentUnavailable) as error:
            log.info("request %d, round %d: evidence 0x%s: %s", *self._at, digest.hex(), error)
            return None
        self._keep_evidence(judged)
        return judged

    def _fits(self, evidence: CommitteeEvidence, listed: ModelList, wanted: set[int]) -> bool:
        """As far as that follows without what evidence names: a judge may name much, and nobody
        reads what no seat has voted for. Raises Spoilt."""
        view = self._view
        seats = {one.seat for one in evidence.votes}
        own = {view.seat} & set(self._talk.held(Kind.REVEAL))
        right = (evidence.request, evidence.round) == self._at
        right &= evidence.history == view.facts.history.hex()
        right &= evidence.models == listed.digest.hex()
        right &= len(seats) >= self._needed and seats >= own | wanted
        right = right and self._fits_slice(evidence)
        return right and all(self._stands(one, listed) for one in evidence.votes)

    # A store may give the right bytes later, even where it gave too many: what it raises is no
    # reason to refuse evidence for good.

    def _evidence_at(self, digest: bytes) -> CommitteeEvidence:
        """Raises what the store raises, and Spoilt for what is malformed."""
        content = self._content(digest)
        try:
            return CommitteeEvidence.decode(content)
        except ContentError as error:
            raise Spoilt(str(error)) from error

    def _judged(self, evidence: CommitteeEvidence) -> JudgedRound:
        """What evidence says. Raises as `_evidence_at`."""
        parts = {part: self._content(part) for part in parts_of(evidence)}
        try:
            return read_round(evidence, parts.__getitem__)
        except ContentError as error:
            raise Spoilt(str(error)) from error

    def _stands(self, one: JudgeVote, listed: ModelList) -> bool:
        """Whether a seat signed this vote on the list, and it opens. It need not be the vote that
        is held here: a seat that signs two may have said one to some and one to others. Raises
        Spoilt where that stays so; a wallet may say something else later."""
        board = self._talk.board
        if one.seat >= len(self._order):
            raise Spoilt(f"there is no seat {one.seat}")
        at = (*self._at, board.ballot.accounts[one.seat], int(one.sheet, 16))
        domain = self._view.ctx.client.large.domain
        if domain.commitment(*at, bytes.fromhex(one.salt)).hex() != one.commitment:
            raise Spoilt(f"the vote of seat {one.seat} does not open")
        try:
            vote = Message(
                kind=Kind.VOTE,
                seat=one.seat,
                value=one.commitment,
                extra=listed.digest.hex(),
                signature="" if one.wallet else one.signature,
                wallet=one.signature if one.wallet else "",
            )
            if vote in (board.messages.get(vote.at), board.contradictions.get(vote.at)):
                return True
            board.ballot.look_up([vote])
            return board.counts(vote)
        except (Forged, ValidationError) as error:
            if not one.wallet:
                raise Spoilt(f"a vote: {error}") from error
            log.warning("request %d, round %d: a vote in evidence: %s", *self._at, error)
            return False

    def _fits_slice(self, evidence: CommitteeEvidence) -> bool:
        """Whether evidence names no slice, one that was said here, or one that opens: a requester
        may seal a key many times, and say other seals to other judges."""
        if evidence.slice in {"", *(one.value for one in self._slices())}:
            return True
        view = self._view
        try:
            slice_opened_by(view, view.round, bytes.fromhex(evidence.slice))
        except (ContentError, Retryable) as error:
            log.warning("request %d, round %d: the slice of the evidence: %s", *self._at, error)
            return False
        return True

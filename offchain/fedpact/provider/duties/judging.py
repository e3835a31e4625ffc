"""A judge's part in a large round, once its submissions are over; and what ends such rounds.

Each judge first says which models it holds, and takes none any more. Seats take turns to propose
which models the round has (pick), which votes count (tally) and whose errors the record has
(record); all go by what a quorum supports (`duties.proposals`). So all that agree sign the same
record, though some are silent, or say two things. Lists, scores and evidence are in the content
store; messages have their digests (`exchange.messages.LargeBallot`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import islice, product

from pydantic import ValidationError

from fedpact.chain import headers
from fedpact.chain.signed_messages import LargeRecord
from fedpact.consensus.artefacts import SLICE_MAX_BYTES
from fedpact.consensus.contribution_record import ContributionRecord
from fedpact.consensus.evidence import (
    EVIDENCE_MAX_BYTES,
    CommitteeEvidence,
    JudgedRound,
    JudgeVote,
    ModelList,
    ScoreSheet,
    parts_of,
    read_round,
)
from fedpact.consensus.large_rounds import LargeBoard, words
from fedpact.errors import ContentError, ContentMissing, ContentUnavailable, Retryable
from fedpact.exchange.messages import Forged, Kind, Message
from fedpact.exchange.submissions import HeldLists, Roll, Submission
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.aggregating import MEASURING, aggregate_digest, own_error
from fedpact.provider.duties.catching_up import caught_up, counts_as_missing
from fedpact.provider.duties.messages import Talk
from fedpact.provider.duties.naming import (
    begin_round,
    fix_committee,
    forced_models,
    gather,
    needed_of,
    trainers_of,
)
from fedpact.provider.duties.proposals import Proposals
from fedpact.provider.duties.turns import TURN_SECONDS, due_turn, my_turn_in_pool
from fedpact.provider.duties.voting import round_models, salt_of
from fedpact.provider.request.history import board_of, evidence_content, replay_of
from fedpact.provider.request.reading import (
    evaluation_slice,
    put,
    request_key,
    slice_opened_by,
    specification_of,
)
from fedpact.provider.request.view import LargeView, large_posted
from fedpact.provider.state.messages import LISTED, SHEET
from fedpact.types.cid import Cid
from fedpact.types.requests import mask_of, seats_of
from fedpact.types.scores import INVALID, MAX_SEATS, SCORE_BITS

log = logging.getLogger(__name__)

GATHERING = 0.1
"""Share of the commit window in which the first seat waits for all to say what they hold."""
BLIND_AFTER = 0.5
"""Share of the commit window after which a round without a slice is blind."""
MOST_RECORDS = 32
"""That are tried where judges attested two errors: for five of them, all that there are."""


def judge_models(view: LargeView) -> DutyResult:
    """Judge a round's models with the rest of its committee, and post what a quorum finds."""
    begin_round(view)
    exchange = view.ctx.exchange
    if exchange is None or view.own_seat is None:
        return idle("the committee judges")
    exchange.forget(view.id, view.round)
    try:
        request_key(view)
    except ContentError as error:
        return idle(f"not judging: {error}")
    talk = gather(view, exchange)
    return fix_committee(view) or _Judging(view, talk).go_on()


class _Judging:
    """The steps of a round, each as soon as it is possible."""

    def __init__(self, view: LargeView, talk: Talk) -> None:
        self._view, self._talk = view, talk
        self._at = (view.id, view.round)
        self._proposals = Proposals(view, talk)
        self._order = self._proposals.order
        self._needed = needed_of(view)

    def go_on(self) -> DutyResult:
        """Do and say all that is possible now."""
        for message in self._slices():
            self._take_slice(message)
        listed = self._listed()
        if not isinstance(listed, ModelList):
            return listed
        voted = self._vote(listed)
        if voted is not None:
            return idle(voted)
        opened = self._reveal(listed)
        if opened is not None:
            return idle(opened)
        found = self._tally(listed)
        if isinstance(found, str):
            return idle(found)
        board = self._boarded(found)
        record = self._record(found, board)
        if isinstance(record, str):
            return idle(record)
        return self._post(record, listed)

    # ------------------------------------------------------------------ which models

    def _listed(self) -> ModelList | DutyResult:
        """The list that this judge votes on."""
        view, known = self._view, self._view.ctx.cache.picked
        if self._at in known:
            return known[self._at]
        kept = self._kept(LISTED)
        if kept is not None:
            known[self._at] = ModelList.decode(kept)
            return known[self._at]
        forced = forced_models(view)
        if len(forced) != view.facts.forced:
            raise ContentMissing("not all forced models' events have been read yet")
        self._say_held()
        held, right = self._held_lists(), partial(self._acceptable, forced=forced)
        over = view.share_passed() > GATHERING and len(held) >= self._needed
        ready = over or len(held) == len(self._order)
        listed = self._proposals.settled(Kind.PICK, Kind.HELD, right, ready=ready)
        if listed is not None:
            return self._go_by(listed)
        if not (ready and self._proposals.may_propose(Kind.PICK, Kind.HELD)):
            return idle(f"{len(held)} judges' lists are here; waiting for that of the round")
        named = self._named(held)
        if not named and not forced:
            return idle("no trainer named a model")
        picked = ModelList.of(named, forced)
        self._publish(picked.encode())
        self._proposals.propose(Kind.PICK, picked.digest, mask_of(held).to_bytes(2))
        return idle(f"proposed a list of {len(picked.models)} models")

    def _go_by(self, listed: ModelList) -> ModelList:
        """Judge by a list for good, over a restart too: the vote is for it."""
        self._keep(LISTED, listed.encode())
        self._view.ctx.cache.picked[self._at] = listed
        return listed

    def _say_held(self) -> None:
        """Say for good which models came in time."""
        view = self._view
        if view.seat in self._talk.held(Kind.HELD):
            return
        assert view.ctx.exchange is not None
        models = view.ctx.exchange.models(self._at)
        own = ModelList.of(models, {}) if models else None
        if own is not None:
            self._publish(own.encode())
        self._talk.say(Kind.HELD, own.digest if own else bytes(32))

    def _contradicting(self, kind: Kind) -> set[int]:
        """Seats that said two things."""
        return {seat for of, seat in self._talk.board.contradictions if of is kind}

    def _held_lists(self) -> dict[int, list[Submission]]:
        """By seat: the models that each judge held, as far as its list is here."""
        found = {}
        for seat, message in self._talk.held(Kind.HELD).items():
            if seat in self._contradicting(Kind.HELD):
                continue
            try:
                found[seat] = self._held_list(message)
            except (ContentError, ContentUnavailable) as error:
                log.info("request %d, round %d: what seat %d holds: %s", *self._at, seat, error)
        return found

    def _held_list(self, message: Message) -> list[Submission]:
        digest = message.content
        return ModelList.decode(self._content(digest)).signed if any(digest) else []

    def _named(self, held: dict[int, list[Submission]]) -> dict[int, Submission]:
        """The models that follow from these lists, signed. Others may need to read the lists."""
        for seat in held:
            digest = self._talk.held(Kind.HELD)[seat].content
            if any(digest):
                self._publish(self._content(digest))
        picked = HeldLists(len(self._order), held.values()).picked()
        roll = Roll(trainers_of(self._view))
        for one in (model for models in held.values() for model in models):
            if picked.get(one.index) == one.content:
                roll.take([one])
        return roll.held

    def _acceptable(self, message: Message, forced: dict[int, bytes]) -> ModelList | None:
        """A list, if it follows from what judges held that a quorum of lists shows, trainers signed
        for it, and it has all that was forced in; None for another, or while one is looked for."""
        view, digest = self._view, message.content
        said, lying = self._talk.held(Kind.HELD), self._contradicting(Kind.HELD)
        seats = set(seats_of(int.from_bytes(message.more[1:])))
        if len(seats) < self._needed or not seats <= set(said):
            return None
        try:
            listed = ModelList.decode(self._content(digest))
            lists = [self._held_list(said[seat]) for seat in sorted(seats - lying)]
        except (ContentError, ContentUnavailable) as error:
            log.info("request %d, round %d: the list 0x%s: %s", *self._at, digest.hex(), error)
            return None
        found = listed.digests
        right = all(found.get(index) == one for index, one in forced.items())
        unsigned = {one.index for one in listed.models if not one.signature}
        held = HeldLists(len(self._order), lists, len(seats & lying))
        right &= unsigned == set(forced) and held.allow(listed.signed, unsigned)
        roll = Roll(trainers_of(view))
        if not right or len(roll.take(listed.signed)) != len(listed.signed):
            text = "request %d, round %d: not judging by the list 0x%s"
            log.warning(text, *self._at, digest.hex())
            return None
        for one in (digest, *(said[seat].content for seat in seats - lying)):
            if any(one):
                self._publish(self._content(one))  # whoever proposed it may show it to some alone
        return listed

    # ------------------------------------------------------------------ votes

    def _vote(self, listed: ModelList) -> str | None:
        """Say the own vote; why there is none yet, or None."""
        view = self._view
        if view.seat in self._talk.held(Kind.VOTE):
            return None
        kept = self._kept(SHEET)
        sheet = self._sheet(listed) if kept is None else ScoreSheet.decode(kept)
        if isinstance(sheet, str):
            return sheet
        self._keep(SHEET, sheet.encode())  # Public once it is opened: others could copy it.
        domain = view.ctx.client.large.domain
        number = int.from_bytes(sheet.digest)
        commitment = domain.commitment(*self._at, view.account, number, salt_of(view))
        return None if self._talk.say(Kind.VOTE, commitment, listed.digest) else "voted before"

    def _sheet(self, listed: ModelList) -> ScoreSheet | str:
        """The own scores; why there are none yet."""
        view = self._view
        cid = Cid.parse(specification_of(view).evaluation[view.round - 1].cid)
        view.ctx.fetching.begin(view.id, cid, SLICE_MAX_BYTES)
        with suppress(Retryable, ContentError):  # the vote meets it too, if it stays
            round_models(view)
        late = view.share_passed() > BLIND_AFTER
        try:
            if evaluation_slice(view, view.round) is None:
                return self._blind(late=late)
        except ContentUnavailable as error:
            if not counts_as_missing(view, error):
                return f"waiting for the evaluation slice: {error}"
            return self._blind(late=True)
        except ContentError:
            return self._blind(late=late)
        if round_models(view) is None or not caught_up(view, voting=True):
            return "waiting for the trainers' models"
        scores = self._scores()
        if scores is None:
            return "scoring the models"
        return ScoreSheet.of(listed, scores)

    def _blind(self, *, late: bool) -> ScoreSheet | str:
        if not late:
            return "waiting for the evaluation slice"
        models = round_models(self._view)
        if models is None:
            return "waiting for the trainers' models"
        log.warning("request %d: round %d is blind to me", *self._at)
        opened = sorted(index for index, model in models.items() if model is not None)
        return ScoreSheet(scores=None, opened=tuple(opened))

    def _scores(self) -> dict[int, int] | None:
        view = self._view

        def scoring() -> Callable[[], tuple[dict[int, int], ContributionRecord]]:
            return replay_of(view).scoring(view.round).result

        found = view.ctx.public_work.result(("score", *self._at), scoring, view.deadline)
        if found is None:
            return None
        view.ctx.cache.records[self._at] = found[1]
        return view.ctx.trainer.work.vote(found[0], -1)

    def _take_slice(self, message: Message) -> None:
        """Use a slice if it opens."""
        view = self._view
        if self._at in view.ctx.cache.slices:
            return
        view.ctx.cache.sealed[self._at] = message.content
        try:
            evaluation_slice(view, view.round)
        except Retryable:
            pass  # Its bytes may come; the vote waits for them.
        except ContentError as error:
            log.warning("request %d: the slice sent for round %d: %s", *self._at, error)
            del view.ctx.cache.sealed[self._at]

    def _slices(self) -> list[Message]:
        """What the requester sent; it may have sent two."""
        board = self._talk.board
        found = [board.messages, board.contradictions]
        return [one for held in found for (kind, _), one in held.items() if kind is Kind.SLICE]

    def _reveal(self, listed: ModelList) -> str | None:
        """Open the own vote once all that vote on this list have said theirs; why not yet."""
        view, seats = self._view, set(self._order)
        voted = self._voters(listed)
        over = view.share_passed() >= 1
        if voted != seats and not (over and len(voted) >= self._needed):
            return f"{len(voted)} of {len(seats)} judges have voted"
        if view.seat in self._talk.held(Kind.REVEAL):
            return None
        sheet = self._own_sheet(listed)
        if sheet is None:
            return "computing the own vote again"
        self._talk.say(Kind.REVEAL, sheet, salt_of(view))
        return None

    def _own_sheet(self, listed: ModelList) -> bytes | None:
        """The digest that the own vote was for."""
        view = self._view
        commitment = self._talk.held(Kind.VOTE)[view.seat].content
        domain = view.ctx.client.large.domain
        kept = self._kept(SHEET)
        sheet = self._sheet(listed) if kept is None else ScoreSheet.decode(kept)
        if not isinstance(sheet, ScoreSheet):
            return None
        at = (*self._at, view.account, int.from_bytes(sheet.digest), salt_of(view))
        if domain.commitment(*at) != commitment:
            return None
        self._publish(sheet.encode())
        return sheet.digest

    def _voters(self, listed: ModelList) -> set[int]:
        held = self._talk.held(Kind.VOTE)
        return {seat for seat, one in held.items() if one.more == listed.digest}

    # ------------------------------------------------------------------ the tally

    def _tally(self, listed: ModelList) -> JudgedRound | str:
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
                ScoreSheet.decode(self._content(revealed[seat].content)).by_index(listed)
            except (ContentError, ContentUnavailable) as error:
                log.info("request %d, round %d: the vote of seat %d: %s", *self._at, seat, error)
                if isinstance(error, ContentError):
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
        looked for."""
        view, digest = self._view, message.content
        try:
            evidence = CommitteeEvidence.decode(self._content(digest))
            judged = read_round(evidence, self._content)
        except (ContentError, ContentUnavailable) as error:
            log.info("request %d, round %d: evidence 0x%s: %s", *self._at, digest.hex(), error)
            return None
        seats = {one.seat for one in evidence.votes}
        own = {view.seat} & set(self._talk.held(Kind.REVEAL))
        right = (evidence.request, evidence.round) == self._at
        right &= evidence.history == view.facts.history.hex()
        right &= judged.listed == listed and self._fits_slice(evidence)
        right &= len(seats) >= self._needed and seats >= own | wanted
        right = right and all(self._stands(one, listed) for one in evidence.votes)
        if not right:
            log.warning("request %d, round %d: not signing for 0x%s", *self._at, digest.hex())
            return None
        self._keep_evidence(judged)
        return judged

    def _stands(self, one: JudgeVote, listed: ModelList) -> bool:
        """Whether a seat signed this vote on the list, and it opens. It need not be the vote that
        is held here: a seat that signs two may have said one to some and one to others."""
        board = self._talk.board
        if one.seat >= len(self._order):
            return False
        at = (*self._at, board.ballot.accounts[one.seat], int(one.sheet, 16))
        domain = self._view.ctx.client.large.domain
        if domain.commitment(*at, bytes.fromhex(one.salt)).hex() != one.commitment:
            return False
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

    def _boarded(self, found: JudgedRound) -> LargeBoard:
        view, known = self._view, self._view.ctx.cache.boards
        if self._at not in known:
            known[self._at] = board_of(view, found, view.cohort)
        return known[self._at]

    # ------------------------------------------------------------------ the record

    def _record(self, found: JudgedRound, board: LargeBoard) -> LargeRecord | str:
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

    def _post(self, record: LargeRecord, listed: ModelList) -> DutyResult:
        """Post the record in turn once enough have signed it."""
        view = self._view
        signed = {
            seat: one
            for seat, one in self._talk.held(Kind.ROUND).items()
            if one.content == record.hash
        }
        if len(signed) < self._needed:
            return idle(f"{len(signed)} judges have signed the record")
        turns = sorted(signed)
        after = 0 if len(signed) == len(self._order) else TURN_SECONDS
        first = self._order[0]
        if not due_turn(view, f"post {view.start}", turns, first, after):
            return idle("another judge posts the round")
        ctx, own = view.ctx, view.seat if view.ctx.keys.wallet is None else None
        inclusion = listed.tree.inclusion(forced_models(view)).fields
        header = headers.encoded(view.drawing_block) if view.facts.draw_block else b""
        signatures = [one.signed for seat, one in sorted(signed.items()) if seat != own]
        call = ctx.client.large.post(
            view.id, record, inclusion, mask_of(signed), signatures, header
        )
        receipt = ctx.client.send(ctx.keys, call)
        said = f"posted for {len(signed)} judges and {len(listed.models)} models"
        return did(f"round {view.round}: {said} ({receipt.gas_used} gas)")

    # ------------------------------------------------------------------ content

    def _content(self, digest: bytes) -> bytes:
        return evidence_content(self._view, digest)

    def _keep(self, what: str, content: bytes) -> None:
        """In the state: what is voted for good is not computed again."""
        view = self._view
        if self._kept(what) is None:
            row = (f"{what} {view.start}", view.seat, content.decode())
            view.ctx.state.said.hear(*self._at, [row])

    def _kept(self, what: str) -> bytes | None:
        view = self._view
        found = view.ctx.state.said.heard(*self._at, [f"{what} {view.start}"])
        return found[0].encode() if found else None

    def _publish(self, content: bytes) -> None:
        """Put evidence into the store, and keep it here. A store that is slow gets it later."""
        view, digest = self._view, Cid.of(content).digest
        if len(content) > EVIDENCE_MAX_BYTES:
            raise ContentError(f"{len(content)} bytes of evidence: at most {EVIDENCE_MAX_BYTES}")
        view.ctx.cache.evidence[(view.id, digest)] = content
        with suppress(Retryable):
            put(view, content, "evidence")


def close_large_round(view: LargeView) -> DutyResult:
    """Close a round that nobody posted in time; members take turns."""
    if not my_turn_in_pool(view, view.round):
        return idle("waiting for the members before me to close the round")
    ctx = view.ctx
    receipt = ctx.client.send(ctx.keys, ctx.client.large.close(view.id))
    return did(f"round {view.round} came to nothing: closed it ({receipt.gas_used} gas)")


def sum_points(view: LargeView) -> DutyResult:
    """Have the contract add up the points of all rounds; members take turns."""
    if not my_turn_in_pool(view, 0):
        return idle("waiting for the members before me to sum up the points")
    ctx = view.ctx
    records = [large_posted(ctx, view.id, one) for one in view.events("RoundPosted")]
    points = [record.points for record in records if any(record.points)]
    receipt = ctx.client.send(ctx.keys, ctx.client.large.sum(view.id, points))
    return did(f"summed up the points of {len(points)} rounds ({receipt.gas_used} gas)")

"""Take a round on by signed messages: where all agree, it becomes one transaction.

What is missing at a share of a phase's window goes on chain: first a batch of all that is held,
posted by the members in turn; near the end of the window each member calls for itself.
"""

import logging
from collections.abc import Mapping, Sequence

from fedpact.chain.addresses import checksum
from fedpact.chain.records import Call
from fedpact.chain.signed_messages import BLIND, RoundRecord
from fedpact.consensus.leader import leader
from fedpact.consensus.proof_of_quality import judge
from fedpact.errors import ContentError, Retryable, Reverted
from fedpact.exchange.messages import Kind, Message, vote_bytes
from fedpact.provider.context import DutyResult, did, idle
from fedpact.provider.duties.aggregating import (
    MEASURING,
    aggregate_digest,
    attestations_of,
    own_error,
    tallied_of,
)
from fedpact.provider.duties.messages import Talk, peers_of
from fedpact.provider.duties.submitting import publish_model, ready_model
from fedpact.provider.duties.turns import due_turn
from fedpact.provider.duties.unsure_wallets import left_out, send_signed
from fedpact.provider.duties.voting import anchored_of, look_ahead, own_vote, packed, salt_of
from fedpact.provider.request.reading import (
    evaluation_slice,
    request_key,
    sealed_slice_key,
    submitted_digests,
)
from fedpact.provider.request.view import RequestView
from fedpact.types.requests import NOBODY, CohortMember, MessageKind, Phase, mask_of, seats_of
from fedpact.types.scores import SCORE_BITS

log = logging.getLogger(__name__)

BATCH_AFTER = {Phase.SUBMIT: 0.8, Phase.COMMIT: 0.5, Phase.REVEAL: 0.5, Phase.ATTEST: 0.5}
"""Share of a phase's window after which what is held goes on chain."""
ALONE_AFTER, ALONE_SECONDS = 0.9, 5
"""Share of a window after which each member calls for itself, and the least time that it has left
for that."""
SLICE_SECONDS, SLICE_PART = 2, 100
"""How long a requester may take to send its slice, once all models are held, before they go on
chain: two seconds or a hundredth of the submit window. It may not take part in the exchange."""
SLICE_AFTER = 0.25
"""Share of the commit window after which a slice that came by message goes on chain: the round is
blind without it in half of the window."""
CONTRADICTORY = {
    Kind.MODEL: MessageKind.MODEL,
    Kind.VOTE: MessageKind.VOTE,
    Kind.ATTEST: MessageKind.ATTEST,
}


def agree(view: RequestView) -> DutyResult | None:
    """What messages make possible now; None: the calls of single members are due.

    Members of round 1 submit on chain: after a void start it starts over with other models, and a
    signature for the first would be one for the second as well.
    """
    exchange, facts = view.ctx.exchange, view.facts
    if exchange is not None:
        exchange.forget(view.id, view.round)  # also where the account is not drawn again
    if exchange is None or view.own_seat is None or view.in_mask(facts.voided) or facts.halted:
        return None
    if facts.phase is Phase.SUBMIT and view.round == 1:
        return None
    if facts.phase not in BATCH_AFTER or _alone(view):
        return None
    peers = peers_of(view)
    if not exchange.own:
        if peers is None:
            return idle("looking for the other members' addresses")
        if not peers:
            return None
    talk = Talk(view, exchange, peers or ())
    reported = _report(view, talk)
    if reported is not None:
        return reported
    if facts.phase is Phase.ATTEST:
        return _attest_in_batch(view, talk)
    return _Round(view, talk).go_on()


def _alone(view: RequestView) -> bool:
    left = view.facts.deadline - view.frame.timestamp
    return view.share_passed() > ALONE_AFTER or left < ALONE_SECONDS


class _Round:
    """The steps of a round, each as soon as it is possible."""

    def __init__(self, view: RequestView, talk: Talk) -> None:
        self._view, self._talk = view, talk
        facts = view.facts
        self._needed = view.judged
        if facts.phase is Phase.SUBMIT:
            self._needed |= facts.expected & ~facts.voided

    def go_on(self) -> DutyResult | None:
        """Say all that can be said, and post the round once all have signed it."""
        view, talk = self._view, self._talk
        if not self._needed >> view.seat & 1:
            return None
        waiting = self._models()
        if waiting is not None:
            return waiting
        publish_model(view)
        for message in talk.held(Kind.SLICE).values():
            self._take_slice(message)
        sealed = sealed_slice_key(view, view.round)
        if sealed is None:
            look_ahead(view)
            patience = max(SLICE_SECONDS, view.terms.submit_window // SLICE_PART)
            return self._batch("waiting for the evaluation slice", after=patience)
        late = view.facts.phase is Phase.COMMIT and view.share_passed() > SLICE_AFTER
        if late and not view.facts.slice_opened:
            return self._batch("the round needs its slice on chain", after=0)
        try:
            vote = own_vote(view)
        except Retryable as error:
            return self._batch(str(error))
        if vote is None:
            return self._batch("waiting for the others' models")
        word, salt = packed(vote), salt_of(view)
        at = (view.id, view.round, view.account)
        if not talk.say(Kind.VOTE, view.ctx.client.any_rounds.domain.commitment(*at, word, salt)):
            return None
        committed = view.facts.phase is Phase.REVEAL
        if self._missing(Kind.VOTE, self._needed) and not committed:
            return self._batch("waiting for votes")
        talk.say(Kind.REVEAL, vote_bytes(word), salt)
        if committed and self._needed & ~view.facts.acted:
            # Somebody did not commit, so that the round cannot be posted as a whole.
            late = self._missing(Kind.REVEAL, view.facts.acted & ~view.facts.voided)
            return self._batch("some did not commit", after=None if late else 0)
        if self._missing(Kind.REVEAL, self._needed):
            return self._batch("waiting for opened votes")
        votes = {seat: one.number for seat, one in talk.held(Kind.REVEAL).items()}
        if BLIND in votes.values():
            return self._batch("the slice does not open", after=0)
        return self._conclude(sealed, {seat: votes[seat] for seat in seats_of(self._needed)})

    def _take_slice(self, message: Message) -> None:
        """Use a slice that came by message if it opens. One that does not could be meant for this
        member alone, to cost it its vote: then the slice on chain counts, which is everybody's."""
        view, at = self._view, (self._view.id, self._view.round)
        if view.facts.slice_opened:
            return
        view.ctx.cache.sealed[at] = message.content
        try:
            evaluation_slice(view, view.round)
        except Retryable:
            pass  # Its bytes may come; the vote waits for them.
        except ContentError as error:
            log.warning("request %d: the slice sent for round %d: %s", *at, error)
            del view.ctx.cache.sealed[at]

    def _models(self) -> DutyResult | None:
        """Say the own model; None once all models are known."""
        view, talk = self._view, self._talk
        chain = submitted_digests(view, view.round)
        if view.facts.phase is not Phase.SUBMIT:
            return None
        if view.seat not in chain:
            try:
                request_key(view)
            except ContentError as error:
                return idle(f"not submitting: {error}")
            ready = ready_model(view)
            if isinstance(ready, str):
                return idle(ready)
            if not talk.say(Kind.MODEL, ready):
                return None
        held = {seat: one.content for seat, one in talk.held(Kind.MODEL).items()}
        digests = {**held, **chain}
        if any(seat not in digests for seat in seats_of(self._needed)):
            return self._batch("waiting for models")
        view.ctx.cache.offered[(view.id, view.round)] = {
            seat: digests[seat] for seat in seats_of(self._needed)
        }
        return None

    def _conclude(self, sealed: bytes, votes: Mapping[int, int]) -> DutyResult | None:
        """Aggregate, attest, sign the record, post it."""
        view, talk, terms = self._view, self._talk, self._view.terms
        board, _ = judge(votes, self._needed, terms.max_error, terms.vote_band)
        at = (view.id, view.round)
        view.ctx.cache.agreed[at] = board
        digest = aggregate_digest(view)
        if digest is None:
            return idle("waiting for the included models")
        error = own_error(view)
        if error is None:
            return idle(MEASURING)
        if not talk.say(Kind.ATTEST, digest, error.to_bytes(2)):
            return None
        if self._missing(Kind.ATTEST, self._needed):
            return self._batch("waiting for attestations")
        attested = [talk.held(Kind.ATTEST)[seat] for seat in seats_of(self._needed)]
        if any(one.content != digest for one in attested):
            return self._batch("the members attest different models", after=0)
        models = view.ctx.cache.offered.get(at) or submitted_digests(view, view.round)
        record = RoundRecord(
            tuple(models[seat] for seat in seats_of(self._needed)),
            tuple(votes[seat] for seat in seats_of(self._needed)),
            sealed,
            digest,
            sum(one.error << SCORE_BITS * one.seat for one in attested),
        )
        if not talk.say(Kind.ROUND, record.hash):
            return self._batch("signed another record before", after=0)
        if self._missing(Kind.ROUND, self._needed):
            return self._batch("waiting for signatures of the round")
        signed = talk.held(Kind.ROUND)
        if any(signed[seat].content != record.hash for seat in seats_of(self._needed)):
            return self._batch("the members signed different records", after=0)
        if any(left_out(view, talk, signed[seat]) for seat in seats_of(self._needed)):
            return self._batch("a wallet did not stand by its signature", after=0)
        members = [
            CohortMember(seat, one.account, one.samples, one.reputation)
            for seat, one in enumerate(view.cohort.members)
        ]
        last = view.facts.last_leader
        seat_of_last = view.cohort.indices.index(last) if last in view.cohort.indices else None
        leads = leader(
            board.included & board.eligible,
            self._needed,
            board.medians,
            members,
            view.round,
            terms.leader_rule,
            seat_of_last,
        )
        first = view.seat if leads == NOBODY else leads
        if not due_turn(view, "post", seats_of(self._needed), first):
            return idle(f"all have signed; seat {first} posts the round")
        words = [signed[seat] for seat in seats_of(self._needed)]
        call = view.ctx.client.rounds.post_round(view.id, record, _signed(view, words))
        receipt = send_signed(view, talk, call, words)
        return did(f"round {view.round}: posted it as a whole ({receipt.gas_used} gas)")

    def _missing(self, kind: Kind, needed: int) -> bool:
        held = self._talk.held(kind)
        return any(seat not in held for seat in seats_of(needed))

    def _batch(self, reason: str, after: int | None = None) -> DutyResult | None:
        """Wait; or put what is held on chain, at the share of the window or `after` seconds."""
        view = self._view
        phase = view.facts.phase
        if after is None and view.share_passed() < BATCH_AFTER[phase]:
            return idle(f"{reason}, by messages")
        batch = _batch_of(view, self._talk, self._needed)
        if batch is None:
            return idle(f"{reason}; all that is held is on chain")
        turns = seats_of(self._needed)
        first = turns[view.round % len(turns)]
        if not due_turn(view, f"batch in {phase.name}", turns, first, after or 0):
            return idle(f"{reason}; seat {first} puts what is held on chain")
        call, messages = batch
        receipt = send_signed(view, self._talk, call, messages)
        return did(f"round {view.round}: {reason}; sent {call.action} ({receipt.gas_used} gas)")


def _batch_of(view: RequestView, talk: Talk, needed: int) -> tuple[Call, Sequence[Message]] | None:
    """The call that anchors what is held and not on chain, and the messages that it carries; None:
    nothing."""
    rounds, facts = view.ctx.client.rounds, view.facts
    if facts.phase is Phase.SUBMIT:
        models = _stood_by(view, talk, Kind.MODEL, needed & ~facts.submitted)
        if not models:
            return None
        digests = [one.content for one in models]
        return rounds.submit(view.id, _mask(models), digests, _signed(view, models)), models
    if facts.phase is Phase.COMMIT:
        if not facts.slice_opened:
            [*slices] = talk.held(Kind.SLICE).values()
            if not slices or (view.id, view.round) not in view.ctx.cache.sealed:
                return None
            if left_out(view, talk, slices[0]):
                return None
            openers, signer = view.terms.openers, checksum(slices[0].more)
            said, signature = slices[0].content, slices[0].signed
            return rounds.open_slice(view.id, openers, signer, said, signature), slices
        votes = _stood_by(view, talk, Kind.VOTE, needed & ~facts.acted)
        if not votes:
            return None
        values = [one.content for one in votes]
        return rounds.commit_votes(view.id, _mask(votes), values, _signed(view, votes)), votes
    if facts.phase is Phase.REVEAL:
        opened = _new(talk.held(Kind.REVEAL), facts.acted & ~(facts.revealed | facts.voided))
        if not opened:
            return None
        words, salts = [one.number for one in opened], [one.more for one in opened]
        return rounds.reveal_votes(view.id, anchored_of(view), _mask(opened), words, salts), ()
    return None


def _attest_in_batch(view: RequestView, talk: Talk) -> DutyResult | None:
    """Attest by messages in a round whose votes are on chain; one batch for those that agree."""
    if not view.in_mask(view.attesters):
        return None
    digest = aggregate_digest(view)
    if digest is None:
        return None
    if not view.in_mask(view.facts.acted):
        error = own_error(view)
        if error is None:
            return idle(MEASURING)
        if not talk.say(Kind.ATTEST, digest, error.to_bytes(2)):
            return None
    waiting = view.attesters & ~view.facts.acted
    attested = _stood_by(view, talk, Kind.ATTEST, waiting)
    held = [one for one in attested if one.content == digest]
    complete = len(held) == waiting.bit_count()
    if not held or not (complete or view.share_passed() >= BATCH_AFTER[Phase.ATTEST]):
        return idle("waiting for attestations, by messages")
    turns = seats_of(view.attesters)
    if not due_turn(view, "attest", turns, turns[view.round % len(turns)]):
        return idle("another member posts the attestations")
    errors = sum(one.error << SCORE_BITS * one.seat for one in held)
    rounds, mask, signed = view.ctx.client.rounds, _mask(held), _signed(view, held)
    if complete:
        log, board = tallied_of(view)
        earlier = attestations_of(view)
        call = rounds.finalise(view.id, log, board, earlier, mask, digest, errors, signed)
    else:
        call = rounds.attest(view.id, mask, digest, errors, signed)
    receipt = send_signed(view, talk, call, held)
    return did(f"round {view.round}: posted {len(held)} attestations ({receipt.gas_used} gas)")


def _report(view: RequestView, talk: Talk) -> DutyResult | None:
    """Show the chain that a seat signed two different messages."""
    for (kind, seat), second in talk.board.contradictions.items():
        first = talk.board.messages[(kind, seat)]
        guilty = view.facts.voided >> seat & 1 or seat == view.seat
        if guilty or kind not in CONTRADICTORY:
            continue
        failed = (view.id, view.cohort.members[seat].account)
        if failed in view.ctx.cache.unreported:
            continue
        if not due_turn(view, f"report {seat}", seats_of(view.facts.expected), view.round % 2):
            continue
        call = view.ctx.client.rounds.report_equivocation(
            view.id,
            seat,
            CONTRADICTORY[kind],
            (first.content, first.error),
            (second.content, second.error),
            (first.signed, second.signed),
        )
        try:
            receipt = view.ctx.client.send(view.ctx.keys, call)
        except Reverted as error:
            if not (first.wallet or second.wallet):
                raise
            # The wallet denies what it signed; the round goes on all the same.
            log.warning("request %d: seat %d is not reported: %s", view.id, seat, error)
            view.ctx.cache.unreported.add(failed)
            continue
        return did(f"round {view.round}: reported seat {seat} ({receipt.gas_used} gas)")
    return None


def _stood_by(view: RequestView, talk: Talk, kind: Kind, wanted: int) -> list[Message]:
    """The messages of a kind of the wanted seats, in seat order, without those left out."""
    return [one for one in _new(talk.held(kind), wanted) if not left_out(view, talk, one)]


def _new(held: Mapping[int, Message], wanted: int) -> list[Message]:
    """The messages of the wanted seats, in seat order."""
    return [held[seat] for seat in sorted(held) if wanted >> seat & 1]


def _mask(messages: Sequence[Message]) -> int:
    return mask_of(one.seat for one in messages)


def _signed(view: RequestView, messages: Sequence[Message]) -> list[bytes]:
    """The signatures that a call needs: the sender's own seat needs none."""
    own = view.own_seat if view.ctx.keys.wallet is None else None
    return [one.signed for one in messages if one.seat != own]

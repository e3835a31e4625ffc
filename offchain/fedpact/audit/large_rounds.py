"""Checks of large rounds: who judged, what a quorum signed, and what the evidence in the content
store says that the points, the models and the end should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fedpact.audit.chain import Asked, Facts, require_asked
from fedpact.audit.pool import PoolChecks
from fedpact.audit.pool_history import PoolHistory
from fedpact.audit.recomputing import Judged
from fedpact.audit.replay_round import Seats
from fedpact.audit.report import Unavailable, counted, require
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.audit.running_history import running_history
from fedpact.chain.abi import LARGE
from fedpact.chain.bindings.events import CommitteeDrawn, DrawMoved, ModelForced, RoundFinalised
from fedpact.chain.bindings.large_rounds import large_record_of
from fedpact.chain.signed_messages import (
    Domain,
    LargeRecord,
)
from fedpact.consensus import committee_evidence as documents
from fedpact.consensus import large_rounds
from fedpact.consensus.committee_evidence import EVIDENCE_MAX_BYTES, JudgedRound, evidence_cid
from fedpact.consensus.draw import next_seed
from fedpact.consensus.large_rounds import LargeBoard
from fedpact.consensus.leader import approvals_needed
from fedpact.consensus.payout import fold
from fedpact.content.keys import committee_key, unseal
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError
from fedpact.exchange.messages import Kind, LargeBallot, Message
from fedpact.exchange.submissions import Roll, Trainers
from fedpact.learning.artefact import Model
from fedpact.types.requests import NOBODY, ApprovalRule, seats_of
from fedpact.types.scores import INVALID, lane, median_error

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys
    from fedpact.consensus.contribution_record import ContributionRecord
    from fedpact.data.dataset import Dataset


@dataclass(frozen=True)
class PostedRound:
    """A round with the record that was posted for it."""

    one: RoundEvidence
    seats: Seats
    """The committee."""
    record: LargeRecord


class LargeRoundsRead:
    """What was posted of the rounds of the last start, and its evidence; each is read once."""

    def __init__(
        self, evidence: Evidence, facts: Facts, pool: PoolChecks, store: ContentStore
    ) -> None:
        self.e, self.facts, self.pool = evidence, facts, pool
        self._store = store
        self._judged: dict[int, JudgedRound] = {}

    def rounds(self) -> Sequence[RoundEvidence]:
        """Unavailable before the start."""
        if not self.e.rounds:
            raise Unavailable("the request has not started")
        return self.e.rounds

    @cached_property
    def posted(self) -> Mapping[int, PostedRound]:
        """By number; Unavailable where a record cannot be read."""
        found = {}
        for one in self.rounds():
            if one.posted is None:
                continue
            at = one.posted
            record = self.facts.large_record_of(at.at.tx_hash, at.record)
            if record is None:
                raise Unavailable(f"{one.name}: its record cannot be read")
            found[one.number] = PostedRound(one, self.committee(one), record)
        return found

    def committee(self, one: RoundEvidence) -> Seats:
        """Who judged a round; Unavailable where that was never fixed on chain."""
        drawn = [step.seed for step in one.steps if isinstance(step, CommitteeDrawn)]
        if not drawn:
            raise Unavailable(f"{one.name}: no committee was fixed on chain")
        return self.pool.seats_of(drawn[-1])

    def judged(self, number: int) -> JudgedRound | None:
        """What a round's points follow from; None of a round that nobody posted. Raises what the
        store raises, and ContentError for evidence that is malformed."""
        posted = self.posted.get(number)
        if posted is None:
            return None
        if number not in self._judged:
            evidence = documents.CommitteeEvidence.decode(self._read(posted.record.evidence))
            self._judged[number] = documents.read_round(evidence, self._read)
        return self._judged[number]

    def board(self, number: int) -> LargeBoard | None:
        """What a round's votes come to."""
        found, terms = self.judged(number), self.e.terms
        if found is None:
            return None
        return large_rounds.judge(
            found.votes,
            found.listed.digests,
            self.posted[number].seats.indices,
            len(self.pool.roster.members),
            terms.max_error,
            terms.vote_band,
        )

    def _read(self, digest: bytes) -> bytes:
        return self._store.get(evidence_cid(digest), EVIDENCE_MAX_BYTES)


class LargeAuditHistory(PoolHistory):
    """Of a request with large rounds, by its evidence."""

    def __init__(
        self,
        read: LargeRoundsRead,
        store: ContentStore,
        keys: AccountKeys | None,
    ) -> None:
        super().__init__(read.e, read.facts, read.pool, None, store, keys)
        self._large = read

    def valid(self, number: int) -> Sequence[int]:
        board = self._large.board(number)
        if board is None:
            return ()
        return self._opening(number) if board.blind else board.valid

    def included(self, number: int) -> Sequence[int]:
        board = self._large.board(number)
        if board is None:
            return ()
        return self._opening(number) if board.blind else board.included

    def _opening(self, number: int) -> Sequence[int]:
        found = self._large.judged(number)
        return () if found is None else found.opened

    def evaluation(self, number: int) -> Dataset | None:
        """None also where the slice of a blind round does not open."""
        board = self._large.board(number)
        try:
            return super().evaluation(number)
        except ContentError:
            if board is not None and board.blind:
                return None
            raise

    def final_model(self, number: int) -> Model | None:
        if isinstance(self._e.rounds[number - 1].end, RoundFinalised):
            return None
        return self.replay.global_model(number - 1)

    def record(self, number: int) -> ContributionRecord | None:
        board = self._large.board(number) if number else None
        unjudged = number and (board is None or board.blind)
        return self.replay.record(number - 1) if unjudged else None

    def _slice_key(self, number: int) -> bytes | None:
        found = self._large.judged(number)
        sealed = None if found is None else found.evidence.sealed_key
        if sealed is None:
            return None
        here = self._facts.deployment.fingerprint
        return unseal(committee_key(self.request_key, here, self._e.request_id), sealed)

    def _digests(self, number: int) -> dict[int, bytes]:
        found = self._large.judged(number)
        return {} if found is None else found.listed.digests


class LargeChecks:
    """One method per item; each returns what it saw, or raises Broken or Unavailable."""

    def __init__(self, read: LargeRoundsRead) -> None:
        self._r, self._e, self._facts = read, read.e, read.facts
        here = read.facts.deployment
        self._domain = Domain(here.chain_id, here.rounds)

    def draws(self) -> str:
        """Each committee's seed follows from the seed before and the randomness of the block that
        its opening fixed, or that took its place."""
        seed, shown = self._e.request_id.to_bytes(32, "big"), []
        delay = self._facts.draw_delay
        for start in self._e.starts:
            seed = self._e.request_id.to_bytes(32, "big")
            for one in start.rounds:
                moved = [step.draw_block for step in one.steps if isinstance(step, DrawMoved)]
                block = [one.opened.at.block + delay, *moved][-1]
                drawn = [step.seed for step in one.steps if isinstance(step, CommitteeDrawn)]
                if not drawn:
                    continue
                due = next_seed(seed, self._facts.randomness(block))
                require(
                    drawn == [due],
                    f"{one.name}: the seed is 0x{drawn[-1].hex()}, 0x{due.hex()} follows from block"
                    f" {block}",
                )
                seed = due
                shown.append(f"{one.number}: {list(self._r.pool.seats_of(seed).indices)}")
        return "; ".join(shown) if shown else "no committee was fixed on chain"

    def records(self) -> str:
        """A quorum of each round's committee signed its record, and all models that were forced in
        are in the tree."""
        for posted in self._r.posted.values():
            one, seats = posted.one, posted.seats
            assert one.posted is not None
            asked = self._asked(posted)
            mask, record = int(asked.args[4]), large_record_of(asked.args[1], asked.args[2])
            signed, members = seats_of(mask), len(seats.indices)
            rule = ApprovalRule(self._e.terms.approval_rule)
            needed = approvals_needed(members, members, rule)
            require(
                len(signed) >= needed and mask < 1 << members,
                f"{one.name}: seats {signed} signed, {needed} of {members} have to",
            )
            at = (self._e.request_id, one.number, one.opened.history)
            message = self._domain.large_round(*at, record)
            said = [(seats.account(seat), message) for seat in signed]
            failing = self._facts.all_sign(said, asked.sender, asked.args[5], one.posted.at)
            require(failing is None, f"{one.name}: seat {signed[failing or 0]} did not sign")
        return counted(len(self._r.posted), "record")

    def submissions(self) -> str:
        """Each model on a round's list was signed by a member that trains in it, or forced in; all
        that were forced in are there; the root of the list is on chain."""
        count = forced_in = 0
        for number, posted in self._r.posted.items():
            found = self._judged(number)
            forced = {
                step.index: step.digest
                for step in posted.one.steps
                if isinstance(step, ModelForced)
            }
            digests = found.listed.digests
            unsigned = {one.index for one in found.listed.models if not one.signature}
            require(
                all(digests.get(index) == one for index, one in forced.items())
                and unsigned <= set(forced),
                f"{posted.one.name}: members {sorted(forced)} forced their models in, the list has"
                f" {sorted(unsigned)} without a signature",
            )
            listed, roll = found.listed.signed, Roll(self._trainers(posted))
            taken = len(roll.take(listed))
            require(
                taken == len(listed),
                f"{posted.one.name}: a member did not sign for the model that the list has of it:"
                f" {[one.index for one in listed[taken:]][:1]}",
            )
            root = found.listed.tree.root
            require(
                root == posted.record.submissions,
                f"{posted.one.name}: the list has the root 0x{root.hex()},"
                f" 0x{posted.record.submissions.hex()} is on chain",
            )
            count, forced_in = count + len(digests), forced_in + len(forced)
        return f"{counted(count, 'model')}, {forced_in} forced in"

    def votes(self) -> str:
        """Each vote of the evidence was signed as a commitment, for this list, by a judge's seat,
        and opens it; a quorum of them is there."""
        count = 0
        for number, posted in self._r.posted.items():
            found, seats = self._judged(number), posted.seats
            evidence, ballot = found.evidence, self._ballot(posted)
            at = (evidence.request, evidence.round, bytes.fromhex(evidence.history))
            here = (self._e.request_id, number, posted.one.opened.history)
            require(at == here, f"{posted.one.name}: its evidence is of another round")
            for vote in evidence.votes:
                require(vote.seat < len(seats.indices), f"{posted.one.name}: no seat {vote.seat}")
                self._require_vote(posted, ballot, evidence.models, vote)
            members = len(seats.indices)
            needed = approvals_needed(members, members, ApprovalRule(self._e.terms.approval_rule))
            require(
                len(evidence.votes) >= needed,
                f"{posted.one.name}: {len(evidence.votes)} votes, {needed} have to be there",
            )
            count += len(evidence.votes)
        return counted(count, "vote")

    def points(self) -> str:
        """Each round's points are those that its votes come to, and it is blind if they say so."""
        totals = [0] * len(self._r.pool.roster.members)
        for number, posted in self._r.posted.items():
            board = self._r.board(number)
            assert board is not None
            due = tuple(large_rounds.words(board.points, posted.seats.indices))
            require(
                due == posted.record.points,
                f"{posted.one.name}: the points on chain are not those of its votes",
            )
            require(
                board.blind == posted.record.blind,
                f"{posted.one.name}: blind {posted.record.blind} on chain, {board.blind} computed",
            )
            totals = [own + more for own, more in zip(totals, board.points, strict=True)]
        return ", ".join(f"member {index}: {own}" for index, own in enumerate(totals))

    def finals(self) -> str:
        """Each round with a global model is final, with the median of its signers' errors."""
        count = 0
        for posted in self._r.posted.values():
            one, record = posted.one, posted.record
            final = one.end if isinstance(one.end, RoundFinalised) else None
            require(
                (final is not None) == any(record.digest),
                f"{one.name}: whether it is final is contradicted",
            )
            if final is None:
                continue
            errors = [lane(record.errors, seat) for seat in seats_of(final.approvals)]
            due = (record.digest, median_error(errors), NOBODY)
            told = (final.digest, final.error, final.leader)
            require(told == due, f"{one.name}: {told} on chain, {due} computed")
            count += 1
        return counted(count, "final round")

    def credits(self) -> str:
        """What the rounds earned has the right models and marks; its sums are those of all points;
        it adds up to the hash on chain."""
        for posted in self._r.posted.values():
            one, record = posted.one, posted.record
            given = one.credited
            require(given is not None, f"{one.name}: nothing says what it earned")
            assert given is not None
            paid = any(record.points)
            due = (paid, paid and record.blind, record.digest, 0)
            told = (given.entry.paid, given.entry.blind, given.digest, given.points)
            require(told == due, f"{one.name}: {told} on chain, {due} computed")
        summed = [entry for entry in self._e.earned if entry.summed]
        if summed:
            members, left = len(self._r.pool.roster.members), self._r.pool.roster.left
            lists = [
                large_rounds.unpacked(one.record.points)
                for one in self._r.posted.values()
                if any(one.record.points)
            ]
            entries = large_rounds.entries([one[:members] for one in lists], left)
            require(summed == entries, "the sums of the points are not those of the rounds")
        folded, stored = fold(self._e.earned), self._facts.outcome.earned
        require(
            folded == stored,
            f"the entries add up to 0x{folded.hex()}, 0x{stored.hex()} is on chain",
        )
        return f"{len(self._e.earned)} entries"

    def history(self) -> str:
        """Terms, starts and rounds give the running hash that is on chain, link by link."""
        return running_history(self._facts, self._e, self._links)

    def _links(self, one: RoundEvidence) -> tuple[bytes, bytes] | None:
        if self._e.start is not None and self._e.start.void is not None:
            return None
        posted = self._r.posted.get(one.number)
        nothing = (bytes(32), bytes(32))
        return nothing if posted is None else (posted.record.points_hash, posted.record.hash)

    def outcome(self) -> str:
        """Target and end follow from the rounds, and the chain's counts agree."""
        reached, finals, paid, terms = False, 0, 0, self._e.terms
        for posted in self._r.posted.values():
            record, final = posted.record, posted.one.end
            paid += any(record.points)
            if not isinstance(final, RoundFinalised):
                continue
            finals += 1
            members = len(posted.seats.indices)
            needed = approvals_needed(members, members, ApprovalRule(terms.approval_rule))
            signed = seats_of(final.approvals)
            within = sum(lane(record.errors, seat) <= terms.target for seat in signed)
            reached = terms.target != 0 and within >= needed
        stored = self._facts.outcome
        told = (stored.final_rounds, stored.paid_rounds, stored.reached)
        require(
            told == (finals, paid, reached),
            f"final rounds, paid rounds and target are {told} on chain, {(finals, paid, reached)}"
            " computed",
        )
        ended = self._e.ended
        require(stored.ended == (ended is not None), "whether the rounds are over is contradicted")
        return f"{counted(finals, 'final round')}, target {'reached' if reached else 'not reached'}"

    def judged(self) -> list[Judged]:
        """The rounds as the checks of what was learned take them."""
        finals, found = 0, []
        for one in self._r.rounds():
            final = one.end if isinstance(one.end, RoundFinalised) else None
            finals += final is not None
            judged, board = self._r.judged(one.number), self._r.board(one.number)
            digests = {} if judged is None else judged.listed.digests
            seeing = board is not None and not board.blind
            assert board is None or judged is not None
            medians = board.medians if board is not None and seeing else {}
            valid = board.valid if board is not None and seeing else ()
            seats = self._r.posted[one.number].seats.indices if board is not None else ()
            votes = {} if judged is None or not seeing else judged.votes
            found.append(
                Judged(
                    number=one.number,
                    refused=len(medians) - len(valid),
                    valid={index: digests[index] for index in valid},
                    medians=medians,
                    votes={seats[seat]: own for seat, own in votes.items() if own is not None},
                    final=None if final is None else final.digest,
                    error=INVALID if final is None else final.error,
                    reference=finals,
                    tallied=board is not None,
                )
            )
        return found

    # ------------------------------------------------------------------ parts

    def _judged(self, number: int) -> JudgedRound:
        found = self._r.judged(number)
        assert found is not None
        return found

    def _asked(self, posted: PostedRound) -> Asked:
        assert posted.one.posted is not None
        at = posted.one.posted.at
        found = [
            one
            for one in self._facts.asked(at, LARGE, "post")
            if large_record_of(one.args[1], one.args[2]).hash == posted.record.hash
        ]
        return require_asked(found, at, "post")

    def _trainers(self, posted: PostedRound) -> Trainers:
        roster, one = self._r.pool.roster, posted.one
        out = {*posted.seats.indices, *roster.left}
        accounts = {i: member.account for i, member in enumerate(roster.members) if i not in out}
        at = (self._e.request_id, one.number, one.opened.history)
        return Trainers(self._domain, *at, accounts)

    def _ballot(self, posted: PostedRound) -> LargeBallot:
        accounts = tuple(member.account for member in posted.seats.members)
        at = (self._e.request_id, posted.one.number, posted.one.opened.history)
        return LargeBallot(self._domain, *at, accounts, ())

    def _require_vote(
        self, posted: PostedRound, ballot: LargeBallot, listed: str, vote: documents.JudgeVote
    ) -> None:
        name, account = f"{posted.one.name}, seat {vote.seat}", ballot.accounts[vote.seat]
        message = Message(kind=Kind.VOTE, seat=vote.seat, value=vote.commitment, extra=listed)
        signature = bytes.fromhex(vote.signature)
        assert posted.one.posted is not None
        require(
            self._facts.signed_by(
                account, ballot.signable(message), signature, vote.wallet, posted.one.posted.at
            ),
            f"{name}: its vote is not signed by {account}",
        )
        number, salt = int(vote.sheet, 16), bytes.fromhex(vote.salt)
        opened = self._domain.commitment(
            self._e.request_id, posted.one.number, account, number, salt
        )
        require(opened.hex() == vote.commitment, f"{name}: its scores are not what it voted")


def trained_in(read: LargeRoundsRead) -> Callable[[], dict[int, list[int]]]:
    """The rounds in which each member released a model, by pool index."""

    def took() -> dict[int, list[int]]:
        found: dict[int, list[int]] = {one: [] for one in range(len(read.pool.roster.members))}
        for one in read.rounds():
            judged = read.judged(one.number)
            named = set() if judged is None else set(judged.listed.digests)
            named |= {step.index for step in one.steps if isinstance(step, ModelForced)}
            for index in named:
                require(index in found, f"{one.name}: no member {index}")
                found[index].append(one.number)
        return found

    return took

"""A request as the shared checks see it: members are known by pool index."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from fedpact.audit.chain import Facts
from fedpact.audit.history import AuditedRequest, AuditHistory
from fedpact.audit.pool import PoolChecks
from fedpact.audit.recomputing import Judged
from fedpact.audit.replay_round import Played
from fedpact.audit.report import Unavailable
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.audit.rounds import RoundChecks
from fedpact.chain.bindings.events import RoundFinalised
from fedpact.chain.signed_messages import BLIND, Domain
from fedpact.consensus.replay import Replay
from fedpact.consensus.secure_sum_record import GroupSum, SumRound, record_content
from fedpact.content.bn254 import Point
from fedpact.content.delivery import withheld
from fedpact.content.keys import committee_key, unseal
from fedpact.content.store import ContentStore
from fedpact.errors import ContentError, PrivacyError
from fedpact.exchange.messages import Ballot
from fedpact.learning.artefact import Model
from fedpact.types.cid import Cid
from fedpact.types.requests import seats_of
from fedpact.types.scores import MAX_SCORE, lane

if TYPE_CHECKING:
    from fedpact.chain.keystore import AccountKeys
    from fedpact.consensus.contribution_record import ContributionRecord
    from fedpact.data.dataset import Dataset


class PoolHistory(AuditHistory):
    """Of a request, by what its rounds come to when played again."""

    def __init__(
        self,
        evidence: Evidence,
        facts: Facts,
        pool: PoolChecks,
        rounds: RoundChecks | None,
        store: ContentStore,
        keys: "AccountKeys | None",
    ) -> None:
        """`rounds`: of usual ones; None where a subclass reads others."""
        fingerprint = facts.deployment.fingerprint
        super().__init__(
            AuditedRequest(fingerprint, evidence.request_id, evidence.terms.specification),
            store,
            keys,
        )
        self._e = evidence
        self._facts = facts
        self._pool = pool
        self._rounds = rounds
        self._sums: dict[tuple[int, int], GroupSum | None] = {}

    def samples(self, seat: int) -> int:
        return self._pool.roster.members[seat].samples

    def submitted(self, number: int) -> Sequence[int]:
        return sorted(self._digests(number))

    def valid(self, number: int) -> Sequence[int]:
        """In a blind round, which nobody could judge: the models that open."""
        played = self._played(number)
        if played.board is None:
            return ()
        if played.blind:
            return self._opening(number)
        return sorted(
            played.seats.indices[seat]
            for seat in seats_of(played.judged)
            if lane(played.board.medians, seat) <= MAX_SCORE
        )

    def included(self, number: int) -> Sequence[int]:
        played = self._played(number)
        if played.board is None:
            return ()
        if played.blind:
            return self._opening(number)
        return sorted(played.seats.indices[seat] for seat in seats_of(played.board.included))

    def evaluation(self, number: int) -> "Dataset | None":
        """None also where the slice of a blind round does not open."""
        try:
            return super().evaluation(number)
        except ContentError:
            if self._played(number).blind:
                return None
            raise

    def final_model(self, number: int) -> Model | None:
        """A round that did not become final leaves the model as it was."""
        if self._played(number).final is not None:
            return None
        return self.replay.global_model(number - 1)

    def record(self, number: int) -> "ContributionRecord | None":
        """A round that nobody could judge leaves the record as it was."""
        played = self._played(number)
        unjudged = played.board is None or played.blind
        return self.replay.record(number - 1) if unjudged else None

    def submitted_content(self, digest: bytes) -> tuple[Cid, int]:
        if self.spec.privacy.sum is None:
            return super().submitted_content(digest)
        return record_content(digest)

    # ------------------------------------------------------------------ secure sums

    @cached_property
    def replay(self) -> Replay:
        return Replay(self, summed=self.summed)

    def summed(self, number: int, seat: int) -> Sequence[int]:
        """See `replay.Summed`."""
        found = self.group_sum(number, seat)
        return () if found is None else found.indices(self._played(number).seats.indices)

    def group_sum(self, number: int, seat: int) -> GroupSum | None:
        """The sum that a member's record proves; None where it proves none."""
        if (number, seat) not in self._sums:
            self._sums[number, seat] = self._proven(number, seat)
        return self._sums[number, seat]

    def _opened(self, number: int, seat: int) -> Model | None:
        """Under a secure sum: the model of the member's group."""
        if self.spec.privacy.sum is None:
            return super()._opened(number, seat)
        found, seats = self.group_sum(number, seat), self._played(number).seats
        if found is None:
            return None
        start = self.replay.global_model(number - 1)
        samples = {one: self.samples(index) for one, index in enumerate(seats.indices)}
        place = seats.indices.index(seat)
        return self._sum_round(number).model(place, found, start, samples)

    def _proven(self, number: int, seat: int) -> GroupSum | None:
        place, digest = self._played(number).seats.indices.index(seat), self._digests(number)[seat]
        key = self.request_key
        try:
            return self._sum_round(number).proven(place, digest, key, self._store.get)
        except PrivacyError:
            return None

    def _sum_round(self, number: int) -> SumRound:
        opened, here = self._e.rounds[number - 1].opened, self._facts.deployment
        ballot = Ballot(
            Domain(here.chain_id, here.rounds),
            self._e.request_id,
            number,
            opened.history,
            tuple(member.account for member in self._played(number).seats.members),
            (self._e.requester, *self._e.terms.openers),
        )
        reference = self.round_ref(number)
        return SumRound(self.spec, reference, ballot, opened.seed, opened.expected)

    # ------------------------------------------------------------------ parts

    @property
    def _start(self) -> tuple[bytes, bytes]:
        if self._e.start is None:
            raise Unavailable("the request has not started")
        facts = self._e.start.event.start
        return facts.manifest, facts.key_hash

    def _revealed(self, sealed: bytes) -> bytes:
        """Members have the key itself; to auditors it opens with what a delivery shows."""
        if self._own.address in {one.account for one in self._pool.roster.members}:
            return sealed
        if self._e.delivered is None:
            raise Unavailable("sealed to auditors until a key is delivered")
        ephemeral = Point(*self._e.delivered.ephemeral)
        return withheld(sealed, ephemeral, self._facts.deployment.fingerprint, self._e.request_id)

    def _submission(self, number: int, seat: int) -> tuple[bytes, str]:
        return self._digests(number)[seat], self._pool.roster.members[seat].account

    def _slice_key(self, number: int) -> bytes | None:
        one = self._e.rounds[number - 1]
        assert self._rounds is not None
        record = self._rounds.record(one)
        if one.slice is not None:
            sealed = one.slice.sealed_key
        elif record is not None:
            sealed = record.slice_key
        else:
            return None
        here = self._facts.deployment.fingerprint
        return unseal(committee_key(self.request_key, here, self._e.request_id), sealed)

    def _key_version(self, account: str) -> int:
        return self._facts.key_version(account)

    def _played(self, number: int) -> Played:
        assert self._rounds is not None
        return self._rounds.readable(self._e.rounds[number - 1])

    def _digests(self, number: int) -> dict[int, bytes]:
        """Of the models that count, by pool index."""
        played = self._played(number)
        return {played.seats.indices[seat]: one for seat, one in played.counted.items()}

    def _opening(self, number: int) -> Sequence[int]:
        return [one for one in self.submitted(number) if self.opened(number, one) is not None]


def judged_rounds(evidence: Evidence, rounds: RoundChecks) -> list[Judged]:
    """The rounds as the checks of what was learned take them."""
    finals, found = 0, []
    for one in evidence.rounds:
        if isinstance(one.end, RoundFinalised):
            finals += 1
        found.append(_judged(one, rounds.played[one.number], finals))
    return found


def _judged(one: RoundEvidence, played: Played, finals: int) -> Judged:
    indices, end, board = played.seats.indices, one.end, played.board
    final = end if isinstance(end, RoundFinalised) else None
    seeing = board is not None and not played.blind
    medians = {}
    if board is not None and seeing:
        medians = {indices[s]: lane(board.medians, s) for s in seats_of(played.judged)}
    digests = {indices[seat]: digest for seat, digest in played.counted.items()}
    valid = {index: digests[index] for index, own in medians.items() if own <= MAX_SCORE}
    return Judged(
        number=one.number,
        refused=len(medians) - len(valid),
        valid=valid,
        medians=medians,
        votes={
            indices[voter]: {indices[seat]: lane(word, seat) for seat in seats_of(played.judged)}
            for voter, word in played.votes.items()
            if seeing and word != BLIND
        },
        final=None if final is None else final.digest,
        error=0 if final is None else final.error,
        reference=finals,
        tallied=board is not None,
    )

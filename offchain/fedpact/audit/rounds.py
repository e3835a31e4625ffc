"""The rounds of a request, each played again from what was posted."""

from collections.abc import Iterator
from functools import cached_property

from fedpact.audit.chain import Facts
from fedpact.audit.pool import PoolChecks
from fedpact.audit.replay_round import Played, Seats, play
from fedpact.audit.report import Unavailable
from fedpact.audit.request_events import Evidence, RoundEvidence
from fedpact.chain.signed_messages import RoundRecord
from fedpact.types.requests import NOBODY


class RoundChecks:
    """What the rounds of the last start come to."""

    def __init__(self, evidence: Evidence, facts: Facts, pool: PoolChecks) -> None:
        self._e = evidence
        self._facts = facts
        self._pool = pool
        self._records: dict[bytes, RoundRecord | None] = {}

    @cached_property
    def played(self) -> dict[int, Played]:
        """By number; Unavailable before the start."""
        if not self._e.rounds:
            raise Unavailable("the request has not started")
        found: dict[int, Played] = {}
        leader: int | None = None
        for one in self._e.rounds:
            seats = self._pool.seats_in(one)
            found[one.number] = played = play(one, self._e, seats, leader, self.record(one))
            if played.final is not None:
                led = played.final.leader
                leader = None if led == NOBODY else seats.indices[led]
        return found

    def record(self, one: RoundEvidence) -> RoundRecord | None:
        """Of a posted round; None also where its transaction shows none with the right hash."""
        posted = one.posted
        if posted is None:
            return None
        if posted.record not in self._records:
            found = self._facts.record_of(posted.at.tx_hash, posted.record)
            self._records[posted.record] = found
        return self._records[posted.record]

    def readable(self, one: RoundEvidence) -> Played:
        """A round; Unavailable where it was posted and its record cannot be read."""
        played = self.played[one.number]
        if one.posted is not None and self.record(one) is None:
            raise Unavailable(f"{one.name}: its record cannot be read")
        return played

    def all(self) -> Iterator[tuple[RoundEvidence, Seats]]:
        """Those of void starts too; Unavailable before the start."""
        if not self._e.starts:
            raise Unavailable("the request has not started")
        for start in self._e.starts:
            for one in start.rounds:
                yield one, self._pool.seats_in(one)

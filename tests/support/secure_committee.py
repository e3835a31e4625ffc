"""A committee whose members make secure sums, in one process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fedpact.chain.keystore import AccountKeys
from fedpact.consensus.artefacts import RoundRef
from fedpact.consensus.replay import Replay
from fedpact.consensus.secure_sum_record import (
    GroupSum,
    SumGroup,
    agreed_value,
    opening_value,
    record_of,
    seal_masked,
    seal_record,
    sum_groups,
)
from fedpact.exchange.messages import Ballot, Kind, Message, RoundMessages
from fedpact.learning.summed_release import Integers, group_model, member_integers
from fedpact.learning.training_inputs import LocalTraining
from fedpact.privacy.noise import SystemNoise
from fedpact.privacy.secure_sum.collecting import open_sum
from fedpact.privacy.secure_sum.member import SumMember
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.types.cid import Cid
from fedpact.types.scores import pack_scores
from tests.support.committee import PAYMENT, Committee, DigitsMarket
from tests.support.summing import SECURE

DRAFT = {
    "local": {"steps": 1, "learning_rate": 2.0},
    "score": "contribution",
    "max_error": 5000,
    "privacy": {"mode": "sound", "epsilon": 4.0, "delta": 1e-5, "clipping_norm": 1.0, **SECURE},
}


@dataclass
class SecureCommittee(Committee):
    """`twice`: all sign two sums of one group, half of it submits each, and nobody minds.
    `silent`: this seat submits a record that proves nothing."""

    twice: bool = False
    silent: int | None = None

    @cached_property
    def replay(self) -> Replay:
        return Replay(self.history, summed=self.history.summed)

    def _votes(self, number: int) -> list[int]:
        """Those who sign two sums also vote as if each were the only one."""
        if not self.twice:
            return super()._votes(number)
        seats = range(len(self.members))
        return [pack_scores({other: 0 for other in seats if other != seat}) for seat in seats]

    def _train(self, number: int) -> list[bytes]:
        facts = self.market.client.rounds.round_facts(self.id)
        reference = self._reference(number)
        accounts = tuple(keys.address for keys in self.members)
        openers = (self.market.people.requester.address,)
        domain = self.market.client.rounds.domain
        ballot = Ballot(domain, self.id, number, facts.history, accounts, openers)
        values = self._values(number)
        records: dict[int, bytes] = {}
        self.history.models[number], self.history.sums[number] = {}, {}
        drawn = sum_groups(self.spec.privacy, reference, facts.history, bytes(32), facts.expected)
        for group in drawn:
            half = group.seats[: len(group.seats) // 2]
            first = self._summed(group, ballot, values, reference)
            other = first
            if self.twice:
                other = self._summed(group, ballot, [one + (1 << 33) for one in values], reference)
            for seat in group.seats:
                record, found = first if seat in half else other
                proves = seat != self.silent
                records[seat] = record if proves else b"{}"
                self._note(number, seat, found if proves else None)
        self._sealed = [
            seal_record(records[seat], self.key, reference, keys.address)
            for seat, keys in enumerate(self.members)
        ]
        return [Cid.of(one).digest for one in self._sealed]

    def _note(self, number: int, seat: int, found: GroupSum | None) -> None:
        self.history.models[number][seat] = None
        if found is None:
            return
        start = self.replay.global_model(number - 1)
        samples = [self.history.samples(one) for one in found.seats]
        self.history.sums[number][seat] = found.seats
        self.history.models[number][seat] = group_model(
            self.spec, number, start, found.total, samples
        )

    def _values(self, number: int) -> list[Integers]:
        start = self.replay.global_model(number - 1)
        return [
            member_integers(
                LocalTraining(
                    self.spec, start, part, noise=SystemNoise(), round_and_seat=(number, seat)
                )
            )
            for seat, part in enumerate(self.market.parts)
        ]

    def _summed(
        self, group: SumGroup, ballot: Ballot, values: list[Integers], reference: RoundRef
    ) -> tuple[bytes, GroupSum]:
        """One sum, with all that its members sign."""
        keys = [self.members[seat] for seat in group.seats]
        members = [
            SumMember(group.terms, group.context, number, one.encryption_key())
            for number, one in enumerate(keys)
        ]
        public = [bytes(one.encryption_key().public_key) for one in keys]
        dealt = [one.shares_for(public) for one in members]
        roster = Roster.of(group.terms, group.context, [one.announcement() for one in members])
        board, digests, masked = RoundMessages(ballot), {}, {}
        for number, (one, seat) in enumerate(zip(members, group.seats, strict=True)):
            one.accept(roster, {at: shares[number] for at, shares in enumerate(dealt)})
            masked[number] = one.masked(values[seat])
            sealed = seal_masked(masked[number], self.key, reference, keys[number].address)
            digests[number] = self.market.store.put(sealed).digest
            _say(board, keys[number], seat, Kind.MASKED, digests[number], roster.digest)
        counted = frozenset(masked)
        mask, agreed = group.mask(counted), [one.agree(counted) for one in members]
        openings = [one.opening(agreed) for one in members]
        for number, seat in enumerate(group.seats):
            value = agreed_value(roster, counted, digests)
            _say(board, keys[number], seat, Kind.AGREE, value, mask)
            shares = opening_value(roster, openings[number])
            _say(board, keys[number], seat, Kind.OPEN, shares, mask)
        total = open_sum(roster, masked, openings).values
        record = record_of(group, roster.announcements, board)
        return record.encode(), GroupSum(group.seats, total)


def _say(
    board: RoundMessages, keys: AccountKeys, seat: int, kind: Kind, value: bytes, extra: bytes
) -> None:
    said = Message(kind=kind, seat=seat, value=value.hex(), extra=extra.hex())
    signature = keys.sign_typed(*board.ballot.typed(said)).hex()
    assert board.take(said.model_copy(update={"signature": signature}))


def new_secure_request(market: DigitsMarket, **ways: object) -> SecureCommittee:
    """A request for secure sums that its members have started."""
    draft = market.draft(**DRAFT)
    number = market.requester.create(draft, market.evaluation, PAYMENT)
    committee = SecureCommittee(market, number, **ways)  # type: ignore[arg-type]
    committee.enrol_and_start()
    return committee

"""A member's part in its group's secure sum (docs/adr/0048), within the submit window.

Messages, each signed by the member's account for this round as it opened. Content that a digest
names is in the content store.

| kind | value | extra |
| --- | --- | --- |
| announce | digest of announcement and sealed shares | |
| roster | digest of the roster, proposed by the members in turn | mask of its seats |
| masked | digest of the masked vector, sealed with the request key | digest of the roster |
| agree | `agreed_value`: roster, counted members, digests of their vectors | mask of the counted |
| open | one share of each member of the roster, 16 bytes each | mask of the counted |

A member says each of them once: a row in its state file comes first, and what it has drawn is there
too. So a daemon that was killed goes on with the same masks, over the same values, for the same
roster, or not at all. What it submits on chain is the digest of a record of all this; a sum that
failed has a record as well.
"""

import logging
from collections import Counter
from functools import partial

import numpy as np

from fedpact.consensus.secure_sum_record import (
    ANNOUNCED_MAX_BYTES,
    REFUSED,
    SumGroup,
    SumRecord,
    agreed_value,
    agreements_of,
    decode_announced,
    encode_announced,
    open_record,
    opened_record,
    opening_value,
    record_of,
    seal_masked,
    seal_record,
    shares_for,
)
from fedpact.content.envelope import Aad, open_model, seal_model
from fedpact.errors import ContentSought, DecryptionError, PrivacyError, Retryable
from fedpact.exchange.messages import Kind
from fedpact.learning.summed_release import Integers
from fedpact.privacy.ledger.report import ReleaseId
from fedpact.privacy.secure_sum.member import SumMember
from fedpact.privacy.secure_sum.roster import Announcement, Roster
from fedpact.provider.duties.messages import Talk, peers_of
from fedpact.provider.request.reading import put, request_key, round_ref_of
from fedpact.provider.request.secure_sums import (
    look_for_vectors,
    masked_vector,
    masked_vectors,
    part_of_sum,
    sum_round,
)
from fedpact.provider.request.view import RequestView
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)

ROSTER_AFTER, ROSTER_TURN = 0.2, 0.1
"""Share of the submit window after which a roster is proposed without those that have not announced
themselves, and how much later the next member proposes one where the first does not."""
MASKED_BY = 0.6
"""Share of the submit window in which members train and mask: a policy's times, and the time that a
training may take, are shares of this."""
MASKED_UNTIL, AGREE_TURN = 0.65, 0.05
"""Share of the submit window after which members agree to a sum without those that sent no vector,
and nobody masks any more: first the member that proposes, then the others by themselves."""
GIVEN_UP = 0.8
"""Share of the submit window after which a sum that is not opened has failed."""
_VALUES = "sum-values"


def ready_sum(view: RequestView, release: ReleaseId, waiting: str | None) -> bytes | str:
    """The digest of the record to submit now, or why there is none yet.

    `waiting`: why the own values may not be masked yet; None: they are in the ledger.
    """
    stored = view.ctx.ledger.stored(release) if view.ctx.ledger.kept_at(release) else None
    exchange = view.ctx.exchange
    # Also where nothing is to be said any more: others may lack a message of ours.
    talk = None if exchange is None else Talk(view, exchange, peers_of(view) or ())
    if stored is not None and _is_record(view, stored):
        return Cid.of(stored).digest
    group = sum_round(view, view.round).group(view.seat)
    late = view.share_passed() >= GIVEN_UP
    step = _Sum(view, talk, group) if talk is not None and group is not None else None
    if step is None:
        reason = "no group for a secure sum in this round"
    else:
        reason = waiting or "taking part in a secure sum"
        try:
            values = None if stored is None or waiting is not None else _values(view, stored)
            found = step.go_on(values)
        except PrivacyError as error:
            found = f"no part in this round's secure sum: {error}"
        if isinstance(found, bytes) and stored is not None:
            return _kept(view, release, stored, found)
        reason = waiting or (found if isinstance(found, str) else reason)
    if late and stored is not None:
        record = b"{}" if step is None else step.record()
        return _kept(view, release, stored, record)
    return reason


def seal_values(view: RequestView, values: bytes) -> bytes:
    """The own values as the ledger keeps them until they are in a sum: only this account opens
    them, since they hold a part of the noise alone."""
    return seal_model(_values_key(view), values, _values_aad(view))


def _values(view: RequestView, stored: bytes) -> Integers | None:
    """None for the record of an earlier start's sum."""
    try:
        plain = open_model(_values_key(view), stored, _values_aad(view))
    except DecryptionError:
        return None
    return np.frombuffer(plain, dtype="<i8").astype(np.int64)


def _values_key(view: RequestView) -> bytes:
    return view.ctx.keys.derive(_VALUES, view.ctx.deployment.fingerprint)


def _values_aad(view: RequestView) -> Aad:
    return Aad(view.ctx.deployment.fingerprint, view.id, view.round, _VALUES, view.account)


def _is_record(view: RequestView, stored: bytes) -> bool:
    try:
        open_record(stored, request_key(view), round_ref_of(view, view.round), view.account)
    except DecryptionError:
        return False
    return True


def _kept(view: RequestView, release: ReleaseId, stored: bytes, record: bytes) -> bytes:
    """Keep the record in place of the values; its digest."""
    reference = round_ref_of(view, view.round)
    sealed = seal_record(record, request_key(view), reference, view.account)
    return Cid.of(view.ctx.ledger.replace(release, Cid.of(stored).digest, sealed)).digest


class _Sum:
    """The steps of one group's sum, each as soon as it is possible."""

    def __init__(self, view: RequestView, talk: Talk, group: SumGroup) -> None:
        self._view, self._talk, self._group = view, talk, group
        self._number = group.number(view.seat)
        self._place = (view.id, view.round)
        self._dealt: dict[int, bytes] = {}
        self._announced: dict[int, Announcement] = {}
        self._roster: Roster | None = None

    def go_on(self, values: Integers | None) -> bytes | str:
        """Say all that can be said; the record once the sum is opened, else what is missing."""
        member = self._member()
        try:
            if not self._announce(member):
                return "this account announced itself to another sum of this round"
        except ContentSought as error:
            return str(error)
        self._read_announcements()
        roster = self._roster = self._chosen()
        if roster is None:
            return "waiting for the members of the group"
        if self._number in roster.numbers:
            member.accept(roster, self._shares(roster))
            if values is not None:
                self._mask(member, roster, values)
        masked = self._masked(roster)
        if not self._agree(roster, masked):
            return f"waiting for masked vectors, {len(masked)} of {len(roster.numbers)} are here"
        agreements = agreements_of(self._group, roster, self._talk.board, masked)
        try:
            roster.agreed(agreements)
        except PrivacyError as error:
            return f"waiting for agreement: {error}"
        if self._number in roster.numbers:
            opening = member.opening(agreements)
            mask = self._group.mask(opening.counted)
            self._talk.say(Kind.OPEN, opening_value(roster, opening), mask)
        return self._opened()

    def record(self) -> bytes:
        """What is held of the sum."""
        return self._record().encode()

    def _record(self) -> SumRecord:
        """Without those who announced themselves after the roster was proposed: its digest, to
        which all is bound, does not name them."""
        roster = self._roster
        announced = self._announced.values() if roster is None else roster.announcements
        return record_of(self._group, announced, self._talk.board)

    # ------------------------------------------------------------------ steps

    def _member(self) -> SumMember:
        view = self._view
        versions = view.ctx.cache.key_versions
        if self._place not in versions:
            registry = view.ctx.client.registry
            versions[self._place] = registry.participant(view.account).key_version
        key = view.ctx.keys.encryption_key(versions[self._place])
        parts = (self._group.terms, self._group.context, self._number, key)
        said = view.ctx.state.said
        kept = said.secrets_of_sum(*self._place, lambda: SumMember(*parts).secrets)
        return SumMember.restored(*parts, kept)

    def _announce(self, member: SumMember) -> bool:
        view = self._view
        if (Kind.ANNOUNCE, view.seat) in self._talk.board.messages:
            return True
        registry = view.ctx.client.registry
        accounts = [view.cohort.members[seat].account for seat in self._group.seats]
        keys = [registry.participant(one).encryption_key for one in accounts]
        content = encode_announced(member.announcement(), member.shares_for(keys))
        cid = put(view, content, "announcement for a secure sum")
        announced = self._talk.say(Kind.ANNOUNCE, cid.digest)
        if announced:
            log.info("request %d: round %d: announced itself for a secure sum", *self._place)
        return announced

    def _read_announcements(self) -> None:
        view = self._view
        known = view.ctx.cache.announced.setdefault(self._place, {})
        said = {
            seat: Cid.of_digest(message.content, ANNOUNCED_MAX_BYTES)
            for seat, message in self._talk.held(Kind.ANNOUNCE).items()
            if seat in self._group.seats
        }
        for seat in said.keys() - known.keys():
            view.ctx.fetching.begin(view.id, said[seat], ANNOUNCED_MAX_BYTES)
        for seat, cid in said.items():
            number = self._group.number(seat)
            try:
                if seat not in known:
                    known[seat] = part_of_sum(view, view.round, cid, ANNOUNCED_MAX_BYTES)
                found = decode_announced(self._group, number, known[seat])
                self._announced[number], self._dealt[number] = found
            except Retryable:
                continue
            except REFUSED as error:
                log.debug("request %d, round %d, seat %d: %s", *self._place, seat, error)

    def _chosen(self) -> Roster | None:
        """The roster that this member masks under: the one that it has masked under, else the one
        under which the most have, the first in the order of the members' turns."""
        self._propose()
        said = self._talk.board.messages.get((Kind.MASKED, self._view.seat))
        found = filter(None, map(self._usable, self._turns()))
        usable = [one for one in found if said is None or said.more == one.digest]
        masked = Counter(one.more for one in self._talk.held(Kind.MASKED).values())
        return max(usable, key=lambda one: masked[one.digest], default=None)

    def _usable(self, seat: int) -> Roster | None:
        """The roster that a member proposed, if its turn has come and all of its announcements are
        here."""
        proposal = self._talk.held(Kind.ROSTER).get(seat)
        numbers = None if proposal is None else self._group.numbers_in(proposal.more)
        if proposal is None or numbers is None or not numbers <= set(self._announced):
            return None
        place = self._turns().index(seat)
        if place and self._view.share_passed() < ROSTER_AFTER + place * ROSTER_TURN:
            return None
        try:
            roster = self._roster_of(numbers)
        except PrivacyError:
            return None
        return roster if roster.digest == proposal.content else None

    def _propose(self) -> None:
        """A roster in this member's turn, unless there is one: what some have masked under stays
        the others' choice."""
        if any(map(self._usable, self._turns())):
            return
        share, place = self._view.share_passed(), self._turns().index(self._view.seat)
        complete = len(self._announced) == len(self._group.seats) and place == 0
        due = share >= ROSTER_AFTER + place * ROSTER_TURN
        enough = len(self._announced) >= self._group.terms.least
        if complete or (due and enough):
            roster = self._roster_of(set(self._announced))
            self._talk.say(Kind.ROSTER, roster.digest, self._group.mask(roster.numbers))

    def _turns(self) -> list[int]:
        """The group's seats, another one first in each round."""
        seats, first = self._group.seats, self._view.round % len(self._group.seats)
        return [*seats[first:], *seats[:first]]

    def _roster_of(self, numbers: "frozenset[int] | set[int]") -> Roster:
        announced = [self._announced[one] for one in sorted(numbers)]
        return Roster.of(self._group.terms, self._group.context, announced)

    def _shares(self, roster: Roster) -> dict[int, bytes]:
        return {one: shares_for(self._dealt[one], self._number) for one in roster.numbers}

    def _mask(self, member: SumMember, roster: Roster, values: Integers) -> None:
        """Publish the masked vector; after a restart the same bytes once more. Not once the others
        agree without it: it would be charged for nothing."""
        view = self._view
        known = self._talk.board.messages.get((Kind.MASKED, view.seat))
        if known is None and view.share_passed() >= MASKED_UNTIL:
            return
        if self._place in view.ctx.cache.masked_stored:
            return
        reference = round_ref_of(view, view.round)
        sealed = seal_masked(member.masked(values), request_key(view), reference, view.account)
        digest = Cid.of(sealed).digest
        if not self._talk.say(Kind.MASKED, digest, roster.digest):
            raise PrivacyError("this account has masked its values for another sum")
        view.ctx.ledger.publishing(ReleaseId(view.ctx.deployment.fingerprint, *self._place))
        if view.ctx.fetching.put(view.id, sealed) is not None:
            view.ctx.cache.masked_stored.add(self._place)
            log.info("request %d: round %d: published a masked vector", *self._place)

    def _masked(self, roster: Roster) -> dict[int, bytes]:
        """Digests of the masked vectors that are here, by number."""
        members = {self._group.seats[one] for one in roster.numbers}
        said = {
            seat: message.content
            for seat, message in self._talk.held(Kind.MASKED).items()
            if seat in members and message.more == roster.digest
        }
        look_for_vectors(self._view, self._view.round, said)
        found = {}
        for seat, digest in said.items():
            try:
                masked_vector(self._view, self._view.round, seat, digest)
            except Retryable:
                continue
            except REFUSED as error:
                log.debug("request %d, round %d, seat %d: %s", *self._place, seat, error)
                continue
            found[self._group.number(seat)] = digest
        return found

    def _agree(self, roster: Roster, masked: dict[int, bytes]) -> bool:
        """Agree to one set, once; whether this member has, or need not."""
        view, group = self._view, self._group
        known = (Kind.AGREE, view.seat) in self._talk.board.messages
        if known or self._number not in roster.numbers:
            return True
        counted = frozenset(masked) if len(masked) == len(roster.numbers) else None
        if counted is None:
            counted = self._proposed(masked)
        place = 0 if self._turns()[0] == view.seat else 1
        if counted is None and view.share_passed() >= MASKED_UNTIL + place * AGREE_TURN:
            counted = frozenset(masked)
        if counted is None or len(counted) < group.terms.least:
            return False
        value = agreed_value(roster, counted, masked)
        agreed = self._talk.say(Kind.AGREE, value, group.mask(counted))
        if agreed:
            sizes = (len(counted), len(roster.numbers))
            log.info("request %d: round %d: agreed to the sum of %d of %d", *self._place, *sizes)
        return agreed

    def _proposed(self, masked: dict[int, bytes]) -> frozenset[int] | None:
        """The set that the first in turn agreed to, if all of its vectors are here."""
        message = self._talk.held(Kind.AGREE).get(self._turns()[0])
        counted = None if message is None else self._group.numbers_in(message.more)
        return counted if counted is not None and counted <= set(masked) else None

    def _opened(self) -> bytes | str:
        """The record, once it proves a sum."""
        record = self._record()
        try:
            opened_record(
                self._group,
                record,
                self._talk.board.ballot,
                partial(masked_vectors, self._view, self._view.round),
            )
        except Retryable as error:
            return f"waiting for a masked vector: {error}"
        except REFUSED as error:
            return f"waiting for opened shares: {error}"
        return record.encode()

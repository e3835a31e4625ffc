"""What the members of a group submit in place of models: the record of their secure sum.

A record says who announced what, whose masked vectors were counted and who agreed to that, all
signed, and the opened shares. Everyone who can read the masked vectors computes the same sum from
it, and sees who failed. Two records of one group with different sums cannot both be complete: each
needs as many agreements as recover a secret (`privacy.secure_sum.terms`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from eth_utils.crypto import keccak
from pydantic import ValidationError

from fedpact.consensus.artefacts import RoundRef
from fedpact.consensus.groups import groups
from fedpact.content.envelope import OVERHEAD_BYTES, Aad, open_model, round_context, seal_model
from fedpact.content.keys import round_key
from fedpact.errors import FedpactError, InvalidInput, PrivacyError, Retryable
from fedpact.exchange.messages import Ballot, Kind, Message, RoundMessages
from fedpact.learning.artefact import Model
from fedpact.learning.summed_release import Integers, group_model, summed_values
from fedpact.privacy.secure_sum.collecting import SumFailed, open_sum
from fedpact.privacy.secure_sum.masks import KEY_BYTES, SEED_BYTES, Words
from fedpact.privacy.secure_sum.member import Opening
from fedpact.privacy.secure_sum.roster import DIGEST_BYTES, Agreement, Announcement, Roster
from fedpact.privacy.secure_sum.terms import SumTerms
from fedpact.types.cid import Cid
from fedpact.types.document import Document, canonical_json
from fedpact.types.privacy import Privacy
from fedpact.types.requests import mask_of, seats_of
from fedpact.types.specification import Specification
from fedpact.types.validation import first_error

RECORD_MAX_BYTES = 1 << 17
"""Of a sealed record: one block of the content store."""
ANNOUNCED_MAX_BYTES = 1 << 14
"""Of an announcement with its sealed shares."""
SEALED_SHARES_BYTES = 80
"""Both shares of a member, sealed to its key."""


def terms_of_sum(privacy: Privacy, members: int) -> SumTerms | None:
    """The terms of a group's sum; None where so few members make none.

    As many may drop out as leave the specification's honest members beside its colluders, and
    enough to recover every secret.
    """
    if privacy.honest is None or privacy.colluders is None:
        return None
    least = max(privacy.honest + privacy.colluders, (members + privacy.colluders) // 2 + 1)
    if members < least:
        return None
    return SumTerms(members, members - least, privacy.colluders)


@dataclass(frozen=True)
class SumGroup:
    """One group of a round."""

    seats: tuple[int, ...]
    """Ascending; a member's number in the sum is its index here."""
    terms: SumTerms
    context: bytes

    def number(self, seat: int) -> int:
        return self.seats.index(seat)

    def seats_of_numbers(self, numbers: Sequence[int] | frozenset[int]) -> tuple[int, ...]:
        return tuple(self.seats[one] for one in sorted(numbers))

    def mask(self, numbers: Sequence[int] | frozenset[int]) -> bytes:
        """Of the members' seats, 2 bytes."""
        return mask_of(self.seats_of_numbers(numbers)).to_bytes(2, "big")

    def numbers_in(self, mask: bytes) -> frozenset[int] | None:
        """The members of a mask of seats; None where it names others."""
        named = seats_of(int.from_bytes(mask, "big"))
        if not set(named) <= set(self.seats):
            return None
        return frozenset(self.number(seat) for seat in named)


def sum_groups(
    privacy: Privacy, reference: RoundRef, history: bytes, seed: bytes, expected: int
) -> tuple[SumGroup, ...]:
    """The groups of a round, drawn among the seats that it waits for; none where they are too few.

    `history` and `seed`: as the round opened. Where members have dropped out for good, so that
    fewer are left than a group has, all of them are one.
    """
    seats = seats_of(expected)
    if not seats:
        return ()
    drawn = groups(keccak(history + seed), len(seats), min(privacy.group or 1, len(seats)))
    round_ = round_context(reference.fingerprint, reference.request_id, reference.round)
    found = []
    for members in drawn:
        terms = terms_of_sum(privacy, len(members))
        chosen = tuple(seats[one] for one in members)
        if terms is not None:
            mask = mask_of(chosen).to_bytes(2, "big")
            found.append(SumGroup(chosen, terms, round_ + history + mask))
    return tuple(found)


def group_of(found: Sequence[SumGroup], seat: int) -> SumGroup | None:
    """The group that a seat is in."""
    return next((one for one in found if seat in one.seats), None)


# ---------------------------------------------------------------------- content in the store


def encode_announced(announcement: Announcement, sealed: Sequence[bytes]) -> bytes:
    """An announcement and the shares that it deals, in order of members; zeros where none could
    be sealed."""
    return announcement.encode() + b"".join(one or bytes(SEALED_SHARES_BYTES) for one in sealed)


def decode_announced(group: SumGroup, number: int, content: bytes) -> tuple[Announcement, bytes]:
    """An announcement, and the sealed shares that follow it. Raises PrivacyError."""
    size, members = 4 + KEY_BYTES + DIGEST_BYTES, group.terms.members
    size += 2 * DIGEST_BYTES * members
    if len(content) != size + SEALED_SHARES_BYTES * members:
        raise PrivacyError(f"an announcement of {len(content)} bytes")
    return _announcement(group, number, content[:size]), content[size:]


def bytes_of_member(spec: Specification) -> int:
    """Most that a member puts into the store for one round's sum."""
    values = max(summed_values(spec, 1), summed_values(spec, spec.rounds))
    return 8 * values + OVERHEAD_BYTES + ANNOUNCED_MAX_BYTES + RECORD_MAX_BYTES


def shares_for(sealed: bytes, number: int) -> bytes:
    """The sealed shares of one member."""
    return sealed[SEALED_SHARES_BYTES * number : SEALED_SHARES_BYTES * (number + 1)]


def _announcement(group: SumGroup, number: int, content: bytes) -> Announcement:
    members = group.terms.members
    head = number.to_bytes(4, "big")
    body = content[4:]
    if content[:4] != head or len(body) != KEY_BYTES + DIGEST_BYTES * (1 + 2 * members):
        raise PrivacyError(f"what member {number} announces is malformed")
    digests = [body[at : at + DIGEST_BYTES] for at in range(KEY_BYTES, len(body), DIGEST_BYTES)]
    pairs, selves = tuple(digests[1 : 1 + members]), tuple(digests[1 + members :])
    return Announcement(number, body[:KEY_BYTES], digests[0], pairs, selves)


def seal_masked(masked: Words, key: bytes, reference: RoundRef, owner: str) -> bytes:
    """A masked vector, encrypted for the holders of the request key."""
    return _sealed(masked.astype("<u8").tobytes(), key, reference, "masked", owner)


def open_masked(sealed: bytes, key: bytes, reference: RoundRef, owner: str, values: int) -> Words:
    """A masked vector of so many values. Raises DecryptionError, and PrivacyError for another
    length."""
    plain = _opened(sealed, key, reference, "masked", owner)
    if len(plain) != 8 * values:
        raise PrivacyError(f"a masked vector of {len(plain)} bytes, a round's has {8 * values}")
    return np.frombuffer(plain, dtype="<u8").astype(np.uint64)


def seal_record(record: bytes, key: bytes, reference: RoundRef, owner: str) -> bytes:
    """A record, encrypted for the holders of the request key."""
    return _sealed(record, key, reference, "sum", owner)


def open_record(sealed: bytes, key: bytes, reference: RoundRef, owner: str) -> bytes:
    """Raises DecryptionError."""
    return _opened(sealed, key, reference, "sum", owner)


def _sealed(content: bytes, key: bytes, reference: RoundRef, kind: str, owner: str) -> bytes:
    return seal_model(_key(key, reference), content, _aad(reference, kind, owner))


def _opened(sealed: bytes, key: bytes, reference: RoundRef, kind: str, owner: str) -> bytes:
    return open_model(_key(key, reference), sealed, _aad(reference, kind, owner))


def _key(key: bytes, reference: RoundRef) -> bytes:
    return round_key(key, reference.fingerprint, reference.request_id, reference.round)


def _aad(reference: RoundRef, kind: str, owner: str) -> Aad:
    return Aad(reference.fingerprint, reference.request_id, reference.round, kind, owner)


REFUSED = (FedpactError, ValueError)
"""What a record that proves no sum may raise when it is read."""


# ---------------------------------------------------------------------- agreements and openings


def agreed_value(roster: Roster, counted: frozenset[int], masked: Mapping[int, bytes]) -> bytes:
    """What a member's agreement says: the roster, who is counted, and by which digests."""
    numbers = b"".join(number.to_bytes(4, "big") for number in sorted(counted))
    digests = b"".join(masked[number] for number in sorted(counted))
    return sha256(b"fedpact/sum-agreement/v1\0" + roster.digest + numbers + digests).digest()


class SumRecord(Document):
    """A group's sum as its members submit it; hex, by seat. A sum that failed has no openings."""

    announced: dict[str, str]
    """Announcements, without shares."""
    messages: tuple[Message, ...]
    """Signed: whose vector has which digest, who agreed, who opened what."""

    def encode(self) -> bytes:
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def decode(cls, content: bytes) -> "SumRecord":
        """Raises InvalidInput."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise InvalidInput(f"record of a sum: {first_error(error)}") from error


def record_of(
    group: SumGroup, announcements: Iterable[Announcement], board: RoundMessages
) -> SumRecord:
    """What this member holds of its group's sum. `announcements`: of the roster's members alone;
    with another one, the record proves nothing."""
    kinds = (Kind.MASKED, Kind.AGREE, Kind.OPEN)
    kept = [
        message
        for (kind, seat), message in sorted(board.messages.items())
        if kind in kinds and seat in group.seats
    ]
    announced = {str(group.seats[one.number]): one.encode().hex() for one in announcements}
    return SumRecord(announced=announced, messages=tuple(kept))


@dataclass(frozen=True)
class GroupSum:
    """A sum that was opened."""

    seats: tuple[int, ...]
    """Whose vectors are in it."""
    total: Integers
    at_fault: tuple[int, ...] = ()
    """Seats that opened other shares than were dealt to them."""

    def indices(self, pool: Sequence[int]) -> tuple[int, ...]:
        """The pool indices, ascending, of those in it; `pool`: the indices of the round's seats."""
        return tuple(sorted(pool[seat] for seat in self.seats))


def opened_record(
    group: SumGroup,
    record: SumRecord,
    ballot: Ballot,
    fetched: "Vectors",
) -> GroupSum:
    """The sum that a record is of.

    Args:
        ballot: of the round; by it every signature is checked.
        fetched: the masked vectors of seats, by their digests.

    Raises PrivacyError, which names the seats at fault, and InvalidInput where the record does not
    prove a sum; and what `fetched` raises.
    """
    board = RoundMessages(ballot)
    for message in record.messages:
        if message.seat in group.seats and not board.take(message):
            raise InvalidInput("a record's message does not count, or is there twice")
    announcements = []
    for seat, content in record.announced.items():
        if not seat.isdecimal() or int(seat) not in group.seats:
            raise InvalidInput(f"seat {seat} is not in this group")
        number = group.number(int(seat))
        announcements.append(_announcement(group, number, bytes.fromhex(content)))
    roster = Roster.of(group.terms, group.context, announcements)
    masked = {
        group.number(seat): one.content
        for seat, one in board.held(Kind.MASKED).items()
        if one.more == roster.digest
    }
    counted = roster.agreed(agreements_of(group, roster, board, masked))
    found = fetched({group.seats[one]: masked[one] for one in sorted(counted)})
    vectors = {group.number(seat): vector for seat, vector in found.items()}
    try:
        opened = open_sum(roster, vectors, openings_of(group, roster, board, counted))
    except SumFailed as error:
        seats = group.seats_of_numbers(error.at_fault)
        raise PrivacyError(f"{error}; at fault: {list(seats) or 'nobody'}") from error
    named = map(group.seats_of_numbers, (counted, opened.at_fault))
    return GroupSum(next(named), opened.values, next(named))


def agreements_of(
    group: SumGroup, roster: Roster, board: RoundMessages, masked: Mapping[int, bytes]
) -> list[Agreement]:
    """What members of the group agree to, of the vectors with the digests `masked`."""
    said = []
    for seat, message in board.held(Kind.AGREE).items():
        counted = group.numbers_in(message.more) if seat in group.seats else None
        if counted is None or not counted <= set(masked):
            continue
        if message.content == agreed_value(roster, counted, masked):
            said.append(Agreement(group.number(seat), roster.digest, counted))
    return said


def openings_of(
    group: SumGroup, roster: Roster, board: RoundMessages, counted: frozenset[int]
) -> list[Opening]:
    """The opened shares for one set of counted members."""
    found = []
    for seat, message in sorted(board.held(Kind.OPEN).items()):
        if seat not in group.seats or group.numbers_in(message.more) != counted:
            continue
        shares = _cut(message.content)
        if len(shares) == len(roster.numbers):
            by_dealer = dict(zip(roster.numbers, shares, strict=True))
            found.append(Opening(group.number(seat), roster.digest, counted, by_dealer))
    return found


def opening_value(roster: Roster, opening: Opening) -> bytes:
    """A member's shares as a message's value, in order of their dealers."""
    return b"".join(opening.shares[dealer] for dealer in roster.numbers)


def _cut(shares: bytes) -> list[bytes]:
    return [shares[at : at + SEED_BYTES] for at in range(0, len(shares), SEED_BYTES)]


Fetch = Callable[[Cid, int], bytes]
"""Content of a CID, of at most so many bytes; raises Retryable while it is unavailable."""
Vectors = Callable[[Mapping[int, bytes]], Mapping[int, Words]]
"""The masked vectors of a round by seat, of their digests by seat; raises as `SumRound.vector`."""


@dataclass(frozen=True)
class SumRound:
    """A round of secure sums as everybody reads it, wherever the facts come from."""

    spec: Specification
    reference: RoundRef
    ballot: Ballot
    seed: bytes
    """As the round opened."""
    expected: int
    """Mask of the seats that it waits for."""

    def group(self, seat: int) -> SumGroup | None:
        """The group of a seat; None where it is in none."""
        drawn = (self.ballot.history, self.seed, self.expected)
        return group_of(sum_groups(self.spec.privacy, self.reference, *drawn), seat)

    def vector(self, seat: int, digest: bytes, key: bytes, fetch: Fetch) -> Words:
        """A member's masked vector. `key`: of the request. Raises what `fetch` raises, and
        ContentError or PrivacyError where it is none."""
        values = summed_values(self.spec, self.reference.round)
        sealed = fetch(*self.vector_content(digest))
        return open_masked(sealed, key, self.reference, self.ballot.accounts[seat], values)

    def vector_content(self, digest: bytes) -> tuple[Cid, int]:
        """Where a masked vector is in the content store, and its size."""
        size = 8 * summed_values(self.spec, self.reference.round) + OVERHEAD_BYTES
        return Cid.of_digest(digest, size), size

    def proven(
        self,
        seat: int,
        digest: bytes,
        key: bytes,
        fetch: Fetch,
        vectors: Vectors | None = None,
    ) -> GroupSum:
        """The sum that the record of a seat proves. `vectors`: from a memory.

        Raises Retryable where something is unavailable now, PrivacyError where it proves none.
        """
        group, owner = self.group(seat), self.ballot.accounts[seat]
        if group is None:
            raise PrivacyError(f"seat {seat} is in no group")
        try:
            sealed = fetch(*record_content(digest))
            record = SumRecord.decode(open_record(sealed, key, self.reference, owner))
            known = vectors or (
                lambda masked: {
                    one: self.vector(one, digest, key, fetch) for one, digest in masked.items()
                }
            )
            return opened_record(group, record, self.ballot, known)
        except Retryable:
            raise
        except REFUSED as error:
            raise PrivacyError(str(error)) from error

    def model(
        self, seat: int, found: GroupSum, start: Model, samples: Mapping[int, int]
    ) -> Model | None:
        """The model of a seat's group, trained from `start`; None for a sum that it is not in.
        `samples`: as declared, by seat."""
        if seat not in found.seats:
            return None
        held = [samples[one] for one in found.seats]
        return group_model(self.spec, self.reference.round, start, found.total, held)


def record_content(digest: bytes) -> tuple[Cid, int]:
    """Where a sealed record is in the content store, and its largest size."""
    return Cid.of_digest(digest, RECORD_MAX_BYTES), RECORD_MAX_BYTES

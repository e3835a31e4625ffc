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
from fedpact.content.envelope import Aad, open_model, round_context, seal_model
from fedpact.content.keys import round_key
from fedpact.errors import FedpactError, InvalidInput, PrivacyError
from fedpact.exchange.messages import Ballot, Board, Kind, Message
from fedpact.learning.summed import Integers
from fedpact.privacy.secure_sum.collecting import open_sum
from fedpact.privacy.secure_sum.masks import KEY_BYTES, SEED_BYTES, Words
from fedpact.privacy.secure_sum.member import Opening
from fedpact.privacy.secure_sum.roster import DIGEST_BYTES, Announcement, Roster
from fedpact.privacy.secure_sum.terms import SumTerms
from fedpact.types.cid import Cid
from fedpact.types.document import Document, canonical_json
from fedpact.types.privacy import Privacy
from fedpact.types.rounds import seats_of
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
        return sum(1 << seat for seat in self.seats_of_numbers(numbers)).to_bytes(2, "big")

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
            mask = sum(1 << seat for seat in chosen).to_bytes(2, "big")
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


def masked_cid(digest: bytes, values: int) -> Cid:
    """Of a sealed masked vector of so many values."""
    return Cid.of_digest(digest, masked_bytes(values))


def masked_bytes(values: int) -> int:
    """Size of a sealed masked vector."""
    from fedpact.content.envelope import OVERHEAD_BYTES

    return 8 * values + OVERHEAD_BYTES


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


def record_of(group: SumGroup, announcements: Iterable[Announcement], board: Board) -> SumRecord:
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


def opened_record(
    group: SumGroup,
    record: SumRecord,
    ballot: Ballot,
    fetched: Callable[[int, bytes], Words],
) -> GroupSum:
    """The sum that a record is of.

    Args:
        ballot: of the round; by it every signature is checked.
        fetched: the masked vector of a seat, by its digest.

    Raises PrivacyError, InvalidInput where the record does not prove a sum; and what `fetched`
    raises.
    """
    board = Board(ballot)
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
    counted = counted_of(group, roster, board, masked)
    vectors = {one: fetched(group.seats[one], masked[one]) for one in sorted(counted)}
    total = open_sum(roster, vectors, openings_of(group, roster, board, counted)).values
    return GroupSum(group.seats_of_numbers(counted), total)


def counted_of(
    group: SumGroup, roster: Roster, board: Board, masked: Mapping[int, bytes]
) -> frozenset[int]:
    """The set to which enough members agree, by the digests `masked`. Raises PrivacyError."""
    said = {}
    for seat, message in board.held(Kind.AGREE).items():
        counted = group.numbers_in(message.more) if seat in group.seats else None
        if counted is None or not counted <= set(masked):
            continue
        if message.content == agreed_value(roster, counted, masked):
            said[group.number(seat)] = (roster.digest, counted)
    return roster.agreed(said)


def openings_of(
    group: SumGroup, roster: Roster, board: Board, counted: frozenset[int]
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


REFUSED = (FedpactError, ValueError)
"""What a record that proves no sum may raise when it is read."""

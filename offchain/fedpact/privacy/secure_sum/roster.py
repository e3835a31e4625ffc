"""What members publish before a secure sum, and who takes part in it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from fedpact.errors import PrivacyError
from fedpact.privacy.secure_sum.masks import KEY_BYTES, has_small_order
from fedpact.privacy.secure_sum.sharing import KINDS, Kind
from fedpact.privacy.secure_sum.terms import SumTerms

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Announcement:
    """What a member publishes, signed by its account. Raises PrivacyError for other lengths, and
    for a key with which anyone shares the same secret."""

    number: int
    """The member's index in the round, from 0."""
    mask_key: bytes
    """Its X25519 public key of the round."""
    self_digest: bytes
    """Of the seed of its own mask."""
    pair_shares: tuple[bytes, ...]
    """Digests of the shares of its key's seed, one a member."""
    self_shares: tuple[bytes, ...]
    """Digests of the shares of its own mask's seed, one a member."""

    def __post_init__(self) -> None:
        digests = (self.self_digest, *self.pair_shares, *self.self_shares)
        if (
            len(self.mask_key) != KEY_BYTES
            or len(self.pair_shares) != len(self.self_shares)
            or any(len(one) != DIGEST_BYTES for one in digests)
        ):
            raise PrivacyError(f"member {self.number} announces a key or digests of a wrong length")
        if has_small_order(self.mask_key):
            raise PrivacyError(
                f"member {self.number} announces 0x{self.mask_key.hex()}, which is not an X25519 "
                "public key"
            )

    def share(self, kind: Kind, holder: int) -> bytes:
        """The digest of one share."""
        return (self.pair_shares if kind == KINDS[0] else self.self_shares)[holder]

    def encode(self) -> bytes:
        """Unambiguous bytes, given the number of members."""
        parts = (self.mask_key, self.self_digest, *self.pair_shares, *self.self_shares)
        return self.number.to_bytes(4, "big") + b"".join(parts)


@dataclass(frozen=True)
class Agreement:
    """A member's word that the sum is over `counted`, signed by its account: one in a sum."""

    number: int
    """The member's."""
    roster: bytes
    """Digest of the roster."""
    counted: frozenset[int]


@dataclass(frozen=True)
class Roster:
    """Whose masked vectors may be in the sum: those who announced themselves and dealt shares.

    Masks and openings are bound to its digest, so that members who were told of different rosters
    cannot be combined. Raises PrivacyError for too few or repeated members, or announcements of
    another number of members.
    """

    terms: SumTerms
    context: bytes
    """The round's reference; no two sums have the same."""
    announcements: tuple[Announcement, ...]

    def __post_init__(self) -> None:
        numbers = self.numbers
        if list(numbers) != sorted(set(numbers)):
            raise PrivacyError("a roster names its members once each, in their order")
        strangers = [one for one in numbers if not 0 <= one < self.terms.members]
        if strangers:
            raise PrivacyError(f"a roster of {self.terms.members} names member {strangers[0]}")
        if len(numbers) < self.terms.least:
            raise PrivacyError(
                f"{len(numbers)} members announced themselves for a secure sum of at least "
                f"{self.terms.least}: it cannot be made"
            )
        for one in self.announcements:
            if len(one.pair_shares) != self.terms.members:
                raise PrivacyError(
                    f"member {one.number} dealt {len(one.pair_shares)} shares, not one to each of "
                    f"{self.terms.members} members"
                )

    @classmethod
    def of(cls, terms: SumTerms, context: bytes, announcements: Sequence[Announcement]) -> "Roster":
        """Of announcements in any order."""
        ordered = tuple(sorted(announcements, key=lambda one: one.number))
        return cls(terms, context, ordered)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(one.number for one in self.announcements)

    def __getitem__(self, number: int) -> Announcement:
        return self._by_number[number]

    @cached_property
    def _by_number(self) -> dict[int, Announcement]:
        return {one.number: one for one in self.announcements}

    @cached_property
    def digest(self) -> bytes:
        terms = (self.terms.members, self.terms.dropouts, self.terms.colluders)
        head = b"fedpact/secure-sum/v1/roster\0" + sha256(self.context).digest()
        placed = b"".join(number.to_bytes(4, "big") for number in terms)
        return sha256(head + placed + b"".join(one.encode() for one in self.announcements)).digest()

    def agreed(self, agreements: Iterable[Agreement]) -> frozenset[int]:
        """The set to which enough members agree; of a member's agreements, the last counts.

        Each honest member says one thing, so no second set can have as many. Raises PrivacyError if
        there is none.
        """
        words = {one.number: one for one in agreements}
        said = Counter(
            one.counted
            for one in words.values()
            if one.number in self.numbers and one.roster == self.digest
        )
        for counted, members in said.items():
            if members >= self.terms.threshold:
                self.check_counted(counted)
                return counted
        raise PrivacyError(
            f"no set of members has the agreement of {self.terms.threshold} members; the most that "
            f"agree are {max(said.values(), default=0)}"
        )

    def check_counted(self, counted: frozenset[int]) -> None:
        """Raises PrivacyError unless a sum of the members `counted` may be opened."""
        strangers = counted - set(self.numbers)
        if strangers:
            raise PrivacyError(f"members {sorted(strangers)} are not in the roster of this sum")
        if len(counted) < self.terms.least:
            raise PrivacyError(
                f"a sum of {len(counted)} members is not opened: the terms say at least "
                f"{self.terms.least}"
            )

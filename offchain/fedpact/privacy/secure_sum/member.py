"""One member of a secure sum.

    announcement -> roster -> accept the shares -> masked vector -> agreement -> opening

A member masks one vector a sum, agrees to one set of members to count, and opens only for a set to
which as many agree as it takes to recover a secret. There is at most one such set. If members
opened for whatever they are told, each could be told of other missing members, and a sum of fewer
members be opened than the terms say.

In doubt the sum fails. It is not tried again with the same noised values: two sums of different
members would give their difference. It takes a new round with fresh noise, charged by itself.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from nacl.public import PrivateKey
from numpy.typing import NDArray

from fedpact.content.keys import seal, unseal
from fedpact.errors import DecryptionError, PrivacyError
from fedpact.privacy.secure_sum.masks import (
    KEY_BYTES,
    SEED_BYTES,
    Words,
    has_small_order,
    mask_key,
    pair_seed,
    self_words,
    words,
)
from fedpact.privacy.secure_sum.roster import Agreement, Announcement, Roster
from fedpact.privacy.secure_sum.sharing import (
    KINDS,
    Kind,
    secret_digest,
    share_digest,
    split,
)
from fedpact.privacy.secure_sum.terms import SumTerms


@dataclass(frozen=True)
class Opening:
    """A member's shares for one set of counted members: of each counted member the share of its own
    mask, of each other member of the roster that of its key."""

    number: int
    """The holder's."""
    roster: bytes
    """Digest of the roster."""
    counted: frozenset[int]
    shares: Mapping[int, bytes]
    """By dealer."""


@dataclass(frozen=True)
class Disclosure:
    """Both secrets of a member, published by itself in a dispute: its own part is seen by all."""

    number: int
    pair_seed: bytes
    self_seed: bytes


class SumMember:
    """A member's side of one sum. Not thread-safe.

    Its seeds are drawn, not derived: made again after a crash, it is another member, which no
    earlier roster names. With the same two seeds, one could be opened for the old roster and the
    other for a new one, and nothing would hide the vector; so `restored` is for whoever has kept
    with the seeds what was masked.
    """

    def __init__(
        self,
        terms: SumTerms,
        context: bytes,
        number: int,
        key: PrivateKey,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """
        Args:
            context: the round's reference; no two sums may have the same.
            number: the member's index, from 0.
            key: its registered X25519 key, to which others seal shares.
            draw: that many secret random bytes, never the same again.
        """
        self._terms, self._context, self.number, self._key = terms, context, number, key
        self._pair_seed, self._self_seed = draw(SEED_BYTES), draw(SEED_BYTES)
        self._entropy = draw(KEY_BYTES)
        self._mask_key = mask_key(self._pair_seed, context)
        self._dealt: dict[Kind, list[bytes]] = {
            "pair": split(self._pair_seed, terms.threshold, terms.members),
            "self": split(self._self_seed, terms.threshold, terms.members),
        }
        self._roster: Roster | None = None
        self._held: dict[tuple[int, Kind], bytes] = {}
        self._pair_seeds: dict[int, bytes] = {}
        self._masked = False
        self._agreement: Agreement | None = None

    @property
    def secrets(self) -> bytes:
        """All that it has drawn, for `restored`: whoever has it can open this member's vector."""
        dealt = b"".join(share for kind in KINDS for share in self._dealt[kind])
        return self._pair_seed + self._self_seed + self._entropy + dealt

    @classmethod
    def restored(
        cls, terms: SumTerms, context: bytes, number: int, key: PrivateKey, secrets: bytes
    ) -> "SumMember":
        """The member whose `secrets` were kept: with the same announcement and masks.

        Whoever restores one must know whether it has masked before: it may accept that roster, and
        mask those values, and no others. Raises PrivacyError for secrets of another length.
        """
        sizes = [SEED_BYTES, SEED_BYTES, KEY_BYTES, *[SEED_BYTES] * (2 * terms.members)]
        if len(secrets) != sum(sizes):
            raise PrivacyError(f"the secrets of a member of this sum have {sum(sizes)} bytes")
        parts, at = list[bytes](), 0
        for size in sizes:
            parts.append(secrets[at : at + size])
            at += size
        drawn = iter(parts[:3])
        found = cls(terms, context, number, key, lambda _: next(drawn))
        dealt = parts[3:]
        found._dealt = {"pair": dealt[: terms.members], "self": dealt[terms.members :]}
        return found

    def announcement(self) -> Announcement:
        """What to publish first."""

        def digests(kind: Kind) -> tuple[bytes, ...]:
            return tuple(
                share_digest(self._context, kind, self.number, holder, share)
                for holder, share in enumerate(self._dealt[kind])
            )

        return Announcement(
            self.number,
            self._mask_key.public_key().public_bytes_raw(),
            secret_digest(self._context, self.number, self._self_seed),
            digests("pair"),
            digests("self"),
        )

    def shares_for(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        """Both shares of each member, sealed to its registered key; `keys` in order of members.

        Nothing for a member whose registered key nobody can seal to: it stops itself alone.
        """
        return tuple(
            b""
            if has_small_order(key)
            else seal(key, self._dealt["pair"][holder] + self._dealt["self"][holder], self._entropy)
            for holder, key in enumerate(keys)
        )

    def accept(self, roster: Roster, sealed: Mapping[int, bytes]) -> None:
        """Take the shares that the roster's members dealt, by dealer, before masking anything.

        Raises PrivacyError, naming the dealer, for a share that is missing or not the announced
        one; for a roster of another sum, and for a second one.
        """
        if (roster.terms, roster.context) != (self._terms, self._context):
            raise PrivacyError("the roster is of another sum, or of other terms")
        if self._roster is not None:
            raise PrivacyError("this sum has a roster already: it does not change")
        if self.number not in roster.numbers or roster[self.number] != self.announcement():
            raise PrivacyError("the roster does not name this member as it announced itself")
        held: dict[tuple[int, Kind], bytes] = {}
        for dealer in roster.numbers:
            both = self._unsealed(sealed.get(dealer), dealer)
            for kind, share in zip(KINDS, (both[:SEED_BYTES], both[SEED_BYTES:]), strict=True):
                digest = share_digest(self._context, kind, dealer, self.number, share)
                if digest != roster[dealer].share(kind, self.number):
                    raise PrivacyError(f"member {dealer} dealt a share that it did not announce")
                held[dealer, kind] = share
        self._pair_seeds = {
            other.number: pair_seed(
                self._mask_key, other.mask_key, (self.number, other.number), roster.digest
            )
            for other in roster.announcements
            if other.number != self.number
        }
        self._roster, self._held = roster, held

    def masked(self, values: NDArray[np.int64]) -> Words:
        """`values` (n,), noised integers below 2^53 in size, hidden. Once in a sum."""
        roster = self._accepted()
        if self._masked:
            raise PrivacyError("this sum has a vector of this member already")
        self._masked = True
        hidden = values.astype(np.uint64) + self_words(self._self_seed, roster.digest, len(values))
        for other, seed in self._pair_seeds.items():
            if self.number < other:
                hidden += words(seed, len(values))
            else:
                hidden -= words(seed, len(values))
        return hidden

    def agree(self, counted: frozenset[int]) -> Agreement:
        """To the sum over `counted`.

        Raises PrivacyError for a set that the terms do not allow, and for a second, different one.
        """
        roster = self._accepted()
        roster.check_counted(counted)
        if self._agreement is None:
            self._agreement = Agreement(self.number, roster.digest, counted)
        elif self._agreement.counted != counted:
            raise PrivacyError(
                f"this member agreed to the sum of {sorted(self._agreement.counted)}: it cannot "
                f"agree to that of {sorted(counted)} as well"
            )
        return self._agreement

    def opening(self, agreements: Sequence[Agreement]) -> Opening:
        """This member's shares for the set that `agreements` are about.

        The caller has checked their signatures. Raises PrivacyError unless enough members of this
        roster agree to the same set.
        """
        roster = self._accepted()
        counted = roster.agreed(agreements)
        shares = {
            dealer: self._held[dealer, "self" if dealer in counted else "pair"]
            for dealer in roster.numbers
        }
        return Opening(self.number, roster.digest, counted, MappingProxyType(shares))

    def disclose(self) -> Disclosure:
        """Both secrets, in a dispute: whoever calls this has charged its own part by itself."""
        self._accepted()
        return Disclosure(self.number, self._pair_seed, self._self_seed)

    def _unsealed(self, sealed: bytes | None, dealer: int) -> bytes:
        try:
            both = unseal(self._key, sealed or b"")
        except DecryptionError as error:
            raise PrivacyError(f"member {dealer} dealt no share that opens") from error
        if len(both) != 2 * SEED_BYTES:
            raise PrivacyError(f"member {dealer} dealt shares of {len(both)} bytes")
        return both

    def _accepted(self) -> Roster:
        if self._roster is None:
            raise PrivacyError("this sum has no roster yet: accept one first")
        return self._roster

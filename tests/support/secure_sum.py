"""A secure sum among members of one process, as far as its tests want it to go."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

import numpy as np
from nacl.public import PrivateKey
from numpy.typing import NDArray

from fedpact.privacy.secure_sum.collecting import OpenedSum, open_sum
from fedpact.privacy.secure_sum.masks import Words
from fedpact.privacy.secure_sum.member import Opening, SumMember
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.privacy.secure_sum.terms import SumTerms

CONTEXT = b"request 1, round 1"


def _secret(number: int, purpose: str) -> bytes:
    """32 bytes, the same in every run."""
    return sha256(f"{purpose} {number}".encode()).digest()


def key(number: int) -> PrivateKey:
    return PrivateKey(_secret(number, "key"))


def draws(number: int) -> Callable[[int], bytes]:
    """A member's draws, the same in every run: the seeds of its key and of its own mask first."""
    drawn = count()
    return lambda size: _secret(number, f"draw {next(drawn)} of member")[:size]


@dataclass
class Party:
    """Members that know each other's shares."""

    terms: SumTerms
    members: list[SumMember]
    roster: Roster

    @classmethod
    def of(
        cls, terms: SumTerms, present: Collection[int] | None = None, context: bytes = CONTEXT
    ) -> "Party":
        """`present`: members that announce themselves; all if None."""
        numbers = sorted(range(terms.members) if present is None else present)
        members = [
            SumMember(terms, context, number, key(number), draws(number)) for number in numbers
        ]
        party = cls(
            terms, members, Roster.of(terms, context, [one.announcement() for one in members])
        )
        sealed = party.sealed()
        for member in members:
            member.accept(party.roster, {at: dealt[member.number] for at, dealt in sealed.items()})
        return party

    def sealed(self) -> dict[int, tuple[bytes, ...]]:
        keys = [bytes(key(number).public_key) for number in range(self.terms.members)]
        return {member.number: member.shares_for(keys) for member in self.members}

    def masked(
        self, values: Sequence[NDArray[np.int64]], missing: Collection[int] = ()
    ) -> dict[int, Words]:
        return {
            member.number: member.masked(values[member.number])
            for member in self.members
            if member.number not in missing
        }

    def opened(self, masked: dict[int, Words], silent: Collection[int] = ()) -> OpenedSum:
        """The sum, without openings of those that are missing, nor of the `silent`."""
        telling = [
            member
            for member in self.members
            if member.number in masked and member.number not in silent
        ]
        return open_sum(self.roster, masked, self.openings(frozenset(masked), telling))

    def openings(
        self, counted: frozenset[int], members: Sequence[SumMember] | None = None
    ) -> list[Opening]:
        """Of `members`, by default all, who all agree to `counted`."""
        telling = self.members if members is None else members
        agreements = [one.agree(counted) for one in telling]
        return [one.opening(agreements) for one in telling]


def vectors(terms: SumTerms, count: int = 5, seed: int = 0) -> list[NDArray[np.int64]]:
    """As large as noised sums can be."""
    generator = np.random.default_rng(seed)
    return [generator.integers(-(2**52), 2**52, count) for _ in range(terms.members)]

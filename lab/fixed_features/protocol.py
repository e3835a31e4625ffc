"""A secure sum through all of its messages, in one process."""

from collections.abc import Mapping, Sequence

import numpy as np
from nacl.public import PrivateKey
from numpy.typing import NDArray

from fedpact.privacy.secure_sum.collecting import open_part, open_sum
from fedpact.privacy.secure_sum.member import SumMember
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.privacy.secure_sum.terms import SumTerms

Integers = NDArray[np.int64]


def opened_sum(terms: SumTerms, context: bytes, values: Mapping[int, Integers]) -> Integers:
    """The sum of `values`, by member; the others drop out after they have dealt their shares."""
    members, roster = _started(terms, context)
    masked = {number: members[number].masked(one) for number, one in values.items()}
    counted = frozenset(masked)
    agreements = [members[number].agree(counted) for number in values]
    openings = [members[number].opening(agreements) for number in values]
    return open_sum(roster, masked, openings).values


def opened_parts(terms: SumTerms, context: bytes, values: Sequence[Integers]) -> list[Integers]:
    """Every member's own part, as a dispute opens it."""
    members, roster = _started(terms, context)
    return [
        open_part(roster, member.masked(one), member.disclose())
        for member, one in zip(members, values, strict=True)
    ]


def _started(terms: SumTerms, context: bytes) -> tuple[list[SumMember], Roster]:
    """Members that have announced themselves and accepted each other's shares."""
    keys = [PrivateKey.generate() for _ in range(terms.members)]
    members = [SumMember(terms, context, number, key) for number, key in enumerate(keys)]
    roster = Roster.of(terms, context, [one.announcement() for one in members])
    public = [bytes(key.public_key) for key in keys]
    sealed = [one.shares_for(public) for one in members]
    for one in members:
        one.accept(roster, {dealer: dealt[one.number] for dealer, dealt in enumerate(sealed)})
    return members, roster

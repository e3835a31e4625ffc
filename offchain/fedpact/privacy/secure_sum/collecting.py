"""What anyone computes from a sum's public messages: the sum, or who is to blame.

Nothing here is secret. Whoever collects can see all of it, and can choose whom to count, within the
terms; members open for one set alone (`member`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedpact.errors import PrivacyError
from fedpact.privacy.secure_sum.masks import (
    SEED_BYTES,
    Words,
    mask_key,
    pair_seed,
    self_words,
    words,
)
from fedpact.privacy.secure_sum.member import Disclosure, Opening
from fedpact.privacy.secure_sum.roster import Roster
from fedpact.privacy.secure_sum.sharing import Kind, combine, secret_digest, share_digest


class SumFailed(PrivacyError):
    """A sum that cannot be opened. `at_fault`: members whose messages show that they are to blame;
    empty if too many are silent."""

    def __init__(self, message: str, at_fault: frozenset[int] = frozenset()) -> None:
        super().__init__(message)
        self.at_fault = at_fault


@dataclass(frozen=True)
class OpenedSum:
    """The sum of masked vectors."""

    values: NDArray[np.int64]
    """(n,)."""
    at_fault: frozenset[int]
    """Members that opened something else than the shares that were dealt to them."""


def open_sum(roster: Roster, masked: Mapping[int, Words], openings: Sequence[Opening]) -> OpenedSum:
    """The sum of the vectors `masked`, (n,) each, by member.

    The caller has checked that each opening is signed by the member that it names: only then is
    that member to blame for it.

    Shares that differ from their digests count as not sent, and so do openings of numbers that no
    member has. Raises SumFailed without enough shares of a secret, and for shares as announced that
    have another length or do not give the announced secret: then the dealer is at fault. Raises
    PrivacyError for vectors that the terms do not allow to sum.
    """
    counted = frozenset(masked)
    roster.check_counted(counted)
    sizes = {len(vector) for vector in masked.values()}
    if len(sizes) != 1:
        raise PrivacyError(f"masked vectors have {sorted(sizes)} values: they must have the same")
    count = sizes.pop()
    shares, liars = _shares(roster, counted, openings)
    secrets = {number: _secret(roster, number, counted, shares, liars) for number in roster.numbers}

    total = np.zeros(count, dtype=np.uint64)
    for vector in masked.values():
        total += vector
    for number, secret in secrets.items():
        if number in counted:
            total -= self_words(secret, roster.digest, count)
        else:
            total -= _pair_words(
                roster, number, secret, sorted(counted), count, seen_by_others=True
            )
    return OpenedSum(total.astype(np.int64), frozenset(liars))


def open_part(roster: Roster, masked: Words, disclosure: Disclosure) -> NDArray[np.int64]:
    """The vector, (n,), that a member masked, by the secrets that it disclosed in a dispute.

    Raises SumFailed for secrets that are not the announced ones, or of nobody in the roster.
    """
    number, context = disclosure.number, roster.context
    if number not in roster.numbers:
        raise SumFailed(f"member {number} disclosed secrets, but is not in the roster of this sum")
    announced = roster[number]
    key = mask_key(disclosure.pair_seed, context).public_key().public_bytes_raw()
    own = secret_digest(context, number, disclosure.self_seed)
    if (key, own) != (announced.mask_key, announced.self_digest):
        raise SumFailed(
            f"member {number} disclosed other secrets than announced", frozenset({number})
        )
    others = [one for one in roster.numbers if one != number]
    count = len(masked)
    total = masked - self_words(disclosure.self_seed, roster.digest, count)
    total -= _pair_words(roster, number, disclosure.pair_seed, others, count, seen_by_others=False)
    return total.astype(np.int64)


def _shares(
    roster: Roster, counted: frozenset[int], openings: Sequence[Opening]
) -> tuple[dict[int, dict[int, bytes]], set[int]]:
    """Of each member the shares of its opened secret, by holder; and who opened a false one."""
    found: dict[int, dict[int, bytes]] = {number: {} for number in roster.numbers}
    liars: set[int] = set()
    for opening in openings:
        if (opening.roster, opening.counted) != (roster.digest, counted):
            continue
        if not 0 <= opening.number < roster.terms.members:
            continue
        for dealer, share in opening.shares.items():
            if dealer not in found:
                continue
            kind = _kind(dealer, counted)
            digest = share_digest(roster.context, kind, dealer, opening.number, share)
            if digest != roster[dealer].share(kind, opening.number):
                liars.add(opening.number)
            elif len(share) != SEED_BYTES:  # its holder should not have accepted it
                raise SumFailed(
                    f"member {dealer} announced a share of {len(share)} bytes, not {SEED_BYTES}",
                    frozenset({dealer}),
                )
            else:
                found[dealer][opening.number] = share
    return found, liars


def _secret(
    roster: Roster,
    number: int,
    counted: frozenset[int],
    shares: Mapping[int, Mapping[int, bytes]],
    liars: set[int],
) -> bytes:
    held, needed = shares[number], roster.terms.threshold
    if len(held) < needed:
        raise SumFailed(
            f"{len(held)} shares of member {number}'s secret were opened, {needed} are needed",
            frozenset(liars),
        )
    secret, context = combine(held, needed), roster.context
    if _kind(number, counted) == "self":
        right = secret_digest(context, number, secret) == roster[number].self_digest
    else:
        public = mask_key(secret, context).public_key().public_bytes_raw()
        right = public == roster[number].mask_key
    if not right:
        raise SumFailed(
            f"member {number} dealt shares that are not of the secret that it announced",
            frozenset({number}),
        )
    return secret


def _kind(number: int, counted: frozenset[int]) -> Kind:
    return "self" if number in counted else "pair"


def _pair_words(
    roster: Roster,
    number: int,
    secret: bytes,
    others: Sequence[int],
    count: int,
    *,
    seen_by_others: bool,
) -> Words:
    """The words that a member shares with others, with the signs of its own vector, or with those
    that they have in the vectors of the others."""
    own, total = mask_key(secret, roster.context), np.zeros(count, dtype=np.uint64)
    for other in others:
        seed = pair_seed(own, roster[other].mask_key, (number, other), roster.digest)
        if (number < other) != seen_by_others:
            total += words(seed, count)
        else:
            total -= words(seed, count)
    return total

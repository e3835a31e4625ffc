"""What a daemon reads of secure sums: who is in which group, and the sum that a member's record
proves."""

import logging
from collections.abc import Mapping
from functools import partial

from fedpact.consensus.secure_sum_record import GroupSum, SumRound
from fedpact.content.pinning import keeping_for
from fedpact.errors import PrivacyError
from fedpact.learning.artefact import Model
from fedpact.privacy.secure_sum.masks import Words
from fedpact.provider.request.reading import (
    ballot_of,
    fetched,
    request_key,
    round_ref_of,
    specification_of,
)
from fedpact.provider.request.view import RequestView, digest_of
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)


def sum_round(view: RequestView, round_: int) -> SumRound:
    """A round as it opened."""
    opened = view.event("RoundOpened", round_)
    return SumRound(
        specification_of(view),
        round_ref_of(view, round_),
        ballot_of(view, round_, digest_of(opened["history"]), view.cohort_in(round_)),
        digest_of(opened["seed"]),
        opened["expected"],
    )


def part_of_sum(view: RequestView, round_: int, cid: Cid, most: int) -> bytes:
    """A member's part of a secure sum, which its owner owes to the store. Raises as `fetched`.

    In a pool that is drawn from, those who judge it keep a copy, as of a model
    (`reading.member_model`)."""
    with keeping_for(view.id if round_ == view.round and view.draws else None):
        return fetched(view, cid, most, "part of a secure sum")


def masked_vector(view: RequestView, round_: int, seat: int, digest: bytes) -> Words:
    """A member's masked vector. Raises ContentUnavailable as `fetched`, ContentError and
    PrivacyError where it is none."""
    known = view.ctx.cache.masked.setdefault((view.id, round_), {})
    if digest not in known:
        here, key = sum_round(view, round_), request_key(view)
        known[digest] = here.vector(seat, digest, key, partial(part_of_sum, view, round_))
    return known[digest]


def masked_vectors(
    view: RequestView, round_: int, digests: Mapping[int, bytes]
) -> dict[int, Words]:
    """The masked vectors of seats, by their digests, which are all looked for at once. Raises as
    `masked_vector`."""
    look_for_vectors(view, round_, digests)
    return {seat: masked_vector(view, round_, seat, one) for seat, one in digests.items()}


def look_for_vectors(view: RequestView, round_: int, digests: Mapping[int, bytes]) -> None:
    """Begin to look for the masked vectors that are not known yet, all at once."""
    here, known = sum_round(view, round_), view.ctx.cache.masked.get((view.id, round_), {})
    for digest in digests.values():
        if digest not in known:
            view.ctx.fetching.begin(view.id, *here.vector_content(digest))


def member_sum(view: RequestView, round_: int, index: int, digest: bytes) -> GroupSum | None:
    """The sum that a member's record proves; None where it proves none.

    Raises ContentUnavailable as `fetched`.
    """
    known = view.ctx.cache.sums.setdefault((view.id, round_), {})
    if index not in known:
        known[index] = _proven(view, round_, index, digest)
    return known[index]


def summed_model(
    view: RequestView, round_: int, index: int, digest: bytes, start: Model
) -> Model | None:
    """The model of a member's group, trained from `start`; None without a sum that it is in."""
    found = member_sum(view, round_, index, digest)
    if found is None:
        return None
    cohort = view.cohort_in(round_)
    samples = {seat: one.samples for seat, one in enumerate(cohort.members)}
    seat = cohort.indices.index(index)
    return sum_round(view, round_).model(seat, found, start, samples)


def _proven(view: RequestView, round_: int, index: int, digest: bytes) -> GroupSum | None:
    seat, key = view.cohort_in(round_).indices.index(index), request_key(view)
    records = view.ctx.cache.sum_records.setdefault((view.id, round_), {})

    def record(cid: Cid, most: int) -> bytes:
        """Kept, since vectors that it names may be looked for yet."""
        if cid not in records:
            records[cid] = part_of_sum(view, round_, cid, most)
        return records[cid]

    try:
        vectors = partial(masked_vectors, view, round_)
        found = sum_round(view, round_).proven(seat, digest, key, record, vectors)
    except PrivacyError as error:
        log.warning("request %d, round %d, seat %d: no sum: %s", view.id, round_, seat, error)
        return None
    for one in found.at_fault:
        log.warning("request %d, round %d: seat %d opened a false share", view.id, round_, one)
    return found

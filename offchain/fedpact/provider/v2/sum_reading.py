"""What a daemon reads of secure sums: who is in which group, and the sum that a member's record
proves."""

import logging

from fedpact.consensus.sums import (
    RECORD_MAX_BYTES,
    REFUSED,
    GroupSum,
    SumGroup,
    SumRecord,
    group_of,
    masked_bytes,
    masked_cid,
    open_masked,
    open_record,
    opened_record,
    sum_groups,
)
from fedpact.content.kept import keeping_for
from fedpact.errors import ContentMissing, Retryable
from fedpact.exchange.messages import Ballot
from fedpact.learning.artefact import Model
from fedpact.learning.summed import group_model, summed_values
from fedpact.privacy.secure_sum.masks import Words
from fedpact.provider.v2.reading import request_key, round_ref_of, specification_of
from fedpact.provider.v2.view import RequestView, digest_of
from fedpact.types.cid import Cid

log = logging.getLogger(__name__)


def ballot_of(view: RequestView, round_: int) -> Ballot:
    """Who may speak in a round, and as of which history."""
    return Ballot(
        view.ctx.client.rounds.domain,
        view.id,
        round_,
        digest_of(view.event("RoundOpened", round_)["history"]),
        tuple(member.account for member in view.cohort_in(round_).members),
        (view.record.requester, *view.terms.openers),
    )


def sum_group(view: RequestView, round_: int, seat: int) -> SumGroup | None:
    """The group of a seat in a round; None where it is in none."""
    opened = view.event("RoundOpened", round_)
    found = sum_groups(
        specification_of(view).privacy,
        round_ref_of(view, round_),
        digest_of(opened["history"]),
        digest_of(opened["seed"]),
        opened["expected"],
    )
    return group_of(found, seat)


def fetched(view: RequestView, cid: Cid, most: int) -> bytes:
    """Another member's content, which its owner owes to the store. Raises ContentMissing while it
    is looked for, and what the store raises."""
    if not view.ctx.fetching.has_come(cid, most):
        raise ContentMissing(f"{cid} is being looked for")
    with keeping_for(None):
        return view.ctx.store.get(cid, most)


def masked_vector(view: RequestView, round_: int, seat: int, digest: bytes) -> Words:
    """A member's masked vector. Raises ContentMissing, StoreUnreachable where it is not to be had
    now, ContentError and PrivacyError where it is none."""
    known = view.ctx.cache.masked.setdefault((view.id, round_), {})
    if digest not in known:
        values = summed_values(specification_of(view), round_)
        sealed = fetched(view, masked_cid(digest, values), masked_bytes(values))
        account = view.cohort_in(round_).members[seat].account
        known[digest] = open_masked(
            sealed, request_key(view), round_ref_of(view, round_), account, values
        )
    return known[digest]


def member_sum(view: RequestView, round_: int, index: int, digest: bytes) -> GroupSum | None:
    """The sum that a member's record proves; None where it proves none.

    Raises ContentMissing or StoreUnreachable where something is unavailable now.
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
    if found is None or index not in indices_of(view, round_, found):
        return None
    units = sum(view.pool[one].samples for one in indices_of(view, round_, found))
    return group_model(specification_of(view), round_, start, found.total, units)


def indices_of(view: RequestView, round_: int, found: GroupSum) -> tuple[int, ...]:
    """The pool indices of those whose vectors are in a sum."""
    indices = view.cohort_in(round_).indices
    return tuple(sorted(indices[seat] for seat in found.seats))


def _proven(view: RequestView, round_: int, index: int, digest: bytes) -> GroupSum | None:
    cohort = view.cohort_in(round_)
    seat = cohort.indices.index(index)
    group = sum_group(view, round_, seat)
    if group is None:
        return None
    account, reference = cohort.members[seat].account, round_ref_of(view, round_)
    try:
        sealed = fetched(view, Cid.of_digest(digest, RECORD_MAX_BYTES), RECORD_MAX_BYTES)
        record = SumRecord.decode(open_record(sealed, request_key(view), reference, account))
        return opened_record(
            group,
            record,
            ballot_of(view, round_),
            lambda one, masked: masked_vector(view, round_, one, masked),
        )
    except Retryable:
        raise
    except REFUSED as error:
        log.warning("request %d, round %d, seat %d: no sum: %s", view.id, round_, seat, error)
        return None

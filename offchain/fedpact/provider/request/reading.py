"""What the duties read of a request from the chain and the content store, and put there."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from fedpact.chain.client import ChainClient
from fedpact.chain.keystore import AccountKeys
from fedpact.chain.signed_messages import RoundRecord
from fedpact.consensus.artefacts import (
    SLICE_MAX_BYTES,
    RoundRef,
    model_cid,
    open_local,
    open_slice,
    sealed_bytes,
)
from fedpact.consensus.secure_sum_record import RECORD_MAX_BYTES
from fedpact.content.bn254 import Point
from fedpact.content.delivery import Deliveries
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest, committee_key, key_hash, unseal
from fedpact.content.pinning import keeping_for
from fedpact.data.dataset import Dataset
from fedpact.errors import (
    ContentError,
    ContentMissing,
    ContentSought,
    DecryptionError,
    ModelError,
    NotReady,
    PolicyRefusal,
)
from fedpact.exchange.messages import Ballot, LargeBallot
from fedpact.learning.artefact import Model, Template
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of, represented
from fedpact.learning.held_out import judged_on
from fedpact.provider.context import Cohort
from fedpact.provider.data_sets import OwnData
from fedpact.provider.request.view import RequestView, digest_of, posted_as_whole
from fedpact.provider.snapshots import request_name
from fedpact.types.cid import Cid
from fedpact.types.requests import Phase, Terms, seats_of
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification
from fedpact.types.terms_match import require_agreement

log = logging.getLogger(__name__)

Read = Callable[[Cid, int], bytes]
"""Reads content of at most so many bytes: `ContentStore.get`, or `fetched`."""


def fetched(view: RequestView, cid: Cid, most: int, what: str) -> bytes:
    """Content of a request that others name, of `most` bytes at most.

    Raises ContentSought while it is looked for, and what the store raises.
    """
    data = view.ctx.fetching.take(view.id, cid, most)
    if data is None:
        said = f"request {view.id}: looking for its {what} ({cid})"
        raise ContentSought(said, again=view.ctx.fetching.was_missing(view.id, cid))
    return data


def put(view: RequestView, data: bytes, what: str) -> Cid:
    """Put content of a request into the store, and pin it.

    Raises ContentSought while that is not done, and what the store raises.
    """
    cid = view.ctx.fetching.put(view.id, data)
    if cid is None:
        raise ContentSought(f"request {view.id}: storing its {what} ({Cid.of(data)})")
    return cid


def _read(view: RequestView, what: str) -> Read:
    return lambda cid, most: fetched(view, cid, most, what)


def specification_of(view: RequestView) -> Specification:
    """The request's specification, checked against the terms on chain. Raises as `fetched`."""
    known = view.ctx.cache.specifications
    if view.id not in known:
        known[view.id] = agreed_specification(_read(view, "specification"), view.terms)
    return known[view.id]


def agreed_specification(read: Read, terms: Terms) -> Specification:
    """The specification that terms name, checked against them."""
    cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
    spec = Specification.decode(read(cid, SPECIFICATION_MAX_BYTES))
    require_agreement(spec, terms)
    check_published(spec)
    return spec


def template_of(spec: Specification) -> Template:
    return family_of(spec).template(spec)


def ballot_of(view: RequestView, round_: int, history: bytes, cohort: Cohort) -> Ballot:
    """Who may speak in a round, and as of which history."""
    kind = LargeBallot if view.ctx.deployment.is_large else Ballot
    return kind(
        view.ctx.client.any_rounds.domain,
        view.id,
        round_,
        history,
        tuple(member.account for member in cohort.members),
        (view.record.requester, *view.terms.openers),
        view.ctx.client.wallets,
    )


def round_ref_of(view: RequestView, round_: int) -> RoundRef:
    return RoundRef(view.ctx.deployment.fingerprint, view.id, round_)


# ---------------------------------------------------------------------- keys


def request_key(view: RequestView) -> bytes:
    """The request's key of the last start, once all that the start says of it is right.

    Raises ContentError where it was not properly sealed to this account, or the start anchors
    another committee key or other deliveries than follow from it: then nobody should submit.
    """
    started = view.events("Started")
    if not started:
        raise ContentMissing(f"request {view.id}: its start has not been read yet")
    facts = started[-1]["start"]
    cached = view.ctx.cache.request_keys.get(view.id)
    if cached is not None and key_hash(cached) == digest_of(facts["keyHash"]):
        return cached
    key = _sealed_to_me(view, digest_of(facts["manifest"]))
    fingerprint = view.ctx.deployment.fingerprint
    if key_hash(key) != digest_of(facts["keyHash"]):
        raise ContentError("the key sealed to me is not the one on chain")
    public = bytes(committee_key(key, fingerprint, view.id).public_key)
    if public != digest_of(facts["committeeKey"]):
        raise ContentError("the committee key on chain does not follow from the request key")
    if deliveries_of(view, key).root != digest_of(facts["deliveryHash"]):
        raise ContentError("the deliveries on chain do not follow from the request key")
    view.ctx.cache.request_keys[view.id] = key
    return key


def former_keys(view: RequestView) -> list[bytes]:
    """The keys of void starts that open to this account, the latest first. The manifest of such a
    start may be nowhere; ContentSought while it is looked for."""
    found = []
    for event in reversed(view.events("Started")[:-1]):
        with suppress(ContentError, ContentMissing):
            found.append(_sealed_to_me(view, digest_of(event["start"]["manifest"])))
    return found


def deliveries_of(view: RequestView, key: bytes) -> Deliveries:
    """What may be delivered under a request key: equal for all members."""
    terms = view.terms
    requester = Point(terms.delivery_key_x, terms.delivery_key_y)
    fingerprint = view.ctx.deployment.fingerprint
    return Deliveries.seal(key, requester, fingerprint, view.id, terms.max_rounds)


def _sealed_to_me(view: RequestView, digest: bytes) -> bytes:
    return sealed_to(view.ctx.keys, view.ctx.client, _read(view, "sealed keys"), digest)


def sealed_to(keys: AccountKeys, client: ChainClient, read: Read, digest: bytes) -> bytes:
    """The request key in the manifest with this digest, sealed to the account; DecryptionError if
    it is not."""
    cid = Cid.of_digest(digest, MANIFEST_MAX_BYTES)
    manifest = Manifest.decode(read(cid, MANIFEST_MAX_BYTES))
    # The seal may be older than the current key.
    for version in range(client.registry.participant(keys.address).key_version, 1, -1):
        with suppress(DecryptionError):
            return manifest.open(keys.address, keys.encryption_key(version))
    return manifest.open(keys.address, keys.encryption_key(1))


# ---------------------------------------------------------------------- rounds


def submitted_digests(view: RequestView, round_: int) -> dict[int, bytes]:
    """The digests of a round's models, by seat."""
    found: dict[int, bytes] = {}
    for event in view.events("ModelsSubmitted", round_):
        digests = [digest_of(one) for one in event["digests"]]
        found.update(zip(seats_of(event["mask"]), digests, strict=True))
    return found


def counted_digests(view: RequestView, round_: int) -> dict[int, bytes]:
    """The digests of the models that count in a round, by seat.

    In the submissions of the present round: those that all members have signed, once that is so.
    """
    record = posted_record(view, round_)
    if record is not None:
        mask = view.event("RoundPosted", round_)["mask"]
        return dict(zip(seats_of(mask), record.digests, strict=True))
    if round_ == view.round and view.facts.phase is Phase.SUBMIT:
        return view.ctx.cache.offered.get((view.id, round_), {})
    void = {event["seat"] for event in view.events("Equivocated", round_)}
    found = submitted_digests(view, round_)
    return {seat: digest for seat, digest in found.items() if seat not in void}


def posted_record(view: RequestView, round_: int) -> RoundRecord | None:
    """The record of a round that was posted as a whole; None if it was not.

    Raises ContentMissing where the node does not know its transaction now.
    """
    posted = view.events("RoundPosted", round_)
    if not posted:
        return None
    return posted_as_whole(view.ctx, view.id, posted[-1])


def sealed_slice_key(view: RequestView, round_: int) -> bytes | None:
    """The sealed key of a round's slice, from the chain or a message of the requester."""
    if view.ctx.deployment.is_large:
        return large_slice_key(view, round_)
    opened = view.events("SliceOpened", round_)
    if opened:
        return digest_of(opened[-1]["sealedKey"])
    if round_ == view.round and view.facts.slice_opened:
        # A node under load may answer from a newer block than it was asked for.
        raise ContentMissing(f"slice {round_} is open, but its event has not been read yet")
    record = posted_record(view, round_)
    return view.ctx.cache.sealed.get((view.id, round_)) if record is None else record.slice_key


def large_slice_key(view: RequestView, round_: int) -> bytes | None:
    """Of a large round: from a message of the requester, or the evidence of one that was posted."""
    at = (view.id, round_)
    judged = view.ctx.cache.judged.get(at)
    if judged is not None:
        return judged.evidence.sealed_key
    return view.ctx.cache.sealed.get(at)


def look_for(view: RequestView, digests: Iterable[bytes]) -> None:
    """Begin to look for local models that will be read, all at once."""
    for digest in digests:
        view.ctx.fetching.begin(view.id, *_content_of(view, digest))


def _content_of(view: RequestView, digest: bytes) -> tuple[Cid, int]:
    spec = specification_of(view)
    if spec.privacy.sum is not None:
        return Cid.of_digest(digest, RECORD_MAX_BYTES), RECORD_MAX_BYTES
    template = template_of(spec)
    return model_cid(template, digest), sealed_bytes(template)


def member_model(view: RequestView, round_: int, index: int, digest: bytes) -> Model | None:
    """A member's local model of a round; None where what it published is no model of the request.

    Raises ContentUnavailable as `fetched`.
    """
    template = template_of(specification_of(view))
    account = view.pool[index].account
    try:
        # Its owner owes it, but may take it back, and whoever is drawn later reads it too: those
        # who judge it keep a copy.
        with keeping_for(view.id if round_ == view.round and view.draws else None):
            cid, what = model_cid(template, digest), f"model of member {index} in round {round_}"
            sealed = fetched(view, cid, sealed_bytes(template), what)
        return open_local(sealed, request_key(view), round_ref_of(view, round_), account, template)
    except (ContentError, ModelError):
        return None


def evaluation_slice(view: RequestView, round_: int) -> Dataset | None:
    """A round's evaluation slice; None where it was not opened.

    Raises ContentError where its key or bytes are not those fixed at creation, and
    ContentUnavailable as `fetched`.
    """
    ctx, at = view.ctx, (view.id, round_)
    if at in ctx.cache.slices:
        return ctx.cache.slices[at]
    sealed_key = sealed_slice_key(view, round_)
    if sealed_key is None:
        return None
    ctx.cache.slices[at] = slice_opened_by(view, round_, sealed_key)
    return ctx.cache.slices[at]


def slice_opened_by(view: RequestView, round_: int, sealed_key: bytes) -> Dataset:
    """A round's evaluation slice; raises as `evaluation_slice`."""
    spec = specification_of(view)
    private = committee_key(request_key(view), view.ctx.deployment.fingerprint, view.id)
    key = unseal(private, sealed_key)
    cid = Cid.parse(spec.evaluation[round_ - 1].cid)
    sealed = fetched(view, cid, SLICE_MAX_BYTES, f"evaluation slice {round_}")
    return open_slice(spec, round_, key, sealed)


def own_part(view: RequestView) -> Dataset:
    """This member's own records that judge models, where the specification says so."""
    ctx, spec = view.ctx, specification_of(view)
    if view.id not in ctx.cache.own_parts:
        name = request_name(ctx.deployment.fingerprint, view.id)
        part = judged_on(data_of(view).records.dataset(name, spec))
        ctx.cache.own_parts[view.id] = represented(spec, part)
    return ctx.cache.own_parts[view.id]


def data_of(view: RequestView) -> OwnData:
    """The data set with which the request was joined.

    Where that is not noted (a state that was rebuilt, or a daemon that served one data set then),
    it is the first whose schema fits, of those that the ledger has charged or set aside for it.
    Raises NotReady where the policy lists it no more.
    """
    ctx, spec = view.ctx, specification_of(view)
    name = ctx.state.chosen(view.id)
    for one in ctx.data:
        if one.name == name:
            return one
    payer = ctx.ledger.payer(ctx.deployment.fingerprint, view.id)
    for one in ctx.data:
        if payer in (None, one.records.schema.data_id):
            with suppress(PolicyRefusal):
                one.records.schema.check(spec)
                return one
    raise NotReady(
        f"request {view.id} was joined with data {name!r}, which the policy does not list any more:"
        " list it again"
    )

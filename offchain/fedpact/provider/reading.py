"""What duties read of a request from the chain and the content store."""

from contextlib import suppress
from typing import Any

from fedpact.chain.bindings.market import terms_of as terms_from
from fedpact.consensus.artefacts import (
    SLICE_MAX_BYTES,
    RoundRef,
    model_cid,
    open_local,
    open_slice,
    sealed_bytes,
)
from fedpact.consensus.votes import Ballot
from fedpact.content.kept import keeping_for
from fedpact.content.keys import MANIFEST_MAX_BYTES, Manifest, key_hash
from fedpact.data.dataset import Dataset
from fedpact.errors import (
    ContentError,
    ContentMissing,
    DecryptionError,
    ModelError,
    SpecificationError,
)
from fedpact.learning.artefact import Model, Template
from fedpact.learning.checks import check_published
from fedpact.learning.families import family_of
from fedpact.provider.context import RequestView
from fedpact.types.cid import Cid
from fedpact.types.rounds import Terms
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, Specification


def terms_of(view: RequestView) -> Terms:
    """The request's terms from its creation event."""
    created = view.ctx.state.events(view.id, "RequestCreated")
    if not created:
        raise ContentMissing(f"request {view.id}: its creation has not been read yet")
    kept = created[-1]["terms"]
    digests = ("specification", "evaluation", "initialModel", "queryKey")
    return terms_from({**kept, **{name: digest_of(kept[name]) for name in digests}})


def specification_of(view: RequestView) -> Specification:
    """The request's specification, checked against the terms on chain."""
    cached = view.ctx.cache.specifications.get(view.id)
    if cached is not None:
        return cached
    terms = terms_of(view)
    cid = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
    spec = Specification.decode(view.ctx.store.get(cid, SPECIFICATION_MAX_BYTES))
    if spec.terms(cid.digest, Cid.parse(spec.initial_model).digest) != terms:
        raise SpecificationError(
            f"request {view.id}: its terms on chain differ from its specification {cid}"
        )
    check_published(spec)
    view.ctx.cache.specifications[view.id] = spec
    return spec


def template_of(spec: Specification) -> Template:
    return family_of(spec).template(spec)


def round_ref_of(view: RequestView, round_: int | None = None) -> RoundRef:
    return RoundRef(
        view.ctx.deployment.fingerprint, view.id, view.round if round_ is None else round_
    )


def ballot_of(view: RequestView, account: str) -> Ballot:
    deployment = view.ctx.deployment
    return Ballot(deployment.chain_id, deployment.rounds, view.id, view.round, account)


# ---------------------------------------------------------------------- keys


def request_key(view: RequestView) -> bytes:
    """The request's key from its manifest, checked against the hash on chain.

    Raises ContentError where it was not properly sealed to this account.
    """
    cached = view.ctx.cache.request_keys.get(view.id)
    if cached is not None:
        return cached
    started = view.ctx.state.events(view.id, "Started")
    if not started:
        raise ContentMissing(f"request {view.id}: its start has not been read yet")
    key = _sealed_to_me(view, digest_of(started[-1]["manifest"]))
    if key_hash(key) != digest_of(started[-1]["keyHash"]):
        raise ContentError(f"request {view.id}: the key sealed to me is not the one on chain")
    view.ctx.cache.request_keys[view.id] = key
    return key


def _sealed_to_me(view: RequestView, digest: bytes) -> bytes:
    ctx = view.ctx
    cid = Cid.of_digest(digest, MANIFEST_MAX_BYTES)
    manifest = Manifest.decode(ctx.store.get(cid, MANIFEST_MAX_BYTES))
    # The seal may be older than the current key: results are resold long after their requests.
    for version in range(ctx.client.registry.participant(ctx.keys.address).key_version, 1, -1):
        with suppress(DecryptionError):
            return manifest.open(ctx.keys.address, ctx.keys.encryption_key(version))
    return manifest.open(ctx.keys.address, ctx.keys.encryption_key(1))


# ---------------------------------------------------------------------- rounds


def attestations(view: RequestView) -> dict[int, tuple[bytes, int]]:
    """What the members posted in this round, by seat: masked digest and error."""
    events = view.ctx.state.events(view.id, "Attested")
    return {
        e["seat"]: (digest_of(e["attestation"]), e["mae"])
        for e in events
        if e["round"] == view.round
    }


def submitted_digests(view: RequestView, round_: int) -> dict[int, bytes]:
    """The digests of a round's models, by seat."""
    events = view.ctx.state.events(view.id, "ModelSubmitted")
    return {e["seat"]: digest_of(e["digest"]) for e in events if e["round"] == round_}


def member_model(view: RequestView, round_: int, seat: int, digest: bytes) -> Model | None:
    """A member's local model of a round; None where what it published is no model of the request.

    Raises ContentUnavailable where it is unavailable now.
    """
    template = template_of(specification_of(view))
    try:
        with keeping_for(None):  # its owner owes it
            sealed = view.ctx.store.get(model_cid(template, digest), sealed_bytes(template))
        account = view.members[seat].account
        return open_local(sealed, request_key(view), round_ref_of(view, round_), account, template)
    except (ContentError, ModelError):
        return None


def evaluation_slice(view: RequestView, round_: int) -> Dataset | None:
    """A round's evaluation slice; None where the requester did not open it.

    Raises ContentError where its key or bytes are not those fixed at creation.
    """
    ctx, at = view.ctx, (view.id, round_)
    if at in ctx.cache.slices:
        return ctx.cache.slices[at]
    opened = [e for e in ctx.state.events(view.id, "SliceOpened") if e["round"] == round_]
    if not opened:
        if round_ == view.round and view.state.slice_opened:
            # A node under load may answer from a newer block than it was asked for.
            raise ContentMissing(
                f"slice {round_} is open, but its event has not been read yet: will try again"
            )
        return None
    spec = specification_of(view)
    key = _sealed_to_me(view, digest_of(opened[-1]["digest"]))
    sealed = ctx.store.get(Cid.parse(spec.evaluation[round_ - 1].cid), SLICE_MAX_BYTES)
    ctx.cache.slices[at] = open_slice(spec, round_, key, sealed)
    return ctx.cache.slices[at]


def event_of(view: RequestView, name: str, round_: int) -> dict[str, Any]:
    for event in view.ctx.state.events(view.id, name):
        if event["round"] == round_:
            return event
    raise ContentMissing(f"request {view.id}: no {name} of round {round_} has been read yet")


def digest_of(value: Any) -> bytes:
    return bytes.fromhex(str(value).removeprefix("0x"))

"""Stages 2 and 3 of the workflow: judge a request, opt in, start it, check the seal."""

from typing import Any

from fedpact.content.keys import Manifest, key_hash
from fedpact.data.description import attributes
from fedpact.errors import (
    BudgetExceeded,
    ContentError,
    DataError,
    InvalidInput,
    ModelError,
    PolicyRefusal,
    PrivacyError,
    UnknownFamily,
)
from fedpact.learning.checks import check_dataset
from fedpact.learning.families import family_of
from fedpact.learning.held_out import judged_on, trained_on
from fedpact.learning.units import samples_of
from fedpact.privacy.mechanisms import of_request
from fedpact.provider.context import DutyResult, Parts, RequestView, did, idle
from fedpact.provider.ending import finish
from fedpact.provider.history import DaemonHistory
from fedpact.provider.keeping import require_room
from fedpact.provider.own import Own
from fedpact.provider.reading import request_key, specification_of, terms_of
from fedpact.provider.records import request_name
from fedpact.provider.state import Participation
from fedpact.types.cid import Cid
from fedpact.types.declining import Reason
from fedpact.types.document import canonical_json
from fedpact.types.privacy import PrivacyMode
from fedpact.types.rounds import seats_of
from fedpact.types.specification import SPECIFICATION_MAX_BYTES, JudgedOn, Specification
from fedpact.types.v2 import ETHER

REFUSALS = (InvalidInput, DataError, ModelError, PolicyRefusal, PrivacyError, ContentError)
"""For which a request is declined for good."""


def opt_in(view: RequestView) -> DutyResult:
    """Join an open request if policy and privacy budget allow it; otherwise decline it for good."""
    record, ctx = view.record, view.ctx
    if ctx.cache.held:
        return idle(ctx.cache.held)
    try:
        terms = terms_of(view)
        described = Cid.of_digest(terms.specification, SPECIFICATION_MAX_BYTES)
        if not ctx.fetching.has_come(described, SPECIFICATION_MAX_BYTES):
            return idle("looking for its specification")
        spec = specification_of(view)
        if view.frame.timestamp > record.join_deadline:
            raise PolicyRefusal("its join window has passed")
        if record.joined >= spec.max_providers:
            raise PolicyRefusal("all seats are taken")
        if spec.invited and ctx.keys.address not in spec.invited:
            raise PolicyRefusal("others are invited")
        if spec.privacy.sum is not None:
            raise PolicyRefusal("secure sums need contracts of the second protocol")
        if not has_first_model(ctx, spec):
            return idle("looking for its first model")
        DaemonHistory(view).initial_model()  # One that no family accepts is declined here.
        require_room(ctx.store, spec)
        samples = ready_to_join(ctx, spec, record.payment, record.requester, view.id)
        if samples is None:
            return idle("looking for what its family needs")
    except REFUSALS as refusal:
        return decline(ctx, view.id, refusal)
    ctx.keep_records(view.id)
    cid = ctx.store.put(opt_in_record(ctx, spec, samples))
    receipt = ctx.client.market.join(ctx.keys, view.id, samples, cid.digest)
    ctx.state.decide(view.id, Participation.JOINED, f"joined with {samples} samples")
    return did(f"joined with {samples} samples ({receipt.gas_used} gas)")


def ready_to_join(
    ctx: Parts[Any],
    spec: Specification,
    payment: int,
    requester: str,
    request: int,
    token: str = ETHER,
) -> int | None:
    """Number of samples to join with, once what the family trains on besides is here, and tried;
    None before. Raises one of REFUSALS. `payment` in the smallest unit of `token`."""
    name = (ctx.deployment.fingerprint, request)
    samples = samples_to_join(ctx, spec, payment, requester, name, token)
    family = family_of(spec)
    obtained = ctx.fetching.is_done(("obtain", *name), lambda store: family.obtain(spec, store))
    return samples if obtained else None


def has_first_model(ctx: Parts[Any], spec: Specification) -> bool:
    """Whether the model that a request begins with is here; False while it is looked for."""
    size = family_of(spec).template(spec).bytes
    return ctx.fetching.has_come(Cid.parse(spec.initial_model), size)


def decline(ctx: Parts[Any], request: int, refusal: Exception) -> DutyResult:
    """Stay out of a request for good, and free what was set aside for it."""
    ctx.ledger.drop_hold(ctx.deployment.fingerprint, request)
    ctx.drop_records(request)
    ctx.state.decide(request, Participation.DECLINED, str(refusal))
    return idle(f"declined: {refusal}")


def public_reason(refusal: Exception) -> Reason | None:
    """What may be said in public of a refusal; None: nothing, since it may follow from records
    (docs/adr/0054)."""
    if isinstance(refusal, PolicyRefusal):
        return None if refusal.reason is None else Reason(refusal.reason)
    if isinstance(refusal, BudgetExceeded):
        return Reason.BUDGET
    if isinstance(refusal, UnknownFamily):
        return Reason.FAMILY
    return None if isinstance(refusal, DataError) else Reason.REQUEST


def samples_to_join(
    own: Own,
    spec: Specification,
    payment: int,
    requester: str,
    request: tuple[bytes, int],
    token: str = ETHER,
) -> int:
    """Number of samples to join with; raises the reason to decline.

    Under mode `sound` it follows from request, policy and schema alone: whether a provider joins
    must not depend on its records. The ledger sets aside the privacy that the whole request would
    cost, so that two requests cannot both count on the same remaining budget.

    Args:
        payment: in the smallest unit of `token`.
        requester: the account that asks.
        request: deployment fingerprint and number.
    """
    from fedpact.privacy.accounting import cost

    schema, policy = own.records.schema, own.policy
    try:
        schema.check(spec)
    except PolicyRefusal as refusal:
        raise PolicyRefusal(str(refusal), Reason.SCHEMA) from refusal
    samples = schema.units
    release = of_request(spec)
    price = None if release is None else cost(release, policy.delta)
    parameters = family_of(spec).template(spec).parameters
    epsilon = 0.0 if price is None else price.epsilon
    policy.check(spec, payment, parameters, samples, epsilon, token)
    if spec.privacy.mode is not PrivacyMode.SOUND:
        dataset = own.records.dataset(request_name(*request), spec)
        if spec.judged_on is JudgedOn.OWN_RECORDS:
            judged_on(dataset)  # One that has too few declines.
        dataset = trained_on(spec, dataset)
        check_dataset(spec, dataset)
        samples = samples_of(spec, dataset)
        try:
            policy.check(spec, payment, parameters, samples, epsilon, token)
        except PolicyRefusal as refusal:  # It follows from records, which nobody is told.
            raise PolicyRefusal(str(refusal)) from refusal
    if release is not None and price is not None:
        if price.epsilon > policy.epsilon_per_request:
            raise PolicyRefusal(
                f"the request costs epsilon {price.epsilon:.3f} a unit at delta "
                f"{policy.delta:g}, over the policy's {policy.epsilon_per_request:g}",
                Reason.PRIVACY,
            )
        own.ledger.hold(*request, release, own.payers(requester))
    return samples


def opt_in_record(own: Own, spec: Specification, samples: int, endpoint: str = "") -> bytes:
    """What `fedpact data describe` shows, the requested labels, and the provider's declaration
    with its signature (EIP-191, over the declaration's canonical JSON).

    `endpoint`: where its daemon exchanges messages of rounds, if it does.
    """
    asked = spec.features
    described = attributes(spec.task, spec.category, samples, asked.shape, asked.names, asked.kind)
    declared = own.records.schema.published
    signature = own.keys.sign_text(canonical_json(declared))
    return canonical_json(
        {
            **described,
            "labels": list(spec.labels),
            "declaration": declared,
            "declaration_signature": signature.hex(),
            **({"endpoint": endpoint} if endpoint else {}),
        }
    )


def start_request(view: RequestView) -> DutyResult:
    """Make the request's key, seal it to the committee, and open round 1 when it is this member's
    turn."""
    record, ctx, now = view.record, view.ctx, view.frame.timestamp
    if not view.has_seat:
        return idle("not in the committee")
    spec = specification_of(view)
    full = record.joined == spec.max_providers
    if not full and (now <= record.join_deadline or record.joined < spec.min_providers):
        return idle("waiting for more providers")
    seats = seats_of(view.state.members)
    if now < record.close_time + seats.index(view.seat) * spec.windows.start:
        return idle(f"seat {seats[0]} starts first")
    ctx.client.agree(view.frame)
    secret = _new_request_key(view)
    receivers = [view.members[seat].account for seat in seats] + list(spec.auditors)
    public_keys = {
        account: ctx.client.registry.participant(account).encryption_key for account in receivers
    }
    manifest = Manifest.sealing(
        secret,
        public_keys,
        ctx.deployment.fingerprint,
        view.id,
        "request-key",
        0,
        ctx.keys.seal_entropy,
    )
    cid = ctx.store.put(manifest.encode())
    receipt = ctx.client.market.start(
        ctx.keys, view.id, view.seat, cid.digest, key_hash(secret), view.committee
    )
    return did(f"started with {len(seats)} providers ({receipt.gas_used} gas)")


def _new_request_key(view: RequestView) -> bytes:
    """32 bytes that follow from the account's key, so that starting again is the same call.

    The hash of the terms is in: after a reorganisation, another request may have the number."""
    ctx = view.ctx
    request = (ctx.deployment.fingerprint, view.id.to_bytes(32, "big"), view.state.history)
    return ctx.keys.derive("request-key", *request, *(bytes.fromhex(a[2:]) for a in view.committee))


def check_seal(view: RequestView) -> DutyResult:
    """Withdraw, without loss, from a request whose key was not properly sealed to this account."""
    if not view.in_mask(view.state.members):
        return idle("not in the committee")
    try:
        request_key(view)
    except ContentError as error:
        if view.in_mask(view.state.ever):
            raise
        view.ctx.client.market.withdraw(view.ctx.keys, view.id, view.seat)
        finish(view, f"withdrew: {error}")
        return did(f"withdrew: {error}")
    return idle("the request's key is known")

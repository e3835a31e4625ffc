"""Whether a request is joined, with which data, and what is said in public (stage 3)."""

import math
import time
from dataclasses import dataclass

from fedpact.data.description import attributes
from fedpact.errors import (
    BudgetExceeded,
    ContentError,
    DataError,
    DeviceUnfit,
    FedpactError,
    InvalidInput,
    ModelError,
    PolicyRefusal,
    PrivacyError,
    TrainingFailed,
)
from fedpact.learning.checks import check_dataset
from fedpact.learning.families import family_of
from fedpact.learning.held_out import judged_on, trained_on
from fedpact.learning.units import samples_of
from fedpact.privacy.releases import of_request
from fedpact.provider.context import Context
from fedpact.provider.data_sets import OwnData
from fedpact.provider.duties.declining import public_reason
from fedpact.provider.own import Own
from fedpact.provider.snapshots import request_name
from fedpact.types.decline_reason import Reason
from fedpact.types.device import PROCESSOR
from fedpact.types.document import canonical_json
from fedpact.types.privacy import PrivacyMode
from fedpact.types.requests import ETHER
from fedpact.types.specification import JudgedOn, Specification

REFUSALS = (InvalidInput, DataError, ModelError, PolicyRefusal, PrivacyError, ContentError)
"""For which a request is declined for good."""
DEVICE_SECONDS = 300.0
"""Seconds after which trying a device is given up, until it is tried again."""
DEVICE_TRIES = 3
"""That fail, after which a request is declined: each may hold up others' trials for so long."""
DEVICE_PAUSE = 60.0
"""Seconds from one that failed to the next: what fills the device's memory may be gone by then."""


@dataclass(frozen=True)
class FittingData:
    """The data set with which a request is joined, and the number of its samples."""

    data: OwnData
    samples: int


def ready_to_join(
    ctx: Context,
    spec: Specification,
    payment: int,
    requester: str,
    request: int,
    token: str = ETHER,
    reputation: int | None = None,
    due: int = 0,
) -> FittingData | None:
    """The data to join with, once what the family trains on besides is here and tried; None before.
    Raises one of REFUSALS, and TrainingFailed where the device could not be tried. Arguments
    as of `match_to_join`; `due`: when it is too late to join, as `Background.result` takes it."""
    name = (ctx.deployment.fingerprint, request)
    match = match_to_join(ctx, spec, payment, requester, name, token, reputation)
    family = family_of(spec)
    obtained = ctx.fetching.is_done(request, "obtain", lambda store: family.obtain(spec, store))
    tried = obtained and _device_is_fit(ctx, spec, requester, request, due)
    return match if tried else None


def _device_is_fit(
    ctx: Context, spec: Specification, requester: str, request: int, due: int
) -> bool:
    """Whether the device that trains has been tried and found fit for the request's privacy, beside
    the cycle. Raises PolicyRefusal where it is not, and where it could not be tried after
    DEVICE_TRIES; TrainingFailed after each that failed before, which says nothing about it."""
    trainer, fit = ctx.trainer, ctx.cache.fit_device
    if trainer.work.device == PROCESSOR or spec.privacy.mode is not PrivacyMode.SOUND:
        return True

    def tries(ends: float) -> bool:
        with trainer.training(request_name(ctx.deployment.fingerprint, request), ends) as one:
            one.try_device(spec)
        return True

    failures, last, said = ctx.cache.device_failures.get(request, (0, -math.inf, ""))
    if request not in fit:
        if failures >= DEVICE_TRIES:  # Declining failed before: it is not tried for that again.
            raise PolicyRefusal(said, Reason.SIZE)
        if time.monotonic() < last + DEVICE_PAUSE:
            return False
        try:
            key = ("device", request)
            seconds = min(DEVICE_SECONDS, ctx.policy.max_training_seconds)
            if not ctx.trials.result(key, requester, tries, seconds, due):
                return False
        except DeviceUnfit as unfit:
            raise PolicyRefusal(str(unfit), Reason.PRIVACY) from unfit
        except TrainingFailed as failure:
            failures += 1
            said = f"device {trainer.work.device} could not be tried: {failure} (attempt {failures}"
            said += f" of {DEVICE_TRIES})"
            ctx.cache.device_failures[request] = failures, time.monotonic(), said
            if failures >= DEVICE_TRIES:
                raise PolicyRefusal(said, Reason.SIZE) from failure
            raise TrainingFailed(f"{said}; it is tried again") from failure
        fit.add(request)
    return True


def match_to_join(
    own: Own,
    spec: Specification,
    payment: int,
    requester: str,
    request: tuple[bytes, int],
    token: str = ETHER,
    reputation: int | None = None,
) -> FittingData:
    """The first data set whose schema, terms and budget fit, and the number of samples to join
    with; raises the reason to decline.

    Under mode `sound` both follow from request, policy, schemas and what was spent alone: whether
    a provider joins, and with which data, must not depend on its records. The ledger sets aside the
    privacy that the whole request would cost, so that two requests cannot both count on the same
    remaining budget.

    Args:
        payment: in the smallest unit of `token`.
        requester: the account that asks.
        request: deployment fingerprint and number.
        reputation: the requester's, 1/10,000; None: it does not matter.
    """
    refusals: list[tuple[OwnData, PolicyRefusal | BudgetExceeded]] = []
    for data in own.data:
        try:
            _check_schema(data, spec)
            if reputation is not None:
                data.policy.check_requester(reputation)
            samples = _samples_to_join(own, data, spec, payment, requester, request, token)
        except (PolicyRefusal, BudgetExceeded) as refusal:
            if isinstance(refusal, PolicyRefusal) and refusal.reason is None:
                raise  # It follows from records, and decides nothing further.
            data.records.drop(request_name(*request))
            refusals.append((data, refusal))
        else:
            return FittingData(data, samples)
    raise _refused(refusals)


def _refused(refusals: list[tuple[OwnData, PolicyRefusal | BudgetExceeded]]) -> FedpactError:
    """What all data sets said; the public reason is of the first one whose schema fits."""
    every = [refusal for _, refusal in refusals]
    fitting = [one for one in every if public_reason(one) is not Reason.SCHEMA]
    [first, *_] = fitting or every
    if len(every) == 1:
        return first
    said = "; ".join(f"{data.name}: {refusal}" for data, refusal in refusals)
    if isinstance(first, PolicyRefusal):
        return PolicyRefusal(said, first.reason)
    return BudgetExceeded(said)


def _check_schema(data: OwnData, spec: Specification) -> None:
    try:
        data.records.schema.check(spec)
    except PolicyRefusal as refusal:
        raise PolicyRefusal(str(refusal), Reason.SCHEMA) from refusal


def _samples_to_join(
    own: Own,
    data: OwnData,
    spec: Specification,
    payment: int,
    requester: str,
    request: tuple[bytes, int],
    token: str,
) -> int:
    from fedpact.privacy.accounting import cost

    policy, samples = data.policy, data.records.schema.units
    release = of_request(spec)
    price = None if release is None else cost(release, policy.delta)
    parameters = family_of(spec).template(spec).parameters
    epsilon = 0.0 if price is None else price.epsilon
    policy.check(spec, payment, parameters, samples, epsilon, token)
    if spec.privacy.mode is not PrivacyMode.SOUND:
        dataset = data.records.dataset(request_name(*request), spec)
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
        own.ledger.hold(*request, release, data.payers(requester))
    return samples


def opt_in_record(own: Own, spec: Specification, match: FittingData, endpoint: str = "") -> bytes:
    """What `fedpact data describe` shows, the requested labels, and the provider's declaration
    with its signature (EIP-191, over the declaration's canonical JSON).

    `endpoint`: where its daemon exchanges messages of rounds, if it does.
    """
    asked = spec.features
    described = attributes(
        spec.task, spec.category, match.samples, asked.shape, asked.names, asked.kind
    )
    declared = match.data.records.schema.published
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

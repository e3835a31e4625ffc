"""A request's privacy in words: what each provider keeps, for whom, and what that does not cover.

The sentences are those of docs/privacy.md.
"""

from __future__ import annotations

from fedpact.dashboard.views.blocks import View
from fedpact.types.privacy import CLAIM, PrivacyMode
from fedpact.types.specification import Specification


class PrivacyView(View):
    """What a request's privacy is worth."""

    statement: str
    mode: str
    epsilon: float | None
    delta: float | None
    covers: tuple[str, ...]
    not_covered: tuple[str, ...]


_SOUND = (
    "The unit: one privacy unit of a provider's data, as its public schema declares it."
    " Neighbouring data sets differ in whether that unit is in the data.",
    "All noised bytes that a provider releases for this request, in all rounds together, against"
    " everybody: other members and the requester together.",
    "Each provider adds its own noise: the promise holds if all others collude.",
)
_NOT_COVERED = (
    "What holds for the population, or for the provider as a whole.",
    "The other requests that a provider serves: its own lifetime budget bounds those.",
    "The load of its machine, and a training that is cut off by its time or memory limit.",
    "What a trained public network on which the model stands has seen before.",
)


def privacy_view(spec: Specification) -> PrivacyView:
    privacy = spec.privacy
    covers: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    if privacy.mode is PrivacyMode.SOUND:
        covers, not_covered = _SOUND, _NOT_COVERED
    elif privacy.mode is PrivacyMode.PAPER:
        not_covered = (f"The epsilon is {CLAIM}.",)
    else:
        not_covered = ("Nothing is promised: for tests and benchmarks.",)
    return PrivacyView(
        statement=privacy.statement,
        mode=privacy.mode,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        covers=covers,
        not_covered=not_covered,
    )

"""A request's privacy in words: what each provider keeps, and what that does not cover."""

from __future__ import annotations

from fedpact.dashboard.views.blocks import View
from fedpact.errors import PrivacyError
from fedpact.learning.families import privacy_statement
from fedpact.privacy.accounting import PrivacyCost
from fedpact.privacy.scope import ADJACENCY, UNIT, scope_of
from fedpact.requester.card.card import request_cost
from fedpact.types.privacy import PrivacyMode
from fedpact.types.specification import Specification


class PrivacyView(View):
    """What a request's privacy is worth."""

    statement: str
    mode: str
    epsilon: float | None
    delta: float | None
    unit: str
    """What is protected; empty unless the privacy is sound, as is `adjacency`."""
    adjacency: str
    cost: PrivacyCost | None
    """Of all that one provider releases, computed again from the specification; None unless the
    privacy is sound."""
    problem: str
    """Why it cannot be computed; else empty."""
    covers: tuple[str, ...]
    not_covered: tuple[str, ...]


def privacy_view(spec: Specification) -> PrivacyView:
    privacy, scope = spec.privacy, scope_of(spec.privacy)
    sound = privacy.mode is PrivacyMode.SOUND
    cost, problem = None, ""
    try:
        cost = request_cost(spec)
    except PrivacyError as error:
        problem = str(error)
    return PrivacyView(
        statement=privacy_statement(spec),
        mode=privacy.mode,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        unit=UNIT if sound else "",
        adjacency=ADJACENCY if sound else "",
        cost=cost,
        problem=problem,
        covers=scope.covers,
        not_covered=scope.not_covered,
    )

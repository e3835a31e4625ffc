"""A request's privacy in words: what each provider keeps, and what that does not cover."""

from __future__ import annotations

from fedpact.dashboard.views.blocks import View
from fedpact.privacy.scope import scope_of
from fedpact.types.specification import Specification


class PrivacyView(View):
    """What a request's privacy is worth."""

    statement: str
    mode: str
    epsilon: float | None
    delta: float | None
    covers: tuple[str, ...]
    not_covered: tuple[str, ...]


def privacy_view(spec: Specification) -> PrivacyView:
    privacy, scope = spec.privacy, scope_of(spec.privacy)
    return PrivacyView(
        statement=privacy.statement,
        mode=privacy.mode,
        epsilon=privacy.epsilon,
        delta=privacy.delta,
        covers=scope.covers,
        not_covered=scope.not_covered,
    )

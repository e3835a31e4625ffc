"""Empirical checks of a stated privacy cost: they run the mechanism and attack its output."""

from enum import StrEnum


class Check(StrEnum):
    """An attack: on released bytes, or (`participation`) on what a provider does."""

    DRAWS = "draws"
    CANARIES = "canaries"
    MEMBERSHIP = "membership"
    PARTICIPATION = "participation"


class AuditedMode(StrEnum):
    """Whose epsilon is checked: fedpact's, with a clipping norm that is fixed or follows a
    quantile, or of the least secure sum, or the one that Wang et al. 2024 claim."""

    SOUND = "sound"
    ADAPTIVE = "adaptive"
    SECURE = "secure"
    PAPER = "paper"

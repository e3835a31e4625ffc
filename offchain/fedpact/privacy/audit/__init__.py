"""Checks that a stated privacy cost can fail: they run the mechanism and look at what comes out."""

from enum import StrEnum


class Check(StrEnum):
    """One way to look: `distinguishability`, `canaries`, `membership`."""

    DRAWS = "draws"
    CANARIES = "canaries"
    MEMBERSHIP = "membership"


class AuditedMode(StrEnum):
    """Whose figure is looked at: fedpact's own, with a clipping norm that is fixed or one that
    follows a quantile, or the one that Wang et al. 2024 claim."""

    SOUND = "sound"
    ADAPTIVE = "adaptive"
    PAPER = "paper"

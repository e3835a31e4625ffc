"""Checks what a family's release reveals about a record against the stated bound.

The release is the product's own local training, on scikit-learn's digits or on data made to be
found. The auditor knows everything except who is in, and removes what is public: the start, the
learning rate (so small that all steps see the same gradients), the number of records.

Under mode `sound` the stated figure must hold; mode `adaptive` is the same with a clipping norm
that follows a quantile, mode `secure` draws the least secure sum that is opened. Mode `paper` is
DDP-SGD (Wang et al. 2024), against the paper's claim.
"""

from fedpact.errors import InvalidInput
from fedpact.learning.families import ConstructedFamily, family
from fedpact.privacy.attacks import AuditedMode, Check
from fedpact.privacy_audit.canary import audit_canaries
from fedpact.privacy_audit.draws import audit_draws
from fedpact.privacy_audit.members import audit_membership
from fedpact.privacy_audit.participation import REQUESTS, audit_participation
from fedpact.privacy_audit.release import DRAWS, Finding


def checks_of(name: str, mode: AuditedMode) -> list[Check]:
    """The available checks of a family's releases in a mode."""
    if isinstance(family(name), ConstructedFamily):
        return [Check.DRAWS, Check.PARTICIPATION]
    if mode is AuditedMode.SECURE:
        return [Check.DRAWS, Check.PARTICIPATION]
    return [Check.DRAWS, Check.MEMBERSHIP] if mode is AuditedMode.PAPER else list(Check)


def audit(
    name: str,
    check: Check,
    mode: AuditedMode = AuditedMode.SOUND,
    draws: int = DRAWS,
    count: int | None = None,
    requests: int = REQUESTS,
) -> Finding:
    """One check of one family; raises InvalidInput if the mode or family does not have it."""
    if check not in checks_of(name, mode):
        listed = " and ".join(checks_of(name, mode))
        raise InvalidInput(f"family {name}, mode {mode}: audited by {listed}, not by {check}")
    match check:
        case Check.DRAWS:
            return audit_draws(name, mode, draws)
        case Check.CANARIES:
            return audit_canaries(name, count, mode=mode)
        case Check.MEMBERSHIP:
            return audit_membership(name, mode=mode)
        case Check.PARTICIPATION:
            return audit_participation(name, mode, requests)

"""What a provider's ledger says of privacy spent, and whether it holds."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedpact.chain.keystore import AccountKeys
from fedpact.errors import DeploymentError, NodeUnreachable, NotReady
from fedpact.privacy.accounting import PrivacyCost
from fedpact.privacy.ledger.check import reconcile, verify
from fedpact.privacy.ledger.ledger import Ledger
from fedpact.privacy.ledger.report import LimitStanding, ReleaseId
from fedpact.privacy.lifetime_budget import PrivacyLimit
from fedpact.provider.files import ledger_file
from fedpact.provider.ledger.opening import open_ledger
from fedpact.provider.local_profile import built_releases

LOCK_TIMEOUT = 5.0
"""Seconds that a command waits for a daemon that is writing to the ledger."""


@dataclass(frozen=True)
class PrivacySpent:
    """What the most charged record has cost, and in how many releases and requests."""

    cost: PrivacyCost
    releases: int
    requests: int
    under_way: int
    """Requests that hold budget that is not spent yet."""
    data_sets: dict[str, PrivacyCost]
    """What each data set was charged, by its `data_id`."""


@dataclass(frozen=True)
class LedgerCheck:
    """What was checked; whatever does not hold raises an error."""

    releases: int
    kept: int
    """Releases whose bytes are still here, and match their digests."""
    submissions: int | None
    """Own submissions on chain, each found in the ledger; None if there was no chain."""
    unchecked: str | None
    """Why there was no chain."""


def privacy_spent(state: Path, keys: AccountKeys, delta: float) -> PrivacySpent:
    """Raises NotReady without a ledger, LedgerError if it is unreadable."""
    with existing_ledger(state, keys) as ledger:
        charged = [entry.id for entry in ledger.entries() if entry.event is not None]
        # A profile's signature is entered under request 0.
        requests = {(one.deployment, one.request) for one in charged if one.request}
        return PrivacySpent(
            ledger.spent(delta),
            len(charged),
            len(requests),
            len(ledger.holds()),
            ledger.spent_by_data_set(delta),
        )


def privacy_standing(
    state: Path, keys: AccountKeys, limit: PrivacyLimit, dataset: str | None = None
) -> LimitStanding:
    """What remains of a lifetime budget, as `Ledger.standing`. Raises as `privacy_spent`."""
    with existing_ledger(state, keys) as ledger:
        return ledger.standing(limit, dataset)


def privacy_verify(
    state: Path, keys: AccountKeys, ask: Callable[[], Sequence[tuple[ReleaseId, bytes]]]
) -> LedgerCheck:
    """Read the whole ledger, and compare it with the profile that was built here and the account's
    own submissions on chain, for which `ask` asks the chain.

    Without a chain, or without the deployment on it, the last part is skipped.

    Raises:
        NotReady: no ledger.
        LedgerError: one that is damaged, or older than the chain.
    """
    with existing_ledger(state, keys) as ledger:
        found = verify(ledger)
        kept = sum(entry.kept for entry in found)
        reconcile(ledger, built_releases(state, keys.address))
        try:
            submitted = ask()
        except (NodeUnreachable, DeploymentError) as error:
            return LedgerCheck(len(found), kept, None, str(error))
        reconcile(ledger, submitted)
        return LedgerCheck(len(found), kept, len(submitted), None)


@contextmanager
def existing_ledger(state: Path, keys: AccountKeys) -> Iterator[Ledger]:
    """An account's ledger. Raises NotReady if there is none, LedgerError as `Ledger`."""
    path = ledger_file(state, keys.address)
    if not path.exists():
        raise NotReady(f"no privacy ledger {path}: nothing was released from here")
    with open_ledger(path, keys, LOCK_TIMEOUT) as ledger:
        yield ledger
